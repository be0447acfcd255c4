"""Whether a probability of 0.7 comes true seven times in ten."""

from dataclasses import dataclass, replace

import numpy as np

from lnmdetect.metrics.figure import Figure, Interval, undefined
from lnmdetect.metrics.intervals import Z_95
from lnmdetect.metrics.ranked_nodes import Flags, Places, Values, missing_class
from lnmdetect.metrics.resampling import ONE_PATIENT, Resamples

BINS = 10
"""Bins of equal width over [0, 1]; Guo et al. 2017 take 15, too many for a few hundred nodes."""
CLIP = 1e-6
"""Probabilities nearer to 0 or 1 count as this near where log odds are taken."""
SANDWICH = "Wald, variance clustered by patient"
_ECE_METHOD = "bootstrap over patients; resampling raises this error, so both ends lie high"
_NO_VARIANCE = "none: the variance clustered by patient is 0 here"
_MAX_STEPS = 50
_LARGEST_STEP = 5.0
"""Of log odds: farther, all expected values may round to 0 or 1, where no step can be told."""
_TOLERANCE = 1e-10
_SAME = 1e-6
"""Log odds nearer to each other are the same: files hold six digits of a probability."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Nodes whose probability lies in [low, high), the last bin in [low, high].

    Attributes:
        mean_probability: of the bin's nodes; None where there is none.
        observed: share of them that are metastatic.
    """

    low: float
    high: float
    n: int
    mean_probability: float | None
    observed: Figure


@dataclass(frozen=True)
class Calibration:
    """How far probabilities are from what comes true.

    Attributes:
        brier: mean squared difference of P(metastatic) and the truth, 0 best.
        ece: expected calibration error: mean over nodes of the difference between the mean
            probability and the observed share in their bin.
        bins: of equal width, for `ece` and `reliability`.
        intercept: of the logistic recalibration with slope 1; above 0: probabilities are too low.
        slope: of the logistic recalibration; below 1: probabilities are too extreme.
        reliability: the bins from low to high.
    """

    brier: Figure
    ece: Figure
    bins: int
    intercept: Figure
    slope: Figure
    reliability: tuple[ReliabilityBin, ...]


def calibration(
    is_positive: Flags,
    probability: Values,
    patient: Places,
    resamples: Resamples,
    of: str = "node",
) -> Calibration:
    """Return how well (N,) probabilities in [0, 1] agree with the truth.

    Args:
        is_positive: (N,) metastatic in truth.
        probability: (N,) of metastatic.
        patient: (N,) whose each node is, in [0, P).
        resamples: of the P patients.
        of: what the nodes are called, in the singular.
    """
    intercept, slope = recalibration(is_positive, probability, patient, of)
    return Calibration(
        brier=_brier(is_positive, probability, patient, resamples, of),
        ece=_ece(is_positive, probability, patient, resamples, of),
        bins=BINS,
        intercept=intercept,
        slope=slope,
        reliability=tuple(_reliability(is_positive, probability, patient, resamples, of)),
    )


def _brier(
    is_positive: Flags, probability: Values, patient: Places, resamples: Resamples, of: str
) -> Figure:
    n = len(is_positive)
    if not n:
        return undefined(f"no {of}")
    errors = resamples.mean(patient, (probability - is_positive) ** 2)
    return resamples.figure(errors, n=n, patients=len(np.unique(patient)))


def _bin_of(probability: Values) -> Places:
    return np.minimum((probability * BINS).astype(np.int64), BINS - 1)


def _ece(
    is_positive: Flags, probability: Values, patient: Places, resamples: Resamples, of: str
) -> Figure:
    n = len(is_positive)
    if not n:
        return undefined(f"no {of}")
    bins, surplus = _bin_of(probability), probability - is_positive
    gaps = sum(np.abs(resamples.totals(patient, surplus * (bins == b))) for b in range(BINS))
    nodes = resamples.totals(patient, np.ones(n))
    errors = np.divide(gaps, nodes, out=np.full(len(nodes), np.nan), where=nodes > 0)
    found = resamples.figure(errors, n=n, patients=len(np.unique(patient)))
    return replace(found, interval_method=_ECE_METHOD) if found.interval else found


def _reliability(
    is_positive: Flags, probability: Values, patient: Places, resamples: Resamples, of: str
) -> list[ReliabilityBin]:
    bins = _bin_of(probability)
    found = []
    for place in range(BINS):
        inside = bins == place
        mean = float(probability[inside].mean()) if inside.any() else None
        observed = resamples.share(is_positive[inside], patient[inside], of=f"{of} in the bin")
        found.append(
            ReliabilityBin(place / BINS, (place + 1) / BINS, int(inside.sum()), mean, observed)
        )
    return found


def recalibration(
    is_positive: Flags, probability: Values, patient: Places, of: str = "node"
) -> tuple[Figure, Figure]:
    """Return intercept and slope of the logistic recalibration (Cox 1958, Biometrika 45:562).

    log odds of metastatic = intercept + log odds of `probability` gives the intercept
    ("calibration in the large"); log odds = a + slope x log odds of `probability` the slope (Van
    Calster et al. 2016, J Clin Epidemiol 74:167). The interval over patients is Wald's with the
    variance clustered by patient (Liang, Zeger 1986, Biometrika 73:13), the independent one
    Wald's.

    Args:
        is_positive: (N,) metastatic in truth.
        probability: (N,) in [0, 1]; nearer than 1e-6 to 0 or 1 counts as 1e-6 from it.
        patient: (N,) whose each node is.
        of: what the nodes are called, in the singular.
    """
    lacking = missing_class(is_positive, of)
    if lacking:
        return undefined(lacking), undefined(lacking)
    clipped = np.clip(probability, CLIP, 1 - CLIP)
    log_odds = np.log(clipped / (1 - clipped))
    ones = np.ones((len(log_odds), 1))
    intercept = _logistic(ones, is_positive, patient, offset=log_odds)
    benign, metastatic = log_odds[~is_positive], log_odds[is_positive]
    if np.ptp(log_odds) < _SAME:
        return intercept, undefined(f"all {of}s have the same probability")
    if benign.max() <= metastatic.min() or metastatic.max() <= benign.min():
        return intercept, undefined("the probability separates the classes: no finite slope")
    design = np.column_stack([ones, log_odds - log_odds.mean()])
    return intercept, _logistic(design, is_positive, patient, offset=np.zeros(len(log_odds)))


def _logistic(design: Values, is_positive: Flags, patient: Places, *, offset: Values) -> Figure:
    """Return the last of the (F,) coefficients of a logistic regression on (N, F), unpenalised."""
    weights, expected = _fitted(design, is_positive, offset)
    information = design.T @ (design * (expected * (1 - expected))[:, None])
    variance = np.linalg.inv(information)
    _, group = np.unique(patient, return_inverse=True)
    patients = int(group.max()) + 1
    residual = is_positive - expected
    scores = np.column_stack(  # (patients, F)
        [np.bincount(group, weights=residual * column) for column in design.T]
    )
    meat = scores.T @ scores * (patients / max(patients - 1, 1))
    clustered, alone = (variance @ meat @ variance)[-1, -1], variance[-1, -1]
    lacking = ONE_PATIENT if patients < 2 else _NO_VARIANCE if clustered < _SAME * alone else None
    value = float(weights[-1])
    return Figure(
        value,
        interval=None if lacking else _wald(value, clustered),
        interval_method=lacking or SANDWICH,
        independent_interval=_wald(value, alone),
        independent_method="Wald",
        n=len(design),
    )


def _fitted(design: Values, is_positive: Flags, offset: Values) -> tuple[Values, Values]:
    """Return (F,) weights and (N,) expected values, by Newton's steps, cut where they go astray."""
    weights = np.zeros(design.shape[1])
    loss = _loss(design @ weights + offset, is_positive)
    for _ in range(_MAX_STEPS):
        expected = _expit(design @ weights + offset)
        information = design.T @ (design * (expected * (1 - expected))[:, None])
        step = np.linalg.solve(information, design.T @ (is_positive - expected))
        step = step / max(1.0, np.abs(design @ step).max() / _LARGEST_STEP)
        while _loss(design @ (weights + step) + offset, is_positive) > loss + _TOLERANCE:
            step = step / 2
        weights = weights + step
        loss = _loss(design @ weights + offset, is_positive)
        if np.abs(step).max() < _TOLERANCE:
            break
    return weights, _expit(design @ weights + offset)


def _expit(log_odds: Values) -> Values:
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -700, 700))))


def _loss(log_odds: Values, is_positive: Flags) -> float:
    return float(np.logaddexp(0, np.where(is_positive, -log_odds, log_odds)).sum())


def _wald(value: float, variance: float) -> Interval:
    half = Z_95 * float(np.sqrt(variance))
    return value - half, value + half
