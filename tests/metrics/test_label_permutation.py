import itertools
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import permutation_test_score

from lnmdetect.metrics.label_permutation import PermutationTest, label_permutation
from lnmdetect.metrics.resampling import Resamples

TRUTH = np.array([1, 0, 1, 1, 0, 0, 1], dtype=bool)
RANKING = np.array([0.9, 0.2, 0.4, 0.7, 0.4, 0.8, 0.7])
CALLED = RANKING >= 0.5
OWN = np.arange(7)


def p_values(resamples: Resamples, patient: np.ndarray = OWN) -> tuple[float, float]:
    found = label_permutation(TRUTH, RANKING, CALLED, patient=patient, resamples=resamples)
    assert found.auc.p_value is not None
    assert found.accuracy.p_value is not None
    return found.auc.p_value, found.accuracy.p_value


def test_a_shuffle_counts_where_it_scores_no_less_than_truth() -> None:
    rng = np.random.default_rng(4)
    shuffled = [TRUTH[rng.permutation(7)] for _ in range(40)]
    auc = roc_auc_score(TRUTH, RANKING)
    aucs = [round(roc_auc_score(y, RANKING), 9) >= round(auc, 9) for y in shuffled]
    right = [accuracy_score(y, CALLED) >= accuracy_score(TRUTH, CALLED) for y in shuffled]
    expected = (1 + sum(aucs)) / 41, (1 + sum(right)) / 41
    assert p_values(Resamples(7, count=40, seed=4)) == pytest.approx(expected, abs=1e-12)


def test_many_shuffles_come_to_the_share_of_all_orders() -> None:
    orders = [TRUTH[list(order)] for order in itertools.permutations(range(7))]
    above = np.sign(RANKING[:, None] - RANKING)
    in_order = [above[np.ix_(y, ~y)].sum() for y in (TRUTH, *orders)]
    aucs = np.mean([pairs >= in_order[0] for pairs in in_order[1:]])
    right = np.mean([(y == CALLED).sum() >= (TRUTH == CALLED).sum() for y in orders])
    found = p_values(Resamples(7, count=5000, seed=1))
    assert found == pytest.approx((aucs, right), abs=0.02)


class Fixed(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns nothing: its one feature is the probability."""

    def fit(self, x: Any, y: Any) -> "Fixed":
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.hstack([1 - x, x])

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x[:, 0] >= 0.5)


@pytest.mark.parametrize(("scoring", "place"), [("roc_auc", 0), ("accuracy", 1)])
def test_the_p_value_is_that_of_scikit_learn(scoring: str, place: int) -> None:
    rng = np.random.default_rng(6)
    truth = rng.random(30) < 0.4
    ranking = np.clip(np.round(rng.normal(0.4 + 0.06 * truth, 0.2), 2), 0, 1)
    everyone = np.arange(30)
    _, _, theirs = permutation_test_score(
        Fixed(),
        ranking[:, None],
        truth,
        scoring=scoring,
        cv=[(everyone, everyone)],
        n_permutations=300,
        random_state=0,
    )
    found = label_permutation(
        truth, ranking, ranking >= 0.5, patient=everyone, resamples=Resamples(30, count=3000)
    )
    ours = (found.auc, found.accuracy)[place]
    assert 0.02 < theirs < 0.98
    assert ours.p_value == pytest.approx(theirs, abs=3.5 * np.sqrt(theirs * (1 - theirs) / 300))


def test_perfect_predictions_are_never_beaten_and_the_sample_counts_as_one_shuffle() -> None:
    truth = np.repeat([False, True], 20)
    found = label_permutation(
        truth, truth.astype(float), truth, patient=np.arange(40), resamples=Resamples(40, count=99)
    )
    assert found.auc == found.accuracy == PermutationTest(99, 0.01)


def test_labels_of_a_patient_stay_together_and_move_to_one_with_as_many_cases() -> None:
    # Two patients of two cases, benign and metastatic; their two arrangements are equally likely.
    truth = np.array([0, 0, 1, 1], dtype=bool)
    ranking, patient = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])
    found = label_permutation(
        truth, ranking, truth, patient=patient, resamples=Resamples(2, count=2000)
    )
    assert found.auc.p_value == pytest.approx(0.5, abs=0.04)  # free labels would give 1/6


def test_a_patient_with_a_number_of_cases_of_its_own_keeps_its_labels() -> None:
    truth, patient = np.array([0, 0, 1], dtype=bool), np.array([0, 0, 1])
    found = label_permutation(
        truth, np.array([0.1, 0.2, 0.9]), truth, patient=patient, resamples=Resamples(2, count=50)
    )
    assert found.auc.p_value == 1.0
    assert found.accuracy.p_value == 1.0


@pytest.mark.parametrize(
    ("truth", "count", "reason"),
    [
        ([True, True], 9, "no benign case"),
        ([False, False], 9, "no metastatic case"),
        ([], 9, "no case"),
        ([True, False], 0, "no permutations asked for"),
    ],
)
def test_where_nothing_can_be_shuffled_there_is_no_p_value_but_a_reason(
    truth: list[bool], count: int, reason: str
) -> None:
    flags = np.array(truth, dtype=bool)
    found = label_permutation(
        flags,
        np.linspace(0, 1, len(flags)),
        flags,
        patient=np.arange(len(flags)),
        resamples=Resamples(len(flags), count=count),
        of="case",
    )
    assert found.auc == found.accuracy == PermutationTest(count, None, reason)


def test_a_missing_p_value_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a reason"):
        PermutationTest(9)
