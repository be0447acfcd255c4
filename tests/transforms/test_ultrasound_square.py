"""Ultrasound images on the square of a branch."""

import numpy as np
import pytest

from lnmdetect.transforms.ultrasound_square import from_square, square_image


def test_a_wide_image_keeps_its_proportions_between_black_bars() -> None:
    square = square_image(np.full((40, 80), 0.5, dtype=np.float32), 16)
    assert square.shape == (16, 16)
    assert square.dtype == np.float32
    assert square[4:12] == pytest.approx(0.5)
    assert not square[:4].any()
    assert not square[12:].any()


def test_a_tall_image_has_its_bars_left_and_right() -> None:
    square = square_image(np.ones((3, 1), dtype=np.float32), 9)
    assert square.sum(axis=0).tolist() == [0, 0, 0, 9, 9, 9, 0, 0, 0]


def test_shrinking_averages_and_the_argument_stays() -> None:
    stripes = np.zeros((32, 32), dtype=np.float32)
    stripes[:, ::4] = 1
    before = stripes.copy()
    assert square_image(stripes, 8) == pytest.approx(0.25)
    assert np.array_equal(stripes, before)


@pytest.mark.parametrize("shape", [(40, 80), (81, 27), (16, 16)])
def test_values_go_back_to_where_they_came_from(shape: tuple[int, int]) -> None:
    rows = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, shape[1], dtype=np.float32)
    smooth = np.asarray(0.5 * rows + 0.5 * columns, dtype=np.float32)
    back = from_square(square_image(smooth, 32), shape)
    assert back.shape == shape
    assert np.abs(back - smooth).max() < 0.05
