"""The square window around a box that the classifier sees."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lnmdetect.core.geometry import square_crop_window
from lnmdetect.transforms.windows import AIR_HU

SIDE_RANGE_MM = (4.0, 128.0)
"""Sides of crops around the smallest and the largest nodes, with room."""


def crop_box(
    stack_hu: NDArray[np.int16],
    box_xyxy: ArrayLike,
    *,
    spacing_mm: tuple[float, float],
    margin: float,
    size_px: int,
) -> NDArray[np.int16]:
    """Return (S, size_px, size_px) HU around a box, square in mm, air beyond the border.

    Args:
        stack_hu: (S, H, W) slices that share the box's pixel grid.
        box_xyxy: px.
        spacing_mm: (row, column).
        margin: share of the box's longer side added in all.
        size_px: side of the result.
    """
    matrix = crop_matrix(box_xyxy, spacing_mm=spacing_mm, margin=margin, size_px=size_px)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crops = [
        cv2.warpAffine(
            hu,
            matrix,
            (size_px, size_px),
            flags=flags,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=AIR_HU,
        )
        for hu in stack_hu
    ]
    return np.stack(crops).astype(np.int16)


def crop_matrix(
    box_xyxy: ArrayLike, *, spacing_mm: tuple[float, float], margin: float, size_px: int
) -> NDArray[np.float64]:
    """Return (2, 3) the affine map from pixel indices of the crop to those of the slice."""
    x1, y1, x2, y2 = square_crop_window(box_xyxy, spacing_mm=spacing_mm, margin=margin)
    scale_x, scale_y = (x2 - x1) / size_px, (y2 - y1) / size_px
    # Pixel centres: output column i lies at x1 + (i + 1/2) * scale, half a pixel off its index.
    return np.array([[scale_x, 0, x1 + scale_x / 2 - 0.5], [0, scale_y, y1 + scale_y / 2 - 0.5]])


def with_side_channel(channels: NDArray[np.float32], side_mm: float) -> NDArray[np.float32]:
    """Return (C + 1, S, S): the channels and a constant one that tells the crop's side.

    Args:
        channels: (C, S, S) in [0, 1].
        side_mm: mapped by its logarithm from 4..128 mm to [0, 1], clipped.
    """
    low, high = np.log(SIDE_RANGE_MM)
    value = np.clip((np.log(side_mm) - low) / (high - low), 0, 1)
    constant = np.full((1, *channels.shape[1:]), value, dtype=np.float32)
    return np.concatenate([channels, constant])
