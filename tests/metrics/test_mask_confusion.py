"""Pixels by class, normalised both ways, by hand."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.mask_confusion import pixel_confusion
from lnmdetect.metrics.resampling import Resamples


def two_patients(count: int = 0) -> tuple[NDArray[Any], Cohort]:
    images = np.zeros((3, 5, 5), dtype=np.int64)
    images[0, :2, :2] = [[80, 4], [2, 6]]
    images[1, 0, 0], images[1, 2, 2] = 90, 10
    images[2, :3, :3] = [[80, 4, 0], [6, 4, 0], [0, 4, 2]]
    return images, Cohort(np.array([0, 0, 1]), np.array([0, 0, 1]), Resamples(2, count=count))


def test_shares_are_of_the_row_in_truth_and_of_the_column_answered() -> None:
    images, cohort = two_patients()
    found = pixel_confusion(images, cohort)
    assert found.labels == ("background", "negative", "positive", "extranodal_extension")
    assert found.pixels == ((250, 8, 0, 0), (8, 10, 0, 0), (0, 4, 12, 0), (0, 0, 0, 0))
    assert found.by_truth[1][1].value == pytest.approx(10 / 18)
    assert found.by_truth[2][1].value == pytest.approx(4 / 16)
    assert found.by_answer[2][1].value == pytest.approx(4 / 22)
    assert found.by_answer[0][0].value == pytest.approx(250 / 258)
    assert found.by_truth[1][1].n == 18
    assert found.by_answer[2][1].n == 22


def test_a_class_without_a_pixel_has_no_share_and_says_so() -> None:
    found = pixel_confusion(*two_patients())
    assert {figure.value for figure in found.by_truth[3]} == {None}
    assert found.by_truth[3][0].reason == "no such pixel in truth"
    assert found.by_answer[0][3].reason == "no such pixel answered"


def test_nodes_of_unknown_status_have_a_row_and_a_column_of_their_own() -> None:
    images, cohort = two_patients()
    images[2, 4, 2] = 5
    found = pixel_confusion(images, cohort)
    assert found.labels[-1] == "unknown"
    assert found.by_truth[4][2].value == 1
    assert found.by_answer[4][2].value == pytest.approx(5 / 17)


def test_intervals_draw_patients_and_not_pixels() -> None:
    images, cohort = two_patients(count=500)
    figure = pixel_confusion(images, cohort).by_truth[1][1]
    # Of two patients a resample holds the first twice, both, or the second twice.
    assert figure.interval == pytest.approx((4 / 10, 6 / 8))
