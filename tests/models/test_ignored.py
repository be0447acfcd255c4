"""Ignored truth boxes: what lies on them is no background."""

from collections.abc import Callable

import torch
from torch import Tensor

from lnmdetect.models.ignored import stands_for_ignored, touches_ignored

MakeTarget = Callable[..., dict[str, Tensor]]
ANCHORS = torch.tensor([[10.0, 10, 20, 20], [14, 10, 24, 20], [17, 10, 27, 20], [50, 50, 90, 90]])


def test_from_an_overlap_of_0_3_on_a_box_touches_an_ignored_one(make_target: MakeTarget) -> None:
    # IoU 1, 60 / 140, 30 / 170 and 0
    touches = touches_ignored(ANCHORS, make_target(ignored=[[10, 10, 20, 20]]))
    assert touches.tolist() == [True, True, False, False]


def test_what_hits_a_counted_node_is_no_ignored_one(make_target: MakeTarget) -> None:
    target = make_target([[14, 10, 24, 20]], [[10, 10, 20, 20]])
    # IoU with the counted box: 60 / 140, 1, 70 / 130 and 0
    assert touches_ignored(ANCHORS, target).tolist() == [True, False, False, False]


def test_the_best_anchor_of_an_ignored_box_stands_for_it_however_little_it_overlaps(
    make_target: MakeTarget,
) -> None:
    target = make_target(ignored=[[68, 68, 72, 72]])  # 16 of 1600 px
    assert touches_ignored(ANCHORS, target).tolist() == [False] * 4
    assert stands_for_ignored(ANCHORS, target).tolist() == [False, False, False, True]


def test_without_ignored_boxes_or_anchors_nothing_touches(make_target: MakeTarget) -> None:
    assert not stands_for_ignored(ANCHORS, make_target([[10, 10, 20, 20]])).any()
    none = touches_ignored(torch.zeros(0, 4), make_target(ignored=[[10, 10, 20, 20]]))
    assert none.shape == (0,)
