"""Box arithmetic by hand."""

import numpy as np
import pytest

from lnmdetect.core.geometry import (
    as_boxes,
    box_areas,
    box_centres,
    box_sizes,
    clip_boxes,
    pairwise_iou,
    scale_boxes,
    shift_boxes,
    size_iou,
    square_crop_window,
    xywh_to_xyxy,
    xyxy_to_xywh,
)

BOXES = np.array([[0.0, 0, 10, 20], [5, 10, 15, 30]])


def test_an_empty_list_is_no_boxes() -> None:
    assert as_boxes([]).shape == (0, 4)
    assert as_boxes(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, 3, 4], r"expected shape \(N, 4\), got \(4,\)"),
        ([[1, 2, 3]], r"expected shape \(N, 4\), got \(1, 3\)"),
        ([[0, 0, 1, 1], [3, 0, 2, 1]], r"boxes\[1\]: expected finite x1 < x2"),
        ([[0, 5, 1, 5]], r"boxes\[0\]"),
        ([[0, 0, float("nan"), 1]], r"boxes\[0\]"),
        ([[0, 0, float("inf"), 1]], r"boxes\[0\]"),
    ],
)
def test_a_box_without_extent_or_place_is_refused(values: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_boxes(values)


def test_coco_boxes_go_there_and_back() -> None:
    assert xyxy_to_xywh(BOXES).tolist() == [[0, 0, 10, 20], [5, 10, 10, 20]]
    assert xywh_to_xyxy(xyxy_to_xywh(BOXES)).tolist() == BOXES.tolist()
    assert xywh_to_xyxy([]).shape == (0, 4)


def test_sizes_areas_and_centres() -> None:
    assert box_sizes(BOXES).tolist() == [[10, 20], [10, 20]]
    assert box_areas(BOXES).tolist() == [200, 200]
    assert box_centres(BOXES).tolist() == [[5, 10], [10, 20]]


def test_overlap_over_union_by_hand() -> None:
    # 5 x 10 shared of 200 + 200 - 50; apart; touching; itself
    others = np.array([[5.0, 10, 15, 30], [50, 50, 60, 60], [10, 0, 20, 20], [0, 0, 10, 20]])
    assert pairwise_iou(BOXES[:1], others) == pytest.approx(np.array([[50 / 350, 0, 0, 1]]))
    assert pairwise_iou(as_boxes([]), BOXES).shape == (0, 2)


def test_overlap_of_sizes_at_one_centre_and_apart() -> None:
    assert size_iou([[4, 4]], [[2, 8], [4, 4]]) == pytest.approx(np.array([[8 / 24, 1]]))
    # 4 px squares 1 px apart share 3 x 4 of 32 - 12; 5 px apart nothing
    assert size_iou([[4, 4]], [[4, 4]], offset_xy=(1, 0)) == pytest.approx(np.array([[12 / 20]]))
    assert size_iou([[4, 4]], [[4, 4]], offset_xy=(-5, 0)).tolist() == [[0]]


def test_boxes_are_cut_at_the_border() -> None:
    boxes = np.array([[-5.0, -5, 5, 5], [8, 2, 30, 30], [40, 40, 50, 50]])
    assert clip_boxes(boxes, width=20, height=10).tolist() == [
        [0, 0, 5, 5],
        [8, 2, 20, 10],
        [20, 10, 20, 10],
    ]


def test_boxes_are_scaled_and_shifted_along_their_axes() -> None:
    assert scale_boxes(BOXES[1:], scale_x=2, scale_y=0.5).tolist() == [[10, 5, 30, 15]]
    assert shift_boxes(BOXES[1:], shift_x=-5, shift_y=1).tolist() == [[0, 11, 10, 31]]


def test_arguments_are_left_alone() -> None:
    before = BOXES.copy()
    clip_boxes(BOXES, width=3, height=3)
    shift_boxes(BOXES, shift_x=1, shift_y=1)
    scale_boxes(BOXES, scale_x=2, scale_y=2)
    assert np.array_equal(BOXES, before)


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (0.3, 0.9), (1.0, 0.4)])
def test_a_crop_window_is_square_in_mm_about_the_boxs_centre(
    spacing: tuple[float, float],
) -> None:
    x1, y1, x2, y2 = square_crop_window((10, 20, 16, 40), spacing_mm=spacing, margin=0.5)
    side_mm = 1.5 * max(6 * spacing[1], 20 * spacing[0])
    assert (x2 - x1) * spacing[1] == pytest.approx(side_mm)
    assert (y2 - y1) * spacing[0] == pytest.approx(side_mm)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((13, 30))
