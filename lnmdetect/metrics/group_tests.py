"""Whether two groups of patients differ in an age, a size or a share: the tests of a table 1."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EXACT_UP_TO = 8
"""Values of the smaller group up to which all orders are counted, where no two are equal."""
SMALLEST_EXPECTED = 5.0
"""Expected counts below it make chi-squared approximate (Cochran 1954, Biometrics 10:417)."""
MANN_WHITNEY = "Mann-Whitney U, normal approximation corrected for ties and continuity"
MANN_WHITNEY_EXACT = "Mann-Whitney U, exact"
CHI_SQUARED = "Pearson's chi-squared without continuity correction"

Values = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class GroupTest:
    """Whether two groups differ by more than chance.

    Attributes:
        method: the test.
        statistic: U of the first group, or chi-squared.
        p_value: two-sided; takes every case as independent.
        degrees_of_freedom, smallest_expected: of chi-squared.
        reason: why there is no p value.
    """

    method: str
    statistic: float | None = None
    p_value: float | None = None
    degrees_of_freedom: int | None = None
    smallest_expected: float | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.p_value is None and not self.reason:
            raise ValueError("group test: expected a reason beside a missing p value, got none")


def mann_whitney(first: Values, second: Values) -> GroupTest:
    """Return the test of (N,) against (M,) finite values.

    Exact where no two values are equal and the smaller group has up to 8; else the normal
    approximation, corrected for ties and for continuity (Mann, Whitney 1947; as R's wilcox.test and
    scipy have it).
    """
    values = np.concatenate([first, second])
    if not len(first) or not len(second):
        return GroupTest(MANN_WHITNEY, reason="no value in one of the two groups")
    if np.ptp(values) == 0:
        return GroupTest(MANN_WHITNEY, reason="all values are equal")
    # scipy.stats takes longer to load than all of an evaluation that has no such table.
    from scipy.stats import mannwhitneyu

    has_ties = len(np.unique(values)) < len(values)
    exact = not has_ties and min(len(first), len(second)) <= EXACT_UP_TO
    found = mannwhitneyu(first, second, method="exact" if exact else "asymptotic")
    method = MANN_WHITNEY_EXACT if exact else MANN_WHITNEY
    return GroupTest(method, float(found.statistic), float(found.pvalue))


def chi_squared(counts: Counts) -> GroupTest:
    """Return Pearson's test of independence of a table of counts.

    Without Yates's continuity correction, which only makes it conservative; as clinical tables
    print it.

    Args:
        counts: (2, L) cases of each group at each level; levels that nobody has are left out.
    """
    there = counts[:, counts.sum(axis=0) > 0]
    if not counts.sum(axis=1).all():
        return GroupTest(CHI_SQUARED, reason="no value in one of the two groups")
    if there.shape[1] < 2:
        return GroupTest(CHI_SQUARED, reason="all values are equal")
    from scipy.stats import chi2_contingency

    found = chi2_contingency(there, correction=False)
    return GroupTest(
        CHI_SQUARED,
        float(found.statistic),
        float(found.pvalue),
        degrees_of_freedom=int(found.dof),
        smallest_expected=float(found.expected_freq.min()),
    )
