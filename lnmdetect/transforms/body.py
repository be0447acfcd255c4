"""Where the patient is in a slice: couch, head holder and air are not part of them."""

import cv2
import numpy as np
from numpy.typing import NDArray

SKIN_HU = -300
"""Between air (-1000) and fat (-100)."""
WORKING_SPACING_MM = 2.0
OPENING_MM = 7.0
"""Sheets thinner than this (couch shell, head holder, blanket) are not body."""
MIN_SHARE = 0.2
"""A part smaller than this share of the largest is not body (arms are larger)."""
MARGIN_MM = 4.0

BoxPx = tuple[int, int, int, int]


def _disc(radius_px: float) -> NDArray[np.uint8]:
    size = 2 * max(1, round(radius_px)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), dtype=np.uint8)


def _largest_parts(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if count < 2:
        return np.zeros_like(mask)
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.flatnonzero(areas >= MIN_SHARE * areas.max()) + 1
    return np.isin(labels, kept).astype(np.uint8)


def _filled(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(mask), contours, -1, 1, cv2.FILLED))


def body_mask(hu: NDArray[np.int16], spacing_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """Return (H, W) whether a pixel belongs to the patient, cavities and a thin margin included.

    Args:
        hu: (H, W) slice.
        spacing_mm: (row, column).
    """
    height, width = hu.shape
    small_height = max(1, round(height * spacing_mm[0] / WORKING_SPACING_MM))
    small_width = max(1, round(width * spacing_mm[1] / WORKING_SPACING_MM))
    tissue = (hu > SKIN_HU).astype(np.float32)
    small = cv2.resize(tissue, (small_width, small_height), interpolation=cv2.INTER_AREA)
    solid = (small > 0.5).astype(np.uint8)
    opened = cv2.morphologyEx(solid, cv2.MORPH_OPEN, _disc(OPENING_MM / 2 / WORKING_SPACING_MM))
    parts = _filled(_largest_parts(np.asarray(opened, dtype=np.uint8)))
    grown = cv2.dilate(parts, _disc(MARGIN_MM / WORKING_SPACING_MM))
    full = cv2.resize(grown, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(full, dtype=bool)


def mask_box(mask: NDArray[np.bool_]) -> BoxPx:
    """Return a mask's xyxy pixel box, far edge exclusive; the whole image for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return (0, 0, mask.shape[1], mask.shape[0])
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
