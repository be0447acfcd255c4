"""Which boxes of one scan belong to one node: boxes on its slices -> node numbers.

Overlapping boxes of a slice are one cross-section (`metrics.box_fusion`). Cross-sections are then
joined slice by slice, from the lowest slice up: the ends of the nodes so far are matched with the
next slice's cross-sections, one to one, so that the sum of their affinities is greatest. What is
then a chain of two nodes is cut at its waist (`metrics.node_waists`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.geometry import (
    Boxes,
    as_boxes,
    box_centres,
    box_sizes,
    pairwise_iou,
    scale_boxes,
)
from lnmdetect.metrics.assignment import best_pairs
from lnmdetect.metrics.box_fusion import FusedBoxes, fuse_boxes
from lnmdetect.metrics.node_waists import cut_at_waists

Places = NDArray[np.int64]
Numbers = NDArray[np.float64]
NOT_LINKED = -1
_ROUNDING = 1e-6
_LEAST_AFFINITY = 1e-6
"""Of a pair that just fits, so that 0 means that it does not."""


@dataclass(frozen=True)
class LinkRule:
    """When two cross-sections may be of one node.

    Chosen on the truth boxes of 12 phantom patients (seed 8000, 588 pairs of one node on adjacent
    slices, 857 of two nodes): the centres of one node's lie at most 0.30 sizes apart, those of two
    nodes at least 0.55.

    Attributes:
        reach: how far apart their centres may lie in the plane, as a share of the larger one's
            size, the square root of its box's area.
        least_iou: what their boxes must overlap by.
        gap_mm, gap_steps: how far apart their slices may lie; the wider of the two holds.
    """

    reach: float = 0.45
    least_iou: float = 0.02
    gap_mm: float = 6.0
    gap_steps: int = 2

    def __post_init__(self) -> None:
        if not (self.reach > 0 and 0 <= self.least_iou < 1):
            raise ValueError(
                f"link rule: expected a reach above 0 and an IoU in [0, 1), got {self}"
            )
        if not (self.gap_mm > 0 and self.gap_steps > 0):
            raise ValueError(f"link rule: expected gaps above 0, got {self}")

    def longest_gap(self, grid: "ScanGrid") -> float:
        """Return how far apart the slices of two neighbours in a node may lie, mm."""
        return max(self.gap_mm, self.gap_steps * grid.step_mm) * (1 + _ROUNDING)


DEFAULT_RULE = LinkRule()


@dataclass(frozen=True)
class ScanGrid:
    """The spacing of one scan.

    Attributes:
        spacing_mm: (row, column) between pixels.
        step_mm: between neighbouring slices; of lone slices their thickness.
    """

    spacing_mm: tuple[float, float]
    step_mm: float

    def __post_init__(self) -> None:
        if not all(0 < length < np.inf for length in (*self.spacing_mm, self.step_mm)):
            raise ValueError(f"grid: expected lengths in mm above 0, got {self}")


@dataclass(frozen=True)
class LinkedBoxes:
    """The boxes of one scan as cross-sections and nodes.

    Attributes:
        sections: the M cross-sections, and which of them each box is part of.
        node: (M,) number of each one's node, from 0.
    """

    sections: FusedBoxes
    node: Places


def link_scan(
    boxes_xyxy: Boxes,
    scores: Numbers,
    *,
    position_mm: Numbers,
    grid: ScanGrid,
    rule: LinkRule = DEFAULT_RULE,
) -> LinkedBoxes:
    """Return the cross-sections and the nodes of one scan's boxes.

    Args:
        boxes_xyxy: (N, 4) px.
        scores: (N,) in [0, 1].
        position_mm: (N,) of their slices along the normal; boxes of one slice have the same.
        grid: spacing of the scan.
        rule: when two cross-sections may be of one node.
    """
    _, slices = np.unique(position_mm, return_inverse=True)
    fused = fuse_boxes(boxes_xyxy, scores, slices)
    of_section = np.zeros(len(fused.scores))
    of_section[fused.group] = position_mm
    row_mm, column_mm = grid.spacing_mm
    boxes_mm = scale_boxes(fused.boxes_xyxy, scale_x=column_mm, scale_y=row_mm)
    return LinkedBoxes(
        fused, link_sections(boxes_mm, of_section, longest_gap_mm=rule.longest_gap(grid), rule=rule)
    )


def link_sections(
    boxes_mm: Boxes, position_mm: Numbers, *, longest_gap_mm: float, rule: LinkRule = DEFAULT_RULE
) -> Places:
    """Return (M,) the number of each cross-section's node, from 0 in the order of their firsts.

    Args:
        boxes_mm: (M, 4) xyxy of one scan in mm, at most one a node on each slice.
        position_mm: (M,) of their slices along the normal.
        longest_gap_mm: how far apart the slices of two neighbours in a node may lie.
        rule: when two may be of one node.

    Raises:
        ValueError: a box has no extent, or a position is missing or not finite.
    """
    boxes, position_mm = as_boxes(boxes_mm), np.asarray(position_mm, dtype=np.float64)
    if position_mm.shape != (len(boxes),) or not np.isfinite(position_mm).all():
        raise ValueError("link: expected one finite position for each box")
    order = np.argsort(position_mm, kind="stable")
    _, starts = np.unique(position_mm[order], return_index=True)
    node = np.full(len(boxes), NOT_LINKED, dtype=np.int64)
    ends = np.zeros(0, dtype=np.int64)
    count = 0
    for here in np.split(order, starts[1:]):
        gap_mm = position_mm[here[:1]] - position_mm[ends]
        ends, gap_mm = ends[gap_mm <= longest_gap_mm], gap_mm[gap_mm <= longest_gap_mm]
        new = here
        if len(ends):
            affinity = _affinity(boxes[ends], boxes[here], rule)
            # A nearer slice goes first: a node that is still there outbids one that was lost.
            nearness = gap_mm.min() / gap_mm
            first, second = best_pairs(affinity * nearness[:, None])
            node[here[second]] = node[ends[first]]
            ends, new = np.delete(ends, first), here[node[here] == NOT_LINKED]
        node[new] = count + np.arange(len(new))
        count += len(new)
        ends = np.concatenate([ends, here])
    areas, centres = box_sizes(boxes).prod(axis=1), box_centres(boxes)
    return _by_first_box(cut_at_waists(areas, centres, position_mm, node))


def _affinity(first_mm: Boxes, second_mm: Boxes, rule: LinkRule) -> Numbers:
    """Return (N, M) how well cross-sections fit each other, 0 where they may not be of one node."""
    apart_mm = np.linalg.norm(box_centres(first_mm)[:, None] - box_centres(second_mm), axis=2)
    size_mm = (np.sqrt(box_sizes(boxes).prod(axis=1)) for boxes in (first_mm, second_mm))
    reach_mm = rule.reach * np.maximum.outer(*size_mm)
    overlap = pairwise_iou(first_mm, second_mm)
    fits = (overlap >= rule.least_iou) & (apart_mm <= reach_mm)
    return np.asarray(np.where(fits, _LEAST_AFFINITY + overlap + 1 - apart_mm / reach_mm, 0.0))


def _by_first_box(node: Places) -> Places:
    """Return the (N,) numbers so changed that they rise with the first box of each node."""
    _, first, place = np.unique(node, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[place])
