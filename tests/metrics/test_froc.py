from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.froc import Froc, OperatingPoint, froc, operating_point
from lnmdetect.metrics.intervals import wilson_interval
from lnmdetect.metrics.matching import match_images
from lnmdetect.metrics.ranking import Curve
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.tables import ImageBoxes

Make = Callable[..., ImageBoxes]
Random = Callable[..., list[ImageBoxes]]
BOX = (10.0, 10.0, 20.0, 20.0)
OTHER = (30.0, 30.0, 40.0, 40.0)
FAR = (50.0, 50.0, 60.0, 60.0)
FURTHER = (70.0, 70.0, 80.0, 80.0)


def one_patient(images: list[ImageBoxes]) -> Cohort:
    return Cohort.without_patients(len(images))


def curve_of(images: list[ImageBoxes], **options: Any) -> Froc:
    whose = one_patient(images)
    return froc(Curve.of_matches(match_images(images), whose), whose, per="image", **options)


def point_of(images: list[ImageBoxes], threshold: float) -> OperatingPoint:
    matches = match_images(images)
    return operating_point(matches, matches.tables.found.scores >= threshold, one_patient(images))


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
    curve = curve_of(four_images)
    # Four images: 1/8 allows 0 false positives, 1/4 one, 1/2 two, 1 and more all three.
    assert [p.sensitivity.value for p in curve.points] == [0.25, 0.5, 0.5, 0.75, 0.75, 0.75, 0.75]
    assert [p.threshold for p in curve.points] == [0.9, 0.7, 0.7, 0.4, 0.4, 0.4, 0.4]
    assert curve.mean.value == pytest.approx((0.25 + 0.5 * 2 + 0.75 * 4) / 7)
    assert [p.false_positives for p in curve.points] == [0.125, 0.25, 0.5, 1, 2, 4, 8]
    assert curve.per == "image"


def test_equal_scores_are_counted_together(make_image: Make) -> None:
    # At the one threshold there are a hit and 2 false positives: none is allowed at 1/8.
    images = [make_image([BOX], [BOX, FAR, FURTHER], [0.5, 0.5, 0.5])]
    curve = curve_of(images)
    assert [p.sensitivity.value for p in curve.points] == [0, 0, 0, 0, 1, 1, 1]
    assert curve.points[0].threshold is None


def test_a_rate_that_is_no_binary_fraction_allows_what_it_says(make_image: Make) -> None:
    # 0.29 x 100 is 28.999999999999996: 29 false positives are allowed on 100 images.
    wrong = [make_image([], [FAR], [0.9]) for _ in range(29)]
    images = [make_image([BOX], [BOX], [0.1]), *wrong, *[make_image()] * 70]
    assert curve_of(images, rates=(0.29,)).points[0].sensitivity.value == 1.0
    assert curve_of(images, rates=(0.28,)).points[0].sensitivity.value == 0.0


def test_where_all_is_found_each_patient_counts_once(make_image: Make) -> None:
    images = [make_image([BOX, OTHER], [BOX, OTHER], [0.9, 0.8])] * 4
    whose = Cohort(np.arange(4), np.arange(4), Resamples(4, count=50))
    found = froc(Curve.of_matches(match_images(images), whose), whose, per="image")
    sensitivity = found.points[0].sensitivity
    assert sensitivity.interval == wilson_interval(4, 4)
    assert (
        sensitivity.interval_method == "Wilson, each patient counted once: no resample can differ"
    )
    assert sensitivity.independent_interval == wilson_interval(8, 8)
    assert found.mean.interval_method == "none: all resamples give the same value"


def test_where_any_number_is_allowed_all_hits_count(four_images: list[ImageBoxes]) -> None:
    whose = Cohort(np.arange(4), np.arange(4), Resamples(4, count=50))
    curve = Curve.of_matches(match_images(four_images), whose)
    points = froc(curve, whose, per="image", rates=(100.0, 1e15, 1e300)).points
    assert points[0].sensitivity.value == 0.75
    assert [point.sensitivity for point in points] == [points[0].sensitivity] * 3


def test_ignored_detections_are_no_false_positives(make_image: Make) -> None:
    images = [make_image([BOX, OTHER], [OTHER, BOX], [0.9, 0.5], ignored=[False, True])]
    assert curve_of(images).points[0].sensitivity.value == 1.0


def test_no_detection_is_zero_with_a_reason_and_no_truth_is_undefined(make_image: Make) -> None:
    nothing_found = curve_of([make_image([BOX])])
    mean = nothing_found.mean
    assert (mean.value, mean.reason, mean.n) == (0.0, "no detection", 1)
    nothing_there = curve_of([make_image([], [FAR], [0.5])])
    assert nothing_there.mean == Figure(None, "no truth box that counts")
    assert nothing_there.points[3].sensitivity == Figure(None, "no truth box that counts")
    assert curve_of([]).mean == Figure(None, "no image")


def test_the_operating_point_counts_boxes_at_or_above_the_threshold(
    four_images: list[ImageBoxes],
) -> None:
    point = point_of(four_images, 0.5)
    assert point.sensitivity.value == 0.5
    assert point.sensitivity.n == 4
    assert point.false_positives_per_image.value == 0.75
    assert point.precision.value == 0.4
    assert point_of(four_images, 0.51).precision.value == 0.5


def test_a_box_on_ignored_truth_is_of_no_account_at_the_operating_point(make_image: Make) -> None:
    images = [make_image([BOX, OTHER], [BOX, OTHER, FAR], [0.9, 0.8, 0.7], ignored=[False, True])]
    point = point_of(images, 0.5)
    assert (point.precision.value, point.precision.n) == (0.5, 2)
    assert (point.sensitivity.value, point.sensitivity.n) == (1.0, 1)
    assert point.false_positives_per_image.value == 1.0


def test_an_operating_point_without_boxes_truth_or_images_says_so(make_image: Make) -> None:
    empty = point_of([make_image()], 0.5)
    assert empty.sensitivity == Figure(None, "no truth box that counts")
    assert empty.precision == Figure(None, "no detection at or above the threshold")
    assert empty.false_positives_per_image.value == 0.0
    none = point_of([], 0.5)
    assert none.false_positives_per_image == Figure(None, "no image")


def slow_froc(images: list[ImageBoxes], units: int, rate: float) -> float:
    """Sensitivity by trying every score as the threshold, on matches of each image alone."""
    truths = sum(int((~image.truth_ignored).sum()) for image in images)
    scores = sorted({float(score) for image in images for score in image.scores})
    best = 0
    for threshold in scores:
        hits = false_positives = 0
        for image in images:
            matches = match_images([image])
            above = matches.scores >= threshold
            hits += int((matches.hit & above).sum())
            false_positives += int((matches.false_positive & above).sum())
        if false_positives <= rate * units + 1e-9:
            best = max(best, hits)
    return best / truths


@pytest.mark.parametrize("seed", range(3))
def test_every_reading_is_the_best_of_all_thresholds(make_random_images: Random, seed: int) -> None:
    images = make_random_images(seed, 12)
    curve = curve_of(images)
    expected = [slow_froc(images, 12, point.false_positives) for point in curve.points]
    assert [point.sensitivity.value for point in curve.points] == pytest.approx(expected, abs=1e-12)
    assert len(set(expected)) > 3


def test_a_scan_holds_many_images_and_allows_fewer_false_positives(
    four_images: list[ImageBoxes],
) -> None:
    # One scan of four images: up to one false positive in it until rate 2.
    scan = np.zeros(4, dtype=np.int64)
    whose = Cohort(scan, scan, Resamples(1, count=0))
    curve = froc(
        Curve.of_matches(match_images(four_images), whose), whose, per="scan", rates=(0.5, 1, 2, 3)
    )
    assert [point.sensitivity.value for point in curve.points] == [0.25, 0.5, 0.5, 0.75]
    assert curve.per == "scan"


def test_the_interval_is_that_of_froc_on_copies_of_the_patients(
    make_random_images: Random,
) -> None:
    images = make_random_images(4, 10)
    patient = np.arange(10) // 2
    whose = Cohort(patient, np.arange(10), Resamples(5, count=30))
    curve = froc(Curve.of_matches(match_images(images), whose), whose, per="image", rates=(0.5,))
    drawn = []
    for weights in whose.resamples.weights[1:]:
        copies = [image for k, image in enumerate(images) for _ in range(int(weights[k // 2]))]
        drawn.append(slow_froc(copies, len(copies), 0.5))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert curve.points[0].sensitivity.interval == pytest.approx((low, high), abs=1e-12)


def test_the_drawn_curve_rises_within_its_band(make_random_images: Random) -> None:
    images = make_random_images(6, 30)
    whose = Cohort(np.arange(30) // 3, np.arange(30), Resamples(10, count=200))
    drawn = froc(Curve.of_matches(match_images(images), whose), whose, per="image").curve
    assert drawn is not None
    assert drawn.low is not None
    assert drawn.high is not None
    assert (np.diff(drawn.sensitivity) >= 0).all()
    assert (np.array(drawn.low) <= np.array(drawn.high)).all()
    inside = (np.array(drawn.low) <= drawn.sensitivity) & (
        drawn.sensitivity <= np.array(drawn.high)
    )
    assert inside.all()


def test_false_positives_a_scan_count_each_scan_once(four_images: list[ImageBoxes]) -> None:
    whose = Cohort(np.zeros(4, np.int64), np.array([0, 0, 1, 1]), Resamples(1, count=0))
    matches = match_images(four_images)
    point = operating_point(matches, matches.tables.found.scores >= 0.5, whose)
    assert point.false_positives_per_scan.value == 1.5
    assert point.false_positives_per_image.value == 0.75
