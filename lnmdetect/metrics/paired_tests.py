"""Two models, or a model and a reader, on the same nodes: is the difference more than chance."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.figure import Figure, Interval
from lnmdetect.metrics.ranked_nodes import midranks, missing_class, ranked_nodes
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.roc import areas_under_roc

EXACT_BELOW = 25
"""Discordant pairs from which on McNemar's chi-squared is taken as good enough."""
_ROUNDING = 1e-12
"""Differences this close are equal: their sums were taken in another order."""

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class PairedTest:
    """A difference, first minus second, and how likely one as large is by chance.

    Attributes:
        method: the test.
        n: nodes.
        difference: first minus second.
        interval: its 95 % interval, where the test has one.
        z: the difference over its standard error, where the test has one.
        p_value: two-sided.
        reason: why a number is missing.
    """

    method: str
    n: int
    difference: float | None = None
    interval: Interval | None = None
    z: float | None = None
    p_value: float | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.p_value is None and not self.reason:
            raise ValueError("paired test: expected a reason beside a missing p value, got none")
        for number in (self.difference, self.z, self.p_value):
            if number is not None and not math.isfinite(number):
                raise ValueError(f"paired test: expected finite numbers, got {number}")


@dataclass(frozen=True)
class McNemar:
    """Calls of two on the same nodes; only the nodes on which one alone is right tell them apart.

    Attributes:
        both_right, first_only, second_only, both_wrong: nodes by whose calls are right.
        method: which form of the test.
        statistic: chi-squared with one degree of freedom; None in the exact form.
        p_value: two-sided; takes nodes as independent.
        reason: why there is no p value.
    """

    both_right: int
    first_only: int
    second_only: int
    both_wrong: int
    method: str
    statistic: float | None
    p_value: float | None
    reason: str | None


def two_sided_p(z: float) -> float:
    """Return the chance of a standard normal at least as far from 0 as `z`."""
    return math.erfc(abs(z) / math.sqrt(2))


def mcnemar(first_right: Flags, second_right: Flags) -> McNemar:
    """Return McNemar's test of (N,) right or wrong calls of two on the same nodes.

    Fewer than 25 discordant nodes: the exact binomial test. Else chi-squared without the continuity
    correction, which only makes it conservative (Fagerland et al. 2013, BMC Med Res Methodol
    13:91).
    """
    first_only = int((first_right & ~second_right).sum())
    second_only = int((~first_right & second_right).sum())
    discordant = first_only + second_only
    exact = discordant < EXACT_BELOW
    statistic = None if exact else (first_only - second_only) ** 2 / discordant
    if statistic is not None:
        p_value: float | None = math.erfc(math.sqrt(statistic / 2))
    else:
        p_value = _binomial_p(min(first_only, second_only), discordant) if discordant else None
    return McNemar(
        both_right=int((first_right & second_right).sum()),
        first_only=first_only,
        second_only=second_only,
        both_wrong=int((~first_right & ~second_right).sum()),
        method="exact binomial" if exact else "chi-squared without continuity correction",
        statistic=statistic,
        p_value=p_value,
        reason=None if discordant else "none on which one of the two alone is right",
    )


def _binomial_p(fewer: int, n: int) -> float:
    """Return the two-sided p value of `fewer` of `n` tosses of a fair coin."""
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / float(2**n))


def permutation_test(
    is_positive: Flags,
    rankings: tuple[Values, Values],
    patient: Places,
    resamples: Resamples,
) -> PairedTest:
    """Return the test of two areas under the ROC curve by swapping who said what, by patient.

    If the two are alike, their answers on all nodes of a patient may be swapped. The answers are
    ranked first, because two models need not mean the same by 0.7 (Bandos et al. 2005, Stat Med
    24:2873). The p value counts the sample as one of the swaps: (1 + k) / (1 + B), never 0
    (Phipson, Smyth 2010, Stat Appl Genet Mol Biol 9:39).

    Args:
        is_positive: (N,) metastatic in truth.
        rankings: first and second, (N,) finite each; higher means more likely metastatic.
        patient: (N,) whose each node is, in [0, P).
        resamples: P patients; as many swaps as it has draws, from its seed.
    """
    n, method = len(is_positive), f"permutation by patient, {resamples.count} swaps"
    lacking = missing_class(is_positive)
    if lacking:
        return PairedTest(method, n, reason=lacking)
    # Patient p's answers by the second are those of one more patient, P + p: who is swapped is
    # then a matter of which of the two counts.
    twice = ranked_nodes(
        np.tile(is_positive, 2),
        np.concatenate([midranks(ranking) for ranking in rankings]),
        np.concatenate([patient, patient + resamples.patients]),
    )
    swapped = np.random.default_rng(resamples.seed).random((resamples.count, resamples.patients))
    first = np.concatenate([np.ones((1, resamples.patients)), swapped < 0.5]).astype(np.float64)
    differences = areas_under_roc(twice, np.hstack([first, 1 - first])) - areas_under_roc(
        twice, np.hstack([1 - first, first])
    )
    as_large = np.abs(differences[1:]) >= abs(differences[0]) - _ROUNDING
    if resamples.count == 0:
        return PairedTest(method, n, difference=float(differences[0]), reason="no swaps asked for")
    p_value = (1 + int(as_large.sum())) / (1 + resamples.count)
    return PairedTest(method, n, difference=float(differences[0]), p_value=p_value)


def difference_figure(
    resamples: Resamples,
    first_values: Values,
    second_values: Values,
    *,
    n: int | None = None,
    reason: str | None = None,
    patients: int | None = None,
) -> Figure:
    """Return first minus second with its interval over patients, both drawn together.

    There is no p value: the share of resamples beyond 0 is not one, because they are drawn around
    the sample and not around equality.

    Args:
        resamples: that both sets of values come from.
        first_values: (1 + B,), the sample's first; NaN where a resample leaves it undefined.
        second_values: (1 + B,), likewise.
        n: what both rest on.
        reason: why the difference is undefined, where it is.
        patients: how many of them have a say in it; None takes all.
    """
    values = first_values - second_values
    return resamples.figure(values, n=n, reason=reason, patients=patients)
