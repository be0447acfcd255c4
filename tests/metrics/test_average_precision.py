from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.metrics.average_precision import (
    AveragePrecision,
    ap50,
    ap50_by_size,
    average_precision,
)
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.tables import BoxTables, ImageBoxes

Make = Callable[..., ImageBoxes]
Random = Callable[..., list[ImageBoxes]]
BOX = (10.0, 10.0, 20.0, 20.0)
FAR = (50.0, 50.0, 60.0, 60.0)
PatientOf = NDArray[np.int64]
Oracle = Callable[..., tuple[float, float]]


def summary(images: list[ImageBoxes]) -> AveragePrecision:
    return average_precision(BoxTables.of_images(images), Cohort.without_patients(len(images)))


def untied(images: list[ImageBoxes]) -> list[ImageBoxes]:
    """The images with scores of their own: the copies of tied boxes have no order."""
    rng = np.random.default_rng(0)
    return [replace(image, scores=rng.random(len(image.scores))) for image in images]


def cohort(patient: PatientOf, count: int) -> Cohort:
    return Cohort(patient, patient, Resamples(int(patient.max()) + 1, count=count))


def test_every_box_found_is_an_ap_of_one(make_image: Make) -> None:
    result = summary([make_image([BOX], [BOX], [0.3])])
    assert (result.ap50.value, result.ap75.value, result.ap.value) == pytest.approx((1.0, 1.0, 1.0))
    assert result.ar100.value == 1.0


def test_a_false_positive_above_the_hit_halves_the_precision(make_image: Make) -> None:
    result = summary([make_image([BOX], [FAR, BOX], [0.9, 0.3])])
    assert result.ap50.value == pytest.approx(0.5)


def test_half_of_the_truth_found_is_ap_51_of_101(make_image: Make) -> None:
    # Recall 0.5 is reached at precision 1: 51 of the 101 recall points.
    images = [make_image([BOX], [BOX], [0.9]), make_image([BOX])]
    assert summary(images).ap50.value == pytest.approx(51 / 101)


def test_a_box_of_iou_0_6_counts_at_three_of_ten_thresholds(make_image: Make) -> None:
    # 0.50, 0.55 and 0.60 of the ten: AP 0.3, AR 0.3, AP75 0.
    image = make_image([BOX], [(10, 10, 20, 16.001)], [0.9])
    result = summary([image])
    assert (result.ap50.value, result.ap75.value) == pytest.approx((1.0, 0.0))
    assert result.ap.value == pytest.approx(0.3)
    assert result.ar100.value == pytest.approx(0.3)


def test_ap75_is_read_at_iou_0_75(make_image: Make) -> None:
    above = summary([make_image([BOX], [(10, 10, 20, 17.6)], [0.9])])
    below = summary([make_image([BOX], [(10, 10, 20, 17.4)], [0.9])])
    assert above.ap75.value == pytest.approx(1.0)
    assert below.ap75.value == 0.0


def test_images_without_truth_count_their_false_positives(make_image: Make) -> None:
    images = [make_image([BOX], [BOX], [0.3]), make_image([], [FAR], [0.9])]
    assert summary(images).ap50.value == pytest.approx(0.5)


def test_no_detection_is_zero_with_a_reason(make_image: Make) -> None:
    result = summary([make_image([BOX])])
    for figure in (result.ap50, result.ap75, result.ap, result.ar100, ap50([make_image([BOX])])):
        assert (figure.value, figure.reason, figure.n) == (0.0, "no detection", 1)


def test_no_truth_is_undefined_with_a_reason(make_image: Make) -> None:
    expected = Figure(None, "no truth box that counts")
    only_ignored = make_image([BOX], [BOX], [0.5], ignored=[True])
    for images in ([], [make_image([], [FAR], [0.9])], [only_ignored]):
        assert summary(images).ap50 == expected
        assert summary(images).ar100 == expected
        assert ap50(images) == expected


def test_ap50_alone_is_the_same_number(make_random_images: Random) -> None:
    images = make_random_images(3)
    figure = ap50(images)
    assert figure.value == summary(images).ap50.value
    assert figure.value is not None
    assert 0.1 < figure.value < 0.9


def test_nothing_is_printed(make_image: Make, capsys: pytest.CaptureFixture[str]) -> None:
    summary([make_image([BOX], [BOX], [0.3])])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("seed", range(6))
def test_ap_and_ar_are_those_of_pycocotools(
    make_random_images: Random, pycocotools_ap: Oracle, seed: int
) -> None:
    images = make_random_images(seed, crowded=seed == 5)
    result = summary(images)
    ap, ar = pycocotools_ap(images, np.linspace(0.5, 0.95, 10))
    assert result.ap.value == pytest.approx(ap, abs=1e-9)
    assert result.ar100.value == pytest.approx(ar, abs=1e-9)
    for figure, iou in ((result.ap50, 0.5), (result.ap75, 0.75)):
        assert figure.value == pytest.approx(pycocotools_ap(images, [iou])[0], abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_resample_gives_what_pycocotools_gives_on_copies_of_the_patients(
    make_random_images: Random, pycocotools_ap: Oracle, seed: int
) -> None:
    images = untied(make_random_images(seed, 30))
    patient = np.random.default_rng(seed).integers(0, 7, 30)
    whose = cohort(patient, 40)
    figure = average_precision(BoxTables.of_images(images), whose)
    drawn = []
    for weights in whose.resamples.weights[1:]:
        copies = [
            image
            for image, owner in zip(images, patient, strict=True)
            for _ in range(int(weights[owner]))
        ]
        drawn.append(pycocotools_ap(copies, np.linspace(0.5, 0.95, 10))[0])
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert figure.ap.interval == pytest.approx((low, high), abs=1e-9)


def test_ap_by_size_is_what_pycocotools_gives_for_an_area_range(
    make_random_images: Random, pycocotools_ap: Oracle
) -> None:
    images = make_random_images(11, 80)
    tables = BoxTables.of_images(images)
    truth_side, found_side = (
        (boxes[:, 2:] - boxes[:, :2]).min(axis=1) * 0.4999
        for boxes in (tables.truth.boxes_xyxy, tables.found.boxes_xyxy)
    )
    figures = ap50_by_size(
        tables,
        Cohort.without_patients(len(images)),
        truth_side_mm=truth_side,
        found_side_mm=found_side,
    )
    limits = [(0.0, 5.0), (5.0, 10.0), (10.0, 15.0), (15.0, 1e9)]
    assert list(figures) == ["under 5 mm", "5 to 10 mm", "10 to 15 mm", "15 mm or more"]
    for (name, figure), (low, high) in zip(figures.items(), limits, strict=True):
        expected, _ = pycocotools_ap(images, [0.5], sides=(low, high))
        if name == "15 mm or more":  # no such box is made
            assert figure.value is None
            continue
        assert figure.value == pytest.approx(expected, abs=1e-9), name
        assert 0 < expected < 1


def test_a_size_without_truth_is_undefined(make_image: Make) -> None:
    tables = BoxTables.of_images([make_image([BOX], [BOX], [0.5])])
    side = np.array([7.0])
    whose = Cohort.without_patients(1)
    figures = ap50_by_size(tables, whose, truth_side_mm=side, found_side_mm=side)
    assert figures["5 to 10 mm"].value == pytest.approx(1.0)
    assert figures["under 5 mm"] == Figure(None, "no truth box that counts")


def test_patients_without_truth_do_not_make_an_interval(make_image: Make) -> None:
    images = [make_image([BOX], [BOX, FAR], [0.3, 0.9]), make_image([], [FAR], [0.5])]
    figure = average_precision(BoxTables.of_images(images), cohort(np.arange(2), 50)).ap50
    assert (figure.interval, figure.interval_method) == (None, "none: a single patient")


def test_the_interval_of_one_patient_is_none_and_says_why(make_image: Make) -> None:
    tables = BoxTables.of_images([make_image([BOX], [FAR, BOX], [0.9, 0.3])])
    figure = average_precision(tables, cohort(np.array([0]), 50)).ap50
    assert (figure.interval, figure.interval_method) == (None, "none: a single patient")
