"""Slices that hold the same pixels are told from those that do not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.datasets.fingerprints import (
    SIDE,
    is_blank,
    near_pairs,
    orientations,
    pixel_digest,
    thumbnail,
)

Pixels = NDArray[np.int16]


def textured(seed: int, shape: tuple[int, int] = (96, 80)) -> Pixels:
    rng = np.random.default_rng(seed)
    blocks = rng.normal(0, 300, (8, 8))
    rows, columns = (np.arange(side) * 8 // side for side in shape)
    smooth = blocks[np.ix_(rows, columns)]
    return np.asarray(smooth + rng.normal(0, 10, shape), dtype=np.int16)


def test_there_are_eight_orientations_and_each_is_another() -> None:
    pixels = np.arange(6, dtype=np.int16).reshape(2, 3)
    forms = {(form.shape, form.tobytes()) for form in orientations(pixels)}
    assert len(forms) == 8
    assert (pixels.shape, pixels.tobytes()) in forms
    turned = np.rot90(pixels)
    assert (turned.shape, turned.tobytes()) in forms


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_the_digest_is_the_same_for_every_turn_and_mirror(turns: int, mirror: bool) -> None:
    pixels = textured(1)
    changed = np.rot90(pixels[::-1] if mirror else pixels, turns)
    assert pixel_digest(np.ascontiguousarray(changed)) == pixel_digest(pixels)


def test_one_changed_pixel_or_another_shape_gives_another_digest() -> None:
    pixels = textured(1)
    other = pixels.copy()
    other[50, 3] += 1
    assert pixel_digest(other) != pixel_digest(pixels)
    assert pixel_digest(pixels.reshape(80, 96)) != pixel_digest(pixels)
    assert len({pixel_digest(textured(seed)) for seed in range(10)}) == 10


@pytest.mark.parametrize(
    ("low", "high", "blank"), [(-1024, -1024, True), (40, 40, True), (-1024, -300, True)]
)
def test_a_uniform_slice_or_one_of_air_is_blank(low: int, high: int, blank: bool) -> None:
    pixels = np.full((8, 8), low, dtype=np.int16)
    pixels[0, 0] = high
    assert is_blank(pixels) is blank


def test_a_slice_with_one_pixel_of_tissue_is_not_blank() -> None:
    pixels = np.full((8, 8), -1024, dtype=np.int16)
    pixels[0, 0] = -299
    assert not is_blank(pixels)


def test_a_thumbnail_is_the_standardised_means_of_blocks() -> None:
    pixels = np.zeros((2 * SIDE, 2 * SIDE), dtype=np.int16)
    pixels[:, SIDE:] = 100
    pixels[0, 0] = 4  # a mean of 1 in the first block
    shown = thumbnail(pixels)
    means = np.zeros((SIDE, SIDE))
    means[:, SIDE // 2 :] = 100
    means[0, 0] = 1
    assert np.allclose(shown, (means - means.mean()) / means.std(), atol=1e-5)


@pytest.mark.parametrize("shape", [(96, 80), (33, 100), (512, 512)])
def test_brightness_and_contrast_do_not_change_a_thumbnail(shape: tuple[int, int]) -> None:
    pixels = textured(2, shape)
    assert thumbnail(pixels).shape == (SIDE, SIDE)
    assert np.allclose(thumbnail(pixels), thumbnail(2 * pixels + 37), atol=1e-4)


@pytest.mark.parametrize("pixels", [np.zeros((20, 200)), np.full((64, 64), 7)])
def test_a_tiny_or_flat_slice_is_near_nothing(pixels: NDArray[Any]) -> None:
    shown = thumbnail(pixels.astype(np.int16))[None]
    assert not shown.any()
    assert near_pairs(shown, shown) == []


Change = Callable[[Pixels], Pixels]


def brightened(pixels: Pixels) -> Pixels:
    return pixels + np.int16(25)


def noised(pixels: Pixels) -> Pixels:
    noise = np.random.default_rng(9).normal(0, 10, pixels.shape)
    return np.asarray(pixels + noise, dtype=np.int16)


def turned_and_noised(pixels: Pixels) -> Pixels:
    return noised(np.rot90(pixels[:, ::-1]))


@pytest.mark.parametrize("change", [brightened, noised, turned_and_noised])
def test_a_changed_copy_is_found_and_nothing_else(change: Change) -> None:
    slices = [textured(seed, (96, 96)) for seed in range(8)]
    first = np.stack([thumbnail(pixels) for pixels in slices])
    second = np.stack([thumbnail(change(slices[5])), thumbnail(textured(20, (96, 96)))])
    ((row, column, correlation),) = near_pairs(first, second)
    assert (row, column) == (5, 0)
    assert 0.999 <= correlation <= 1.0001
