"""Boxes of one scan become nodes; boxes in mm laid out by hand."""

import time

import numpy as np
import pytest

from lnmdetect.metrics.linking import LinkRule, ScanGrid, link_scan, link_sections

GRID = ScanGrid((0.5, 0.5), 2.0)
GAP_MM = LinkRule().longest_gap(GRID)


def square(x: float, y: float, side: float = 10.0) -> list[float]:
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def linked(boxes: list[list[float]], position_mm: list[float], gap_mm: float = GAP_MM) -> list[int]:
    found = link_sections(np.array(boxes), np.array(position_mm), longest_gap_mm=gap_mm)
    return [int(node) for node in found]


def test_a_column_of_boxes_is_one_node_and_another_beside_it_a_second() -> None:
    boxes = [square(50, 50), square(80, 50), square(51, 50), square(81, 51), square(52, 51)]
    assert linked(boxes, [0, 0, 2, 2, 4]) == [0, 1, 0, 1, 0]


def test_numbers_rise_with_the_first_box_of_each_node_whatever_the_order_of_the_slices() -> None:
    boxes = [square(52, 51), square(80, 50), square(51, 50), square(50, 50)]
    assert linked(boxes, [4, 0, 2, 0]) == [0, 1, 0, 0]


def test_centres_may_lie_apart_by_the_reach_of_the_larger_box_and_no_more() -> None:
    # 0.45 of a side of 10 mm is 4.5 mm.
    assert linked([square(50, 50), square(54.4, 50)], [0, 2]) == [0, 0]
    assert linked([square(50, 50), square(54.6, 50)], [0, 2]) == [0, 1]
    # The end of a node is small: the larger box counts.
    assert linked([square(50, 50), square(54.4, 50, side=4)], [0, 2]) == [0, 0]


def test_boxes_that_do_not_overlap_are_two_nodes_though_their_centres_are_near() -> None:
    # 0.45 of the root of 20 x 2 mm is 2.85 mm; the centres lie 2.5 and 1.9 mm apart.
    flat = [40.0, 48.0, 60.0, 50.0]
    assert linked([flat, [40.0, 50.5, 60.0, 52.5]], [0, 2]) == [0, 1]
    assert linked([flat, [40.0, 49.9, 60.0, 51.9]], [0, 2]) == [0, 0]


def test_a_slice_or_two_may_be_missing_but_not_more() -> None:
    boxes = [square(50, 50), square(50, 50)]
    assert linked(boxes, [0, 6]) == [0, 0]
    assert linked(boxes, [0, 8]) == [0, 1]


def test_of_thick_slices_one_may_be_missing() -> None:
    gap_mm = LinkRule().longest_gap(ScanGrid((0.5, 0.5), 5.0))
    boxes = [square(50, 50), square(50, 50)]
    assert linked(boxes, [0, 10], gap_mm) == [0, 0]
    assert linked(boxes, [0, 15], gap_mm) == [0, 1]


def test_the_best_pairs_together_win_and_not_the_first_good_one() -> None:
    # The first end lies 1 mm from the second box, but then nothing is left for the others.
    boxes = [square(50, 50), square(54, 50), square(47, 50), square(51, 50)]
    assert linked(boxes, [0, 0, 2, 2]) == [0, 1, 0, 1]


def test_a_box_goes_to_one_node_only() -> None:
    boxes = [square(48, 50), square(52, 50), square(50, 50)]
    assert sorted(linked(boxes, [0, 0, 2])) in ([0, 0, 1], [0, 1, 1])


def test_a_node_that_is_still_there_outbids_one_that_was_lost() -> None:
    # The last box lies 2.3 mm from the node of two slices before, 2.7 mm from that of the last.
    boxes = [square(50, 50), square(55, 50), square(52.3, 50)]
    assert linked(boxes, [0, 2, 4]) == [0, 1, 1]
    assert linked(boxes, [0, 0, 2]) == [0, 1, 0]


def test_no_box_is_no_node() -> None:
    found = link_scan(np.zeros((0, 4)), np.zeros(0), position_mm=np.zeros(0), grid=GRID)
    assert len(found.node) == 0
    assert len(found.sections.scores) == 0


def test_distances_are_in_mm_also_where_pixels_are_oblong() -> None:
    # 12 px apart along x: 3 mm at 0.25 mm a column, 12 mm at 1 mm.
    boxes = np.array([[100.0, 100, 140, 110], [112, 100, 152, 110]])
    positions = np.array([0.0, 2.0])
    near = link_scan(boxes, np.ones(2), position_mm=positions, grid=ScanGrid((1.0, 0.25), 2.0))
    assert near.node.tolist() == [0, 0]
    oblong = link_scan(boxes, np.ones(2), position_mm=positions, grid=ScanGrid((0.25, 1.0), 2.0))
    assert oblong.node.tolist() == [0, 1]


def test_two_boxes_on_one_cross_section_are_fused_before_they_are_linked() -> None:
    boxes = np.array([[100.0, 100, 120, 120], [102, 100, 122, 120], [101, 100, 121, 120]])
    found = link_scan(
        boxes, np.array([0.9, 0.6, 0.8]), position_mm=np.array([0.0, 0, 2]), grid=GRID
    )
    assert found.sections.group.tolist() == [0, 0, 1]
    assert found.node.tolist() == [0, 0]


@pytest.mark.parametrize("position", [[0.0], [0.0, np.nan]])
def test_positions_that_are_missing_are_refused(position: list[float]) -> None:
    with pytest.raises(ValueError, match="one finite position for each box"):
        link_sections(np.array([square(5, 5)] * 2), np.array(position), longest_gap_mm=6)


@pytest.mark.parametrize("fields", [{"reach": 0.0}, {"least_iou": 1.0}, {"gap_mm": np.nan}])
def test_rules_that_make_no_sense_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="link rule: expected"):
        LinkRule(**fields)  # type: ignore[arg-type]


def test_a_grid_without_spacing_is_refused() -> None:
    with pytest.raises(ValueError, match="lengths in mm above 0"):
        ScanGrid((0.5, 0.0), 2.0)


def test_500_slices_of_50_boxes_are_linked_in_less_than_a_second() -> None:
    rng = np.random.default_rng(0)
    boxes, position_mm = [], []
    for first in rng.integers(0, 491, 2500):
        centre, size = rng.uniform(0, 400, 2), rng.uniform(8, 30, 2)
        for step in range(10):
            centre = centre + rng.normal(0, 0.6, 2)
            boxes.append([*(centre - size / 2), *(centre + size / 2)])
            position_mm.append(2.0 * (first + step))
    scores = rng.uniform(0.4, 1, len(boxes))
    times = []
    for _ in range(3):
        before = time.process_time()
        found = link_scan(np.array(boxes), scores, position_mm=np.array(position_mm), grid=GRID)
        times.append(time.process_time() - before)
    assert len(boxes) == 25_000
    assert 1500 < len(np.unique(found.node)) <= 2600
    assert min(times) < 1.0
