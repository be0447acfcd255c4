"""How often shuffled truth would agree with fixed predictions as well as truth does."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.ranked_nodes import midranks, missing_class
from lnmdetect.metrics.resampling import Resamples

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class PermutationTest:
    """The share of shuffled labels that score at least as well as the true ones.

    Attributes:
        permutations: how many shuffles.
        p_value: one-sided, (1 + C) / (1 + permutations); None where it is undefined.
        reason: why there is none.
    """

    permutations: int
    p_value: float | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.p_value is None and not self.reason:
            raise ValueError("permutation: expected a reason beside a missing p value, got none")


@dataclass(frozen=True)
class LabelPermutation:
    """The test for each score: area under the ROC curve, and share of right calls."""

    auc: PermutationTest
    accuracy: PermutationTest


def label_permutation(
    is_positive: Flags,
    ranking: Values,
    called: Flags,
    *,
    patient: Places,
    resamples: Resamples,
    of: str = "node",
) -> LabelPermutation:
    """Return the p values of AUC and accuracy as scikit-learn's permutation_test_score has them.

    That is (1 + C) / (1 + n), with C of n shuffles scoring no less than truth (Ojala, Garriga 2010,
    J Mach Learn Res 11:1833, test 1); the predictions stay as they are. Labels move in the order
    that a patient has them, between patients with as many cases: where each has one, that is the
    free shuffle of scikit-learn; where some have several, cases of a patient stay together.

    Args:
        is_positive: (N,) metastatic in truth.
        ranking: (N,) finite; higher means more likely metastatic.
        called: (N,) called metastatic.
        patient: (N,) whose each case is, in [0, P).
        resamples: as many shuffles as it has draws, from its seed.
        of: what the cases are, in the singular.
    """
    lacking = missing_class(is_positive, of)
    if lacking is None and resamples.count == 0:
        lacking = "no permutations asked for"
    if lacking is not None:
        nothing = PermutationTest(resamples.count, reason=lacking)
        return LabelPermutation(nothing, nothing)
    # Of as many positives, the larger AUC has the larger rank sum; doubled ranks are whole.
    ranks = np.round(2 * midranks(ranking)).astype(np.int64)
    auc_as_good = accuracy_as_good = 0
    for shuffled in _shuffles(is_positive, patient, resamples):
        auc_as_good += int(ranks[shuffled].sum() >= ranks[is_positive].sum())
        accuracy_as_good += int((shuffled == called).sum() >= (is_positive == called).sum())
    return LabelPermutation(
        _test(auc_as_good, resamples.count), _test(accuracy_as_good, resamples.count)
    )


def _test(as_good: int, permutations: int) -> PermutationTest:
    return PermutationTest(permutations, (1 + as_good) / (1 + permutations))


def _shuffles(is_positive: Flags, patient: Places, resamples: Resamples) -> Iterator[Flags]:
    """Give (N,) labels, shuffled between patients with as many cases."""
    rng = np.random.default_rng(resamples.seed)
    blocks = list(_blocks(patient))
    for _ in range(resamples.count):
        shuffled = is_positive.copy()
        for places in blocks:
            shuffled[places] = is_positive[places[rng.permutation(len(places))]]
        yield shuffled


def _blocks(patient: Places) -> Iterator[Places]:
    """Give (M, S) the cases of the M patients that have S of them, for each such S."""
    _, owner, counts = np.unique(patient, return_inverse=True, return_counts=True)
    by_patient = np.argsort(owner, kind="stable")
    firsts = np.cumsum(counts) - counts
    for size in np.unique(counts):
        own = firsts[counts == size]
        yield by_patient[own[:, None] + np.arange(size)]
