"""The HU inside an outline, and the middle of the body on its slice."""

import cv2
import numpy as np
from numpy.typing import NDArray

from lnmdetect.transforms.body import body_mask
from lnmdetect.transforms.outline import Outline

LEAST_PIXELS = 9
"""Fewer are too few for a mean or a deviation: then the outermost pixels count too."""


def hu_inside(hu: NDArray[np.int16], outline: Outline) -> NDArray[np.int16]:
    """Return (K,) HU of the pixels inside, without the outermost ones where enough remain.

    The outermost hold some of what lies around the node, fat or vessel.

    Args:
        hu: (H, W) slice.
        outline: on it.
    """
    row, column = outline.corner
    height, width = outline.inside.shape
    part = hu[row : row + height, column : column + width]
    padded = np.pad(outline.inside, 1).astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inner = cv2.erode(padded, cross)[1:-1, 1:-1].astype(bool)
    return np.asarray(part[inner if inner.sum() >= LEAST_PIXELS else outline.inside])


def body_middle_px(hu: NDArray[np.int16], spacing_mm: tuple[float, float]) -> float | None:
    """Return the column halfway between skin and skin, px; None where the body is cut off.

    Args:
        hu: (H, W) slice.
        spacing_mm: (row, column).
    """
    columns = np.flatnonzero(body_mask(hu, spacing_mm).any(axis=0))
    if not len(columns) or columns[0] == 0 or columns[-1] == hu.shape[1] - 1:
        return None
    return float(columns[0] + columns[-1] + 1) / 2
