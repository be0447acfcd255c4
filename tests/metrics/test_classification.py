import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_score,
    recall_score,
    roc_auc_score,
)

from lnmdetect.metrics.classification import Confusion, auc_by_ranks, classification
from lnmdetect.metrics.figure import Figure


def test_auc_counts_pairs_in_order_and_ties_half() -> None:
    positive = np.array([True, True, False, False])
    # Pairs: .9>.5, .9>.1, .5=.5 (half), .5>.1: 3.5 of 4.
    assert auc_by_ranks(positive, np.array([0.9, 0.5, 0.5, 0.1])).value == 0.875
    assert auc_by_ranks(positive, np.zeros(4)).value == 0.5
    assert auc_by_ranks(~positive, np.array([0.9, 0.5, 0.5, 0.1])).value == 0.125


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("steps", [3, 1000])
def test_auc_is_that_of_scikit_learn(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.random(200) < 0.3
    ranking = rng.integers(0, steps, 200) / steps + 0.2 * positive
    figure = auc_by_ranks(positive, ranking)
    assert figure.value == pytest.approx(roc_auc_score(positive, ranking), abs=1e-12)


def test_auc_of_one_class_is_undefined_and_names_the_missing_one() -> None:
    ranking = np.array([0.2, 0.3])
    assert auc_by_ranks(np.array([True, True]), ranking) == Figure(None, "no benign node")
    assert auc_by_ranks(np.array([False, False]), ranking) == Figure(None, "no metastatic node")
    assert auc_by_ranks(np.zeros(0, bool), np.zeros(0)) == Figure(None, "no node")


def test_the_figures_of_ten_nodes_are_those_counted_by_hand() -> None:
    truth = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 0], dtype=bool)
    called = np.array([1, 1, 1, 1, 1, 0, 0, 1, 0, 0], dtype=bool)
    result = classification(truth, called * 0.5, called)
    assert result.confusion == Confusion(5, 2, 1, 2)
    assert result.n == 10
    assert result.accuracy.value == pytest.approx(7 / 10)
    assert result.majority_accuracy.value == pytest.approx(7 / 10)
    assert result.tpr.value == pytest.approx(5 / 7)
    assert result.tnr.value == pytest.approx(2 / 3)
    assert result.ppv.value == pytest.approx(5 / 6)
    assert result.npv.value == pytest.approx(2 / 4)
    assert result.per_class["benign"].n == 3
    assert result.per_class["benign"].recall == result.tnr
    assert result.per_class["benign"].precision == result.npv
    assert result.per_class["metastatic"].n == 7
    assert result.per_class["metastatic"].precision == result.ppv


def test_the_figures_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, called = rng.random(300) < 0.6, rng.random(300) < 0.5
    result = classification(truth, called.astype(np.float64), called)
    (tn, fp), (fn, tp) = confusion_matrix(truth, called)
    assert result.confusion == Confusion(tp, fn, fp, tn)
    assert result.accuracy.value == pytest.approx(accuracy_score(truth, called))
    assert result.tpr.value == pytest.approx(recall_score(truth, called))
    assert result.tnr.value == pytest.approx(recall_score(~truth, ~called))
    assert result.ppv.value == pytest.approx(precision_score(truth, called))
    assert result.npv.value == pytest.approx(precision_score(~truth, ~called))


def test_one_class_leaves_the_figures_of_the_other_undefined() -> None:
    truth = np.array([True, True])
    result = classification(truth, np.array([0.9, 0.8]), truth)
    assert result.tnr == Figure(None, "no benign node")
    assert result.npv == Figure(None, "no node called benign")
    assert result.accuracy.value == 1.0
    assert result.auc == Figure(None, "no benign node")


def test_no_node_leaves_every_figure_undefined() -> None:
    result = classification(np.zeros(0, bool), np.zeros(0), np.zeros(0, bool))
    assert result.accuracy == Figure(None, "no node")
    assert result.majority_accuracy == Figure(None, "no node")
