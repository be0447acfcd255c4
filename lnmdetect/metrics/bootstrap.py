"""95 % intervals over patients: what belongs to one patient is drawn together, or not at all."""

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.intervals import wilson_interval

RESAMPLES = 1000
SEED = 0
_CHUNK = 100
"""Resamples at a time, to bound memory."""

Interval = tuple[float, float]
Values = NDArray[np.float64]


def patient_weights(patients: int) -> NDArray[np.int64]:
    """Return (1000, patients): how often each resample with replacement holds each patient."""
    rng = np.random.default_rng(SEED)
    return np.asarray(rng.multinomial(patients, np.full(patients, 1 / patients), size=RESAMPLES))


def share_interval(successes: NDArray[np.bool_], patient: NDArray[np.int64]) -> Interval | None:
    """Return the percentile interval of the share of successes; None for fewer than 2 patients.

    Where all or none of the N succeed no resample can differ: then it is Wilson's, each patient
    counted once.

    Args:
        successes: (N,).
        patient: (N,) whose each is; any numbers.
    """
    _, index = np.unique(patient, return_inverse=True)
    totals = np.bincount(index)
    if len(totals) < 2:
        return None
    if successes.all() or not successes.any():
        return wilson_interval(len(totals) if successes.all() else 0, len(totals))
    weights = patient_weights(len(totals))
    return _percentiles((weights @ np.bincount(index, weights=successes)) / (weights @ totals))


def auc_interval(
    is_positive: NDArray[np.bool_], ranking: Values, patient: NDArray[np.int64]
) -> Interval | None:
    """Return the percentile interval of the area under the ROC curve, ties counted half.

    Resamples without one of the classes are left out. None for fewer than 2 patients, where half
    of the resamples or more are left out, and where all of them give the same area.

    Args:
        is_positive: (N,).
        ranking: (N,) finite; higher means more likely positive.
        patient: (N,) whose each is; any numbers.
    """
    _, index = np.unique(patient, return_inverse=True)
    if len(index) == 0 or index.max() < 1:
        return None
    order = np.argsort(ranking, kind="stable")
    starts = np.flatnonzero(np.diff(ranking[order], prepend=-np.inf))
    weights = patient_weights(int(index.max()) + 1)
    areas = np.concatenate(
        [
            _areas(weights[first : first + _CHUNK][:, index[order]], is_positive[order], starts)
            for first in range(0, RESAMPLES, _CHUNK)
        ]
    )
    areas = areas[np.isfinite(areas)]
    if len(areas) <= RESAMPLES / 2 or np.ptp(areas) == 0:
        return None
    return _percentiles(areas)


def _areas(
    weights: NDArray[np.int64], is_positive: NDArray[np.bool_], starts: NDArray[np.int64]
) -> Values:
    """Return (B,) areas of resamples, nan without one of the classes.

    Args:
        weights: (B, N) by rising ranking.
        is_positive: (N,) by rising ranking.
        starts: where each distinct ranking begins.
    """
    positive = np.add.reduceat(weights * is_positive, starts, axis=1)
    negative = np.add.reduceat(weights * ~is_positive, starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    in_order = (positive * (below + negative / 2)).sum(axis=1)
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return np.asarray(np.where(pairs > 0, in_order / np.maximum(pairs, 1), np.nan))


def _percentiles(values: Values) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
