from collections.abc import Callable

import pytest

from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.froc import froc, operating_point
from lnmdetect.metrics.matching import ImageBoxes, match_images

Make = Callable[..., ImageBoxes]
BOX = (10.0, 10.0, 20.0, 20.0)
OTHER = (30.0, 30.0, 40.0, 40.0)
FAR = (50.0, 50.0, 60.0, 60.0)
FURTHER = (70.0, 70.0, 80.0, 80.0)


@pytest.fixture
def four_images(make_image: Make) -> list[ImageBoxes]:
    """4 truth boxes; falling scores: hit .9, FP .8, hit .7, FP .6, FP .5, hit .4."""
    return [
        make_image([BOX, OTHER], [BOX, FAR, OTHER], [0.9, 0.8, 0.7]),
        make_image([BOX], [FAR, FURTHER, BOX], [0.6, 0.5, 0.4]),
        make_image([BOX]),
        make_image(),
    ]


def test_the_curve_is_read_at_each_rate_of_false_positives(four_images: list[ImageBoxes]) -> None:
    curve = froc(match_images(four_images))
    # Four images: 1/8 allows 0 false positives, 1/4 one, 1/2 two, 1 and more all three.
    assert [p.sensitivity.value for p in curve.points] == [0.25, 0.5, 0.5, 0.75, 0.75, 0.75, 0.75]
    assert [p.threshold for p in curve.points] == [0.9, 0.7, 0.6, 0.4, 0.4, 0.4, 0.4]
    assert curve.mean.value == pytest.approx((0.25 + 0.5 * 2 + 0.75 * 4) / 7)
    assert [p.false_positives for p in curve.points] == [0.125, 0.25, 0.5, 1, 2, 4, 8]
    assert curve.per == "image"


def test_equal_scores_are_counted_together(make_image: Make) -> None:
    # At the one threshold there are a hit and 2 false positives: none is allowed at 1/8.
    images = [make_image([BOX], [BOX, FAR, FURTHER], [0.5, 0.5, 0.5])]
    curve = froc(match_images(images))
    assert [p.sensitivity.value for p in curve.points] == [0, 0, 0, 0, 1, 1, 1]
    assert curve.points[0].threshold is None


def test_ignored_detections_are_no_false_positives(make_image: Make) -> None:
    images = [make_image([BOX, OTHER], [OTHER, BOX], [0.9, 0.5], ignored=[False, True])]
    assert froc(match_images(images)).points[0].sensitivity.value == 1.0


def test_no_detection_is_zero_with_a_reason_and_no_truth_is_undefined(make_image: Make) -> None:
    nothing_found = froc(match_images([make_image([BOX])]))
    assert nothing_found.mean == Figure(0.0, "no detection", n=1)
    nothing_there = froc(match_images([make_image([], [FAR], [0.5])]))
    assert nothing_there.mean == Figure(None, "no truth box that counts")
    assert nothing_there.points[3].sensitivity == Figure(None, "no truth box that counts")
    assert froc(match_images([])).mean == Figure(None, "no image")


def test_the_operating_point_counts_boxes_at_or_above_the_threshold(
    four_images: list[ImageBoxes],
) -> None:
    point = operating_point(match_images(four_images), 0.5)
    assert point.sensitivity.value == 0.5
    assert point.sensitivity.n == 4
    assert point.false_positives_per_image.value == 0.75
    assert point.precision.value == 0.4
    assert operating_point(match_images(four_images), 0.51).precision.value == 0.5


def test_an_operating_point_without_boxes_truth_or_images_says_so(make_image: Make) -> None:
    empty = operating_point(match_images([make_image()]), 0.5)
    assert empty.sensitivity == Figure(None, "no truth box that counts")
    assert empty.precision == Figure(None, "no detection at or above the threshold")
    assert empty.false_positives_per_image.value == 0.0
    none = operating_point(match_images([]), 0.5)
    assert none.false_positives_per_image == Figure(None, "no image")
