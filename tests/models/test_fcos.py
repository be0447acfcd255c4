"""FCOS against torchvision's own, and its places by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import fcos_resnet50_fpn
from torchvision.models.detection.fcos import FCOS

from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.fcos import build_fcos, match_places
from lnmdetect.models.one_stage import OneStageDetector

MakeTarget = Callable[..., dict[str, Tensor]]
MakeSizes = Callable[..., DetectorSizes]


@pytest.fixture
def model(make_sizes: MakeSizes) -> OneStageDetector:
    torch.manual_seed(0)
    return build_fcos(make_sizes())


def torchvisions(model: OneStageDetector) -> FCOS:
    """Give torchvision's detector with our head and places."""
    backbone = nn.Module()
    backbone.out_channels = 32  # type: ignore[assignment]
    return FCOS(
        backbone,
        1,
        anchor_generator=model.anchors,
        head=model.head,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=100,
    )


def test_the_full_width_has_torchvisions_parameters() -> None:
    with torch.device("meta"):
        ours = build_fcos(DetectorSizes((256, 576, 1282, 1600, 3136)))
        theirs = fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=1)
    counts = [sum(p.numel() for p in net.parameters()) for net in (ours, theirs)]
    assert counts == [32_115_270, 32_115_270]


@pytest.mark.parametrize("width", [0.01, 0.1, 0.3])
def test_any_width_gives_the_norms_whole_groups(make_sizes: MakeSizes, width: float) -> None:
    found = build_fcos(make_sizes(width=width)).eval()(torch.rand(1, 1, 32, 32))
    assert len(found) == 1


def test_losses_are_torchvisions_where_nothing_is_ignored(
    model: OneStageDetector, make_target: MakeTarget
) -> None:
    targets = [make_target([[20, 20, 36, 34], [60, 30, 69, 96], [0, 0, 127, 126]]), make_target()]
    answers, anchors = model.answers(torch.rand(2, 1, 128, 128))
    answers = {name: torch.randn_like(x).abs() for name, x in answers.items()}
    ours = model.head.losses(answers, anchors, targets)
    named = [{**t, "labels": torch.zeros_like(t["labels"])} for t in targets]
    counts = [16 * 16, 8 * 8, 4 * 4, 2 * 2, 1]
    theirs = torchvisions(model).compute_loss(named, answers, [anchors] * 2, counts)
    for name in ("classification", "bbox_regression", "bbox_ctrness"):
        torch.testing.assert_close(ours[name], theirs[name])


def test_found_boxes_are_torchvisions(model: OneStageDetector) -> None:
    answers, anchors = model.answers(torch.rand(1, 1, 64, 64))
    answers = {name: torch.rand_like(x) + 0.1 for name, x in answers.items()}
    model.answers = lambda images: (answers, anchors)  # type: ignore[method-assign]
    (ours,) = model.eval()(torch.rand(1, 1, 64, 64))
    split = {name: [x] for name, x in answers.items()}  # as one level: fewer than 1000 candidates
    (theirs,) = torchvisions(model).postprocess_detections(split, [[anchors]], [(64, 64)])
    assert len(ours["boxes"]) > 5
    torch.testing.assert_close(ours["boxes"], theirs["boxes"])
    torch.testing.assert_close(ours["scores"], theirs["scores"])


def square(x: float, y: float, side: float) -> list[float]:
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def test_a_place_answers_for_the_smallest_box_around_it_of_its_levels_size() -> None:
    places = torch.tensor(
        [
            square(24, 24, 8),  # in both boxes, near both centres
            square(40, 40, 8),  # in the large box, 16 px from its centre: more than 1.5 strides
            square(56, 56, 8),  # in neither
            square(32, 32, 16),  # P4 answers for boxes whose far side is 64 px away or more
        ]
    )
    boxes = torch.tensor([[4.0, 4, 44, 44], [18.0, 18, 30, 30]])
    assert match_places(places, boxes).tolist() == [1, -1, -1, -1]
    large = torch.tensor([[0.0, 0, 110, 60]])  # 78 px from (32, 32), its centre at (55, 30)
    assert match_places(places, large).tolist() == [-1, -1, -1, 0]


def test_no_boxes_match_no_place() -> None:
    assert match_places(torch.rand(3, 4), torch.zeros(0, 4)).tolist() == [-1, -1, -1]


def test_what_is_said_within_an_ignored_box_costs_exactly_nothing(
    model: OneStageDetector, make_target: MakeTarget
) -> None:
    answers, anchors = model.answers(torch.rand(1, 1, 128, 128))
    given = answers["cls_logits"].detach().requires_grad_()
    target = make_target([[20, 20, 36, 34]], [[60, 70, 90, 96], [26, 26, 50, 50]])
    said = {**answers, "cls_logits": given}
    model.head.losses(said, anchors, [target])["classification"].backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    x, y = ((anchors[:, :2] + anchors[:, 2:]) / 2).unbind(dim=1)
    over = (x > 60) & (x < 90) & (y > 70) & (y < 96)
    assert over.sum() == 4 * 3 + 2  # P3: 64, 72, 80, 88 by 72, 80, 88; P4: 64, 80 by 80
    assert (given.grad[0, over] == 0).all()
    node = (x == 32) & (y == 32) & (anchors[:, 2] - anchors[:, 0] == 8)  # in a node and an ignored
    assert (given.grad[0, node] != 0).all()
    outside = (x < 10) & (y > 100)
    assert (given.grad[0, outside] != 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_every_side_of_a_box_can_learn_from_the_start(make_sizes: MakeSizes, seed: int) -> None:
    torch.manual_seed(seed)
    answers, _ = build_fcos(make_sizes()).answers(torch.rand(1, 1, 128, 128))
    is_open = (answers["bbox_regression"] > 0).float().mean(dim=(0, 1))
    assert (is_open > 0.99).all()  # begun at 0, a side would be 0 in most or all places
