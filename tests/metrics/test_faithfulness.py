"""The checks of a heat map, by hand."""

import numpy as np
import pytest

from lnmdetect.metrics.faithfulness import (
    HeatTable,
    faithfulness,
    hottest_region,
    moved_regions,
    share_inside,
)
from lnmdetect.metrics.resampling import Resamples


def test_only_positive_heat_has_a_share_inside() -> None:
    heat = np.array([[3.0, -5.0], [1.0, 0.0]])
    inside = np.array([[1.0, 1.0], [0.5, 0.0]])
    assert share_inside(heat, inside) == pytest.approx(3.5 / 4)


def test_without_positive_heat_there_is_no_share() -> None:
    assert share_inside(np.array([[-1.0, 0.0]]), np.ones((1, 2))) is None


def test_the_hottest_region_has_exactly_its_share_of_pixels() -> None:
    heat = np.arange(100.0).reshape(10, 10)
    region = hottest_region(heat, 0.1)
    assert region.sum() == 10
    assert region[9].all()


def test_of_equally_hot_pixels_the_first_are_taken() -> None:
    assert hottest_region(np.zeros((2, 5)), 0.3).tolist() == [[True] * 3 + [False] * 2, [False] * 5]


def test_moved_regions_keep_size_and_shape() -> None:
    region = np.zeros((8, 8), dtype=bool)
    region[0, :3] = region[1, 0] = True
    moved = moved_regions(region, np.random.default_rng(0), 20)
    assert moved.shape == (20, 8, 8)
    assert (moved.sum(axis=(1, 2)) == 4).all()
    assert len({one.tobytes() for one in moved}) > 10
    for one in moved:
        corner = [
            (y, x)
            for y in range(8)
            for x in range(8)
            if np.array_equal(np.roll(region, (y, x), axis=(0, 1)), one)
        ]
        assert len(corner) == 1


def test_moved_regions_lie_on_a_tenth_of_the_hottest_at_most() -> None:
    rows, columns = np.mgrid[:64, :64] - 31.5
    disc = np.hypot(rows, columns) < 11.4  # a tenth of the crop, in its middle
    moved = moved_regions(disc, np.random.default_rng(0), 200)
    overlap = (moved & disc).sum(axis=(1, 2)) / disc.sum()
    assert overlap.max() <= 0.1
    assert (overlap > 0).any()


def test_where_all_moves_overlap_more_the_least_overlapping_is_taken() -> None:
    stripes = np.zeros((8, 8), dtype=bool)
    stripes[:6] = True  # moved by 2 to 6 rows it keeps 4 of its 6, the least there is
    moved = moved_regions(stripes, np.random.default_rng(0), 20)
    assert ((moved & stripes).sum(axis=(1, 2)) == 4 * 8).all()


def test_moved_regions_are_the_same_for_the_same_seed() -> None:
    region = np.eye(6, dtype=bool)
    first, second = (moved_regions(region, np.random.default_rng(3), 5) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.fixture
def table() -> HeatTable:
    return HeatTable(
        patient=np.array([0, 0, 1, 2]),
        share_inside=np.array([0.8, 0.6, 0.4, 0.2]),
        area_share=np.array([0.3, 0.3, 0.3, 0.3]),
        drop_hottest=np.array([0.4, 0.2, 0.2, 0.0]),
        drop_random=np.array([0.1, 0.1, 0.1, 0.1]),
    )


def test_checks_are_means_over_boxes_and_their_differences(table: HeatTable) -> None:
    checks = faithfulness(table, Resamples(3, 200))
    assert checks.share_inside.value == pytest.approx(0.5)
    assert checks.area_share.value == pytest.approx(0.3)
    assert checks.share_above_area.value == pytest.approx(0.2)
    assert checks.drop_hottest.value == pytest.approx(0.2)
    assert checks.drop_above_random.value == pytest.approx(0.1)
    assert checks.share_inside.n == 4


def test_intervals_draw_patients_and_not_boxes(table: HeatTable) -> None:
    interval = faithfulness(table, Resamples(3, 2000)).share_inside.interval
    assert interval is not None
    # The lowest draw is the third patient alone, the highest the first alone: 0.2 and 0.7.
    assert interval[0] == pytest.approx(0.2)
    assert interval[1] == pytest.approx(0.7)


def test_without_boxes_the_checks_are_undefined() -> None:
    none = np.zeros(0)
    empty = HeatTable(np.zeros(0, dtype=np.int64), none, none, none, none)
    checks = faithfulness(empty, Resamples(0, 10))
    assert checks.share_inside.value is None
    assert checks.drop_above_random.reason == "no box"


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="a value of each kind for each box"):
        HeatTable(np.zeros(2, dtype=np.int64), *(np.zeros(3) for _ in range(4)))
