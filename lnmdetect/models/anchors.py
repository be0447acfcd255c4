"""Anchors fitted to box sizes, and how well a set of anchors covers boxes.

An anchor set has one size a pyramid level (P2 to P6) and ratios that all levels share, as the
detector's anchor generator takes them. Two questions are asked of it: is there an anchor of about
this shape (`coverage`), and is there one at this place (`grid_coverage`): level l has anchors only
every stride_l pixels, and a 12 px node may fall between those of a coarse level.
"""

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lnmdetect.core.geometry import Boxes, as_boxes, box_areas, box_centres, box_sizes, size_iou

STRIDES_PX = (4, 8, 16, 32, 64)
"""Of P2 to P6 (Lin et al. 2017, section 3)."""
RATIOS = (0.5, 1.0, 2.0)
"""height / width (Wang et al. 2023, section 3.1.1)."""
MAX_FITTED_BOXES = 5000
"""A fit looks at evenly chosen boxes above this number; more change no size by a pixel."""
_SEARCH_STEPS = tuple(np.geomspace(1 / spread, spread, 9) for spread in (1.6, 1.2, 1.05))
_MAX_ROUNDS = 20
_MAX_KMEANS_ROUNDS = 300
_LEAST_GAIN = 1e-9


@dataclass(frozen=True)
class AnchorSet:
    """One anchor size a pyramid level and the ratios that all levels share.

    Attributes:
        sizes_px: square root of the anchor area of P2, P3, ... in the model's grid.
        ratios: height / width.
    """

    sizes_px: tuple[float, ...]
    ratios: tuple[float, ...] = RATIOS

    def __post_init__(self) -> None:
        for name, values in (("sizes_px", self.sizes_px), ("ratios", self.ratios)):
            if not values or not all(0 < value < math.inf for value in values):
                raise ValueError(f"{name}: expected one or more numbers above 0, got {values}")

    @property
    def areas_px2(self) -> tuple[float, ...]:
        """Area a level, px^2, as recipes give it."""
        return tuple(size * size for size in self.sizes_px)

    def level_shapes_wh(self, level: int) -> Boxes:
        """Return the (R, 2) widths and heights of one level, px.

        The corners lie on whole pixels, as torchvision's AnchorGenerator rounds them.
        """
        ratios = np.asarray(self.ratios)
        size = self.sizes_px[level]
        half = np.stack([size / np.sqrt(ratios), size * np.sqrt(ratios)], axis=1) / 2
        return np.asarray(2 * np.maximum(np.round(half), 0.5))


PAPER_ANCHORS = AnchorSet(tuple(math.sqrt(area) for area in (256, 576, 1282, 1600, 3136)))
"""Wang et al. 2023, section 3.1.1: five areas in px^2, ratios 1:2, 1:1, 2:1."""
TORCHVISION_ANCHORS = AnchorSet((32.0, 64.0, 128.0, 256.0, 512.0))
"""Default of torchvision's fasterrcnn_resnet50_fpn."""


def coverage(anchors: AnchorSet, sizes_wh: ArrayLike) -> NDArray[np.float64]:
    """Return (N,) best IoU of each box with an anchor at the same centre, in [0, 1].

    Args:
        anchors: the set.
        sizes_wh: (N, 2) widths and heights, px of the model's grid.
    """
    return _best_of_levels(
        [_level_coverage(anchors, level, sizes_wh, None) for level in range(len(anchors.sizes_px))]
    )


def grid_coverage(
    anchors: AnchorSet, boxes_xyxy: ArrayLike, *, strides_px: tuple[int, ...] = STRIDES_PX
) -> NDArray[np.float64]:
    """Return (N,) best IoU of each box with an anchor where the detector has one, in [0, 1].

    Anchors of a level are centred on multiples of its stride (torchvision's AnchorGenerator).

    Args:
        anchors: the set, one size a stride.
        boxes_xyxy: (N, 4) px of the model's grid.
        strides_px: of the levels.
    """
    boxes = as_boxes(boxes_xyxy)
    _require_a_stride_a_level(anchors, strides_px)
    return _best_of_levels(
        [
            _level_coverage(anchors, level, box_sizes(boxes), _grid_distance(boxes, stride))
            for level, stride in enumerate(strides_px)
        ]
    )


def fit_anchors(
    boxes_xyxy: ArrayLike,
    *,
    ratios: tuple[float, ...] = RATIOS,
    strides_px: tuple[int, ...] = STRIDES_PX,
    on_grid: bool = True,
) -> AnchorSet:
    """Return the set whose mean best IoU with the boxes is highest, sizes rising with the level.

    Sizes start at quantiles of the boxes' and are moved one at a time, in ever smaller steps, as
    long as the mean rises; the same boxes give the same set. A box counts by one over the square
    root of how many are of its size (within half an octave), so that the many small ones do not
    cost the few large ones their anchor.

    Args:
        boxes_xyxy: (N, 4) px of the model's grid, N >= 1.
        ratios: height / width, shared by the levels.
        strides_px: one a level.
        on_grid: whether an anchor counts only where the level has one (`grid_coverage`) or
            anywhere (`coverage`, k-means with the distance 1 - IoU).

    Raises:
        ValueError: there is no box.
    """
    boxes = as_boxes(boxes_xyxy)
    if len(boxes) == 0:
        raise ValueError("boxes: expected at least one to fit anchors to, got none")
    boxes = boxes[:: -(-len(boxes) // MAX_FITTED_BOXES)]
    sides = np.sqrt(box_areas(boxes))
    goal = _FitGoal(
        box_sizes(boxes),
        _size_weights(sides),
        tuple(_grid_distance(boxes, stride) if on_grid else None for stride in strides_px),
    )
    shares = (np.arange(len(strides_px)) + 0.5) / len(strides_px)
    anchors = AnchorSet(tuple(map(float, np.quantile(sides, shares))), ratios)
    for factors in _SEARCH_STEPS:
        anchors = _climb(anchors, factors, goal)
    return AnchorSet(tuple(round(size, 2) for size in anchors.sizes_px), ratios)


def fit_ratios(boxes_xyxy: ArrayLike, *, count: int = 3) -> tuple[float, ...]:
    """Return `count` height / width ratios: evenly spaced quantiles of the boxes', rising."""
    sizes = box_sizes(as_boxes(boxes_xyxy))
    shares = (np.arange(count) + 0.5) / count
    return tuple(round(float(r), 3) for r in np.quantile(sizes[:, 1] / sizes[:, 0], shares))


def fit_shapes(boxes_xyxy: ArrayLike, *, count: int = 9) -> Boxes:
    """Return (count, 2) widths and heights, smallest area first: k-means with distance 1 - IoU.

    The priors of YOLO (Redmon and Farhadi 2017, section 2; nine in their paper of 2018). Centres
    begin at evenly spaced boxes by area and move to the means of those nearest to them, so that
    the same boxes give the same shapes.

    Args:
        boxes_xyxy: (N, 4) px of the model's grid, N >= 1.
        count: of shapes.

    Raises:
        ValueError: there is no box.
    """
    boxes = as_boxes(boxes_xyxy)
    if len(boxes) == 0:
        raise ValueError("boxes: expected at least one to fit shapes to, got none")
    boxes = boxes[np.argsort(box_areas(boxes), kind="stable")]
    sizes = box_sizes(boxes)
    places = (np.arange(count) + 0.5) / count * len(boxes)
    shapes = sizes[places.astype(int)]
    for _ in range(_MAX_KMEANS_ROUNDS):
        nearest = size_iou(sizes, shapes).argmax(axis=1)
        filled = [k for k in range(count) if (nearest == k).any()]
        moved = shapes.copy()
        moved[filled] = [sizes[nearest == k].mean(axis=0) for k in filled]
        if np.array_equal(moved, shapes):
            break
        shapes = moved
    return np.asarray(shapes[np.argsort(shapes.prod(axis=1), kind="stable")])


@dataclass(frozen=True)
class _FitGoal:
    """What a fit looks at: box sizes (N, 2), their weights (N,) and, a level, grid distances."""

    sizes_wh: Boxes
    weights: NDArray[np.float64]
    distances_xy: tuple[Boxes | None, ...]

    def covered(self, anchors: AnchorSet, level: int) -> NDArray[np.float64]:
        """Return (N,) best IoU with the anchors of one level."""
        return _level_coverage(anchors, level, self.sizes_wh, self.distances_xy[level])

    def mean(self, best_iou: NDArray[np.float64]) -> float:
        """Return the weighted mean, the number that a fit raises."""
        return float(best_iou @ self.weights)


def _size_weights(sides_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N,) weights that sum to 1, by the number of boxes in the same half octave of size."""
    octaves = np.floor(2 * np.log2(sides_px)).astype(int)
    _, place, counts = np.unique(octaves, return_inverse=True, return_counts=True)
    weights = 1 / np.sqrt(counts[place])
    return np.asarray(weights / weights.sum())


def _climb(anchors: AnchorSet, factors: NDArray[np.float64], goal: _FitGoal) -> AnchorSet:
    """Return the set after moving one size at a time by the best of `factors` until none helps."""
    levels = range(len(anchors.sizes_px))
    covered = [goal.covered(anchors, level) for level in levels]
    for _ in range(_MAX_ROUNDS):
        before = anchors
        for level in levels:
            others = _best_of_levels(covered[:level] + covered[level + 1 :])
            best = goal.mean(np.maximum(others, covered[level]))
            for trial in _rising_trials(anchors, level, factors):
                reached = goal.covered(trial, level)
                mean = goal.mean(np.maximum(others, reached))
                if mean > best + _LEAST_GAIN:
                    best, anchors, covered[level] = mean, trial, reached
        if anchors == before:
            break
    return anchors


def _rising_trials(anchors: AnchorSet, level: int, factors: NDArray[np.float64]) -> list[AnchorSet]:
    """Return the sets with one size changed that still rise from level to level."""
    trials = (_with_size(anchors, level, float(factor)) for factor in factors)
    return [trial for trial in trials if list(trial.sizes_px) == sorted(trial.sizes_px)]


def _with_size(anchors: AnchorSet, level: int, factor: float) -> AnchorSet:
    sizes = list(anchors.sizes_px)
    sizes[level] *= factor
    return AnchorSet(tuple(sizes), anchors.ratios)


def _level_coverage(
    anchors: AnchorSet, level: int, sizes_wh: ArrayLike, distance_xy: Boxes | None
) -> NDArray[np.float64]:
    """Return (N,) best IoU with the anchors of one level, centres `distance_xy` (N, 2) apart."""
    offset = (0.0, 0.0) if distance_xy is None else distance_xy
    return np.asarray(
        size_iou(sizes_wh, anchors.level_shapes_wh(level), offset_xy=offset).max(axis=1)
    )


def _grid_distance(boxes_xyxy: Boxes, stride_px: int) -> Boxes:
    """Return (N, 2) distances in x and y from each centre to the nearest multiple of the stride."""
    centres = box_centres(boxes_xyxy)
    return np.asarray(np.abs(centres - stride_px * np.round(centres / stride_px)))


def _best_of_levels(ious: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return (N,) the largest of the levels' values; 0 for all where there is no level."""
    return reduce(np.maximum, ious, np.zeros(1))


def _require_a_stride_a_level(anchors: AnchorSet, strides_px: tuple[int, ...]) -> None:
    if len(anchors.sizes_px) != len(strides_px):
        raise ValueError(
            f"strides_px: expected {len(anchors.sizes_px)}, one a size, got {len(strides_px)}"
        )
