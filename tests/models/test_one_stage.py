"""Which boxes of a one-stage detector remain."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import Matcher, SSDMatcher
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.one_stage import PyramidTop, ResNetPyramid, best_boxes, match_anchors
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


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 64), (32, 32), (64, 128)])
def test_on_windows_of_a_cell_bfloat16_gradients_of_the_pyramids_top_are_right(
    height: int, width: int
) -> None:
    p5 = torch.rand(2, 32, height // 32, width // 32)
    top, theirs = PyramidTop(32, 32), LastLevelP6P7(32, 32)
    theirs.load_state_dict(top.state_dict())
    exact = gradients_of_top(theirs, p5)
    for found, expected in zip(gradients_of_top(top, p5), exact, strict=True):
        assert torch.equal(found, expected)
    for _ in range(8):  # what is wrong depends on what the memory held before
        with torch.autocast("cpu", torch.bfloat16):
            rough = gradients_of_top(top, p5)
        for found, expected in zip(rough, exact, strict=True):
            assert (found[expected == 0] == 0).all()  # weights that meet padding alone
            largest = float(expected.abs().max())
            torch.testing.assert_close(found, expected, rtol=0, atol=0.03 * largest)


def gradients_of_top(top: LastLevelP6P7, p5: Tensor) -> list[Tensor]:
    """Return the gradients of all weights of the top of a pyramid, in memory that was full of NaN.

    Each map counts with its square, so that a gradient tells what a weight met.
    """
    top.zero_grad()
    for size in (256, 1024, 4608, 9216):
        torch.full((size,), torch.nan)
    maps, names = top([p5], [p5], ["p5"])
    assert names == ["p5", "p6", "p7"]
    torch.stack([(x.float() ** 2).sum() for x in maps[1:]]).sum().backward()  # type: ignore[no-untyped-call]
    found = [parameter.grad for parameter in top.parameters()]
    return [x.clone() for x in found if x is not None]


def test_the_pyramid_has_maps_at_strides_8_to_128() -> None:
    body = ResNet50(1, width=0.125)
    with torch.inference_mode():
        maps = ResNetPyramid(body, 32)(body(torch.rand(1, 1, 128, 256)))
    assert [tuple(x.shape) for x in maps] == [
        (1, 32, 128 // s, 256 // s) for s in (8, 16, 32, 64, 128)
    ]
