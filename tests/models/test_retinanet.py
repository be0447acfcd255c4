"""RetinaNet against torchvision's own."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import retinanet_resnet50_fpn
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.ops import box_iou

from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.one_stage import OneStageDetector
from lnmdetect.models.retinanet import build_retinanet

MakeTarget = Callable[..., dict[str, Tensor]]
MakeSizes = Callable[..., DetectorSizes]


@pytest.fixture
def model(make_sizes: MakeSizes) -> OneStageDetector:
    torch.manual_seed(0)
    return build_retinanet(make_sizes())


def torchvisions(model: OneStageDetector) -> RetinaNet:
    """Give torchvision's detector with our head and anchors."""
    backbone = nn.Module()
    backbone.out_channels = 32  # type: ignore[assignment]
    return RetinaNet(
        backbone,
        1,
        anchor_generator=model.anchors,
        head=model.head,
        detections_per_img=100,
        score_thresh=0.05,
        nms_thresh=0.5,
    )


def test_the_full_width_has_torchvisions_parameters() -> None:
    with torch.device("meta"):
        ours = build_retinanet(DetectorSizes((256, 576, 1282, 1600, 3136)))
        theirs = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=1)
    counts = [sum(p.numel() for p in net.parameters()) for net in (ours, theirs)]
    assert counts == [32_201_069, 32_201_069]


def test_each_level_has_its_area_in_three_octave_steps_and_three_ratios(
    model: OneStageDetector,
) -> None:
    (_, level, *_) = model.anchors.cell_anchors  # type: ignore[attr-defined]
    squares = (level[:, 2:] - level[:, :2])[3:6]  # ratio 1: sides 16, 20.2 and 25.4 px
    assert squares.tolist() == [[16, 16], [20, 20], [26, 26]]


def test_losses_are_torchvisions_where_nothing_is_ignored(
    model: OneStageDetector, make_target: MakeTarget
) -> None:
    targets = [make_target([[20, 20, 36, 34], [60, 70, 90, 96]]), make_target()]
    answers, anchors = model.answers(torch.rand(2, 1, 128, 128))
    answers["cls_logits"] = torch.randn_like(answers["cls_logits"])
    ours = model.head.losses(answers, anchors, targets)
    named = [{**t, "labels": torch.zeros_like(t["labels"])} for t in targets]
    theirs = torchvisions(model).compute_loss(named, answers, [anchors] * 2)
    for name in ("classification", "bbox_regression"):
        torch.testing.assert_close(ours[name], theirs[name])


def test_found_boxes_are_torchvisions(model: OneStageDetector) -> None:
    answers, anchors = model.answers(torch.rand(1, 1, 64, 64))
    answers["cls_logits"] = torch.randn_like(answers["cls_logits"]) - 3
    model.answers = lambda images: (answers, anchors)  # type: ignore[method-assign]
    (ours,) = model.eval()(torch.rand(1, 1, 64, 64))
    split = {name: [x] for name, x in answers.items()}  # as one level: fewer than 1000 candidates
    (theirs,) = torchvisions(model).postprocess_detections(split, [[anchors]], [(64, 64)])
    assert 5 < len(ours["boxes"]) <= 100
    torch.testing.assert_close(ours["boxes"], theirs["boxes"])
    torch.testing.assert_close(ours["scores"], theirs["scores"])


def test_what_is_said_over_an_ignored_box_costs_exactly_nothing(
    model: OneStageDetector, make_target: MakeTarget
) -> None:
    answers, anchors = model.answers(torch.rand(1, 1, 128, 128))
    given = answers["cls_logits"].detach().requires_grad_()
    target = make_target([[20, 20, 36, 34]], [[60, 70, 90, 96]])
    model.head.losses({**answers, "cls_logits": given}, anchors, [target])[
        "classification"
    ].backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    over = _iou(anchors, target["ignored"]) >= 0.3
    assert over.sum() > 5
    assert (given.grad[0, over] == 0).all()
    far = _iou(anchors, torch.cat([target["ignored"], target["boxes"]])) == 0
    assert (given.grad[0, far] != 0).all()


def _iou(anchors: Tensor, boxes: Tensor) -> Tensor:
    best: Tensor = box_iou(anchors, boxes).amax(dim=1)
    return best
