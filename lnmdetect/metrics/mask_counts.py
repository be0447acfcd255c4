"""Masks of truth and masks answered as counts: all that mask figures but surfaces need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.node_classes import EXTRANODAL, MERGED_POSITIVE, NEGATIVE, POSITIVE
from lnmdetect.metrics.mask_slices import LABELS, UNKNOWN, Counts, Mask
from lnmdetect.metrics.nodes import NO_NODE

Numbers = NDArray[np.float64]

ALL = "all"
CLASSES: Mapping[str, tuple[int, ...]] = {
    ALL: tuple(range(1, len(LABELS))),
    **{name: (LABELS.index(name),) for name in (NEGATIVE, POSITIVE, EXTRANODAL)},
    MERGED_POSITIVE: (LABELS.index(POSITIVE), LABELS.index(EXTRANODAL)),
}
"""What figures are told of: all nodes, each class, and the two positive ones merged (table 2 of
Cancers 2023, 15, 5890), with their places in `LABELS`."""
NO_CLASS = "the masks answered carry no class"


@dataclass(frozen=True)
class TruthMasks:
    """N nodes of truth.

    Attributes:
        patient: (N,) whose each is.
        label: (N,) place in `LABELS`.
        short_axis_mm: (N,) NaN where truth does not say.
        covered: (N, 5) pixels of its counted masks by label answered; all 0 where none counts.
    """

    patient: Counts
    label: Counts
    short_axis_mm: Numbers
    covered: Counts

    @property
    def counts(self) -> Mask:
        """(N,) has a mask that counts."""
        return np.asarray(self.covered.sum(axis=1) > 0)

    @property
    def coverage(self) -> Numbers:
        """(N,) covered share of the mask, by whatever class; NaN where no mask counts."""
        return self.covered_by(slice(1, None))

    def covered_by(self, labels: slice | Sequence[int]) -> Numbers:
        """Return (N,) the share of each mask that masks of these labels cover."""
        pixels = self.covered.sum(axis=1).astype(np.float64)
        undefined = np.full(len(pixels), np.nan)
        answered = self.covered[:, labels].sum(axis=1)
        return np.asarray(np.divide(answered, pixels, out=undefined, where=pixels > 0))


@dataclass(frozen=True)
class FoundMasks:
    """M answered nodes.

    Attributes:
        patient: (M,) whose each is.
        label: (M,) place in `LABELS`, that of most of its pixels.
        score: (M,) of the node.
        p_metastatic: (M,) by `PROBABILITY_RULE` over its slices; NaN where it was not said.
        sections: (M,) slices it is on.
        pixels: (M,) over all of them, what is ignored too.
        touches, touches_ignored: (M,) meets a mask of truth that counts, one that is ignored.
    """

    patient: Counts
    label: Counts
    score: Numbers
    p_metastatic: Numbers
    sections: Counts
    pixels: Counts
    touches: Mask
    touches_ignored: Mask

    @property
    def false(self) -> Mask:
        """(M,) has pixels, and touches no mask of truth on any slice, ignored ones neither."""
        return np.asarray((self.pixels > 0) & ~self.touches & ~self.touches_ignored)


@dataclass(frozen=True)
class MaskCounts:
    """What the masks of a whole cohort come to.

    Attributes:
        confusion: (I, 5, 5) pixels of each image by label in truth and label answered.
        shared: (K, 3) truth node, answered node and the pixels they share, each pair once.
    """

    confusion: Counts
    truth: TruthMasks
    found: FoundMasks
    shared: Counts


def joined_pairs(rows: Sequence[Counts]) -> Counts:
    """Return (K, 3) pairs of named nodes with their pixels summed over slices."""
    every = np.concatenate([np.zeros((0, 3), dtype=np.int64), *rows])
    every = every[(every[:, :2] != NO_NODE).all(axis=1)]
    pairs, place = np.unique(every[:, :2], axis=0, return_inverse=True)
    pixels = np.bincount(place.ravel(), weights=every[:, 2], minlength=len(pairs))
    return np.concatenate([pairs, pixels.astype(np.int64)[:, None]], axis=1)


def carry_no_class(confusion: Counts) -> bool:
    """Return whether pixels are answered as nodes, and none of them as of a known class."""
    answered = confusion.reshape(-1, len(LABELS), len(LABELS)).sum(axis=(0, 1))
    return bool(answered[UNKNOWN] > 0 and answered[1:UNKNOWN].sum() == 0)
