"""Masks of truth and masks answered on one slice, as counts.

What is ignored in truth (`iscrowd`) neither helps nor harms: an answered cross-section that touches
an ignored mask and no other one is left out whole, and of every other the pixels on ignored masks.
Where masks of one file overlap, the pixel has the label that stands later in `LABELS`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.node_classes import EXTRANODAL, NEGATIVE, POSITIVE

Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]
Counts = NDArray[np.int64]
Place = tuple[slice, slice]

LABELS = ("background", NEGATIVE, POSITIVE, EXTRANODAL, "unknown")
"""`unknown`: a node whose category does not tell its status."""
BACKGROUND, UNKNOWN = 0, len(LABELS) - 1
_IGNORED = len(LABELS)


@dataclass(frozen=True)
class SectionMask:
    """The mask of one node on one slice.

    Attributes:
        node: number of the node among those of its file, `NO_NODE` where it has none.
        label: place in `LABELS`, 1 or more.
        corner: (row, column) of the first pixel of `inside` on the slice.
        inside: (rows, columns) of its box; no pixel of it needs to be set.
        ignored: of truth, neither hit nor miss.
    """

    node: int
    label: int
    corner: tuple[int, int]
    inside: Mask
    ignored: bool = False

    @property
    def place(self) -> Place:
        """The rows and columns of its box on the slice."""
        (row, column), (rows, columns) = self.corner, self.inside.shape
        return slice(row, row + rows), slice(column, column + columns)


@dataclass(frozen=True)
class SliceCounts:
    """What one slice adds.

    Attributes:
        confusion: (5, 5) pixels, rows by label in truth, columns by label answered.
        covered: rows (node, *pixels of its mask by label answered), one a counted truth mask.
        shared: rows (truth node, answered node, pixels), one a pair of masks that meet.
        touches, touches_ignored: of each answered mask, whether it meets a counted or an
            ignored one.
        kept: each answered mask without what is ignored; all False where it is left out.
    """

    confusion: Counts
    covered: Counts
    shared: Counts
    touches: Mask
    touches_ignored: Mask
    kept: tuple[Mask, ...]


def count_slice(
    truth: Sequence[SectionMask], found: Sequence[SectionMask], *, pixels: int
) -> SliceCounts:
    """Return the counts of a slice of so many pixels."""
    place = _box_of([*truth, *found])
    canvas = _painted(truth, place)
    touches, touches_ignored, kept = [], [], []
    answered = np.zeros_like(canvas)
    for section in found:
        below = canvas[_within(section.place, place)]
        on_ignored = section.inside & (below == _IGNORED)
        touched = bool((section.inside & (below != BACKGROUND) & ~on_ignored).any())
        touches.append(touched)
        touches_ignored.append(bool(on_ignored.any()))
        left_out = touches_ignored[-1] and not touched
        kept.append(np.zeros_like(on_ignored) if left_out else section.inside & ~on_ignored)
        own = answered[_within(section.place, place)]
        np.maximum(own, kept[-1] * np.uint8(section.label), out=own)
    confusion = _confusion(canvas, answered)
    confusion[BACKGROUND, BACKGROUND] += pixels - canvas.size
    counted = [section for section in truth if not section.ignored]
    return SliceCounts(
        confusion=confusion,
        covered=_rows([_covered(section, answered, place) for section in counted], 1 + len(LABELS)),
        shared=_rows(_shared(counted, found, kept), 3),
        touches=np.array(touches, dtype=np.bool_),
        touches_ignored=np.array(touches_ignored, dtype=np.bool_),
        kept=tuple(kept),
    )


def _box_of(sections: Sequence[SectionMask]) -> Place:
    """Return the rows and columns that hold all sections."""
    sides = []
    for axis in range(2):
        of_axis = [section.place[axis] for section in sections]
        start = min((side.start for side in of_axis), default=0)
        sides.append(slice(start, max((side.stop for side in of_axis), default=start)))
    return sides[0], sides[1]


def _within(place: Place, outer: Place) -> Place:
    rows, columns = (
        slice(own.start - side.start, own.stop - side.start)
        for own, side in zip(place, outer, strict=True)
    )
    return rows, columns


def _painted(truth: Sequence[SectionMask], place: Place) -> Labels:
    """Return the labels of truth; ignored where an ignored mask and no counted one is."""
    shape = [side.stop - side.start for side in place]
    canvas, ignored = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=np.bool_)
    for section in truth:
        at = _within(section.place, place)
        if section.ignored:
            ignored[at] |= section.inside
        else:
            np.maximum(canvas[at], section.inside * np.uint8(section.label), out=canvas[at])
    canvas[ignored & (canvas == BACKGROUND)] = _IGNORED
    return canvas


def _confusion(canvas: Labels, answered: Labels) -> Counts:
    size = len(LABELS)
    pairs = canvas.astype(np.int64) * size + answered
    counts = np.bincount(pairs.ravel(), minlength=size * (size + 1))
    return counts[: size * size].reshape(size, size)


def _covered(section: SectionMask, answered: Labels, place: Place) -> list[int]:
    below = answered[_within(section.place, place)][section.inside]
    return [section.node, *np.bincount(below, minlength=len(LABELS)).tolist()]


def _shared(
    truth: Sequence[SectionMask], found: Sequence[SectionMask], kept: Sequence[Mask]
) -> list[list[int]]:
    rows = []
    for section in truth:
        for other, mask in zip(found, kept, strict=True):
            pixels = _common(section, other, mask)
            if pixels:
                rows.append([section.node, other.node, pixels])
    return rows


def _common(section: SectionMask, other: SectionMask, mask: Mask) -> int:
    """Return how many pixels of `section` are in the mask on the place of `other`."""
    both = tuple(
        slice(max(one.start, two.start), min(one.stop, two.stop))
        for one, two in zip(section.place, other.place, strict=True)
    )
    if any(side.start >= side.stop for side in both):
        return 0
    meeting = (both[0], both[1])
    first = section.inside[_within(meeting, section.place)]
    return int((first & mask[_within(meeting, other.place)]).sum())


def _rows(rows: Sequence[Sequence[int]], width: int) -> Counts:
    return np.array(rows, dtype=np.int64).reshape(-1, width)
