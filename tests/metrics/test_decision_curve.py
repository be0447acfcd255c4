import numpy as np
import pytest

from lnmdetect.metrics.decision_curve import decision_curve
from lnmdetect.metrics.resampling import Resamples

TRUTH = np.array([True, True, True, False, False])
PROBABILITY = np.array([0.9, 0.6, 0.2, 0.7, 0.1])


def test_net_benefit_of_five_nodes_is_the_one_by_hand() -> None:
    points = decision_curve(TRUTH, PROBABILITY, np.zeros(5, dtype=np.int64), Resamples(1))
    assert [p.threshold for p in points] == pytest.approx(np.arange(1, 20) / 20)
    half, fifth = points[9], points[3]
    # At 0.5: 0.9, 0.6 and 0.7 are treated: two true, one false: (2 - 1 x 1) / 5.
    assert half.model.value == pytest.approx(1 / 5)
    assert half.treat_all == pytest.approx((3 - 2) / 5)
    # At 0.2 the node at 0.2 itself is treated: (3 - 1 x 0.25) / 5.
    assert fifth.model.value == pytest.approx((3 - 0.25) / 5)
    assert fifth.treat_all == pytest.approx((3 - 2 * 0.25) / 5)
    assert {p.treat_none for p in points} == {0.0}


def test_net_benefit_of_a_resample_is_that_of_the_drawn_nodes() -> None:
    rng = np.random.default_rng(0)
    truth, probability, patient = rng.random(50) < 0.4, rng.random(50), rng.integers(0, 6, 50)
    resamples = Resamples(6, count=100, seed=5)
    benefits = []
    for counts in resamples.weights[1:].astype(int):
        rows = np.repeat(np.arange(50), counts[patient])
        treated = probability[rows] >= 0.3
        right, wrong = (treated & truth[rows]).sum(), (treated & ~truth[rows]).sum()
        benefits.append(right / len(rows) - wrong / len(rows) * 0.3 / 0.7)
    point = decision_curve(truth, probability, patient, resamples)[5]
    assert point.threshold == 0.3
    assert point.model.interval == pytest.approx(np.quantile(benefits, [0.025, 0.975]), abs=1e-12)


def test_without_a_node_there_is_no_curve() -> None:
    assert decision_curve(TRUTH[:0], PROBABILITY[:0], np.zeros(0, dtype=int), Resamples(0)) == ()
