import itertools
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from lnmdetect.metrics.answers import Answers
from lnmdetect.metrics.average_precision import average_precision
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.comparison import compare_classes, compare_detections
from lnmdetect.metrics.delong import compare_delong
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.froc import froc
from lnmdetect.metrics.matching import match_tables
from lnmdetect.metrics.ranking import Curve
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.tables import BoxTables, FoundTable, ImageBoxes

Random = Callable[..., list[ImageBoxes]]


def shaken(tables: BoxTables, seed: int) -> BoxTables:
    """The same truth with some of the detections lost and all scores anew."""
    rng = np.random.default_rng(seed)
    found, kept = tables.found, rng.random(len(tables.found)) < 0.7
    boxes, image = found.boxes_xyxy[kept], found.image[kept]
    return BoxTables(tables.images, tables.truth, FoundTable(image, boxes, rng.random(kept.sum())))


@pytest.fixture
def two(make_random_images: Random) -> tuple[BoxTables, BoxTables, Cohort]:
    a = BoxTables.of_images(make_random_images(3, 24))
    patient = np.arange(24) // 3
    return a, shaken(a, 1), Cohort(patient, np.arange(24), Resamples(8, count=40, seed=2))


def test_each_figure_is_the_one_of_the_file_alone(two: tuple[BoxTables, BoxTables, Cohort]) -> None:
    a, b, cohort = two
    found = compare_detections(a, b, cohort)
    for of, tables in (("a", a), ("b", b)):
        alone = average_precision(tables, cohort)
        curve = froc(Curve.of_matches(match_tables(tables), cohort), cohort, per="image")
        assert getattr(found["ap50"], of) == alone.ap50
        assert getattr(found["ap"], of) == alone.ap
        assert getattr(found["froc_mean_per_image"], of) == curve.mean
        at_one = next(p for p in curve.points if p.false_positives == 1).sensitivity
        assert getattr(found["sensitivity_at_1_fp_per_image"], of).value == at_one.value


def test_the_difference_is_drawn_with_the_same_patients_for_both(
    two: tuple[BoxTables, BoxTables, Cohort],
) -> None:
    a, b, cohort = two
    difference = compare_detections(a, b, cohort)["ap50"].difference
    values = []
    for counts in cohort.resamples.weights.astype(int):
        drawn = np.concatenate(
            [np.flatnonzero(np.arange(24) // 3 == p).repeat(c) for p, c in enumerate(counts)]
        )
        areas = []
        for tables in (a, b):
            parts = [single(tables, image) for image in drawn]
            alone = Cohort(np.zeros(len(parts), int), np.zeros(len(parts), int), Resamples(1, 0))
            areas.append(average_precision(BoxTables.of_images(parts), alone).ap50.value or 0.0)
        values.append(areas[0] - areas[1])
    assert difference.value == pytest.approx(values[0], abs=1e-9)
    # Equal scores keep the order of the boxes, which drawing changes: hence not to the last digit.
    ends = np.quantile(values[1:], [0.025, 0.975])
    assert difference.interval == pytest.approx(ends, abs=0.03)


def single(tables: BoxTables, image: int) -> ImageBoxes:
    truth, found = tables.truth.image == image, tables.found.image == image
    return ImageBoxes(
        tables.truth.boxes_xyxy[truth],
        tables.truth.ignored[truth],
        tables.truth.classes[truth],
        tables.found.boxes_xyxy[found],
        tables.found.scores[found],
    )


def test_a_file_compared_with_itself_differs_by_nothing(
    two: tuple[BoxTables, BoxTables, Cohort],
) -> None:
    a, _, cohort = two
    for compared in compare_detections(a, a, cohort).values():
        assert compared.difference.value == 0.0
        assert compared.difference.interval is None


def test_without_truth_every_difference_is_undefined(
    two: tuple[BoxTables, BoxTables, Cohort],
) -> None:
    a, b, cohort = two
    none = np.zeros(len(a.truth), dtype=bool)
    empty = [BoxTables(t.images, t.truth.where(none), t.found) for t in (a, b)]
    found = compare_detections(empty[0], empty[1], cohort)
    assert found["ap50"].difference == Figure(None, "no truth box that counts")
    nothing = FoundTable(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))
    lost = compare_detections(a, BoxTables(a.images, a.truth, nothing), cohort)["ap50"]
    assert (lost.b.value, lost.b.reason) == (0.0, "no detection")
    assert lost.difference.value == lost.a.value


def answers(rng: np.random.Generator, truth: np.ndarray, skill: float) -> Answers:
    p = 1 / (1 + np.exp(-rng.normal(truth * skill)))
    return Answers(rng.random(len(truth)) < 0.8, p, p > 0.6)


def test_only_what_both_answered_is_compared_and_all_of_it_by_the_same_nodes() -> None:
    rng = np.random.default_rng(0)
    truth, patient = rng.random(90) < 0.5, rng.integers(0, 9, 90)
    a, b = answers(rng, truth, 2.0), answers(rng, truth, 0.7)
    resamples = Resamples(9, count=100, seed=3)
    found = compare_classes(truth, a, b, patient=patient, resamples=resamples)
    rows = np.flatnonzero(a.given & b.given)
    y = truth[rows]
    assert (found.n, found.metastatic) == (len(rows), y.sum())
    assert found.patients == len(np.unique(patient[rows]))
    for of, said in (("a", a), ("b", b)):
        p, called = said.ranking[rows], said.called[rows]
        assert getattr(found.auc, of).value == pytest.approx(roc_auc_score(y, p))
        assert getattr(found.accuracy, of).value == pytest.approx(accuracy_score(y, called))
        assert getattr(found.sensitivity, of).value == pytest.approx(recall_score(y, called))
        assert getattr(found.specificity, of).value == pytest.approx(recall_score(~y, ~called))
    assert found.delong == compare_delong(y, a.ranking[rows], b.ranking[rows])
    table = found.mcnemar["all"]
    right_a, right_b = a.called[rows] == y, b.called[rows] == y
    assert table.first_only == (right_a & ~right_b).sum()
    assert table.both_right + table.first_only + table.second_only + table.both_wrong == len(rows)
    halves = [found.mcnemar[name].first_only for name in ("metastatic", "benign")]
    assert sum(halves) == table.first_only


def test_the_differences_of_classes_are_those_of_a_loop_over_the_drawn_nodes() -> None:
    rng = np.random.default_rng(1)
    truth, patient = rng.random(60) < 0.5, rng.integers(0, 8, 60)
    a, b = answers(rng, truth, 1.5), answers(rng, truth, 1.0)
    resamples = Resamples(8, count=120, seed=6)
    found = compare_classes(truth, a, b, patient=patient, resamples=resamples)
    rows = np.flatnonzero(a.given & b.given)
    areas, shares = [], []
    for counts in resamples.weights[1:].astype(int):
        drawn = np.repeat(rows, counts[patient[rows]])
        y = truth[drawn]
        areas.append(roc_auc_score(y, a.ranking[drawn]) - roc_auc_score(y, b.ranking[drawn]))
        shares.append(recall_score(y, a.called[drawn]) - recall_score(y, b.called[drawn]))
    for figure, values in ((found.auc.difference, areas), (found.sensitivity.difference, shares)):
        assert figure.interval == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=1e-9)
    assert found.auc.difference.value == pytest.approx(
        (found.auc.a.value or 0) - (found.auc.b.value or 0), abs=1e-12
    )


def test_two_that_share_no_node_have_reasons_and_no_numbers() -> None:
    truth, patient = np.array([True, False]), np.array([0, 1])
    a = Answers(np.array([True, False]), np.array([0.5, np.nan]), truth)
    b = Answers(np.array([False, True]), np.array([np.nan, 0.5]), truth)
    found = compare_classes(truth, a, b, patient=patient, resamples=Resamples(2, count=10))
    assert found.n == 0
    for compared in (found.auc, found.accuracy, found.sensitivity, found.specificity):
        for figure in (compared.a, compared.b, compared.difference):
            assert figure.value is None
            assert figure.reason
    assert found.delong.reason == found.permutation.reason == "no node"
    assert all(table.p_value is None for table in found.mcnemar.values())
    assert list(itertools.chain(found.mcnemar)) == ["all", "metastatic", "benign"]
