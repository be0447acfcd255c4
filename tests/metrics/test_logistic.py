"""The regression against scikit-learn, and its folds."""

import numpy as np
import pytest

from lnmdetect.metrics.logistic import FOLDS, out_of_fold_logits


def rows(count: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(count, 3)) * [1, 10, 0.1] + [5, -3, 0]
    positive = features @ [1.0, 0.05, 8.0] - 5 + rng.normal(size=count) > 0
    return features, positive, np.arange(count) // 5


def test_the_logits_are_scikit_learns_with_grouped_folds() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    features, positive, groups = rows()
    expected = np.zeros(len(features))
    for fold in range(FOLDS):
        train = groups % FOLDS != fold
        mean, spread = features[train].mean(0), features[train].std(0)
        model = linear.LogisticRegression(tol=1e-10, max_iter=10_000)
        model.fit((features[train] - mean) / spread, positive[train])
        expected[~train] = model.decision_function((features[~train] - mean) / spread)
    found = out_of_fold_logits(features, positive, groups)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_group_is_never_in_its_own_training() -> None:
    # one feature that names the group's class exactly, but only inside the group
    groups = np.repeat(np.arange(10), 4)
    positive = groups % 2 == 0
    features = np.eye(10)[groups]
    logits = out_of_fold_logits(features, positive, groups)
    assert len(np.unique(logits.round(9))) <= FOLDS
    for fold in range(FOLDS):  # within a fold both classes get the same, uninformed answer
        assert np.ptp(logits[groups % FOLDS == fold]) < 1e-6


def test_group_names_may_be_text() -> None:
    features, positive, groups = rows()
    names = [f"p{group:03d}" for group in groups]
    np.testing.assert_array_equal(
        out_of_fold_logits(features, positive, names),
        out_of_fold_logits(features, positive, groups),
    )


def test_one_class_in_training_gives_no_opinion() -> None:
    features, _, groups = rows(20)
    logits = out_of_fold_logits(features, np.ones(20, dtype=bool), groups)
    assert logits.tolist() == [0.0] * 20


def test_a_constant_feature_does_no_harm() -> None:
    features, positive, groups = rows()
    with_constant = np.column_stack([features, np.full(len(features), 7.0)])
    np.testing.assert_allclose(
        out_of_fold_logits(with_constant, positive, groups),
        out_of_fold_logits(features, positive, groups),
        atol=1e-3,
    )
