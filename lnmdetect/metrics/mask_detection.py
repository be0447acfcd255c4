"""Nodes of truth found by masks: the share of them covered, and what is marked where none is.

The detection rate of Cancers 2023, 15, 5890 is read as recall over the nodes of truth. A node is
found at an overlap above a threshold: the share of its mask, over all its slices, that masks cover.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lnmdetect.metrics.average_precision import SIZES_MM, size_names
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.mask_counts import CLASSES, FoundMasks, Numbers, TruthMasks
from lnmdetect.metrics.mask_slices import Counts, Mask
from lnmdetect.metrics.resampling import Resamples

OVERLAPS = np.arange(20) / 20
"""0, 0.05 to 0.95: a node counts as found where more than this share is covered."""
HALF = 0.5
NOT_GIVEN = "not given"
_NODE = "node of truth with a mask that counts"


@dataclass(frozen=True)
class OverlapCurve:
    """The detection rate over the least overlap, with the ends of its 95 % band.

    Attributes:
        overlap: above this a node is found.
        rate: share of the nodes.
        low, high: None where there is no band; then `method` says why.
    """

    overlap: tuple[float, ...]
    rate: tuple[float, ...]
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None
    method: str


@dataclass(frozen=True)
class DetectionRates:
    """Nodes of one class that are found.

    Attributes:
        nodes: how many there are to find.
        over_0, over_half: share covered at all, and by more than half, by masks of any class.
        called_over_0, called_over_half: covered by masks of their own class.
        curve: of the first kind; None without a node.
    """

    nodes: int
    over_0: Figure
    over_half: Figure
    called_over_0: Figure
    called_over_half: Figure
    curve: OverlapCurve | None


def detection_rates(truth: TruthMasks, resamples: Resamples) -> Mapping[str, DetectionRates]:
    """Return the detection rate of all nodes and of each of `CLASSES`."""
    return {name: _rates(truth, name, resamples) for name in CLASSES}


def _rates(truth: TruthMasks, name: str, resamples: Resamples) -> DetectionRates:
    chosen = truth.counts & np.isin(truth.label, CLASSES[name])
    patient, coverage = truth.patient[chosen], truth.coverage[chosen]
    called = _called(truth, name)[chosen]

    def share(covered: Numbers, least: float) -> Figure:
        return resamples.share(covered > least, patient, of=_NODE)

    return DetectionRates(
        nodes=int(chosen.sum()),
        over_0=share(coverage, 0),
        over_half=share(coverage, HALF),
        called_over_0=share(called, 0),
        called_over_half=share(called, HALF),
        curve=_curve(coverage, patient, resamples) if chosen.any() else None,
    )


def _called(truth: TruthMasks, name: str) -> Numbers:
    """Return (N,) the share of each mask that masks of its class cover.

    Its class is its own label; where `name` merges classes, of them any.
    """
    if len(CLASSES[name]) < len(CLASSES["all"]):
        return truth.covered_by(CLASSES[name])
    shares = [truth.covered_by((label,)) for label in CLASSES[name]]
    return np.asarray(np.choose(truth.label - 1, shares))


def _curve(coverage: Numbers, patient: Counts, resamples: Resamples) -> OverlapCurve:
    found = np.stack([resamples.mean(patient, coverage > least) for least in OVERLAPS], axis=1)
    band, method = resamples.band(found, patients=len(np.unique(patient)))
    low, high = (None, None) if band is None else band
    return OverlapCurve(
        overlap=tuple(OVERLAPS.tolist()),
        rate=tuple(found[0].tolist()),
        low=None if low is None else tuple(low.tolist()),
        high=None if high is None else tuple(high.tolist()),
        method=method,
    )


@dataclass(frozen=True)
class SizeRates:
    """Nodes of one size and class.

    Attributes:
        short_axis: group of the short axis of the node in 3-D.
        node_class: name of `CLASSES`.
        nodes: how many there are to find.
        over_0, over_half: share found, as in `DetectionRates`.
    """

    short_axis: str
    node_class: str
    nodes: int
    over_0: Figure
    over_half: Figure


def detection_by_size(truth: TruthMasks, resamples: Resamples) -> tuple[SizeRates, ...]:
    """Return the detection rate by short axis and class, each size in turn."""
    names = (*size_names(), NOT_GIVEN)
    axis_mm = truth.short_axis_mm
    group = np.where(np.isnan(axis_mm), len(names) - 1, np.digitize(axis_mm, SIZES_MM))
    rows = []
    for place, size in enumerate(names):
        if size == NOT_GIVEN and not (truth.counts & (group == place)).any():
            continue
        for name, labels in CLASSES.items():
            chosen = truth.counts & (group == place) & np.isin(truth.label, labels)
            patient, coverage = truth.patient[chosen], truth.coverage[chosen]
            over_0, over_half = (
                resamples.share(coverage > least, patient, of=_NODE) for least in (0, HALF)
            )
            rows.append(SizeRates(size, name, int(chosen.sum()), over_0, over_half))
    return tuple(rows)


@dataclass(frozen=True)
class FalsePositives:
    """Answered nodes that touch no mask of truth on any slice, one that is ignored neither.

    Attributes:
        nodes: how many there are; sections: their cross-sections.
        per_volume: such nodes a volume; per_volume_by_class: by the class they were given.
        per_image: their cross-sections an image, over all images of truth.
    """

    nodes: int
    sections: int
    per_volume: Figure
    per_volume_by_class: Mapping[str, Figure]
    per_image: Figure


def false_positives(found: FoundMasks, cohort: Cohort) -> FalsePositives:
    """Return the false positives of answered nodes."""

    def a_volume(chosen: Mask) -> Figure:
        ones = np.ones(int(chosen.sum()))
        return _each(found.patient[chosen], ones, cohort.scans_each, cohort)

    false = found.false
    return FalsePositives(
        nodes=int(false.sum()),
        sections=int(found.sections[false].sum()),
        per_volume=a_volume(false),
        per_volume_by_class={
            name: a_volume(false & np.isin(found.label, labels))
            for name, labels in list(CLASSES.items())[1:]
        },
        per_image=_each(found.patient[false], found.sections[false], cohort.images_each, cohort),
    )


def _each(patient: Counts, amount: Numbers | Counts, units: Numbers, cohort: Cohort) -> Figure:
    """Return amounts a unit, (P,) units of each patient."""
    if not units.sum():
        return undefined("no image")
    total, of = cohort.resamples.totals(patient, amount), cohort.resamples.weights @ units
    values = np.divide(total, of, out=np.full(len(of), np.nan), where=of > 0)
    return cohort.resamples.figure(values, n=int(units.sum()), patients=int((units > 0).sum()))
