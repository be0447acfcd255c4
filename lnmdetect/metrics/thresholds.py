"""Operating thresholds, chosen on validation patients and never on the file being evaluated."""

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.matching import Matches


def threshold_at_sensitivity(matches: Matches, sensitivity: float) -> float | None:
    """Return the highest score at which the share of truth boxes hit reaches `sensitivity`.

    None where there is no truth, or where even all detections together hit fewer.
    """
    hit_scores = np.sort(matches.scores[matches.hit])[::-1]
    needed = int(np.ceil(sensitivity * matches.truths - 1e-9))
    if matches.truths == 0 or needed > len(hit_scores) or needed == 0:
        return None
    return float(hit_scores[needed - 1])


def youden_threshold(is_positive: NDArray[np.bool_], ranking: NDArray[np.float64]) -> float | None:
    """Return the ranking from which on "positive" maximises sensitivity + specificity - 1.

    The threshold lies midway between two rankings, so that new cases near it fall either way; of
    equal maxima the lowest is taken. None where a class is missing (Youden 1950).
    """
    if is_positive.all() or not is_positive.any():
        return None
    values = np.unique(ranking)
    cuts = np.concatenate([[values[0]], (values[1:] + values[:-1]) / 2])
    missed = np.searchsorted(np.sort(ranking[is_positive]), cuts)  # (cuts,) below each cut
    spared = np.searchsorted(np.sort(ranking[~is_positive]), cuts)
    balance = spared / (~is_positive).sum() - missed / is_positive.sum()
    return float(cuts[int(np.argmax(balance))])
