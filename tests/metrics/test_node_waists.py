import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.metrics.linking import link_sections
from lnmdetect.metrics.node_waists import WAIST, cut_at_waists


def _cut(
    areas: list[float], *, x_mm: list[float] | None = None, z_mm: list[float] | None = None
) -> list[int]:
    """Return the numbers after cutting of one chain, 2 mm a slice."""
    count = len(areas)
    centres = np.column_stack([x_mm or [0.0] * count, np.zeros(count)])
    places = np.array([2.0 * place for place in range(count)] if z_mm is None else z_mm)
    cut = cut_at_waists(np.array(areas), centres, places, np.zeros(count, np.int64))
    return [int(number) for number in cut]


def test_a_chain_that_grows_and_shrinks_once_is_one_node() -> None:
    assert _cut([10, 60, 100, 60, 10]) == [0, 0, 0, 0, 0]


def test_two_nodes_that_touch_are_cut_at_their_waist() -> None:
    assert _cut([60, 90, 60, 10, 50, 80, 50], x_mm=[0, 0, 0, 0, 1, 1, 1]) == [0, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(("share", "count"), [(WAIST - 0.01, 2), (WAIST + 0.01, 1)])
def test_a_waist_is_held_against_the_smaller_of_the_two_sides(share: float, count: int) -> None:
    assert len(set(_cut([400, 200, 100 * share, 100]))) == count
    assert len(set(_cut([100, 100 * share, 200, 400]))) == count


def test_the_waist_stays_with_the_nearer_neighbour_across_slices_and_in_the_plane() -> None:
    assert _cut([90, 10, 90], z_mm=[0, 2, 6]) == [0, 0, 1]
    assert _cut([90, 10, 90], z_mm=[0, 4, 6]) == [0, 1, 1]
    assert _cut([90, 10, 90], x_mm=[0, 2, 3]) == [0, 1, 1]
    assert _cut([90, 10, 90], x_mm=[0, 1, 3]) == [0, 0, 1]


def test_three_nodes_are_cut_twice() -> None:
    assert len(set(_cut([90, 20, 90, 10, 90]))) == 3


def test_nodes_beside_each_other_are_cut_each_by_itself() -> None:
    areas = np.array([90.0, 50.0, 90.0, 50.0, 90.0, 10.0, 90.0])
    place = np.array([0.0, 0.0, 2.0, 2.0, 4.0, 6.0, 8.0])
    node = np.array([0, 1, 0, 1, 0, 0, 0])
    cut = cut_at_waists(areas, np.zeros((7, 2)), place, node)
    assert cut.tolist() == [0, 1, 0, 1, 0, 0, 2]
    assert node.tolist() == [0, 1, 0, 1, 0, 0, 0]


def test_the_order_of_the_cross_sections_does_not_matter() -> None:
    areas, place = np.array([50.0, 10, 90, 60, 80]), np.array([8.0, 6, 2, 0, 10])
    cut = cut_at_waists(areas, np.zeros((5, 2)), place, np.zeros(5, np.int64))
    assert cut[[3, 2]].tolist() == [0, 0]
    assert cut[[1, 0, 4]].tolist() == [1, 1, 1]


def test_no_cross_section_and_two_have_no_waist() -> None:
    empty: NDArray[np.int64] = np.zeros(0, np.int64)
    assert cut_at_waists(np.zeros(0), np.zeros((0, 2)), np.zeros(0), empty).tolist() == []
    assert _cut([90, 1]) == [0, 0]


def test_linking_cuts_two_stacked_nodes_apart() -> None:
    sides = np.array([10.0, 12, 10, 5, 10, 12, 10])
    boxes = np.column_stack([-sides, -sides, sides, sides]) / 2
    found = link_sections(boxes, np.array([0.0, 2, 4, 6, 8, 10, 12]), longest_gap_mm=6.0)
    assert found.tolist() == [0, 0, 0, 0, 1, 1, 1]
