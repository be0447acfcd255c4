"""Boxes without learning: bright blobs and HU thresholds, the floor under any detector."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lnmdetect.core.geometry import Boxes, scale_boxes

GRID_MM = 1.0
SIGMAS_MM = (2.0, 2.8, 4.0, 5.6, 8.0)
"""A disc of radius r answers most at sigma = r / sqrt(2): radii 2.8 to 11 mm."""
MIN_ANSWER = 0.05
SIDE_MM = (3.0, 40.0)
MAX_ASPECT = 2.5
ELLIPSE_SHARE = np.pi / 4
"""Share of its box that an ellipse fills."""
MAX_BOXES = 100

Found = tuple[Boxes, NDArray[np.float64]]
HuRange = tuple[float, float]


def blob_boxes(
    hu: NDArray[np.int16],
    spacing_mm: tuple[float, float],
    *,
    window_hu: HuRange,
    body: NDArray[np.bool_],
) -> Found:
    """Return (N, 4) xyxy boxes of bright blobs, px, and their answers, best first.

    The maxima in place and scale of the scale-normalised Laplacian of Gaussian (Lindeberg 1998).

    Args:
        hu: (H, W).
        spacing_mm: (row, column).
        window_hu: mapped to [0, 1] before.
        body: (H, W) where a blob's centre may lie.
    """
    grid, scale = _on_grid(np.clip(hu, *window_hu).astype(np.float32), spacing_mm)
    image = (grid - window_hu[0]) / (window_hu[1] - window_hu[0])
    answers = np.stack([-(s**2) * ndimage.gaussian_laplace(image, s) for s in SIGMAS_MM])
    inside, _ = _on_grid(body.astype(np.float32), spacing_mm)
    peaks = (ndimage.maximum_filter(answers, size=3) == answers) & (answers > MIN_ANSWER)
    sigma, row, column = np.nonzero(peaks & (inside > 0.5))
    half = np.sqrt(2) * np.asarray(SIGMAS_MM)[sigma]
    x, y = column + 0.5, row + 0.5
    boxes = np.stack([x - half, y - half, x + half, y + half], axis=1)
    return _best(boxes, answers[sigma, row, column], scale)


def threshold_boxes(
    hu: NDArray[np.int16],
    spacing_mm: tuple[float, float],
    *,
    range_hu: HuRange,
    body: NDArray[np.bool_],
) -> Found:
    """Return (N, 4) xyxy boxes of compact parts within a HU range, px, the most elliptic first.

    Args:
        hu: (H, W).
        spacing_mm: (row, column).
        range_hu: (low, high).
        body: (H, W) where parts are looked for.
    """
    grid, scale = _on_grid(np.where(body, hu, -1000).astype(np.float32), spacing_mm)
    labels, _ = ndimage.label(ndimage.binary_opening((grid > range_hu[0]) & (grid < range_hu[1])))
    boxes, scores = [], []
    for place, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        sides = sorted((height * GRID_MM, width * GRID_MM))
        if sides[0] >= SIDE_MM[0] and sides[1] <= min(SIDE_MM[1], MAX_ASPECT * sides[0]):
            filled = float((labels[rows, columns] == place).mean())
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            scores.append(1 - abs(filled - ELLIPSE_SHARE))
    return _best(np.asarray(boxes, dtype=np.float64).reshape(-1, 4), np.asarray(scores), scale)


def _on_grid(
    image: NDArray[np.float32], spacing_mm: tuple[float, float]
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Return the image at `GRID_MM` and the (x, y) original pixels per grid pixel."""
    height, width = image.shape
    size = (
        max(1, round(width * spacing_mm[1] / GRID_MM)),
        max(1, round(height * spacing_mm[0] / GRID_MM)),
    )
    grid = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    return grid, (width / size[0], height / size[1])


def _best(boxes: Boxes, scores: NDArray[np.float64], scale: tuple[float, float]) -> Found:
    order = np.argsort(-scores, kind="stable")[:MAX_BOXES]
    return scale_boxes(boxes[order], scale_x=scale[0], scale_y=scale[1]), scores[order]
