import numpy as np
import pytest

from lnmdetect.metrics.ranked_nodes import midranks, missing_class, ranked_nodes

TRUTH = np.array([True, False, True, False])
RANKING = np.array([0.2, 0.5, 0.5, 0.9])
PATIENT = np.array([0, 1, 2, 0])


def test_tied_nodes_are_one_step_and_each_counts_as_often_as_its_patient() -> None:
    nodes = ranked_nodes(TRUTH, RANKING, PATIENT)
    assert nodes.rankings.tolist() == [0.9, 0.5, 0.2]
    steps = nodes.steps(np.array([[1.0, 1, 1], [2, 0, 3]]))
    assert steps.positives.tolist() == [[0, 1, 1], [0, 3, 2]]
    assert steps.negatives.tolist() == [[1, 1, 0], [2, 0, 0]]
    assert steps.true_positives.tolist() == [[0, 1, 2], [0, 3, 5]]
    assert steps.false_positives.tolist() == [[1, 2, 2], [2, 2, 2]]


def test_chunks_do_not_change_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = ranked_nodes(TRUTH, RANKING, PATIENT)
    weights = np.random.default_rng(0).integers(0, 3, (7, 3)).astype(float)
    whole = nodes.measured(weights, lambda steps: steps.true_positives)[0]
    monkeypatch.setattr("lnmdetect.metrics.ranked_nodes._CHUNK", 8)  # two resamples at a time
    assert np.array_equal(nodes.measured(weights, lambda steps: steps.true_positives)[0], whole)
    assert whole.shape == (7, 3)


def test_lengths_that_differ_and_rankings_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(
        ValueError, match="as many classes as rankings and patients, got 4, 3 and 4"
    ):
        ranked_nodes(TRUTH, RANKING[:3], PATIENT)
    with pytest.raises(ValueError, match="finite rankings"):
        ranked_nodes(TRUTH, np.array([0.1, np.nan, 0.2, 0.3]), PATIENT)
    nothing = ranked_nodes(TRUTH[:0], RANKING[:0], PATIENT[:0])
    with pytest.raises(ValueError, match="at least one node"):
        nothing.measured(np.ones((1, 1)), lambda steps: steps.positives)


def test_a_missing_class_is_named() -> None:
    assert missing_class(np.array([True, False])) is None
    assert missing_class(np.array([True])) == "no benign node"
    assert missing_class(np.array([False])) == "no metastatic node"
    assert missing_class(np.zeros(0, bool)) == "no node"


def test_midranks_start_at_one() -> None:
    assert midranks(np.array([0.5, 0.1])).tolist() == [2.0, 1.0]
