"""Precision against recall, and the area under its steps in every resample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.ranked_nodes import RankedNodes, Steps
from lnmdetect.metrics.roc import Numbers, thinned

Values = NDArray[np.float64]


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Precision (PPV) against recall (sensitivity), by falling threshold.

    Attributes:
        recall, precision: at most 200 points.
        threshold: from which ranking on a node is called metastatic there.
        prevalence: the precision of chance: share of metastatic nodes.
        reason: why there is no curve.
    """

    recall: Numbers = ()
    precision: Numbers = ()
    threshold: Numbers = ()
    prevalence: float | None = None
    reason: str | None = None


def average_precision(steps: Steps) -> Values:
    """Return (C,) areas under the steps of precision over recall; NaN without both classes.

    The sum over thresholds of the gain in recall times the precision there. Straight lines between
    the points would be too high (Davis, Goadrich 2006, ICML).
    """
    called = steps.true_positives + steps.false_positives
    precision = np.divide(steps.true_positives, called, out=np.zeros_like(called), where=called > 0)
    found = np.einsum("ck,ck->c", steps.positives, precision)
    whole = np.where(steps.both_classes, steps.true_positives[:, -1], np.nan)
    return np.asarray(found / whole)


def precision_recall_curve(nodes: RankedNodes) -> PrecisionRecallCurve:
    """Return the curve of nodes of both classes."""
    steps = nodes.steps(np.ones((1, int(nodes.patient.max()) + 1)))
    hits, alarms = steps.true_positives[0], steps.false_positives[0]
    recall, precision = hits / hits[-1], hits / (hits + alarms)
    kept = thinned(recall, precision)
    return PrecisionRecallCurve(
        recall=tuple(recall[kept].tolist()),
        precision=tuple(precision[kept].tolist()),
        threshold=tuple(nodes.rankings[kept].tolist()),
        prevalence=float(precision[-1]),
    )
