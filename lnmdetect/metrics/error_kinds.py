"""Where errors arise: what became of each detection and of each truth box."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.records import METASTATIC
from lnmdetect.metrics.end_to_end import BoxClasses, classified_hits
from lnmdetect.metrics.froc import found_truth
from lnmdetect.metrics.matching import IOU_OF_A_HIT, Matches, Overlaps, find_overlaps

IOU_OF_A_NEAR_MISS = 0.1
"""A box that overlaps a node so much meant it (TIDE: Bolya et al. 2020, section 2.2)."""

HIT: Final = "hit"
FOUND: Final = "found"
WRONG_CLASS: Final = "wrong class"
DUPLICATE: Final = "duplicate"
POORLY_PLACED: Final = "poorly placed"
BACKGROUND: Final = "background"
MISSED: Final = "missed"
IGNORED: Final = "ignored"
BELOW: Final = "below threshold"

Kinds = NDArray[np.str_]


@dataclass(frozen=True)
class ErrorKinds:
    """What became of each box, at the operating thresholds.

    Attributes:
        found: (D,) hit | wrong class (hits, but is called otherwise) | duplicate (of a node that
            another box hits) | poorly placed (IoU with a node of 0.1 to 0.5) | background |
            ignored (lies on truth that does not count, or is beyond the 100 best of its image) |
            below threshold.
        truth: (G,) found | wrong class | poorly placed (only such boxes on it) | missed | ignored.
    """

    found: Kinds
    truth: Kinds


@dataclass(frozen=True)
class ErrorCounts:
    """How many boxes went wrong, and how.

    Attributes:
        missed: truth boxes with no box on them.
        poorly_placed_truth: truth boxes with none but poorly placed boxes on them.
        wrong_class: truth boxes that were hit and called otherwise.
        poorly_placed, duplicate, background: false positives.
    """

    missed: int
    poorly_placed_truth: int
    wrong_class: int
    poorly_placed: int
    duplicate: int
    background: int


def error_kinds(
    matches: Matches, chosen: NDArray[np.bool_], said: BoxClasses | None = None
) -> ErrorKinds:
    """Return what became of each box of the tables.

    Args:
        matches: at IoU 0.5.
        chosen: (D,) the detections at or above the threshold; others are of no account.
        said: classes of the detections, where they were classified.
    """
    tables = matches.tables
    above = chosen[matches.found_index]
    wrong = np.zeros(len(above), dtype=bool)
    if said is not None:
        is_metastatic = np.append(tables.truth.classes == METASTATIC, False)[matches.truth_index]
        called = said.called_metastatic[matches.found_index]
        wrong = classified_hits(matches, said) & (called != is_metastatic)
    pairs = find_overlaps(tables, iou=IOU_OF_A_NEAR_MISS)
    nearest = _best_overlap(matches, pairs)
    kinds = np.select(
        [~above, matches.ignored, wrong, matches.hit, nearest >= IOU_OF_A_HIT, nearest > 0],
        [BELOW, IGNORED, WRONG_CLASS, HIT, DUPLICATE, POORLY_PLACED],
        default=BACKGROUND,
    )
    found = np.where(chosen, IGNORED, BELOW).astype(kinds.dtype)
    found[matches.found_index] = kinds
    hit = found_truth(matches, above)
    near = np.zeros(len(tables.truth), dtype=bool)
    near[pairs.truth[kinds[pairs.place] == POORLY_PLACED]] = True
    truth = np.select(
        [~matches.counts, found_truth(matches, above & wrong), hit, near],
        [IGNORED, WRONG_CLASS, FOUND, POORLY_PLACED],
        default=MISSED,
    )
    return ErrorKinds(found, truth)


def _best_overlap(matches: Matches, pairs: Overlaps) -> NDArray[np.float64]:
    """Return (N,) each detection's best IoU with truth that counts, 0 where no pair has it."""
    counted = matches.counts[pairs.truth]
    best = np.zeros(len(pairs.order))
    np.maximum.at(best, pairs.place[counted], pairs.overlap[counted])
    return best


def count_errors(kinds: ErrorKinds) -> ErrorCounts:
    """Return how many boxes are of each kind of error."""

    def count(column: Kinds, kind: str) -> int:
        return int((column == kind).sum())

    return ErrorCounts(
        missed=count(kinds.truth, MISSED),
        poorly_placed_truth=count(kinds.truth, POORLY_PLACED),
        wrong_class=count(kinds.truth, WRONG_CLASS),
        poorly_placed=count(kinds.found, POORLY_PLACED),
        duplicate=count(kinds.found, DUPLICATE),
        background=count(kinds.found, BACKGROUND),
    )
