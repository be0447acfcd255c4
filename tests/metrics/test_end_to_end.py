from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from lnmdetect.metrics.classification import Classification
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.end_to_end import (
    BoxClasses,
    EndToEnd,
    classification_on_boxes,
    end_to_end,
)
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.matching import match_images
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.tables import ImageBoxes

Make = Callable[..., ImageBoxes]
BENIGN, METASTATIC, UNKNOWN = 1, 2, 3
A = (10.0, 10.0, 20.0, 20.0)
B = (30.0, 30.0, 40.0, 40.0)
C = (50.0, 50.0, 60.0, 60.0)
FAR = (80.0, 80.0, 90.0, 90.0)


def whose(images: Sequence[ImageBoxes]) -> Cohort:
    return Cohort.without_patients(len(images))


def joined(parts: Sequence[BoxClasses]) -> BoxClasses:
    names = ("classified", "p_benign", "p_metastatic", "called_metastatic")
    return BoxClasses(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def classified(
    images: Sequence[ImageBoxes], parts: Sequence[BoxClasses], **options: Any
) -> Classification:
    return classification_on_boxes(match_images(images), joined(parts), whose(images), **options)


def both_stages(
    images: Sequence[ImageBoxes], parts: Sequence[BoxClasses], threshold: float | None
) -> EndToEnd:
    matches = match_images(images)
    chosen = None if threshold is None else matches.tables.found.scores >= threshold
    return end_to_end(matches, joined(parts), whose(images), chosen=chosen)


def said(p_metastatic: Sequence[float | None], threshold: float = 0.5) -> BoxClasses:
    p = np.array([0.0 if value is None else value for value in p_metastatic])
    classified = np.array([value is not None for value in p_metastatic], dtype=bool)
    return BoxClasses(classified, 1 - p, p, p >= threshold)


def test_only_classified_hits_on_nodes_of_known_status_are_counted(make_image: Make) -> None:
    image = make_image(
        [A, B, C], [A, B, C, FAR], [0.9, 0.8, 0.7, 0.6], classes=[BENIGN, METASTATIC, UNKNOWN]
    )
    classes = said([0.2, 0.7, 0.9, 0.99])
    result = classified([image], [classes])
    assert result.n == 2
    assert result.auc.value == 1.0
    assert result.accuracy.value == 1.0
    some = said([0.2, None, 0.9, 0.99])
    assert classified([image], [some]).n == 1


def test_what_was_said_stays_with_its_box_when_the_scores_reorder_them(make_image: Make) -> None:
    images = [
        make_image([A, B], [A, B], [0.2, 0.8], classes=[BENIGN, METASTATIC]),
        make_image([A], [FAR, A], [0.3, 0.9], classes=[METASTATIC]),
    ]
    classes = [said([0.1, 0.9]), said([0.0, 0.8])]
    result = classified(images, classes)
    assert (result.n, result.accuracy.value, result.auc.value) == (3, 1.0, 1.0)
    wrong = [said([0.9, 0.1]), said([0.0, 0.8])]
    result = classified(images, wrong)
    assert result.accuracy.value == pytest.approx(1 / 3)
    assert result.auc.value == 0.0


def test_ap50_of_a_class_ranks_by_score_times_probability(make_image: Make) -> None:
    # Detector scores put the false positive first; P(metastatic) puts it last: 0.9 * 0.1 < 0.5.
    image = make_image([A], [FAR, A], [0.9, 0.5], classes=[METASTATIC])
    classes = [said([0.1, 1.0])]
    result = both_stages([image], classes, 0.4)
    assert result.ap50["metastatic"].value == pytest.approx(1.0)
    assert result.ap50["benign"] == Figure(None, "no truth box that counts")
    worse = both_stages([image], [said([0.9, 0.1])], 0.4)
    assert worse.ap50["metastatic"].value == pytest.approx(0.5)


def test_nodes_of_the_other_class_are_false_positives_and_unknown_ones_are_ignored(
    make_image: Make,
) -> None:
    # For metastatic: B is benign, so its box counts against; C is unknown, so its does not.
    image = make_image(
        [A, B, C], [A, B, C], [0.5, 0.9, 0.95], classes=[METASTATIC, BENIGN, UNKNOWN]
    )
    classes = [said([0.6, 0.6, 0.6])]
    result = both_stages([image], classes, 0.4)
    assert result.ap50["metastatic"].value == pytest.approx(0.5)
    assert result.ap50["benign"].value == pytest.approx(1.0)


def test_boxes_without_a_class_are_of_no_account_for_classes(make_image: Make) -> None:
    # The best box, on the benign node, was not classified, whatever its numbers say.
    image = make_image([A, B], [B, A], [0.9, 0.8], classes=[METASTATIC, BENIGN])
    p = np.array([1.0, 0.6])
    result = both_stages([image], [BoxClasses(np.array([False, True]), 1 - p, p, p >= 0.5)], 0.5)
    assert result.ap50["metastatic"].value == pytest.approx(1.0)
    assert result.found_and_called["benign"].value == 0.0
    empty = make_image([], [FAR], [0.9])
    unclassified = BoxClasses(np.array([False]), np.zeros(1), np.ones(1), np.array([True]))
    matches = match_images([image, empty])
    patients = Cohort(np.arange(2), np.arange(2), Resamples(2, count=20))
    parts = joined([said([0.4, 0.6]), unclassified])
    of_patients = end_to_end(matches, parts, patients, chosen=np.ones(3, dtype=bool)).patients
    assert (of_patients.sensitivity.value, of_patients.specificity.value) == (1.0, 1.0)
    assert of_patients.auc.value == 1.0


def test_a_node_is_found_and_called_at_both_thresholds(make_image: Make) -> None:
    image = make_image(
        [A, B, C], [A, B, C], [0.9, 0.3, 0.8], classes=[METASTATIC, METASTATIC, BENIGN]
    )
    classes = [said([0.7, 0.9, 0.6])]
    result = both_stages([image], classes, 0.5)
    # A is found and called; B is under the detector's threshold; C is called metastatic.
    assert result.found_and_called["metastatic"].value == 0.5
    assert result.found_and_called["metastatic"].n == 2
    assert result.found_and_called["benign"].value == 0.0
    at_b = both_stages([image], classes, 0.3)
    assert at_b.found_and_called["metastatic"].value == 1.0


def test_ignored_truth_need_not_be_found_and_called(make_image: Make) -> None:
    image = make_image([A, B], [A], [0.9], ignored=[False, True], classes=[METASTATIC, METASTATIC])
    found = both_stages([image], [said([0.9])], 0.5).found_and_called["metastatic"]
    assert (found.value, found.n) == (1.0, 1)


def test_a_class_without_truth_is_undefined_and_named(make_image: Make) -> None:
    image = make_image([A], [A], [0.9], classes=[UNKNOWN])
    result = both_stages([image], [said([0.7])], 0.5)
    assert result.found_and_called == {
        "benign": Figure(None, "no benign truth box that counts"),
        "metastatic": Figure(None, "no metastatic truth box that counts"),
    }


def test_without_a_detector_threshold_nothing_can_be_called_found(make_image: Make) -> None:
    image = make_image([A], [A], [0.9], classes=[METASTATIC])
    result = both_stages([image], [said([0.7])], None)
    expected = Figure(None, "no operating threshold of the detector is known")
    assert result.found_and_called == {"benign": expected, "metastatic": expected}


def test_no_detection_is_zero_with_a_reason(make_image: Make) -> None:
    image = make_image([A], classes=[METASTATIC])
    result = both_stages([image], [said([])], 0.5)
    figure = result.ap50["metastatic"]
    assert (figure.value, figure.reason, figure.n) == (0.0, "no detection", 1)
    assert result.found_and_called["metastatic"].value == 0.0
    figures = classified([image], [said([])])
    assert figures.auc == Figure(None, "no node")


def test_boxes_that_are_not_chosen_do_not_count(make_image: Make) -> None:
    image = make_image([A, B], [A, B], [0.9, 0.2], classes=[BENIGN, METASTATIC])
    answers = [said([0.2, 0.7])]
    assert classified([image], answers).n == 2
    assert classified([image], answers, chosen=np.array([True, False])).n == 1


def test_froc_of_metastatic_boxes_counts_a_box_on_a_benign_node_as_false(make_image: Make) -> None:
    # Ranked by score x P: A .72, B (benign) .63, FAR .1; the false positive B comes before C .45.
    image = make_image(
        [A, B, C], [A, B, C, FAR], [0.9, 0.9, 0.5, 0.1], classes=[METASTATIC, BENIGN, METASTATIC]
    )
    result = both_stages([image], [said([0.8, 0.7, 0.9, 1.0])], 0.3)
    sensitivities = [point.sensitivity.value for point in result.froc_metastatic.points]
    assert sensitivities == [0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0]
    assert result.froc_metastatic.per == "image"
    assert result.froc_metastatic_per_scan.per == "scan"
