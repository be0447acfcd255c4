"""Operating thresholds by hand and against scikit-learn."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from lnmdetect.core.geometry import as_boxes
from lnmdetect.metrics.matching import Matches, match_images
from lnmdetect.metrics.tables import ImageBoxes
from lnmdetect.metrics.thresholds import (
    threshold_at_false_positives,
    threshold_at_sensitivity,
    threshold_at_specificity,
    threshold_at_true_positive_rate,
    youden_threshold,
)

TRUTH = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]]


def matches(scores: list[float], *, ignored: tuple[int, ...] = ()) -> Matches:
    """One image with four nodes; detection k lies on node k, further ones on none."""
    truth = as_boxes(TRUTH)
    extra = [[0, 50 + 20 * k, 10, 60 + 20 * k] for k in range(len(scores) - 4)]
    flags = np.isin(np.arange(4), ignored)
    boxes = as_boxes(TRUTH[: len(scores)] + extra)
    classes = np.full(4, 3, dtype=np.int64)
    return match_images([ImageBoxes(truth, flags, classes, boxes, np.array(scores))])


@pytest.mark.parametrize(
    ("sensitivity", "expected"),
    [(0.25, 0.9), (0.26, 0.8), (0.5, 0.8), (0.75, 0.6), (0.76, 0.3), (1.0, 0.3)],
)
def test_the_highest_score_that_reaches_the_sensitivity(
    sensitivity: float, expected: float
) -> None:
    assert threshold_at_sensitivity(matches([0.9, 0.3, 0.8, 0.6, 0.7]), sensitivity) == expected


def test_ignored_nodes_count_neither_way() -> None:
    # Of three counted nodes (0.9, 0.8, 0.6) two thirds are reached at 0.8.
    found = matches([0.9, 0.3, 0.8, 0.6], ignored=(1,))
    assert threshold_at_sensitivity(found, 2 / 3) == 0.8


def test_a_sensitivity_out_of_reach_has_no_threshold() -> None:
    assert threshold_at_sensitivity(matches([0.9, 0.3]), 0.75) is None
    assert threshold_at_sensitivity(matches([0.9, 0.3]), 0.5) == 0.3


def test_without_truth_there_is_no_threshold() -> None:
    assert threshold_at_sensitivity(matches([0.9, 0.3], ignored=(0, 1, 2, 3)), 0.5) is None


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [(0, 0.8), (0.99, 0.8), (1, 0.6), (1.5, 0.6), (2, 0.3), (100, 0.3)],
)
def test_the_lowest_score_that_keeps_within_the_false_positives(
    allowed: float, expected: float
) -> None:
    # nodes at 0.9, 0.8, 0.6, 0.3; on no node 0.7 and 0.5
    assert threshold_at_false_positives(matches([0.9, 0.8, 0.6, 0.3, 0.7, 0.5]), allowed) == (
        expected
    )


def test_detections_on_ignored_nodes_are_no_false_positives() -> None:
    # The lowest, on an ignored node, counts neither way: 0.8 is the lowest that counts.
    found = matches([0.9, 0.8, 0.7, 0.2, 0.6], ignored=(2, 3))
    assert threshold_at_false_positives(found, 0) == 0.8
    assert threshold_at_false_positives(found, 1) == 0.6


def test_detections_of_one_score_stand_or_fall_together() -> None:
    # 0.5 is two false positives and a node at once.
    found = matches([0.9, 0.8, 0.7, 0.5, 0.5, 0.5])
    assert threshold_at_false_positives(found, 1) == 0.7
    assert threshold_at_false_positives(found, 2) == 0.5


def test_a_budget_is_met_whatever_its_last_bit_says() -> None:
    found = matches([0.9, 0.8, 0.7, 0.6] + [0.5 - 0.001 * k for k in range(30)])
    assert 0.29 * 100 < 29  # in binary
    assert threshold_at_false_positives(found, 0.29 * 100) == pytest.approx(0.472)


def test_a_best_score_over_the_budget_and_no_detection_have_no_threshold() -> None:
    assert threshold_at_false_positives(matches([0.1, 0.2, 0.3, 0.4, 0.9]), 0.5) is None
    assert threshold_at_false_positives(matches([]), 1) is None


def youden(labels: list[int], ranking: list[float]) -> float | None:
    return youden_threshold(np.array(labels, dtype=bool), np.array(ranking))


def test_classes_that_part_are_cut_midway() -> None:
    assert youden([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9]) == pytest.approx(0.4)


def test_the_cut_maximises_sensitivity_and_specificity_by_hand() -> None:
    # cut 0.25: 3/3 + 2/4; 0.45: 2/3 + 3/4; 0.65: 2/3 + 4/4, the best; 0.85: 1/3 + 4/4
    labels, ranking = [0, 0, 1, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 0.9]
    assert youden(labels, ranking) == pytest.approx(0.65)


def test_of_equal_maxima_the_lowest_cut_is_taken() -> None:
    # cuts at 0.15 (1 + 1/3 of benign) and higher: J = 1/3 at 0.15 and at 0.75
    assert youden([0, 1, 0, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx(0.45)
    assert youden([1, 0, 1, 0], [0.4, 0.3, 0.2, 0.1]) == pytest.approx(0.15)


def test_rankings_that_tell_nothing_call_all_positive() -> None:
    assert youden([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5]) == 0.5


@pytest.mark.parametrize("labels", [[1, 1], [0, 0]])
def test_one_class_alone_has_no_threshold(labels: list[int]) -> None:
    assert youden(labels, [0.1, 0.9]) is None


LABELS = np.array([0, 0, 1, 0, 0, 1, 1, 1], dtype=bool)
RANKING = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 0.8, 0.9])


@pytest.mark.parametrize(
    ("rate", "expected"),
    # positives at 0.3, 0.8, 0.8, 0.9; cuts midway between the rankings of all cases
    [(1.0, 0.25), (0.76, 0.25), (0.75, 0.65), (0.5, 0.65), (0.26, 0.65), (0.25, 0.85), (0.1, 0.85)],
)
def test_the_highest_cut_that_reaches_the_true_positive_rate(rate: float, expected: float) -> None:
    assert threshold_at_true_positive_rate(LABELS, RANKING, rate) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("specificity", "expected"),
    # negatives at 0.1, 0.2, 0.4, 0.5
    [(1.0, 0.65), (0.76, 0.65), (0.75, 0.45), (0.51, 0.45), (0.5, 0.25), (0.25, 0.15), (0.2, 0.15)],
)
def test_the_lowest_cut_that_reaches_the_specificity(specificity: float, expected: float) -> None:
    assert threshold_at_specificity(LABELS, RANKING, specificity) == pytest.approx(expected)


def test_a_rate_of_a_class_that_is_missing_has_no_threshold() -> None:
    none, every = np.zeros(2, dtype=bool), np.ones(2, dtype=bool)
    ranking = np.array([0.1, 0.9])
    assert threshold_at_true_positive_rate(none, ranking, 0.9) is None
    assert threshold_at_specificity(every, ranking, 0.9) is None
    assert threshold_at_true_positive_rate(every, ranking, 1.0) == 0.1
    assert threshold_at_specificity(none, ranking, 0.5) == 0.5


def test_a_specificity_that_only_calling_nothing_reaches_has_no_threshold() -> None:
    labels, ranking = np.array([True, False, False]), np.array([0.2, 0.5, 0.5])
    assert threshold_at_specificity(labels, ranking, 0.01) is None


def j_at(labels: NDArray[np.bool_], ranking: NDArray[np.float64], cut: float) -> float:
    called = ranking >= cut
    return float(called[labels].mean() + (~called[~labels]).mean() - 1)


@pytest.mark.parametrize("seed", range(10))
def test_j_at_the_threshold_is_the_largest_of_scikit_learns_curve(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.random(200) < 0.3
    ranking = np.round(rng.normal(labels * 0.8, 1), 1)  # many ties
    cut = youden_threshold(labels, ranking)
    assert cut is not None
    false, true, _ = roc_curve(labels, ranking)
    assert j_at(labels, ranking, cut) == pytest.approx((true - false).max())


def test_many_boxes_need_little_memory_and_time() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(50_000) < 0.5
    ranking = rng.random(50_000) + 0.2 * labels
    cut = youden_threshold(labels, ranking)
    assert cut is not None
    assert 0.1 < cut < 1.1
