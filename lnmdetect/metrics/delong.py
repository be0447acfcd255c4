"""The area under the ROC curve with its variance, and the test of two on the same nodes.

DeLong, DeLong, Clarke-Pearson 1988 (Biometrics 44:837), by midranks as Sun and Xu 2014 (IEEE Signal
Processing Letters 21:1389): N log N steps where the definition takes positives x negatives.
Both take every node as independent of the others.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.figure import Figure, Interval, undefined
from lnmdetect.metrics.intervals import Z_95
from lnmdetect.metrics.paired_tests import PairedTest, two_sided_p
from lnmdetect.metrics.ranked_nodes import midranks, missing_class

DELONG = "DeLong"
_NO_VARIANCE = "none: DeLong's variance is 0 here"
_TOO_FEW = "none: DeLong's variance needs two of each class"

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class _Placements:
    """Share of the other class that each node is ranked rightly against, ties counted half.

    Attributes:
        positive: (M,) share of the negatives below each positive.
        negative: (K,) share of the positives above each negative.
    """

    positive: Values
    negative: Values

    @property
    def auc(self) -> float:
        return float(self.positive.mean())

    @property
    def variance(self) -> float | None:
        """Of the mean; None where a class has a single node."""
        if min(len(self.positive), len(self.negative)) < 2:
            return None
        of_positive = self.positive.var(ddof=1) / len(self.positive)
        return float(of_positive + self.negative.var(ddof=1) / len(self.negative))

    def minus(self, other: "_Placements") -> "_Placements":
        return _Placements(self.positive - other.positive, self.negative - other.negative)


def auc_with_delong(is_positive: Flags, ranking: Values) -> Figure:
    """Return the area under the ROC curve with DeLong's interval as the independent one.

    The interval is Wald's, cut to [0, 1]. Where the variance is 0, as at an area of 0 or 1, no
    width can be told from it: the interval is None, and `independent_method` says so.

    Args:
        is_positive: (N,) metastatic in truth.
        ranking: (N,) finite; higher means more likely metastatic.
    """
    lacking = missing_class(is_positive)
    if lacking:
        return undefined(lacking)
    placements = _placements(is_positive, ranking)
    interval, method = _wald(placements, low=0.0)
    return Figure(
        placements.auc,
        independent_interval=interval,
        independent_method=method,
        n=len(is_positive),
    )


def compare_delong(is_positive: Flags, first: Values, second: Values) -> PairedTest:
    """Return the test of whether two rankings of the same nodes have the same area.

    Args:
        is_positive: (N,) metastatic in truth.
        first: (N,) finite; higher means more likely metastatic.
        second: (N,) likewise; the difference is first minus second.
    """
    n, lacking = len(is_positive), missing_class(is_positive)
    if lacking:
        return PairedTest(DELONG, n, reason=lacking)
    between = _placements(is_positive, first).minus(_placements(is_positive, second))
    interval, method = _wald(between, low=-1.0)
    if interval is None:
        reason = method.removeprefix("none: ")
        return PairedTest(DELONG, n, difference=between.auc, reason=reason)
    z = between.auc / math.sqrt(between.variance or math.nan)
    return PairedTest(
        DELONG, n, difference=between.auc, interval=interval, z=z, p_value=two_sided_p(z)
    )


def _placements(is_positive: Flags, ranking: Values) -> _Placements:
    ranks = midranks(ranking)
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    below = ranks[is_positive] - midranks(ranking[is_positive])
    above = positives - (ranks[~is_positive] - midranks(ranking[~is_positive]))
    return _Placements(below / negatives, above / positives)


def _wald(placements: _Placements, *, low: float) -> tuple[Interval | None, str]:
    """Return the 95 % interval in [low, 1] and its method, or None and why there is none."""
    variance = placements.variance
    if variance is None:
        return None, _TOO_FEW
    if not variance > 0:
        return None, _NO_VARIANCE
    half = Z_95 * math.sqrt(variance)
    return (max(low, placements.auc - half), min(1.0, placements.auc + half)), DELONG
