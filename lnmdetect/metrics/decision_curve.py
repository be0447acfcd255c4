"""What acting on the probability gains over treating all or none (Vickers, Elkin 2006)."""

from dataclasses import dataclass

import numpy as np

from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.ranked_nodes import Flags, Places, Values
from lnmdetect.metrics.resampling import Resamples

THRESHOLDS = tuple(k / 20 for k in range(1, 20))
"""0.05 to 0.95: threshold p means that a missed metastasis is worth (1 - p) / p false alarms."""


@dataclass(frozen=True)
class DecisionPoint:
    """Net benefit at one threshold probability: true positives a node, less weighted false ones.

    Attributes:
        threshold: from which P(metastatic) on a node is treated.
        model: net benefit of treating by the model.
        treat_all: net benefit of treating every node.
        treat_none: net benefit of treating no node, 0.
    """

    threshold: float
    model: Figure
    treat_all: float
    treat_none: float


def decision_curve(
    is_positive: Flags, probability: Values, patient: Places, resamples: Resamples
) -> tuple[DecisionPoint, ...]:
    """Return the net benefit at 19 threshold probabilities; empty without a node.

    Net benefit = TP / N - FP / N x p / (1 - p) (Vickers, Elkin 2006, Med Decis Making 26:565). It
    holds for the share of metastatic nodes in these data.

    Args:
        is_positive: (N,) metastatic in truth.
        probability: (N,) of metastatic, in [0, 1].
        patient: (N,) whose each node is, in [0, P).
        resamples: of the P patients.
    """
    n = len(is_positive)
    if not n:
        return ()
    patients = len(np.unique(patient))
    points = []
    for threshold in THRESHOLDS:
        odds = threshold / (1 - threshold)
        worth = np.where(is_positive, 1.0, -odds)  # of treating each node
        benefit = resamples.mean(patient, worth * (probability >= threshold))
        points.append(
            DecisionPoint(
                threshold=threshold,
                model=resamples.figure(benefit, n=n, patients=patients),
                treat_all=float(worth.mean()),
                treat_none=0.0,
            )
        )
    return tuple(points)
