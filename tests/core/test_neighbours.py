"""Which slice stands for a neighbour, by hand."""

import pytest

from lnmdetect.core.neighbours import neighbour_indices

EVEN = [0.0, 3.0, 6.0, 9.0, 12.0]


@pytest.mark.parametrize(("index", "expected"), [(0, [0, 0, 1]), (2, [1, 2, 3]), (4, [3, 4, 4])])
def test_neighbours_a_slice_away_and_the_slice_itself_at_the_ends(
    index: int, expected: list[int]
) -> None:
    assert neighbour_indices(EVEN, index, (-3.0, 0.0, 3.0)) == expected


def test_offsets_are_taken_in_mm_whatever_the_slice_spacing() -> None:
    thin = [0.5 * i for i in range(41)]
    assert neighbour_indices(thin, 20, (-6.0, -3.0, 0.0, 3.0, 6.0)) == [8, 14, 20, 26, 32]
    thick = [0.0, 5.0, 10.0]  # 3 mm lies 2 mm off the slice at 5, within 5 / 2 + 3 / 2
    assert neighbour_indices(thick, 1, (-3.0, 3.0)) == [0, 2]


def test_a_neighbour_counts_up_to_half_the_spacing_and_half_the_offset_away() -> None:
    # asked for 4 mm: reach 1 + 2 = 3, so a slice at 7 counts, one past it does not
    positions = [-4.0, -2.0, 0.0, 7.0, 9.0, 11.0]
    assert neighbour_indices(positions, 2, (4.0,)) == [3]
    assert neighbour_indices([-4.0, -2.0, 0.0, 7.1, 9.1, 11.1], 2, (4.0,)) == [2]


def test_a_lone_slice_stands_for_all_its_neighbours() -> None:
    assert neighbour_indices([42.0], 0, (-6.0, 0.0, 6.0)) == [0, 0, 0]


def test_zero_is_the_slice_itself_even_where_two_lie_at_one_place() -> None:
    assert neighbour_indices([0.0, 0.0, 1.0], 1, (0.0,)) == [1]


@pytest.mark.parametrize("dust", [0.0, 1e-6, -1e-6])
def test_of_two_slices_equally_near_the_one_nearer_to_the_slice_itself_is_taken(
    dust: float,
) -> None:
    positions = [0.0, 2.0 + dust, 4.0 - dust, 6.0 + dust, 8.0]
    assert neighbour_indices(positions, 2, (-3.0, 3.0)) == [1, 3]
