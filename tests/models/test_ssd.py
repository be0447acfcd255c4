"""SSD: its maps and default boxes, and its loss against torchvision's own."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.one_stage import OneStageDetector
from lnmdetect.models.ssd import STRIDES_PX, AddedMaps, DefaultBoxes, build_ssd

MakeTarget = Callable[..., dict[str, Tensor]]
MakeSizes = Callable[..., DetectorSizes]


@pytest.fixture
def model(make_sizes: MakeSizes) -> OneStageDetector:
    torch.manual_seed(0)
    return build_ssd(make_sizes())


def torchvisions(model: OneStageDetector) -> SSD:
    """Give torchvision's detector with our head and default boxes."""
    generator = model.anchors.generator  # type: ignore[attr-defined]
    return SSD(
        nn.Identity(),
        generator,
        (512, 512),
        2,
        head=model.head,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=100,
    )


def test_the_full_width_has_a_resnet_50_four_added_maps_and_the_heads() -> None:
    with torch.device("meta"):
        model = build_ssd(DetectorSizes((256, 576, 1282, 1600, 3136)))
    body = 25_557_032 - 2_049_000  # torchvision's resnet50 without its classifier
    added = (2048 * 256 + 256 + 256 * 512 * 9 + 512) + (512 * 128 + 128 + 128 * 256 * 9 + 256)
    added += 2 * (256 * 128 + 128 + 128 * 256 * 9 + 256)
    places = zip((512, 1024, 2048, 512, 256, 256, 256), (4, 6, 6, 6, 6, 4, 4), strict=True)
    heads = sum((channels * 9 + 1) * boxes * (2 + 4) for channels, boxes in places)
    assert sum(p.numel() for p in model.parameters()) == body + added + heads


def test_maps_halve_down_to_one_cell_on_any_multiple_of_32(make_sizes: MakeSizes) -> None:
    model = build_ssd(make_sizes())
    assert isinstance(model.neck, AddedMaps)
    with torch.inference_mode():
        maps = model.neck(model.body(torch.rand(1, 1, 96, 160)))
    sides = [tuple(x.shape[2:]) for x in maps]
    assert sides == [(12, 20), (6, 10), (3, 5), (2, 3), (1, 2), (1, 1), (1, 1)]


@pytest.mark.parametrize("side", [512, 256])
def test_default_boxes_have_the_published_scales_of_512_px_on_any_input(side: int) -> None:
    maps = [torch.zeros(1, 1, -(-side // s), -(-side // s)) for s in STRIDES_PX]
    (boxes,) = DefaultBoxes()(ImageList(torch.zeros(1, 1, side, side), [(side, side)]), maps)
    first = boxes[:4]
    centre = (first[:, :2] + first[:, 2:]) / 2
    torch.testing.assert_close(centre, torch.full((4, 2), 4.0))  # half of stride 8
    # 0.04 x 512; sqrt(0.04 x 0.1) x 512; 20.48 x sqrt(2) by 20.48 / sqrt(2) and turned
    expected = [[20.48, 20.48], [32.38, 32.38], [28.96, 14.48], [14.48, 28.96]]
    torch.testing.assert_close(
        first[:, 2:] - first[:, :2], torch.tensor(expected), atol=0.01, rtol=0
    )
    cells = [4, 6, 6, 6, 6, 4, 4]
    assert len(boxes) == sum(n * x.shape[-1] ** 2 for n, x in zip(cells, maps, strict=True))


def test_the_loss_of_one_image_is_torchvisions(
    model: OneStageDetector, make_target: MakeTarget
) -> None:
    target = make_target([[20, 20, 36, 34], [60, 30, 69, 96]])
    answers, anchors = model.answers(torch.rand(1, 1, 128, 128))
    ours = model.head.losses(answers, anchors, [target])
    theirs = torchvisions(model)
    matched = theirs.proposal_matcher(box_iou(target["boxes"], anchors))
    expected = theirs.compute_loss([target], answers, [anchors], [matched])
    for name in ("classification", "bbox_regression"):
        torch.testing.assert_close(ours[name], expected[name])


def test_found_boxes_are_torchvisions(make_sizes: MakeSizes) -> None:
    model = build_ssd(make_sizes(detections_max=1000))
    answers, anchors = model.answers(torch.rand(1, 1, 64, 64))
    model.answers = lambda images: (answers, anchors)  # type: ignore[method-assign]
    (ours,) = model.eval()(torch.rand(1, 1, 64, 64))
    theirs = torchvisions(model)
    theirs.topk_candidates = theirs.detections_per_img = 1000
    (expected,) = theirs.postprocess_detections(answers, [anchors], [(64, 64)])
    solid = (expected["boxes"][:, 2:] > expected["boxes"][:, :2]).all(dim=1)
    assert 50 < len(ours["boxes"]) < len(solid)  # theirs keep boxes that lie off the image
    torch.testing.assert_close(ours["boxes"], expected["boxes"][solid])
    torch.testing.assert_close(ours["scores"], expected["scores"][solid])


def test_negatives_come_from_images_without_nodes_too(
    model: OneStageDetector, make_target: MakeTarget
) -> None:
    answers, anchors = model.answers(torch.rand(2, 1, 64, 64))
    given = answers["cls_logits"].detach()
    given[1, :, 1] += 9  # the empty image is full of false alarms
    given.requires_grad_()
    targets = [make_target([[20, 20, 40, 40]]), make_target()]
    model.head.losses({**answers, "cls_logits": given}, anchors, targets)[
        "classification"
    ].backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    taught = (given.grad != 0).any(dim=2).sum(dim=1).tolist()
    positives = int((box_iou(targets[0]["boxes"], anchors) >= 0.5).sum())
    assert taught == [positives, 3 * positives]


def test_what_is_said_over_an_ignored_box_costs_exactly_nothing(
    model: OneStageDetector, make_target: MakeTarget
) -> None:
    answers, anchors = model.answers(torch.rand(1, 1, 128, 128))
    target = make_target([[20, 20, 40, 40]], [[70, 70, 95, 95]])
    over = box_iou(anchors, target["ignored"])[:, 0] >= 0.3
    assert over.sum() > 3

    def cost() -> float:
        terms = model.head.losses(answers, anchors, [target])
        return float(terms["classification"].detach())

    before = cost()
    answers["cls_logits"] = answers["cls_logits"].detach().clone()
    answers["cls_logits"][0, over, 1] += 50  # the surest false alarms there could be
    assert cost() == before
    answers["cls_logits"][0, ~over, 1] += 50
    assert cost() > before


@pytest.mark.parametrize("side", [2, 4])
def test_the_added_maps_learn_in_single_precision_down_to_one_cell(side: int) -> None:
    torch.manual_seed(0)
    stages = [torch.rand(4, count, side, side) for count in (32, 64, 128, 256)]
    body = type("Body", (), {"out_channels": (32, 64, 128, 256)})()
    neck = AddedMaps(body, 0.125)

    def gradients(precise: bool) -> list[Tensor]:
        neck.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            maps = neck(stages)
        sum((one.square().sum() for one in maps[3:]), torch.zeros(())).backward()
        return [p.grad.clone() for p in neck.parameters() if p.grad is not None]

    assert maps_alike(gradients(True), gradients(False))


def maps_alike(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
