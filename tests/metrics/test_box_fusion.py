"""Overlapping boxes of one slice become one."""

import numpy as np
import pytest

from lnmdetect.metrics.box_fusion import fuse_boxes

FIRST = [10.0, 10, 20, 20]


def fused(boxes: list[list[float]], scores: list[float], slices: list[int] | None = None):  # type: ignore[no-untyped-def]
    places = np.array([0] * len(boxes) if slices is None else slices)
    return fuse_boxes(np.array(boxes), np.array(scores), places)


def test_the_fused_box_is_the_mean_weighted_by_the_scores() -> None:
    found = fused([FIRST, [12, 10, 22, 20]], [0.75, 0.25])
    # (10 * 0.75 + 12 * 0.25) / 1 = 10.5.
    np.testing.assert_allclose(found.boxes_xyxy, [[10.5, 10, 20.5, 20]])
    assert found.scores.tolist() == [0.75]
    assert found.group.tolist() == [0, 0]


@pytest.mark.parametrize(("shift", "count"), [(4.28, 1), (4.3, 2)])
def test_boxes_are_one_from_an_iou_of_two_fifths(shift: float, count: int) -> None:
    # IoU (10 - s) / (10 + s) is 0.4 at s = 30 / 7 = 4.2857.
    found = fused([FIRST, [10 + shift, 10, 20 + shift, 20]], [0.9, 0.8])
    assert len(found.scores) == count


@pytest.mark.parametrize(("right", "count"), [(22.4, 1), (22.6, 2)])
def test_a_part_of_a_node_goes_into_the_whole(right: float, count: int) -> None:
    # A small box of 10 x 2, of which (20 - (right - 10)) / 10 lies within the large one.
    part = [right - 10, 14, right, 16]
    assert len(fused([FIRST, part], [0.9, 0.8]).scores) == count


@pytest.mark.parametrize(("shift", "left"), [(2.9, 11.45), (2.91, 10.0)])
def test_a_box_that_overlaps_the_best_too_little_goes_in_without_moving_it(
    shift: float, left: float
) -> None:
    # IoU (10 - s) / (10 + s) is 0.55 at s = 4.5 / 1.55 = 2.903.
    found = fused([FIRST, [10 + shift, 10, 20 + shift, 20]], [0.5, 0.5])
    assert found.boxes_xyxy[0, 0] == pytest.approx(left)
    assert found.group.tolist() == [0, 0]


def test_a_part_of_a_node_leaves_the_whole_where_it_is() -> None:
    found = fused([FIRST, [12, 12, 16, 16]], [0.6, 0.5])
    np.testing.assert_allclose(found.boxes_xyxy, [FIRST])


def test_boxes_of_other_slices_stay_apart() -> None:
    found = fused([FIRST, FIRST, FIRST], [0.5, 0.9, 0.7], [3, 1, 3])
    assert found.slices.tolist() == [1, 3]
    assert found.scores.tolist() == [0.9, 0.7]
    assert found.group.tolist() == [1, 0, 1]


def test_the_best_box_takes_in_others_first() -> None:
    # The middle box overlaps both; the outer ones (IoU 1/3) do not fuse with each other.
    boxes = [[10.0, 10, 20, 20], [12.5, 10, 22.5, 20], [15.0, 10, 25, 20]]
    assert fused(boxes, [0.9, 0.8, 0.7]).group.tolist() == [0, 0, 1]
    assert fused(boxes, [0.8, 0.9, 0.7]).group.tolist() == [0, 0, 0]


def test_no_box_stays_no_box() -> None:
    found = fuse_boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))
    assert found.boxes_xyxy.shape == (0, 4)
    assert len(found.group) == 0


def test_a_box_scored_zero_is_still_a_box() -> None:
    np.testing.assert_allclose(fused([FIRST], [0.0]).boxes_xyxy, [FIRST])


def test_scores_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="a score and a slice for each of 1 boxes"):
        fused([FIRST], [0.5, 0.4])
