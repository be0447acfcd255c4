import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import chi2, norm

from lnmdetect.metrics.group_tests import (
    CHI_SQUARED,
    MANN_WHITNEY,
    MANN_WHITNEY_EXACT,
    GroupTest,
    chi_squared,
    mann_whitney,
)


def u_by_pairs(first: Sequence[float], second: Sequence[float]) -> float:
    return sum((a > b) + 0.5 * (a == b) for a in first for b in second)


def test_u_of_many_values_is_corrected_for_ties_and_continuity() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(20, 60, 30).astype(float), rng.integers(25, 66, 41).astype(float)
    found = mann_whitney(first, second)
    u, n, m = u_by_pairs(first.tolist(), second.tolist()), 30, 41
    _, ties = np.unique(np.concatenate([first, second]), return_counts=True)
    total = n + m
    variance = n * m / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    z = (abs(u - n * m / 2) - 0.5) / math.sqrt(variance)
    assert (found.method, found.statistic) == (MANN_WHITNEY, u)
    assert found.p_value == pytest.approx(2 * norm.sf(z), abs=1e-12)


def test_u_of_few_different_values_counts_all_orders() -> None:
    first, second = np.array([1.0, 2.5, 4.0]), np.array([3.0, 5.0, 6.0, 7.0])
    observed = abs(u_by_pairs(first.tolist(), second.tolist()) - 6)
    values = [*first, *second]
    as_far = [
        abs(
            u_by_pairs(
                [values[k] for k in chosen], [v for k, v in enumerate(values) if k not in chosen]
            )
            - 6
        )
        >= observed
        for chosen in itertools.combinations(range(7), 3)
    ]
    found = mann_whitney(first, second)
    assert found.method == MANN_WHITNEY_EXACT
    assert found.p_value == pytest.approx(np.mean(as_far), abs=1e-12)
    assert mann_whitney(first, np.array([3.0, 3.0, 6.0, 7.0])).method == MANN_WHITNEY


@pytest.mark.parametrize("counts", [[[30, 10], [20, 25]], [[12, 7, 0, 9], [3, 20, 0, 4]]])
def test_chi_squared_is_the_sum_over_cells_without_continuity_correction(
    counts: list[list[int]],
) -> None:
    table = np.array(counts)
    there = table[:, table.sum(axis=0) > 0]
    expected = np.outer(there.sum(axis=1), there.sum(axis=0)) / there.sum()
    statistic = float(((there - expected) ** 2 / expected).sum())
    found = chi_squared(table)
    assert found.method == CHI_SQUARED
    assert found.statistic == pytest.approx(statistic)
    assert found.degrees_of_freedom == there.shape[1] - 1
    assert found.p_value == pytest.approx(chi2.sf(statistic, there.shape[1] - 1), abs=1e-12)
    assert found.smallest_expected == pytest.approx(expected.min())


def test_chi_squared_of_a_finding_with_the_published_operating_point() -> None:
    # 57 of 148 and 17 of 170: chi-squared of two shares is the square of their z.
    pooled = 74 / 318
    z = (57 / 148 - 17 / 170) / math.sqrt(pooled * (1 - pooled) * (1 / 148 + 1 / 170))
    found = chi_squared(np.array([[57, 91], [17, 153]]))
    assert found.statistic == pytest.approx(z**2)
    assert found.p_value == pytest.approx(2 * norm.sf(z), rel=1e-9)


def test_where_groups_cannot_be_told_apart_there_is_a_reason() -> None:
    none, some = np.array([]), np.array([1.0, 2.0])
    lacking = "no value in one of the two groups"
    assert mann_whitney(none, some).reason == mann_whitney(some, none).reason == lacking
    assert mann_whitney(np.ones(3), np.ones(2)).reason == "all values are equal"
    assert chi_squared(np.array([[0, 0], [3, 4]])).reason == lacking
    assert chi_squared(np.array([[5, 0], [3, 0]])).reason == "all values are equal"
    assert chi_squared(np.zeros((2, 0), dtype=np.int64)).reason == lacking


def test_a_test_without_p_value_and_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a reason"):
        GroupTest(CHI_SQUARED, 1.0)
