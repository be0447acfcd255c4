"""Spearman's correlation, by hand and against scipy."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from lnmdetect.metrics.correlation import spearman


def test_four_in_order_have_one_and_the_share_of_the_two_extreme_orders() -> None:
    found = spearman(np.array([1.0, 2, 3, 4]), np.array([10.0, 20, 30, 99]))
    assert found.rho == pytest.approx(1)
    assert found.p_value == pytest.approx(2 / 24)  # all in order, or all against it
    assert found.method == "exact, all 24 orders"
    assert spearman(np.array([1.0, 2, 3, 4]), np.array([4.0, 3, 2, 1])).rho == pytest.approx(-1)


def test_three_with_a_tie_by_hand() -> None:
    # Ranks 1, 2, 3 against 1.5, 1.5, 3: rho = 1.5 / sqrt(2 * 1.5). Of the 6 orders, 4 put the
    # untied one at an end.
    found = spearman(np.array([1.0, 2, 3]), np.array([5.0, 5, 9]))
    assert found.rho == pytest.approx(1.5 / 3**0.5)
    assert found.p_value == pytest.approx(4 / 6)


@pytest.mark.parametrize("n", [5, 8, 12])
def test_rho_is_scipys_and_beyond_eight_so_is_p(n: int) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.integers(0, 6, n).astype(float), rng.normal(size=n)
    expected = spearmanr(x, y)
    found = spearman(x, y)
    assert found.rho == pytest.approx(expected.statistic)
    if n > 8:
        assert found.p_value == pytest.approx(expected.pvalue)
    else:
        assert 0 < (found.p_value or 0) <= 1


def test_too_few_or_all_alike_have_none_and_a_reason() -> None:
    assert spearman(np.array([1.0, 2]), np.array([1.0, 2])).reason == "fewer than 3 models"
    alike = spearman(np.array([1.0, 2, 3]), np.ones(3))
    assert (alike.rho, alike.p_value) == (None, None)
    assert alike.reason == "all values of a column are alike"
