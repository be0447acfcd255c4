"""Box arithmetic, and the only place for it.

A box is `(x1, y1, x2, y2)` in pixels with (0, 0) at the corner of the first pixel and the far edge
exclusive: one pixel at column 3, row 5 is (3, 5, 4, 6). COCO's `(x, y, width, height)` exists only
where files are read and written.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.float64]


def as_boxes(values: ArrayLike) -> Boxes:
    """Return `values` as an (N, 4) float64 array; an empty list gives (0, 4).

    Raises:
        ValueError: the shape is not (N, 4), or a box is not finite or has no extent.
    """
    boxes = np.asarray(values, dtype=np.float64)
    if boxes.size == 0:
        return np.zeros((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes: expected shape (N, 4), got {boxes.shape}")
    sound = np.isfinite(boxes).all(1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if not sound.all():
        index = int(np.flatnonzero(~sound)[0])
        raise ValueError(
            f"boxes[{index}]: expected finite x1 < x2 and y1 < y2, got {boxes[index].tolist()}"
        )
    return boxes


def xywh_to_xyxy(boxes_xywh: ArrayLike) -> Boxes:
    """Return (N, 4) xyxy boxes for (N, 4) COCO boxes, px."""
    boxes = np.asarray(boxes_xywh, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def xyxy_to_xywh(boxes_xyxy: ArrayLike) -> Boxes:
    """Return (N, 4) COCO boxes for (N, 4) xyxy boxes, px."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def box_sizes(boxes_xyxy: Boxes) -> Boxes:
    """Return (N, 2) widths and heights, px."""
    return boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]


def box_areas(boxes_xyxy: Boxes) -> NDArray[np.float64]:
    """Return (N,) areas, px^2."""
    return np.asarray(box_sizes(boxes_xyxy).prod(axis=1))


def box_centres(boxes_xyxy: Boxes) -> Boxes:
    """Return (N, 2) centres as (x, y), px."""
    return (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2


def pairwise_iou(first_xyxy: Boxes, second_xyxy: Boxes) -> NDArray[np.float64]:
    """Return (N, M) intersection over union of every pair, in [0, 1]."""
    corner_min = np.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    corner_max = np.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:])
    intersection = np.clip(corner_max - corner_min, 0, None).prod(axis=2)
    union = box_areas(first_xyxy)[:, None] + box_areas(second_xyxy)[None, :] - intersection
    return np.asarray(intersection / union)


def paired_overlap(
    first_xyxy: Boxes, second_xyxy: Boxes, *, of_first: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return (N,) IoU of N pairs of boxes, or the covered share of the first where `of_first`.

    In COCO's own terms, corner and sides: sides are rounded to 1e-9 px, beyond which files hold
    nothing, so that an IoU of exactly 0.5 in a file stays 0.5.
    """
    first, second = (np.round(xyxy_to_xywh(boxes), 9) for boxes in (first_xyxy, second_xyxy))
    far = np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    sides = np.clip(far - np.maximum(first[:, :2], second[:, :2]), 0, None)
    intersection = sides[:, 0] * sides[:, 1]
    first_area, second_area = (wh[:, 2] * wh[:, 3] for wh in (first, second))
    union = np.where(of_first, first_area, first_area + second_area - intersection)
    return np.asarray(intersection / union)


def size_iou(
    first_wh: ArrayLike, second_wh: ArrayLike, *, offset_xy: ArrayLike = (0.0, 0.0)
) -> NDArray[np.float64]:
    """Return (N, M) IoU of boxes known by (N, 2) and (M, 2) sizes that share their centre.

    Args:
        first_wh: widths and heights, px.
        second_wh: widths and heights, px.
        offset_xy: (2,) or (N, 2) distance between the centres instead of none, px.
    """
    first = np.asarray(first_wh, dtype=np.float64).reshape(-1, 1, 2)
    second = np.asarray(second_wh, dtype=np.float64).reshape(1, -1, 2)
    distance = np.abs(np.asarray(offset_xy, dtype=np.float64)).reshape(-1, 1, 2)
    overlap = np.minimum(np.minimum(first, second), (first + second) / 2 - distance)
    intersection = np.clip(overlap, 0, None).prod(axis=2)
    return np.asarray(intersection / (first.prod(axis=2) + second.prod(axis=2) - intersection))


def clip_boxes(boxes_xyxy: Boxes, *, width: int, height: int) -> Boxes:
    """Return the boxes cut at the image border; a box wholly outside comes back without extent."""
    limit = np.array([width, height, width, height], dtype=np.float64)
    return np.clip(boxes_xyxy, 0, limit)


def scale_boxes(boxes_xyxy: Boxes, *, scale_x: float, scale_y: float) -> Boxes:
    """Return the boxes on a grid with `scale_x`, `scale_y` times as many pixels a length."""
    return np.asarray(boxes_xyxy * np.array([scale_x, scale_y, scale_x, scale_y]))


def shift_boxes(boxes_xyxy: Boxes, *, shift_x: float, shift_y: float) -> Boxes:
    """Return the boxes moved by (`shift_x`, `shift_y`) px."""
    return np.asarray(boxes_xyxy + np.array([shift_x, shift_y, shift_x, shift_y]))


def square_crop_side_mm(
    box_xyxy: ArrayLike, *, spacing_mm: tuple[float, float], margin: float
) -> float:
    """Return the side, mm, of the square around a box with a margin; see `square_crop_window`."""
    x1, y1, x2, y2 = np.asarray(box_xyxy, dtype=np.float64)
    row_mm, column_mm = spacing_mm
    return float(max((x2 - x1) * column_mm, (y2 - y1) * row_mm) * (1 + margin))


def square_crop_window(
    box_xyxy: ArrayLike, *, spacing_mm: tuple[float, float], margin: float
) -> tuple[float, float, float, float]:
    """Return the xyxy window, px, that is square in mm around a box with a margin.

    Args:
        box_xyxy: one box, px.
        spacing_mm: (row, column) pixel spacing.
        margin: share of the longer side added in all, 0.5 for "box plus 50 %" (design, section 6).
    """
    x1, y1, x2, y2 = np.asarray(box_xyxy, dtype=np.float64)
    row_mm, column_mm = spacing_mm
    side_mm = square_crop_side_mm(box_xyxy, spacing_mm=spacing_mm, margin=margin)
    half_x, half_y = side_mm / column_mm / 2, side_mm / row_mm / 2
    centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2
    return (centre_x - half_x, centre_y - half_y, centre_x + half_x, centre_y + half_y)
