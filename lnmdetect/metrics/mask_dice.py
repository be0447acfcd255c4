"""Dice coefficients of masks: slice by slice as the paper has them, and volume by volume."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.mask_counts import ALL, CLASSES, NO_CLASS, Numbers, carry_no_class
from lnmdetect.metrics.mask_slices import LABELS, UNKNOWN, Counts

NO_PIXEL = "no pixel of it, in truth or answered"


@dataclass(frozen=True)
class DiceFigures:
    """Dice coefficients by name of `CLASSES`; `all` takes all classes as one.

    Attributes:
        per_slice: mean over a volume's slices, then over volumes (Cancers 2023, 15, 5890).
        per_volume: of a volume's pixels at once, then the mean over volumes.
    """

    per_slice: Mapping[str, Figure]
    per_volume: Mapping[str, Figure]


def dice_figures(confusion: Counts, cohort: Cohort) -> DiceFigures:
    """Return the Dice coefficients of (I, 5, 5) pixels of each image, by label.

    A slice or volume without a pixel of the class, in truth and answered, has none and is left
    out. A class's own figures leave out what is of unknown status in truth.
    """
    scan, scans = cohort.scan_of_image, int(cohort.scan_of_image.max(initial=-1)) + 1
    owner = np.zeros(scans, dtype=np.int64)
    owner[scan] = cohort.patient_of_image
    volumes = np.zeros((scans, len(LABELS), len(LABELS)), dtype=np.int64)
    np.add.at(volumes, scan, confusion)
    per_slice, per_volume = {}, {}
    for name in CLASSES:
        if name != ALL and carry_no_class(confusion):
            per_slice[name] = per_volume[name] = undefined(NO_CLASS)
            continue
        slices = _means(_dice(confusion, name), scan, scans)
        per_slice[name] = _over_volumes(slices, owner, cohort)
        per_volume[name] = _over_volumes(_dice(volumes, name), owner, cohort)
    return DiceFigures(per_slice, per_volume)


def _dice(confusion: Counts, name: str) -> Numbers:
    """Return (N,) Dice coefficients of (N, 5, 5) pixels; NaN where both sets are empty."""
    labels = list(CLASSES[name])
    known = confusion if name == ALL else confusion[:, :UNKNOWN]
    truth = confusion[:, labels].sum(axis=(1, 2))
    answered = known[:, :, labels].sum(axis=(1, 2))
    shared = confusion[:, labels][:, :, labels].sum(axis=(1, 2))
    total = truth + answered
    empty = np.full(len(total), np.nan)
    return np.asarray(np.divide(2.0 * shared, total, out=empty, where=total > 0))


def _means(values: Numbers, group: Counts, groups: int) -> Numbers:
    """Return the mean of each group's defined values; NaN where it has none."""
    told = np.isfinite(values)
    sums = np.bincount(group[told], weights=values[told], minlength=groups)
    counts = np.bincount(group[told], minlength=groups)
    empty = np.full(groups, np.nan)
    return np.asarray(np.divide(sums, counts, out=empty, where=counts > 0))


def _over_volumes(values: Numbers, owner: Counts, cohort: Cohort) -> Figure:
    told = np.isfinite(values)
    means = cohort.resamples.mean(owner[told], values[told])
    patients = len(np.unique(owner[told]))
    reason = None if told.any() else NO_PIXEL
    return cohort.resamples.figure(means, n=int(told.sum()), reason=reason, patients=patients)
