"""Dice from counted voxels."""

import numpy as np
import pytest

from lnmdetect.metrics.voxel_confusion import dice_by_class, merged_dice

CONFUSION = np.array([[900, 5, 0, 0], [10, 20, 4, 0], [0, 6, 30, 0], [0, 0, 0, 0]])


def test_dice_of_each_class_is_twice_the_shared_over_the_sum() -> None:
    negative, positive, extranodal = dice_by_class(CONFUSION)
    assert negative == pytest.approx(2 * 20 / (34 + 31))
    assert positive == pytest.approx(2 * 30 / (36 + 34))
    assert extranodal is None


def test_merged_dice_takes_the_classes_as_one() -> None:
    assert merged_dice(CONFUSION) == pytest.approx(2 * 60 / (70 + 65))
    assert merged_dice(np.array([[7, 0], [0, 0]])) is None
