"""Crops around boxes: exact windows, square in mm, air beyond the border."""

import numpy as np
import pytest

from lnmdetect.core.geometry import square_crop_window
from lnmdetect.transforms.crops import crop_box, with_side_channel


def test_the_window_adds_the_margin_to_the_longer_side() -> None:
    # 20 x 10 px of 1 mm, 50 %: 30 mm square about (110, 105)
    window = square_crop_window((100, 100, 120, 110), spacing_mm=(1.0, 1.0), margin=0.5)
    assert window == (95, 90, 125, 120)


def test_the_window_is_square_in_mm_where_pixels_are_not() -> None:
    # columns of 0.5 mm: 20 px are 10 mm; rows of 1 mm: 8 px are 8 mm; so 15 mm square
    window = square_crop_window((100, 100, 120, 108), spacing_mm=(1.0, 0.5), margin=0.5)
    assert window == (95, 96.5, 125, 111.5)


def test_a_crop_at_the_pixels_own_size_is_the_pixels() -> None:
    stack = np.arange(2 * 30 * 40, dtype=np.int16).reshape(2, 30, 40)
    found = crop_box(stack, (10, 8, 18, 16), spacing_mm=(1, 1), margin=0.5, size_px=12)
    assert found.dtype == np.int16
    assert np.array_equal(found, stack[:, 6:18, 8:20])


def test_a_ramp_is_sampled_at_pixel_centres() -> None:
    ramp = np.tile(np.arange(0, 4000, 100, dtype=np.int16), (40, 1))[None]
    found = crop_box(ramp, (10, 10, 20, 20), spacing_mm=(1, 1), margin=0, size_px=20)
    # output column i lies at x = 10 + (i + 1/2) / 2, where the ramp is 100 (x - 1/2)
    expected = 100 * (10 + (np.arange(20) + 0.5) / 2 - 0.5)
    assert found[0, 5] == pytest.approx(expected, abs=2)


def test_air_lies_beyond_the_border() -> None:
    stack = np.full((1, 20, 20), 100, dtype=np.int16)
    found = crop_box(stack, (0, 0, 8, 8), spacing_mm=(1, 1), margin=0.5, size_px=12)[0]
    assert (found[:2] == -1024).all()
    assert (found[:, :2] == -1024).all()
    assert (found[2:, 2:] == 100).all()


def test_a_box_off_the_slice_gives_air() -> None:
    stack = np.full((3, 20, 20), 100, dtype=np.int16)
    found = crop_box(stack, (100, 100, 108, 108), spacing_mm=(1, 1), margin=0.5, size_px=9)
    assert found.shape == (3, 9, 9)
    assert (found == -1024).all()


def test_the_side_channel_is_the_logarithm_of_the_side_between_4_and_128_mm() -> None:
    channels = np.full((2, 3, 3), 0.25, dtype=np.float32)
    for side_mm, value in ((4.0, 0.0), (512**0.5, 0.5), (128.0, 1.0), (1.0, 0.0), (500.0, 1.0)):
        told = with_side_channel(channels, side_mm)
        assert told.shape == (3, 3, 3)
        np.testing.assert_array_equal(told[:2], channels)
        np.testing.assert_allclose(told[2], value, atol=1e-6)
