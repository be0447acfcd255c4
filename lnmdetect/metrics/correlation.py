"""Rank correlation of a handful of models' figures with their sizes."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from lnmdetect.metrics.ranked_nodes import midranks

Values = NDArray[np.float64]
EXACT_UP_TO = 8
"""8! = 40,320 orders are counted in a moment."""
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of two columns.

    Attributes:
        rho: in [-1, 1]; None where it is undefined, and `reason` says why.
        p_value: two-sided.
        method: how the p value came about.
    """

    n: int
    rho: float | None
    p_value: float | None
    method: str | None
    reason: str | None = None


def spearman(x: Values, y: Values) -> Correlation:
    """Return the rank correlation of (N,) x and y, ties given their mean rank.

    Up to 8 pairs the p value counts all orders of y (exact, ties too); beyond it is Student's t.
    """
    n = len(x)
    if n < 3:
        return Correlation(n, None, None, None, "fewer than 3 models")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return Correlation(n, None, None, None, "all values of a column are alike")
    if n > EXACT_UP_TO:
        found = spearmanr(x, y)
        return Correlation(n, float(found.statistic), float(found.pvalue), "Student's t")
    ranks_x, ranks_y = (midranks(values) - (n + 1) / 2 for values in (x, y))
    orders = np.array(list(itertools.permutations(range(n))))
    products = ranks_y[orders] @ ranks_x
    observed = float(ranks_x @ ranks_y)
    p_value = float((np.abs(products) >= abs(observed) - _ROUNDING).mean())
    scale = math.sqrt(float((ranks_x @ ranks_x) * (ranks_y @ ranks_y)))
    return Correlation(n, observed / scale, p_value, f"exact, all {len(orders)} orders")
