"""The truth of a phantom, as COCO annotations, and the slices a reader would choose."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from lnmdetect.core.records import BENIGN, METASTATIC, MIN_TRUTH_SIDE_MM, NodeAnnotation
from lnmdetect.phantom.node_paint import CrossSection
from lnmdetect.phantom.nodes import Node


def choose_key_images(sections: Sequence[CrossSection], count: int) -> list[int]:
    """Return the rising indices of at most `count` slices that show nodes, the largest first.

    Each node's largest cross-section goes before any second one of a node, as a reader picks them.
    """
    by_size = sorted(sections, key=lambda section: -int(section.mask.sum()))
    turn: dict[int, int] = {}
    ranked = []
    for section in by_size:
        turn[section.node_index] = turn.get(section.node_index, -1) + 1
        ranked.append((turn[section.node_index], section.slice_index))
    slices = dict.fromkeys(index for _, index in sorted(ranked, key=lambda item: item[0]))
    return sorted(list(slices)[:count])


def section_annotation(
    section: CrossSection,
    node: Node,
    *,
    annotation_id: int,
    prefix: str,
    image_shape: tuple[int, int],
    spacing_mm: tuple[float, float],
) -> NodeAnnotation:
    """Return the truth of one node on one slice; its image id is the slice's index plus 1."""
    rows, columns = np.nonzero(section.mask)
    rows, columns = rows + section.corner[0], columns + section.corner[1]
    box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
    sides_mm = ((box[2] - box[0]) * spacing_mm[1], (box[3] - box[1]) * spacing_mm[0])
    return NodeAnnotation(
        annotation_id=annotation_id,
        image_id=section.slice_index + 1,
        category_id=BENIGN if node.kind == "benign" else METASTATIC,
        box_xyxy=box,
        ignored=min(sides_mm) < MIN_TRUTH_SIDE_MM,
        node_id=f"{prefix}n{section.node_index:02d}",
        short_axis_mm=round(node.short_axis_mm, 3),
        slice_short_axis_mm=round(_minor_axis_mm(rows, columns, spacing_mm), 3),
        level=node.level,
        kind=node.kind,
        segmentation=_rle(rows, columns, image_shape),
    )


def _minor_axis_mm(
    rows: NDArray[np.int_], columns: NDArray[np.int_], spacing_mm: tuple[float, float]
) -> float:
    """Return the minor axis of the ellipse with the mask's second moments (a pixel adds 1/12)."""
    points = np.stack([rows * spacing_mm[0], columns * spacing_mm[1]])
    moments = np.cov(points, bias=True) if points.shape[1] > 1 else np.zeros((2, 2))
    moments = moments + np.diag(np.square(spacing_mm) / 12)
    return float(4 * np.sqrt(np.linalg.eigvalsh(moments)[0]))


def _rle(
    rows: NDArray[np.int_], columns: NDArray[np.int_], image_shape: tuple[int, int]
) -> dict[str, Any]:
    mask = np.zeros(image_shape, dtype=np.uint8, order="F")
    mask[rows, columns] = 1
    encoded = coco_mask.encode(mask)
    return {
        "size": [int(side) for side in encoded["size"]],
        "counts": encoded["counts"].decode("ascii"),
    }
