"""The optimal assignment, against scipy's."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from lnmdetect.metrics.assignment import best_pairs


def total(affinity: np.ndarray) -> float:
    rows, columns = best_pairs(affinity)
    assert len(set(rows.tolist())) == len(rows)
    assert len(set(columns.tolist())) == len(columns)
    assert (affinity[rows, columns] > 0).all()
    return float(affinity[rows, columns].sum())


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (5, 3), (12, 12), (20, 4), (4, 20), (15, 9)])
@pytest.mark.parametrize("density", [0.1, 0.3, 1.0])
def test_the_sum_is_that_of_scipys_assignment(shape: tuple[int, int], density: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        affinity = rng.uniform(0.1, 2, shape) * (rng.random(shape) < density)
        rows, columns = linear_sum_assignment(affinity, maximize=True)
        assert total(affinity) == pytest.approx(affinity[rows, columns].sum())


def test_a_pair_is_given_up_where_two_others_are_worth_more() -> None:
    rows, columns = best_pairs(np.array([[3.0, 2.0], [2.0, 0.0]]))
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_nothing_that_fits_gives_no_pair() -> None:
    assert len(best_pairs(np.zeros((2, 3)))[0]) == 0
    assert len(best_pairs(np.zeros((0, 3)))[0]) == 0
