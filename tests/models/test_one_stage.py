"""Which boxes of a one-stage detector remain."""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.models.detection._utils import Matcher, SSDMatcher

from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.one_stage import ResNetPyramid, best_boxes, match_anchors
from lnmdetect.models.resnet import ResNet50

MakeTarget = Callable[..., dict[str, Tensor]]
MakeSizes = Callable[..., DetectorSizes]
IMAGE = torch.zeros(1, 1, 64, 96)


def test_boxes_lie_on_the_image_best_first_without_doubles(make_sizes: MakeSizes) -> None:
    boxes = torch.tensor(
        [[10.0, 10, 20, 20], [11, 10, 21, 20], [-9, 50, 9, 99], [80, 5, 99, 9], [40, 40, 50, 50]]
    )
    scores = torch.tensor([0.5, 0.6, 0.9, 0.05, 0.04])
    found = best_boxes(boxes, scores, IMAGE, make_sizes())
    # the first doubles the second (IoU 90 / 110), the last is below 0.05
    assert found["boxes"].tolist() == [[0, 50, 9, 64], [11, 10, 21, 20], [80, 5, 96, 9]]
    torch.testing.assert_close(found["scores"], torch.tensor([0.9, 0.6, 0.05]))


def test_boxes_outside_the_image_or_without_extent_are_dropped(make_sizes: MakeSizes) -> None:
    boxes = torch.tensor([[100.0, 5, 110, 20], [5, 70, 9, 80], [30, 30, 30, 40], [1, 1, 2, 2]])
    found = best_boxes(boxes, torch.full((4,), 0.9), IMAGE, make_sizes())
    assert found["boxes"].tolist() == [[1, 1, 2, 2]]


def test_at_most_as_many_boxes_as_asked_remain(make_sizes: MakeSizes) -> None:
    corner = torch.arange(8.0)[:, None] * 10
    boxes = torch.cat([corner, corner * 0, corner + 5, corner * 0 + 5], dim=1)
    found = best_boxes(boxes, torch.linspace(0.2, 0.9, 8), IMAGE, make_sizes(detections_max=3))
    torch.testing.assert_close(found["scores"], torch.tensor([0.9, 0.8, 0.7]))


def test_an_image_without_candidates_gives_no_boxes(make_sizes: MakeSizes) -> None:
    found = best_boxes(torch.rand(5, 4), torch.zeros(5), IMAGE, make_sizes())
    assert (found["boxes"].shape, found["scores"].shape) == ((0, 4), (0,))


ANCHORS = torch.tensor(
    [[10.0, 10, 20, 20], [12, 10, 22, 20], [40, 40, 50, 50], [42, 40, 52, 50], [70, 70, 80, 80]]
)


def test_anchors_are_node_left_out_or_background(make_target: MakeTarget) -> None:
    target = make_target([[10, 10, 20, 20]], [[40, 40, 50, 50]])
    matched = match_anchors(SSDMatcher(0.5), ANCHORS, target)
    assert matched.tolist() == [0, 0, -2, -2, -1]  # IoU 80 / 120 in either pair


def test_an_image_without_boxes_is_all_background(make_target: MakeTarget) -> None:
    matcher = Matcher(0.5, 0.4, allow_low_quality_matches=True)
    assert match_anchors(matcher, ANCHORS, make_target()).tolist() == [-1] * 5


def test_the_best_anchor_of_a_node_stays_though_it_lies_on_an_ignored_box(
    make_target: MakeTarget,
) -> None:
    # IoU of the third anchor with the node 16 / 100, with the ignored box 1
    target = make_target([[43, 43, 47, 47]], [[40, 40, 50, 50]])
    matched = match_anchors(SSDMatcher(0.5), ANCHORS, target)
    assert matched.tolist() == [-1, -1, 0, -2, -1]


def test_the_pyramid_has_maps_at_strides_8_to_128() -> None:
    body = ResNet50(1, width=0.125)
    with torch.inference_mode():
        maps = ResNetPyramid(body, 32)(body(torch.rand(1, 1, 128, 256)))
    assert [tuple(x.shape) for x in maps] == [
        (1, 32, 128 // s, 256 // s) for s in (8, 16, 32, 64, 128)
    ]
