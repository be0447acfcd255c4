"""Contours filled: which pixels' centres lie inside, by hand."""

from itertools import permutations

import numpy as np
import pytest
from matplotlib.path import Path

from lnmdetect.transforms.contour_fill import Contour, fill_contours, fill_drawn


def box(x1: float, y1: float, x2: float, y2: float) -> Contour:
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])


def test_a_contour_along_pixel_edges_holds_just_these_pixels() -> None:
    mask = fill_contours([box(1.5, 0.5, 4.5, 2.5)], (4, 6))
    assert np.argwhere(mask).tolist() == [[1, 2], [1, 3], [1, 4], [2, 2], [2, 3], [2, 4]]


def test_of_centres_on_an_edge_left_and_upper_ones_are_inside() -> None:
    mask = fill_contours([box(1, 1, 3, 2)], (4, 5))
    assert np.argwhere(mask).tolist() == [[1, 1], [1, 2]]


def test_contours_that_share_an_edge_share_no_pixel() -> None:
    left, right = (fill_contours([b], (5, 9)) for b in (box(1, 1, 4, 4), box(4, 1, 7, 4)))
    assert not (left & right).any()
    assert (left | right).sum() == 18


def test_a_contour_within_another_is_a_hole() -> None:
    mask = fill_contours([box(0.5, 0.5, 5.5, 5.5), box(2.5, 2.5, 3.5, 3.5)], (7, 7))
    assert mask.sum() == 24
    assert not mask[3, 3]


def drawn_px(*contours: Contour) -> int:
    """How many pixels `fill_drawn` fills, whatever the order of the contours."""
    counts = {int(np.count_nonzero(fill_drawn(order, (9, 12)))) for order in permutations(contours)}
    assert len(counts) == 1
    return counts.pop()


def test_what_is_drawn_twice_or_over_another_is_one_area() -> None:
    left, right = box(0.5, 0.5, 4.5, 4.5), box(3.5, 2.5, 7.5, 6.5)
    assert drawn_px(left) == 16
    assert drawn_px(left, left) == 16
    # The second is turned and begins elsewhere.
    assert drawn_px(left, np.roll(left[::-1], 1, axis=0)) == 16
    assert drawn_px(left, right) == 16 + 16 - 2
    bridge = box(2.5, 1.5, 9.5, 2.5)
    assert drawn_px(left, box(6.5, 0.5, 10.5, 4.5), bridge) == 16 + 16 + 2
    assert fill_contours([left, right], (9, 12)).sum() == 16 + 16 - 2 * 2
    assert not fill_contours([left, left], (9, 12)).any()


def test_drawn_within_another_a_contour_is_a_hole_and_within_that_an_island() -> None:
    outer, hole, island = (box(a, a, b, b) for a, b in ((0.5, 8.5), (2.5, 6.5), (3.5, 5.5)))
    assert drawn_px(outer, hole) == 64 - 16
    assert drawn_px(outer, hole, hole) == 64 - 16
    assert drawn_px(outer, hole, island) == 64 - 16 + 4
    assert drawn_px(hole, box(7.5, 0.5, 9.5, 2.5)) == 16 + 4


def test_a_channel_to_the_hole_leaves_the_hole_out() -> None:
    keyhole = np.array(
        [
            *((0.5, 0.5), (3, 0.5), (3, 2.5)),
            *((2.5, 2.5), (2.5, 4.5), (4.5, 4.5), (4.5, 2.5)),
            *((3, 2.5), (3, 0.5), (6.5, 0.5), (6.5, 6.5), (0.5, 6.5)),
        ]
    )
    assert drawn_px(keyhole) == 36 - 4


def test_drawn_contours_are_cut_off_at_the_slice_and_may_be_none() -> None:
    assert fill_drawn([box(-9, -9, 99, 99)], (3, 4)).all()
    assert not fill_drawn([box(10, 10, 12, 12), box(-5, 0, -2, 2)], (3, 4)).any()
    assert not fill_drawn([], (3, 4)).any()
    assert fill_drawn([box(1.5, 0.5, 4.5, 2.5)], (4, 6)).nonzero()[1].tolist() == [2, 3, 4] * 2


def test_a_slanting_edge_cuts_between_centres() -> None:
    triangle = np.array([(-0.5, -0.5), (4.6, -0.5), (-0.5, 4.6)])
    mask = fill_contours([triangle], (6, 6))
    assert mask.sum(axis=1).tolist() == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_of_any_shape_the_centres_inside_are_those_that_matplotlib_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn = np.sort(rng.uniform(0, 2 * np.pi, 24))
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    star = np.array([20.0, 14.0]) + rng.uniform(2, 16, 24)[:, None] * around
    rows, columns = np.indices((28, 37))
    inside = Path(star).contains_points(np.column_stack([columns.ravel(), rows.ravel()]))
    assert np.array_equal(fill_contours([star], (28, 37)), inside.reshape(28, 37))
    assert np.array_equal(fill_drawn([star], (28, 37)), inside.reshape(28, 37))


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_neither_start_nor_direction_matters(start: int) -> None:
    points = np.array([(0.2, 0.7), (5.3, 1.1), (4.0, 4.9), (1.4, 3.8)])
    expected = fill_contours([points], (6, 7))
    assert np.array_equal(fill_contours([np.roll(points, start, axis=0)], (6, 7)), expected)
    assert np.array_equal(fill_contours([points[::-1]], (6, 7)), expected)
    assert expected.any()


def test_what_lies_beyond_the_slice_is_cut_off() -> None:
    assert fill_contours([box(-9, -9, 99, 99)], (3, 4)).all()
    assert not fill_contours([box(10, 10, 12, 12), box(-5, 0, -2, 2)], (3, 4)).any()


def test_no_contour_and_one_without_area_are_no_pixel() -> None:
    line = np.array([(0.0, 0.0), (3.0, 3.0)])
    assert not fill_contours([], (3, 3)).any()
    assert not fill_contours([line], (3, 3)).any()
