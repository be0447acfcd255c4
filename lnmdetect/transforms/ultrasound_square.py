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
    height, width = pixels.shape
    scale = size_px / max(height, width)
    rows, columns = (max(1, round(side * scale)) for side in (height, width))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resampled = cv2.resize(pixels, (columns, rows), interpolation=method)
    square = np.zeros((size_px, size_px), dtype=np.float32)
    top, left = (size_px - rows) // 2, (size_px - columns) // 2
    square[top : top + rows, left : left + columns] = np.clip(resampled, 0, 1)
    return square
