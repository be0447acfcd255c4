"""Which detection hits which truth box, by COCO's rules, for all images at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.geometry import paired_overlap
from lnmdetect.metrics.tables import BoxTables, ImageBoxes

IOU_OF_A_HIT = 0.5
"""A detection hits a truth box from this IoU on (design, section 8)."""
MAX_DETECTIONS = 100
"""Detections an image that count, best first (design, section 8)."""
NO_TRUTH = -1
_PAIRS_AT_A_TIME = 2_000_000
"""Bounds the memory that overlaps take."""


@dataclass(frozen=True)
class Matches:
    """The N counted detections of many images, image by image, best first within each.

    Attributes:
        tables: the boxes that were matched.
        found_index: (N,) place of each detection in the tables.
        truth_index: (N,) place of the truth box it hit or fell on, -1 for none.
        counts: (G,) bool; the truth that is to be hit, the other is ignored.
    """

    tables: BoxTables
    found_index: NDArray[np.int64]
    truth_index: NDArray[np.int64]
    counts: NDArray[np.bool_]

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """(N,) of the detections."""
        return self.tables.found.scores[self.found_index]

    @cached_property
    def image_index(self) -> NDArray[np.int64]:
        """(N,) place of each detection's image."""
        return self.tables.found.image[self.found_index]

    @cached_property
    def hit(self) -> NDArray[np.bool_]:
        """(N,) bool: the detection hit a truth box that counts."""
        return np.append(self.counts, False)[self.truth_index]

    @cached_property
    def ignored(self) -> NDArray[np.bool_]:
        """(N,) bool: it fell on ignored truth, and is neither hit nor false positive."""
        return np.asarray((self.truth_index != NO_TRUTH) & ~self.hit)

    @cached_property
    def false_positive(self) -> NDArray[np.bool_]:
        """(N,) bool: the detection lies on no truth box."""
        return np.asarray(self.truth_index == NO_TRUTH)

    @property
    def images(self) -> int:
        """Number of images, those without boxes included."""
        return self.tables.images

    @cached_property
    def truths(self) -> int:
        """Number of truth boxes that count."""
        return int(self.counts.sum())


@dataclass(frozen=True)
class Overlaps:
    """The K pairs of a counted detection and a truth box of one image that overlap enough.

    Attributes:
        tables: the boxes.
        order: (N,) places of the counted detections, image by image, best first within each.
        rank: (N,) place of each within its image, from 0.
        place: (K,) which of the N counted detections.
        truth: (K,) place of the truth box.
        overlap: (K,) IoU, or the covered share of the detection where truth is ignored.
    """

    tables: BoxTables
    order: NDArray[np.int64]
    rank: NDArray[np.int64]
    place: NDArray[np.int64]
    truth: NDArray[np.int64]
    overlap: NDArray[np.float64]


def find_overlaps(tables: BoxTables, *, iou: float = IOU_OF_A_HIT) -> Overlaps:
    """Return the pairs that overlap by `iou` or more, the base of any matching from there on."""
    found, truth = tables.found, tables.truth
    order = np.lexsort((-found.scores, found.image))
    first_of_image = np.searchsorted(found.image[order], found.image[order])
    rank = np.arange(len(order)) - first_of_image
    order, rank = order[rank < MAX_DETECTIONS], rank[rank < MAX_DETECTIONS]
    by_image = np.argsort(truth.image, kind="stable")
    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for places, truths in _same_image(found.image[order], truth.image[by_image]):
        at = by_image[truths]
        overlap = paired_overlap(
            found.boxes_xyxy[order[places]], truth.boxes_xyxy[at], of_first=truth.ignored[at]
        )
        enough = overlap >= iou
        parts.append((places[enough], at[enough], overlap[enough]))
    place, at, overlap = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Overlaps(tables, order, rank, place, at, overlap)


def _same_image(
    first: NDArray[np.int64], second: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (K,) places in (N,) and (M,) rising image numbers for all pairs of one image."""
    starts, ends = np.searchsorted(second, first), np.searchsorted(second, first, side="right")
    counts = ends - starts
    until = np.cumsum(counts)
    cut = 0
    while cut < len(first):
        done = until[cut] - counts[cut]
        stop = max(cut + 1, int(np.searchsorted(until, done + _PAIRS_AT_A_TIME, side="right")))
        part = counts[cut:stop]
        within = np.arange(part.sum()) - np.repeat(np.cumsum(part) - part, part)
        yield (
            np.repeat(np.arange(cut, stop), part),
            np.repeat(starts[cut:stop], part) + within,
        )
        cut = stop


def match(
    overlaps: Overlaps,
    *,
    iou: float = IOU_OF_A_HIT,
    also_ignored: NDArray[np.bool_] | None = None,
) -> Matches:
    """Return which truth box each counted detection takes.

    Greedy by score, as COCO's evaluation: a detection takes the free truth box it overlaps most;
    only where there is none may it fall on an ignored one. `iscrowd` truth stays free for others.

    Args:
        overlaps: of an IoU not above `iou`.
        iou: least overlap of a hit.
        also_ignored: (G,) truth that does not count here, beside what never does.
    """
    truth = overlaps.tables.truth
    ignored = truth.ignored if also_ignored is None else truth.ignored | also_ignored
    # The best of a detection's pairs comes last: it counts, overlaps most, is last in the file.
    rank = overlaps.rank[overlaps.place]
    best_last = np.lexsort(
        (overlaps.truth, overlaps.overlap, ~ignored[overlaps.truth], overlaps.place, rank)
    )
    best_last = best_last[overlaps.overlap[best_last] >= iou]
    place, at = overlaps.place[best_last], overlaps.truth[best_last]
    taken = np.full(len(overlaps.order), NO_TRUTH, dtype=np.int64)
    free = np.ones(len(truth), dtype=bool)
    for part in _equal_runs(rank[best_last]):
        open_to = free[at[part]]
        places, truths = place[part][open_to], at[part][open_to]
        taken[places] = truths  # of a repeated place the last stays
        free[taken[places]] = truth.ignored[taken[places]]
    return Matches(overlaps.tables, overlaps.order, taken, ~ignored)


def _equal_runs(values: NDArray[np.int64]) -> Iterator[slice]:
    """Yield the slice of each run of equal rising values."""
    ends = np.flatnonzero(np.diff(values, append=-1))
    start = 0
    for end in ends:
        yield slice(start, int(end) + 1)
        start = int(end) + 1


def match_tables(tables: BoxTables, *, iou: float = IOU_OF_A_HIT) -> Matches:
    """Return the matches of the boxes of many images."""
    return match(find_overlaps(tables, iou=iou), iou=iou)


def match_images(images: Sequence[ImageBoxes], *, iou: float = IOU_OF_A_HIT) -> Matches:
    """Return the matches of boxes that come image by image."""
    return match_tables(BoxTables.of_images(images), iou=iou)
