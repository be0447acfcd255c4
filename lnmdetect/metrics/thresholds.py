"""Operating thresholds, chosen on validation patients and never on the file being evaluated."""

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.matching import Matches

_ROUNDING = 1e-9
"""So that 0.29 of 100 is 29, whatever the product's last bit says."""


def threshold_at_sensitivity(matches: Matches, sensitivity: float) -> float | None:
    """Return the highest score at which the share of truth boxes hit reaches `sensitivity`.

    None where there is no truth, or where even all detections together hit fewer.
    """
    hit_scores = np.sort(matches.scores[matches.hit])[::-1]
    needed = int(np.ceil(sensitivity * matches.truths - _ROUNDING))
    if matches.truths == 0 or needed > len(hit_scores) or needed == 0:
        return None
    return float(hit_scores[needed - 1])


def threshold_at_false_positives(matches: Matches, allowed: float) -> float | None:
    """Return the lowest score from which on at most `allowed` detections are false positives.

    None where there is no detection, or where the best score alone holds more.
    """
    counted = ~matches.ignored
    return score_at_false_positives(
        matches.scores[counted], matches.false_positive[counted], allowed
    )


def score_at_false_positives(
    scores: NDArray[np.float64], is_wrong: NDArray[np.bool_], allowed: float
) -> float | None:
    """Return the lowest of (N,) scores from which on at most `allowed` are wrong, see above."""
    values, place = np.unique(scores, return_inverse=True)
    wrong = np.bincount(place, weights=is_wrong, minlength=len(values))
    from_here_on = np.cumsum(wrong[::-1])[::-1]  # (S,) at or above each score
    within = values[from_here_on <= allowed + _ROUNDING]
    return float(within[0]) if len(within) else None


def youden_threshold(is_positive: NDArray[np.bool_], ranking: NDArray[np.float64]) -> float | None:
    """Return the ranking from which on "positive" maximises sensitivity + specificity - 1.

    Of equal maxima the lowest is taken. None where a class is missing (Youden 1950).
    """
    if is_positive.all() or not is_positive.any():
        return None
    cuts = _cuts(ranking)
    balance = _share_below(cuts, ranking[~is_positive]) - _share_below(cuts, ranking[is_positive])
    return float(cuts[int(np.argmax(balance))])


def threshold_at_true_positive_rate(
    is_positive: NDArray[np.bool_], ranking: NDArray[np.float64], rate: float
) -> float | None:
    """Return the highest cut at which a share of `rate` or more of the positives is called so.

    None where there is no positive.
    """
    if not is_positive.any():
        return None
    cuts = _cuts(ranking)
    return float(cuts[1 - _share_below(cuts, ranking[is_positive]) >= rate - _ROUNDING][-1])


def threshold_at_specificity(
    is_positive: NDArray[np.bool_], ranking: NDArray[np.float64], specificity: float
) -> float | None:
    """Return the lowest cut below which a share of `specificity` or more of the negatives lies.

    None where there is no negative, or where only a cut above every case would do.
    """
    if is_positive.all():
        return None
    cuts = _cuts(ranking)
    within = cuts[_share_below(cuts, ranking[~is_positive]) >= specificity - _ROUNDING]
    return float(within[0]) if len(within) else None


def _cuts(ranking: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lowest ranking and the middles between neighbours, rising.

    In the middle, so that new cases near a cut fall either way.
    """
    values = np.unique(ranking)
    return np.concatenate([values[:1], (values[1:] + values[:-1]) / 2])


def _share_below(cuts: NDArray[np.float64], ranking: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.searchsorted(np.sort(ranking), cuts) / len(ranking))
