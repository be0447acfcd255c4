from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lnmdetect.metrics.end_to_end import BoxClasses, classification_on_boxes, end_to_end
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.matching import ImageBoxes, match_images

Make = Callable[..., ImageBoxes]
BENIGN, METASTATIC, UNKNOWN = 1, 2, 3
A = (10.0, 10.0, 20.0, 20.0)
B = (30.0, 30.0, 40.0, 40.0)
C = (50.0, 50.0, 60.0, 60.0)
FAR = (80.0, 80.0, 90.0, 90.0)


def said(p_metastatic: Sequence[float | None], threshold: float = 0.5) -> BoxClasses:
    p = np.array([0.0 if value is None else value for value in p_metastatic])
    classified = np.array([value is not None for value in p_metastatic], dtype=bool)
    return BoxClasses(classified, 1 - p, p, p >= threshold)


def test_only_classified_hits_on_nodes_of_known_status_are_counted(make_image: Make) -> None:
    image = make_image(
        [A, B, C], [A, B, C, FAR], [0.9, 0.8, 0.7, 0.6], classes=[BENIGN, METASTATIC, UNKNOWN]
    )
    classes = said([0.2, 0.7, 0.9, 0.99])
    result = classification_on_boxes([image], [classes], match_images([image]))
    assert result.n == 2
    assert result.auc.value == 1.0
    assert result.accuracy.value == 1.0
    some = said([0.2, None, 0.9, 0.99])
    assert classification_on_boxes([image], [some], match_images([image])).n == 1


def test_what_was_said_stays_with_its_box_when_the_scores_reorder_them(make_image: Make) -> None:
    images = [
        make_image([A, B], [A, B], [0.2, 0.8], classes=[BENIGN, METASTATIC]),
        make_image([A], [FAR, A], [0.3, 0.9], classes=[METASTATIC]),
    ]
    classes = [said([0.1, 0.9]), said([0.0, 0.8])]
    result = classification_on_boxes(images, classes, match_images(images))
    assert (result.n, result.accuracy.value, result.auc.value) == (3, 1.0, 1.0)
    wrong = [said([0.9, 0.1]), said([0.0, 0.8])]
    result = classification_on_boxes(images, wrong, match_images(images))
    assert result.accuracy.value == pytest.approx(1 / 3)
    assert result.auc.value == 0.0


def test_ap50_of_a_class_ranks_by_score_times_probability(make_image: Make) -> None:
    # Detector scores put the false positive first; P(metastatic) puts it last: 0.9 * 0.1 < 0.5.
    image = make_image([A], [FAR, A], [0.9, 0.5], classes=[METASTATIC])
    classes = [said([0.1, 1.0])]
    result = end_to_end([image], classes, match_images([image]), threshold=0.4)
    assert result.ap50["metastatic"].value == pytest.approx(1.0)
    assert result.ap50["benign"] == Figure(None, "no truth box that counts")
    worse = end_to_end([image], [said([0.9, 0.1])], match_images([image]), threshold=0.4)
    assert worse.ap50["metastatic"].value == pytest.approx(0.5)


def test_nodes_of_the_other_class_are_false_positives_and_unknown_ones_are_ignored(
    make_image: Make,
) -> None:
    # For metastatic: B is benign, so its box counts against; C is unknown, so its does not.
    image = make_image(
        [A, B, C], [A, B, C], [0.5, 0.9, 0.95], classes=[METASTATIC, BENIGN, UNKNOWN]
    )
    classes = [said([0.6, 0.6, 0.6])]
    result = end_to_end([image], classes, match_images([image]), threshold=0.4)
    assert result.ap50["metastatic"].value == pytest.approx(0.5)
    assert result.ap50["benign"].value == pytest.approx(1.0)


def test_a_node_is_found_and_called_at_both_thresholds(make_image: Make) -> None:
    image = make_image(
        [A, B, C], [A, B, C], [0.9, 0.3, 0.8], classes=[METASTATIC, METASTATIC, BENIGN]
    )
    classes = [said([0.7, 0.9, 0.6])]
    result = end_to_end([image], classes, match_images([image]), threshold=0.5)
    # A is found and called; B is under the detector's threshold; C is called metastatic.
    assert result.found_and_called["metastatic"].value == 0.5
    assert result.found_and_called["metastatic"].n == 2
    assert result.found_and_called["benign"].value == 0.0
    at_b = end_to_end([image], classes, match_images([image]), threshold=0.3)
    assert at_b.found_and_called["metastatic"].value == 1.0


def test_a_class_without_truth_is_undefined_and_named(make_image: Make) -> None:
    image = make_image([A], [A], [0.9], classes=[UNKNOWN])
    result = end_to_end([image], [said([0.7])], match_images([image]), threshold=0.5)
    assert result.found_and_called == {
        "benign": Figure(None, "no benign truth box that counts"),
        "metastatic": Figure(None, "no metastatic truth box that counts"),
    }


def test_without_a_detector_threshold_nothing_can_be_called_found(make_image: Make) -> None:
    image = make_image([A], [A], [0.9], classes=[METASTATIC])
    result = end_to_end([image], [said([0.7])], match_images([image]), threshold=None)
    expected = Figure(None, "no operating threshold of the detector is known")
    assert result.found_and_called == {"benign": expected, "metastatic": expected}


def test_no_detection_is_zero_with_a_reason(make_image: Make) -> None:
    image = make_image([A], classes=[METASTATIC])
    result = end_to_end([image], [said([])], match_images([image]), threshold=0.5)
    assert result.ap50["metastatic"] == Figure(0.0, "no detection", n=1)
    assert result.found_and_called["metastatic"].value == 0.0
    figures = classification_on_boxes([image], [said([])], match_images([image]))
    assert figures.auc == Figure(None, "no node")
