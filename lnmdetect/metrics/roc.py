"""The ROC curve, the area under it in every resample, and the band that the resamples fill."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.ranked_nodes import RankedNodes, Steps
from lnmdetect.metrics.resampling import Resamples

MAX_POINTS = 200
"""Points of a curve in a file: more than a figure's width shows."""
FPR_GRID = np.linspace(0.0, 1.0, 101)
"""False positive rates at which the band is given."""

Numbers = tuple[float, ...]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """95 % of the resamples' true positive rates at each false positive rate, pointwise."""

    fpr: Numbers
    low: Numbers
    high: Numbers
    method: str


@dataclass(frozen=True)
class RocCurve:
    """True against false positive rate, from (0, 0) to (1, 1); straight between the points.

    Attributes:
        fpr, tpr: 1 - specificity and sensitivity, at most 200 points.
        threshold: from which ranking on a node is called metastatic there; None calls none.
        band: None where there is none; `reason` says why.
        reason: why there is no curve or no band.
    """

    fpr: Numbers = ()
    tpr: Numbers = ()
    threshold: tuple[float | None, ...] = ()
    band: Band | None = None
    reason: str | None = None


def area_under_roc(steps: Steps) -> Values:
    """Return (C,) shares of pairs in order, ties counted half; NaN without both classes."""
    above = steps.true_positives - steps.positives / 2
    in_order = np.einsum("ck,ck->c", steps.negatives, above)
    pairs = steps.true_positives[:, -1] * steps.false_positives[:, -1]
    return _divided(in_order, pairs)


def tpr_on_grid(steps: Steps) -> Values:
    """Return (C, 101) true positive rates at `FPR_GRID`; NaN without both classes.

    Of several points at one false positive rate the highest is taken.
    """
    found = np.full((len(steps.positives), len(FPR_GRID)), np.nan)
    for row in np.flatnonzero(steps.both_classes):
        hits, alarms = steps.true_positives[row], steps.false_positives[row]
        # 0.29 x 100 comes to a bit less than 29, and would be read below a step that stands there.
        wanted = np.round(FPR_GRID * alarms[-1], 9)
        at = np.interp(wanted, np.append(0.0, alarms), np.append(0.0, hits))
        found[row] = at / hits[-1]
    return found


def areas_under_roc(nodes: RankedNodes, weights: Values) -> Values:
    """Return (R,) areas of resamples that count each patient as (R, P) `weights` say."""
    return nodes.measured(weights, area_under_roc)[0]


def roc_curve(nodes: RankedNodes, tpr_values: Values, resamples: Resamples) -> RocCurve:
    """Return the curve of the nodes with the band of their resamples.

    Args:
        nodes: of both classes.
        tpr_values: (1 + B, 101) from `tpr_on_grid`, the sample's first.
        resamples: that they come from.
    """
    steps = nodes.steps(np.ones((1, resamples.patients)))
    tpr = np.append(0.0, steps.true_positives[0] / steps.true_positives[0, -1])
    fpr = np.append(0.0, steps.false_positives[0] / steps.false_positives[0, -1])
    kept = thinned(fpr, tpr)
    thresholds = [None, *nodes.rankings.tolist()]
    ends, method = resamples.band(tpr_values, patients=len(np.unique(nodes.patient)))
    band = None
    if ends is not None:
        grid, low, high = (tuple(values.tolist()) for values in (FPR_GRID, *ends))
        band = Band(grid, low, high, method)
    return RocCurve(
        fpr=tuple(fpr[kept].tolist()),
        tpr=tuple(tpr[kept].tolist()),
        threshold=tuple(thresholds[place] for place in kept),
        band=band,
        reason=None if band else method,
    )


def thinned(across: Values, up: Values) -> NDArray[np.int64]:
    """Return the places of at most 200 points of a curve, its ends among them, evenly along it.

    Args:
        across: (K,) one coordinate of each point, in the order of the curve.
        up: (K,) the other.
    """
    if len(across) <= MAX_POINTS:
        return np.arange(len(across))
    length = np.append(0.0, np.cumsum(np.abs(np.diff(across)) + np.abs(np.diff(up))))
    wanted = np.linspace(0.0, length[-1], MAX_POINTS)
    places = np.searchsorted(length, wanted - 1e-12)
    return np.unique(np.append(places[:-1], len(across) - 1))


def _divided(part: Values, whole: Values) -> Values:
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))
