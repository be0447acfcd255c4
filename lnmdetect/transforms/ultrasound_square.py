"""Ultrasound images brought to the square that a branch sees."""

import cv2
import numpy as np
from numpy.typing import NDArray


def square_image(pixels: NDArray[np.float32], size_px: int) -> NDArray[np.float32]:
    """Return (size_px, size_px) in [0, 1]: the image in the middle of a black square, resampled.

    Its proportions stay, since a nodule that is taller than wide is a sign of malignancy.

    Args:
        pixels: (H, W) in [0, 1].
        size_px: side of the result.
    """
    rows, columns = inside = _inside(pixels.shape, size_px)
    method = cv2.INTER_AREA if size_px < max(pixels.shape) else cv2.INTER_LINEAR
    resampled = cv2.resize(pixels, (columns, rows), interpolation=method)
    square = np.zeros((size_px, size_px), dtype=np.float32)
    square[_middle(inside, size_px)] = np.clip(resampled, 0, 1)
    return square


def from_square(square: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return (H, W) the values of a square (S, S) where they lie on the image it was made from.

    Args:
        square: values on the grid of `square_image`.
        shape: (H, W) of the image.
    """
    size_px = len(square)
    part = np.ascontiguousarray(square[_middle(_inside(shape, size_px), size_px)])
    return np.asarray(cv2.resize(part, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR))


def _inside(shape: tuple[int, ...], size_px: int) -> tuple[int, int]:
    """Return rows and columns of an image of that shape within its square."""
    scale = size_px / max(shape)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _middle(inside: tuple[int, int], size_px: int) -> tuple[slice, slice]:
    """Return where in the square the image lies."""
    top, left = ((size_px - side) // 2 for side in inside)
    return slice(top, top + inside[0]), slice(left, left + inside[1])
