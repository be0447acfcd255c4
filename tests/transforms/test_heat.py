"""Heat on its way from cells to the crop and to the slice: neither mirrored nor shifted."""

import numpy as np
import pytest

from lnmdetect.core.cell_grid import CellGrid
from lnmdetect.transforms.crops import crop_box
from lnmdetect.transforms.grid import ModelGrid
from lnmdetect.transforms.heat import (
    box_map,
    crop_map,
    heat_from_grid,
    heat_on_slice,
    spread_cells,
)

SPACING_MM = (0.5, 0.25)
"""Rows are twice as far apart as columns: what is square in mm is not so in pixels."""
BOX = (20.0, 30.0, 60.0, 46.0)
"""40 px of 0.25 mm wide: 10 mm; 16 px of 0.5 mm high: 8 mm."""


def test_cells_stand_on_their_centres_and_are_linear_between_them() -> None:
    cells = np.array([[0.0, 8.0], [16.0, 24.0]], dtype=np.float32)
    spread = spread_cells(cells, CellGrid((0.5, 0.5), (8.0, 8.0)), size_px=(16, 16))
    assert spread[0, 0] == 0
    assert spread[0, 8] == 8
    assert spread[8, 0] == 16
    assert spread[4, 4] == 12
    assert spread[15, 15] == 24  # beyond the last centre the last


def test_a_grid_that_starts_later_is_moved_and_not_stretched() -> None:
    cells = np.array([[0.0, 8.0]], dtype=np.float32)
    spread = spread_cells(cells, CellGrid((4.5, 0.5), (8.0, 8.0)), size_px=(1, 16))
    assert spread[0].tolist() == [0] * 5 + [1, 2, 3, 4, 5, 6, 7] + [8] * 4


def test_heat_of_one_corner_of_the_crop_lies_on_that_corner_of_the_slice() -> None:
    # margin 0.5: a square of 15 mm around (40, 38): 60 px of 0.25 mm, 30 px of 0.5 mm.
    heat = np.zeros((60, 60), dtype=np.float32)
    heat[:20, 40:] = 1  # above, right: 20 px of 0.25 mm wide and 20 * 0.25 mm = 10 px high
    placed = heat_on_slice(heat, BOX, spacing_mm=SPACING_MM, margin=0.5, shape=(80, 90))
    rows, columns = np.nonzero(placed > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (23, 32, 50, 69)


def test_what_is_cut_as_a_map_lies_where_the_crop_shows_it() -> None:
    rng = np.random.default_rng(0)
    hu = rng.integers(-100, 200, (80, 90)).astype(np.int16)
    cut = crop_box(hu[None], BOX, spacing_mm=SPACING_MM, margin=0.5, size_px=32)[0]
    mapped = crop_map(hu.astype(np.float32), BOX, spacing_mm=SPACING_MM, margin=0.5, size_px=32)
    assert np.abs(mapped - cut).max() <= 1


def test_a_mask_goes_to_the_crop_and_back_to_its_place() -> None:
    mask = np.zeros((80, 90), dtype=bool)
    mask[32:36, 24:40] = True
    cut = crop_map(mask, BOX, spacing_mm=SPACING_MM, margin=0.5, size_px=60)
    back = heat_on_slice(cut, BOX, spacing_mm=SPACING_MM, margin=0.5, shape=mask.shape)
    assert np.array_equal(back > 0.5, mask)


def test_beyond_the_slice_a_map_is_nought() -> None:
    ones = np.ones((40, 40), dtype=np.float32)
    cut = crop_map(ones, (30, 0, 40, 10), spacing_mm=(1, 1), margin=1, size_px=20)
    assert cut[:, 15:].max() == 0
    assert cut[:5].max() == 0
    assert cut[6:, :14].min() == 1


def test_the_box_fills_its_share_of_the_crop() -> None:
    # 10 mm x 8 mm of 15 mm x 15 mm, in the middle.
    marked = box_map(BOX, BOX, spacing_mm=SPACING_MM, margin=0.5, size_px=60)
    rows, columns = np.nonzero(marked)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (14, 45, 10, 49)
    assert marked.mean() == pytest.approx(40 * 32 / 60**2)


def test_heat_of_a_models_slice_lies_where_the_slice_was_cut_and_scaled() -> None:
    grid = ModelGrid((20, 10, 60, 50), (0.5, 0.25), (10, 20))
    heat = np.zeros((10, 20), dtype=np.float32)
    heat[2:4, 6:10] = 1  # columns 6..10 at half the size: 12..20 px on; rows 2..4 at a quarter
    placed = heat_from_grid(heat, grid, shape=(64, 80))
    rows, columns = np.nonzero(placed > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (18, 25, 32, 39)
    assert not placed[:, :18].any()
