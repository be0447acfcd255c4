"""The detector's size, its ignored boxes and its boxes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList

from lnmdetect.models.detector import NodeDetector
from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.single_map_rcnn import SingleMapDetector
from lnmdetect.models.two_stage import ExactAnchorGenerator

AREAS = (64.0, 144.0, 256.0, 576.0, 1024.0)
PAPER_AREAS = (256.0, 576.0, 1282.0, 1600.0, 3136.0)
NONE = torch.zeros(0, 4)


def tiny(**changes: float) -> NodeDetector:
    sizes = {"width": 0.125, "proposals_train": 50, "proposals_test": 50, "roi_samples": 32}
    torch.manual_seed(0)
    return NodeDetector(DetectorSizes(AREAS, **{**sizes, **changes}))  # type: ignore[arg-type]


def target(boxes: Tensor = NONE, ignored: Tensor = NONE) -> dict[str, Tensor]:
    return {"boxes": boxes, "ignored": ignored, "labels": torch.ones(len(boxes), dtype=torch.long)}


def test_the_full_width_detector_has_41_35_million_parameters() -> None:
    with torch.device("meta"):  # sizes without values
        model = NodeDetector(DetectorSizes(PAPER_AREAS))
    assert sum(p.numel() for p in model.parameters()) == 41_352_281
    assert model.rpn.anchor_generator.num_anchors_per_location() == [3] * 5  # 15 anchors


def test_a_quarter_of_the_width_has_2_6_million_parameters() -> None:
    model = NodeDetector(DetectorSizes(AREAS, in_channels=5, width=0.25))
    assert sum(p.numel() for p in model.parameters()) == 2_601_289


def test_the_anchors_have_the_areas_and_ratios_asked_for() -> None:
    cells = NodeDetector(DetectorSizes(PAPER_AREAS, width=0.125)).rpn.anchor_generator.cell_anchors
    for level, area in zip(cells, PAPER_AREAS, strict=True):
        width, height = (level[:, 2:] - level[:, :2]).T
        # torchvision rounds half sides to whole pixels
        torch.testing.assert_close(height / width, torch.tensor([0.5, 1, 2]), rtol=0.15, atol=0)
        torch.testing.assert_close(width * height, torch.full((3,), area), rtol=0.15, atol=0)


def test_training_gives_the_four_finite_terms_and_every_weight_a_gradient() -> None:
    model = tiny().train()
    boxes = torch.tensor([[20.0, 20, 30, 32]])
    losses = model.losses(torch.rand(2, 3, 64, 64), [target(boxes), target()])
    assert set(losses) == {
        "loss_objectness",
        "loss_rpn_box_reg",
        "loss_classifier",
        "loss_box_reg",
    }
    assert all(torch.isfinite(term) for term in losses.values())
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_slices_without_nodes_have_no_box_term() -> None:
    model = tiny().train()
    with torch.no_grad():
        losses = model.losses(torch.rand(2, 3, 64, 64), [target(), target()])
    assert float(losses["loss_rpn_box_reg"]) == 0
    assert float(losses["loss_box_reg"]) == 0
    assert float(losses["loss_objectness"]) > 0


def anchor_labels(model: NodeDetector, truth: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    anchors = torch.tensor(
        [[10.0, 10, 20, 20], [12, 10, 22, 20], [40, 40, 50, 50], [11, 11, 19, 19]]
    )
    labels, _ = model.rpn.assign_targets_to_anchors([anchors], [truth])
    return anchors, labels[0]


def test_anchors_on_ignored_boxes_are_left_out_of_the_loss() -> None:
    ignored = torch.tensor([[10.0, 10, 20, 20]])
    _, labels = anchor_labels(tiny(), target(ignored=ignored))
    # IoU with the ignored box: 1, 80/120, 0, 64/100; from 0.3 on an anchor is left out
    assert labels.tolist() == [-1, -1, 0, -1]


def test_an_anchor_that_hits_a_counted_box_stays_though_it_touches_an_ignored_one() -> None:
    truth = target(torch.tensor([[10.0, 10, 20, 20]]), torch.tensor([[12.0, 10, 22, 20]]))
    _, labels = anchor_labels(tiny(), truth)
    assert labels.tolist()[0] == 1


def test_the_best_anchor_of_a_counted_box_stays_however_little_it_covers() -> None:
    # IoU 0.45 with the counted box, the best there is, and 70 / 130 with the ignored one
    truth = target(torch.tensor([[10.0, 10, 20, 14.5]]), torch.tensor([[10.0, 13, 20, 23]]))
    labels, _ = tiny().rpn.assign_targets_to_anchors(
        [torch.tensor([[10.0, 10, 20, 20], [50, 50, 60, 60]])], [truth]
    )
    assert labels[0].tolist() == [1, 0]


@pytest.fixture
def selected() -> Callable[[dict[str, Tensor]], tuple[list[list[float]], list[int]]]:
    """A function that gives the sampled proposals and their labels for a truth."""

    def select(truth: dict[str, Tensor]) -> tuple[list[list[float]], list[int]]:
        proposals = torch.tensor([[10.0, 10, 20, 20], [12, 10, 22, 20], [40, 40, 50, 50]])
        heads = tiny().train().roi_heads
        boxes, _, labels, _ = heads.select_training_samples([proposals], [truth])
        return boxes[0].tolist(), labels[0].tolist()

    return select


def test_proposals_on_ignored_boxes_are_neither_node_nor_background(
    selected: Callable[[dict[str, Tensor]], tuple[list[list[float]], list[int]]],
) -> None:
    boxes, labels = selected(target(ignored=torch.tensor([[10.0, 10, 20, 20]])))
    assert boxes == [[40, 40, 50, 50]]
    assert labels == [0]


def test_a_proposal_on_a_counted_box_stays_though_it_touches_an_ignored_one(
    selected: Callable[[dict[str, Tensor]], tuple[list[list[float]], list[int]]],
) -> None:
    truth = target(torch.tensor([[10.0, 10, 20, 20]]), torch.tensor([[14.0, 10, 24, 20]]))
    boxes, labels = selected(truth)
    found = {tuple(box): label for box, label in zip(boxes, labels, strict=True)}
    assert found[(10, 10, 20, 20)] == 1
    assert found[(12, 10, 22, 20)] == 1  # IoU 2/3 with the counted box, 2/3 with the ignored one
    assert found[(40, 40, 50, 50)] == 0


def test_found_boxes_lie_on_the_image_best_first_and_at_most_as_many_as_asked() -> None:
    model = tiny(score_min=0.0, detections_max=7).eval()
    with torch.inference_mode():
        (found, _) = model(torch.rand(2, 3, 64, 96))
    boxes, scores = found["boxes"], found["scores"]
    assert len(boxes) == 7
    assert (boxes >= 0).all()
    assert (boxes[:, 0::2] <= 96).all()
    assert (boxes[:, 1::2] <= 64).all()
    assert (scores.diff() <= 0).all()


def test_boxes_scored_below_the_minimum_are_dropped() -> None:
    model = tiny(score_min=1.0).eval()
    with torch.inference_mode():
        (found,) = model(torch.rand(1, 3, 64, 64))
    assert found["boxes"].shape == (0, 4)
    assert found["scores"].shape == (0,)


@pytest.mark.parametrize("fpn", [True, False])
def test_boxes_far_from_the_corner_are_exact_in_bfloat16_too(fpn: bool) -> None:
    torch.manual_seed(0)
    sizes = DetectorSizes(AREAS, width=0.125, proposals_test=50, score_min=0.0, detections_max=50)
    model = (NodeDetector if fpn else SingleMapDetector)(sizes).eval()
    images = torch.rand(1, 3, 32, 1024)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        (found,) = model(images)
    assert found["boxes"].dtype == found["scores"].dtype == torch.float32
    far = found["boxes"][found["boxes"][:, 0] > 512]  # bfloat16 has multiples of 4 there
    assert len(far) > 3
    assert (far[far < 1024] % 2 != 0).float().mean() > 0.9


def test_training_in_bfloat16_aims_at_exact_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny().train()
    aimed: list[Tensor] = []
    encode = model.roi_heads.box_coder.encode

    def noted(boxes: list[Tensor], proposals: list[Tensor]) -> list[Tensor]:
        aimed.extend(boxes)
        encoded: list[Tensor] = encode(boxes, proposals)
        return encoded

    monkeypatch.setattr(model.roi_heads.box_coder, "encode", noted)
    box = torch.tensor([[301.3, 20.3, 311.7, 30.1]])
    with torch.autocast("cpu", torch.bfloat16):
        model.losses(torch.rand(1, 3, 64, 512), [target(box)])
    (boxes,) = aimed
    assert (boxes == box).all(dim=1).any()


def test_anchors_of_bfloat16_maps_are_those_of_exact_ones() -> None:
    generator = ExactAnchorGenerator(((9.6,),), ((1.0,),))
    images = ImageList(torch.zeros(1, 1, 8, 1024), [(8, 1024)])
    maps = torch.zeros(1, 1, 1, 128)
    (rough,), (exact,) = generator(images, [maps.bfloat16()]), generator(images, [maps])
    # half of 9.6 px is rounded to 5; bfloat16 would give 1012 and 1024
    assert exact[-1].tolist() == [1011, -5, 1021, 5]
    assert rough.dtype == torch.float32
    assert torch.equal(rough, exact)
