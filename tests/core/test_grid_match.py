"""Arrays laid on a scan's voxels: turned, mirrored, cut; and those that lie elsewhere."""

from itertools import permutations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.core.grid_match import match_grid
from lnmdetect.core.patient_space import PatientGrid, slice_plane

AXES = [*permutations(range(3))]
SIGNS = [*product((1, -1), repeat=3)]


@pytest.fixture
def grid() -> PatientGrid:
    affine = slice_plane((-10, 5, 30), (1.0, 0, 0, 0, 1, 0), (0.5, 0.4), (0, 0, 2))
    return PatientGrid((3, 4, 5), affine)


def rearranged(
    values: NDArray[np.int_], grid: PatientGrid, axes: tuple[int, ...], signs: tuple[int, ...]
) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """The array and its affine in another order of axes, some of them mirrored."""
    turn = np.zeros((4, 4))
    turn[3, 3] = 1
    sides = np.array(grid.sides)
    for axis, (source, sign) in enumerate(zip(axes, signs, strict=True)):
        turn[source, axis] = sign
        turn[source, 3] += (sides[source] - 1) if sign < 0 else 0
    flips = tuple(slice(None, None, sign) for sign in signs)
    return values.transpose(2, 1, 0).transpose(axes)[flips], grid.affine @ turn


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("signs", SIGNS)
def test_an_array_in_any_order_of_axes_comes_back_as_it_was(
    grid: PatientGrid, axes: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    values = np.arange(60).reshape(grid.shape)
    array, affine = rearranged(values, grid, axes, signs)
    match = match_grid(grid, array.shape, affine)
    assert match is not None
    assert match.covers(grid)
    assert np.array_equal(match.turned(array), values)


def test_a_part_of_the_scan_begins_where_it_was_cut(grid: PatientGrid) -> None:
    affine = grid.affine.copy()
    affine[:3, 3] = (grid.affine @ [1, 2, 1, 1])[:3]
    match = match_grid(grid, (4, 2, 2), affine)
    assert match is not None
    assert (match.start, match.within(grid), match.covers(grid)) == ((1, 2, 1), True, False)
    beyond = match_grid(grid, (5, 2, 2), affine)
    assert beyond is not None
    assert not beyond.within(grid)


@pytest.mark.parametrize(
    "change",
    [
        np.diag([1.05, 1, 1, 1]),
        np.diag([1, 1, 2.0, 1]),
        np.array([[1, 0, 0, 0.3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        np.array([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        np.array([[0.6, -0.8, 0, 0], [0.8, 0.6, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        np.diag([1, 0, 1, 1.0]),
    ],
    ids=["wider pixels", "thicker slices", "shifted", "sheared", "turned by 53 degrees", "flat"],
)
def test_other_voxels_are_no_match(grid: PatientGrid, change: NDArray[np.float64]) -> None:
    assert match_grid(grid, grid.sides, grid.affine @ change) is None


def test_the_rounding_of_headers_is_no_other_grid(grid: PatientGrid) -> None:
    affine = grid.affine.astype(np.float32).astype(np.float64)
    affine[:3, 3] += 0.01
    assert match_grid(grid, grid.sides, affine) is not None
