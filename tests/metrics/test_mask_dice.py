"""Dice coefficients by hand, and their intervals by drawing patients in a loop."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.mask_dice import dice_figures
from lnmdetect.metrics.resampling import Resamples


def confusion(*cells: tuple[int, int, int]) -> NDArray[Any]:
    table = np.zeros((5, 5), dtype=np.int64)
    for truth, answered, pixels in cells:
        table[truth, answered] = pixels
    return table


def cohort(scans: list[int], patients: list[int], count: int = 0) -> Cohort:
    return Cohort(np.array(patients), np.array(scans), Resamples(max(patients) + 1, count=count))


def test_slices_are_averaged_per_volume_and_then_over_volumes() -> None:
    images = np.stack(
        [
            confusion((0, 0, 90), (1, 1, 8), (0, 1, 2)),  # 2 * 8 / (8 + 10) = 8/9
            confusion((0, 0, 96), (1, 0, 4)),  # missed: 0
            confusion((0, 0, 100)),  # nothing to say
            confusion((0, 0, 90), (1, 2, 6), (1, 0, 4)),  # 2 * 6 / (10 + 6) = 3/4
        ]
    )
    found = dice_figures(images, cohort([0, 0, 0, 1], [0, 0, 0, 1]))
    assert found.per_slice["all"].value == pytest.approx(((8 / 9 + 0) / 2 + 3 / 4) / 2)
    assert found.per_volume["all"].value == pytest.approx((16 / 22 + 12 / 16) / 2)
    assert found.per_slice["all"].n == found.per_volume["all"].n == 2
    assert found.per_slice["negative"].value == pytest.approx((4 / 9 + 0) / 2)
    assert found.per_volume["negative"].value == pytest.approx((16 / 22 + 0) / 2)


def test_merged_positives_forgive_the_mistake_between_them() -> None:
    images = confusion((2, 3, 5), (3, 3, 5), (2, 0, 2))[None]
    found = dice_figures(images, cohort([0], [0])).per_volume
    assert found["positive"].value == 0
    assert found["extranodal_extension"].value == pytest.approx(10 / 15)
    assert found["metastatic"].value == pytest.approx(20 / 22)
    assert found["negative"].value is None
    assert found["negative"].reason == "no pixel of it, in truth or answered"


def test_truth_of_unknown_status_counts_as_a_node_and_in_no_class() -> None:
    images = confusion((4, 1, 5), (1, 1, 5))[None]
    found = dice_figures(images, cohort([0], [0])).per_volume
    assert found["all"].value == 1
    assert found["negative"].value == 1


def test_answers_without_class_leave_the_figures_of_classes_undefined() -> None:
    found = dice_figures(confusion((1, 4, 5), (0, 4, 5))[None], cohort([0], [0]))
    assert found.per_volume["all"].value == pytest.approx(10 / 15)
    assert found.per_slice["negative"].value is None
    assert found.per_volume["metastatic"].reason == "the masks answered carry no class"


def test_nothing_answered_is_0_and_not_undefined() -> None:
    found = dice_figures(confusion((1, 0, 5))[None], cohort([0], [0]))
    assert found.per_slice["negative"].value == found.per_volume["all"].value == 0


def test_intervals_are_those_of_patients_drawn_in_a_loop() -> None:
    rng = np.random.default_rng(3)
    images = rng.integers(0, 50, (12, 5, 5))
    scans = np.repeat([0, 1, 2, 3, 4, 5], 2)
    owner = np.array([0, 0, 1, 2, 3, 3])
    made = cohort(scans.tolist(), owner[scans].tolist(), count=200)
    each = []
    for scan in range(6):
        whole = images[scans == scan].sum(axis=0)
        each.append(2 * whole[1:, 1:].sum() / (whole[1:].sum() + whole[:, 1:].sum()))
    drawn = []
    for weights in made.resamples.weights[1:]:
        repeated = [each[s] for s in range(6) for _ in range(int(weights[owner[s]]))]
        drawn.append(np.mean(repeated))
    found = dice_figures(images, made).per_volume["all"]
    assert found.value == pytest.approx(np.mean(each))
    assert found.interval == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
