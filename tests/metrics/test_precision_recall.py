import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from sklearn.metrics import precision_recall_curve as reference_curve

from lnmdetect.metrics.precision_recall import average_precision, precision_recall_curve
from lnmdetect.metrics.ranked_nodes import ranked_nodes
from lnmdetect.metrics.resampling import Resamples

ALONE = np.zeros(4, dtype=np.int64)


def test_average_precision_sums_the_steps_counted_by_hand() -> None:
    truth, ranking = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1])
    nodes = ranked_nodes(truth, ranking, ALONE)
    # Recall 1/2 at precision 1, recall 1 at precision 2/3: 1/2 + 1/2 x 2/3.
    assert nodes.measured(np.ones((1, 1)), average_precision)[0] == pytest.approx([5 / 6])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("decimals", [1, 9])
def test_average_precision_is_that_of_scikit_learn_in_every_resample(
    seed: int, decimals: int
) -> None:
    rng = np.random.default_rng(seed)
    truth, patient = rng.random(70) < 0.4, rng.integers(0, 7, 70)
    ranking, resamples = np.round(rng.normal(truth * 1.0), decimals), Resamples(7, count=40)
    nodes = ranked_nodes(truth, ranking, patient)
    expected = [
        average_precision_score(truth, ranking, sample_weight=counts[patient])
        for counts in resamples.weights
    ]
    found = nodes.measured(resamples.weights, average_precision)[0]
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_resample_of_one_class_is_undefined() -> None:
    nodes = ranked_nodes(np.array([True, False]), np.array([0.9, 0.1]), np.array([0, 1]))
    weights = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    found = nodes.measured(weights, average_precision)[0]
    assert np.isnan(found).tolist() == [False, True, True]
    assert found[0] == 1.0


def test_the_curve_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(60) < 0.4
    ranking = np.round(rng.normal(truth * 1.0), 1)
    curve = precision_recall_curve(ranked_nodes(truth, ranking, np.zeros(60, dtype=np.int64)))
    precision, recall, thresholds = reference_curve(truth, ranking)
    assert curve.precision == pytest.approx(precision[:-1][::-1])  # its last point is made up
    assert curve.recall == pytest.approx(recall[:-1][::-1])
    assert curve.threshold == pytest.approx(thresholds[::-1])
    assert curve.prevalence == pytest.approx(truth.mean())
