"""The area under the ROC curve over pairs of one stratum, as the test fold of one model.

Probabilities of two models need not mean the same: pooled into one ranking, folds that each rank
well can rank badly together (Airola et al. 2011, Comput Stat Data Anal 55:1828).
"""

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.ranked_nodes import missing_class, ranked_nodes
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.roc import areas_under_roc

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]
Values = NDArray[np.float64]


def areas_within(
    is_positive: Flags, ranking: Values, stratum: Places, *, patient: Places, resamples: Resamples
) -> Values:
    """Return (1 + B,) shares of pairs in order, of pairs whose two cases share a stratum.

    Ties are counted half; the sample's first; NaN where there is no such pair.

    Args:
        is_positive: (N,) metastatic in truth.
        ranking: (N,) finite; comparable within a stratum.
        stratum: (N,) as the file of each case.
        patient: (N,) whose each case is, in [0, P).
        resamples: of the P patients.
    """
    in_order, pairs = np.zeros(1 + resamples.count), np.zeros(1 + resamples.count)
    for one in np.unique(stratum):
        own = stratum == one
        truth, owner = is_positive[own], patient[own]
        if missing_class(truth):
            continue
        areas = areas_under_roc(ranked_nodes(truth, ranking[own], owner), resamples.weights)
        here = resamples.totals(owner, truth) * resamples.totals(owner, ~truth)
        in_order += np.nan_to_num(areas) * here
        pairs += here
    undrawn = np.full(len(pairs), np.nan)
    return np.asarray(np.divide(in_order, pairs, out=undrawn, where=pairs > 0))
