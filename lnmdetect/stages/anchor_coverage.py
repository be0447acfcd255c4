"""What anchor sets cover of the nodes of a truth file, and which nodes they miss."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.geometry import Boxes, as_boxes, box_areas, box_sizes
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.models.anchors import AnchorSet, coverage, grid_coverage

REACHED_IOU = 0.5
"""A box is reached when an anchor overlaps it this much."""
POSITIVE_IOU = 0.7
"""From here on the RPN trains an anchor as positive (Ren et al. 2015, section 3.1.2)."""
SIZE_GROUPS_MM = ((0.0, 5.0), (5.0, 10.0), (10.0, 15.0), (15.0, float("inf")))
"""As everywhere nodes are grouped by size (design, section 8)."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class NodesOnGrid:
    """The N truth boxes that count, in the pixels that the model sees.

    Attributes:
        images: the image of each box.
        boxes_px: (N, 4) xyxy px of the model's grid.
        sides_mm: (N, 2) widths and heights.
    """

    annotations: tuple[NodeAnnotation, ...]
    images: tuple[ImageRecord, ...]
    boxes_px: Boxes
    sides_mm: Boxes

    @property
    def short_sides_mm(self) -> Values:
        """(N,) shorter side of each box."""
        return np.asarray(self.sides_mm.min(axis=1))

    @property
    def image_shares(self) -> Values:
        """(N,) box area as a share of the image's."""
        areas = box_areas(as_boxes([node.box_xyxy for node in self.annotations]))
        return np.asarray(areas / [image.width * image.height for image in self.images])


@dataclass(frozen=True)
class Coverage:
    """How well an anchor set covers a group of boxes; None where the group is empty.

    Attributes:
        mean_iou: mean best IoU.
        reached: share of boxes with an anchor at `REACHED_IOU`; positive: at `POSITIVE_IOU`.
    """

    boxes: int
    mean_iou: float | None = None
    reached: float | None = None
    positive: float | None = None


@dataclass(frozen=True)
class SetCoverage:
    """One anchor set against all boxes, by shape alone and on the grid, and on the grid by size.

    Attributes:
        by_size_mm: group of the box's shorter side to its coverage on the grid.
    """

    name: str
    sizes_px: tuple[float, ...]
    ratios: tuple[float, ...]
    by_shape: Coverage
    on_grid: Coverage
    by_size_mm: Mapping[str, Coverage]


@dataclass(frozen=True)
class MissedNode:
    """A node none of whose cross-sections an anchor reaches.

    Attributes:
        short_axis_mm: of the node where the truth says it, else its widest cross-section's.
        best_iou: over its cross-sections.
    """

    patient: str
    node: str
    short_axis_mm: float
    best_iou: float


@dataclass(frozen=True)
class CoveredSet:
    """An anchor set and the (N,) best IoU of every box with it, by shape and on the grid."""

    name: str
    anchors: AnchorSet
    by_shape: Values
    on_grid: Values


def nodes_on_grid(dataset: CocoDataset, spacing_mm: float | None) -> NodesOnGrid:
    """Return the boxes that count on a grid of `spacing_mm`; None keeps each scan's own pixels."""
    annotations = tuple(node for node in dataset.annotations if not node.ignored)
    by_id = {image.image_id: image for image in dataset.images}
    images = tuple(by_id[node.image_id] for node in annotations)
    boxes = as_boxes([node.box_xyxy for node in annotations])
    pixel_mm = np.array([image.spacing_mm[::-1] for image in images]).reshape(-1, 2)  # as x, y
    scale = pixel_mm / spacing_mm if spacing_mm else np.ones_like(pixel_mm)
    return NodesOnGrid(annotations, images, boxes * np.tile(scale, 2), box_sizes(boxes) * pixel_mm)


def cover(name: str, anchors: AnchorSet, nodes: NodesOnGrid) -> CoveredSet:
    """Return the best IoU of every box with the set."""
    by_shape = coverage(anchors, box_sizes(nodes.boxes_px))
    return CoveredSet(name, anchors, by_shape, grid_coverage(anchors, nodes.boxes_px))


def summarise(covered: CoveredSet, nodes: NodesOnGrid) -> SetCoverage:
    """Return the table's row of one set."""
    side = nodes.short_sides_mm
    groups = {
        _group_name(low, high): _coverage(covered.on_grid[(side >= low) & (side < high)])
        for low, high in SIZE_GROUPS_MM
    }
    return SetCoverage(
        covered.name,
        covered.anchors.sizes_px,
        covered.anchors.ratios,
        by_shape=_coverage(covered.by_shape),
        on_grid=_coverage(covered.on_grid),
        by_size_mm=groups,
    )


def _group_name(low_mm: float, high_mm: float) -> str:
    if low_mm == 0:
        return f"< {high_mm:g}"
    return f">= {low_mm:g}" if high_mm == float("inf") else f"{low_mm:g}-{high_mm:g}"


def _coverage(best_iou: Values) -> Coverage:
    if len(best_iou) == 0:
        return Coverage(boxes=0)
    reached, positive = (float((best_iou >= limit).mean()) for limit in (REACHED_IOU, POSITIVE_IOU))
    mean = float(best_iou.mean())
    return Coverage(len(best_iou), round(mean, 4), round(reached, 4), round(positive, 4))


def missed_nodes(nodes: NodesOnGrid, covered: CoveredSet) -> tuple[MissedNode, ...]:
    """Return the nodes that the set reaches in no cross-section, smallest first."""
    best: dict[tuple[str, str], MissedNode] = {}
    rows = zip(nodes.annotations, nodes.images, nodes.short_sides_mm, covered.on_grid, strict=True)
    for annotation, image, side_mm, iou in rows:
        node = annotation.node_id or f"annotation {annotation.annotation_id}"
        key = (image.patient, node)
        before = best.get(key, MissedNode(*key, short_axis_mm=0.0, best_iou=0.0))
        size_mm = annotation.short_axis_mm or max(before.short_axis_mm, float(side_mm))
        best[key] = MissedNode(*key, round(size_mm, 2), round(max(before.best_iou, float(iou)), 4))
    missed = [node for node in best.values() if node.best_iou < REACHED_IOU]
    return tuple(sorted(missed, key=lambda node: (node.short_axis_mm, node.patient, node.node)))
