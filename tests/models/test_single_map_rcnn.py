"""Faster R-CNN on C4 alone."""

from collections.abc import Callable

import pytest
import torch

from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.single_map_rcnn import SingleMapDetector

MakeSizes = Callable[..., DetectorSizes]
DEFAULT_AREAS = (32.0**2, 64.0**2, 128.0**2, 256.0**2, 512.0**2)


def test_the_full_width_has_a_resnet_50_a_proposal_network_and_two_answers() -> None:
    with torch.device("meta"):
        model = SingleMapDetector(DetectorSizes(DEFAULT_AREAS, fpn=False, roi="pool"))
    body = 25_557_032 - 2_049_000  # torchvision's resnet50 without its classifier
    proposals = (1024 * 1024 * 9 + 1024) + 15 * (1024 + 1) + 60 * (1024 + 1)
    answers = 2 * (2048 + 1) + 8 * (2048 + 1)
    assert sum(p.numel() for p in model.parameters()) == body + proposals + answers


def test_all_fifteen_anchors_stand_on_every_cell_of_the_one_map(make_sizes: MakeSizes) -> None:
    model = SingleMapDetector(make_sizes(fpn=False, anchor_areas_px2=DEFAULT_AREAS))
    (cells,) = model.rpn.anchor_generator.cell_anchors
    sides = (cells[:, 2:] - cells[:, :2]).prod(dim=1).sqrt()
    expected = torch.tensor([32.0, 64, 128, 256, 512]).repeat(3)  # by ratio, then by size
    torch.testing.assert_close(sides, expected, rtol=0.02, atol=0)


def test_the_fifth_stage_is_run_on_cells_and_stored_once(make_sizes: MakeSizes) -> None:
    model = SingleMapDetector(make_sizes(fpn=False, roi="pool"))
    fifth = [name for name in model.state_dict() if "layer4.0.conv1" in name]
    assert fifth == ["body.layer4.0.conv1.weight"]
    described = model.roi_heads.box_head(torch.rand(3, 128, 7, 7))
    assert described.shape == (3, 256, 1, 1)


@pytest.mark.parametrize("roi", ["pool", "align"])
def test_either_pooling_trains_every_weight(make_sizes: MakeSizes, roi: str) -> None:
    torch.manual_seed(0)
    model = SingleMapDetector(make_sizes(fpn=False, roi=roi)).train()
    boxes = torch.tensor([[20.0, 20, 36, 36]])
    target = {
        "boxes": boxes,
        "ignored": torch.zeros(0, 4),
        "labels": torch.ones(1, dtype=torch.long),
    }
    torch.stack(list(model.losses(torch.rand(1, 1, 64, 64), [target]).values())).sum().backward()  # type: ignore[no-untyped-call]
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
