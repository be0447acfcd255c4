from collections.abc import Callable

import pytest

from lnmdetect.metrics.detection import ap50, average_precision
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.matching import ImageBoxes

Make = Callable[..., ImageBoxes]
Random = Callable[..., list[ImageBoxes]]
BOX = (10.0, 10.0, 20.0, 20.0)
FAR = (50.0, 50.0, 60.0, 60.0)


def test_every_box_found_is_an_ap_of_one(make_image: Make) -> None:
    result = average_precision([make_image([BOX], [BOX], [0.3])])
    assert (result.ap50.value, result.ap75.value, result.ap.value) == pytest.approx((1.0, 1.0, 1.0))
    assert result.ar100.value == 1.0


def test_a_false_positive_above_the_hit_halves_the_precision(make_image: Make) -> None:
    result = average_precision([make_image([BOX], [FAR, BOX], [0.9, 0.3])])
    assert result.ap50.value == pytest.approx(0.5)


def test_half_of_the_truth_found_is_ap_51_of_101(make_image: Make) -> None:
    # Recall 0.5 is reached at precision 1: 51 of the 101 recall points.
    images = [make_image([BOX], [BOX], [0.9]), make_image([BOX])]
    assert average_precision(images).ap50.value == pytest.approx(51 / 101)


def test_a_box_of_iou_0_6_counts_at_three_of_ten_thresholds(make_image: Make) -> None:
    # 0.50, 0.55 and 0.60 of the ten: AP 0.3, AR 0.3, AP75 0.
    image = make_image([BOX], [(10, 10, 20, 16.001)], [0.9])
    result = average_precision([image])
    assert (result.ap50.value, result.ap75.value) == pytest.approx((1.0, 0.0))
    assert result.ap.value == pytest.approx(0.3)
    assert result.ar100.value == pytest.approx(0.3)


def test_ap75_is_read_at_iou_0_75(make_image: Make) -> None:
    above = average_precision([make_image([BOX], [(10, 10, 20, 17.6)], [0.9])])
    below = average_precision([make_image([BOX], [(10, 10, 20, 17.4)], [0.9])])
    assert above.ap75.value == pytest.approx(1.0)
    assert below.ap75.value == 0.0


def test_images_without_truth_count_their_false_positives(make_image: Make) -> None:
    images = [make_image([BOX], [BOX], [0.3]), make_image([], [FAR], [0.9])]
    assert average_precision(images).ap50.value == pytest.approx(0.5)


def test_no_detection_is_zero_with_a_reason(make_image: Make) -> None:
    expected = Figure(0.0, "no detection", n=1)
    result = average_precision([make_image([BOX])])
    assert (result.ap50, result.ap75, result.ap, result.ar100) == (expected,) * 4
    assert ap50([make_image([BOX])]) == expected


def test_no_truth_is_undefined_with_a_reason(make_image: Make) -> None:
    expected = Figure(None, "no truth box that counts")
    only_ignored = make_image([BOX], [BOX], [0.5], ignored=[True])
    for images in ([], [make_image([], [FAR], [0.9])], [only_ignored]):
        assert average_precision(images).ap50 == expected
        assert average_precision(images).ar100 == expected
        assert ap50(images) == expected


def test_ap50_alone_is_the_same_number(make_random_images: Random) -> None:
    images = make_random_images(3)
    figure = ap50(images)
    assert figure == average_precision(images).ap50
    assert figure.value is not None
    assert 0.1 < figure.value < 0.9


def test_nothing_is_printed(make_image: Make, capsys: pytest.CaptureFixture[str]) -> None:
    average_precision([make_image([BOX], [BOX], [0.3])])
    assert capsys.readouterr().out == ""
