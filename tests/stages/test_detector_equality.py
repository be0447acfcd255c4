"""The detector as `detect` runs it gives the boxes of torchvision's own path."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import RPNHead

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.datasets.scan_slices import scan_batches
from lnmdetect.io.scan_source import open_source
from lnmdetect.models import winograd
from lnmdetect.models.detector import NodeDetector
from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.inference import inference_form
from lnmdetect.models.packed_convolution import PackedConv2d
from lnmdetect.stages.detect import load_detector
from lnmdetect.stages.phantom import PhantomRequest, make_ct_phantoms
from lnmdetect.stages.speed_stock import PyramidAdapter
from tests.models.test_folding import seasoned

PX = 0.01
SCORE = 1e-4
PAPER_AREAS = (256.0, 576.0, 1282.0, 1600.0, 3136.0)
SCORE_MIN = 0.05


def anchors(sizes: DetectorSizes) -> AnchorGenerator:
    return AnchorGenerator(
        tuple((area**0.5,) for area in sizes.anchor_areas_px2),
        (sizes.anchor_ratios,) * len(sizes.anchor_areas_px2),
    )


def stock(detector: NodeDetector) -> FasterRCNN:
    """The proposals, RoIAlign, heads and boxes of torchvision around the same weights."""
    sizes, backbone = detector.sizes, PyramidAdapter(detector)
    hidden = detector.roi_heads.box_head.fc7.out_features
    model = FasterRCNN(
        backbone,
        image_mean=[0.0] * sizes.in_channels,
        image_std=[1.0] * sizes.in_channels,
        rpn_anchor_generator=anchors(sizes),
        rpn_head=RPNHead(backbone.out_channels, len(sizes.anchor_ratios)),
        rpn_pre_nms_top_n_test=sizes.proposals_test,
        rpn_post_nms_top_n_test=sizes.proposals_test,
        box_head=TwoMLPHead(backbone.out_channels * 49, hidden),
        box_predictor=FastRCNNPredictor(hidden, 2),
        box_score_thresh=SCORE_MIN - SCORE,
        box_nms_thresh=sizes.nms_iou,
        box_detections_per_img=sizes.detections_max,
    )
    for part in ("rpn", "roi_heads"):
        weights = detector.get_submodule(part).state_dict()
        model.get_submodule(part).load_state_dict(weights)
    return model.eval()


def of_stock(model: FasterRCNN, image: Tensor) -> dict[str, Tensor]:
    """What torchvision finds on an image (C, H, W), taken as it is."""
    model.transform.min_size = (min(image.shape[1:]),)
    model.transform.max_size = max(image.shape[1:])
    (found,) = model([image])
    return dict(found)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> int:
    """Every box that is clearly above the least score has its one partner; how many have."""
    distance = (expected["boxes"][:, None] - found["boxes"][None]).abs().amax(dim=-1)
    away = (expected["scores"][:, None] - found["scores"][None]).abs()
    partners = (distance < PX) & (away < SCORE)  # (E, F)
    for scores, counts in (
        (expected["scores"], partners.sum(dim=1)),
        (found["scores"], partners.sum(dim=0)),
    ):
        clear = scores >= SCORE_MIN + SCORE
        assert counts[clear].tolist() == [1] * int(clear.sum())
    return int((expected["scores"] >= SCORE_MIN + SCORE).sum())


def test_at_full_width_the_boxes_are_those_of_torchvisions_model() -> None:
    detector = seasoned(NodeDetector(DetectorSizes(PAPER_AREAS)))
    model = fasterrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=2,
        min_size=256,
        max_size=256,
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
        rpn_anchor_generator=anchors(DetectorSizes(PAPER_AREAS)),
    )
    own = detector.state_dict()
    body = {f"backbone.{name}": x for name, x in own.items() if name.startswith(("body.", "fpn."))}
    heads = {name: x for name, x in own.items() if name.startswith(("rpn.", "roi_heads."))}
    model.eval().load_state_dict({**body, **heads})
    image = torch.rand(3, 256, 224)
    with torch.inference_mode():
        (found,) = inference_form(detector)(image[None])
        assert assert_same(found, of_stock(model, image)) == 100


@pytest.mark.slow
@pytest.mark.parametrize("by_winograd", [False, True])
def test_on_every_slice_of_phantoms_the_bundled_detector_finds_torchvisions_boxes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_winograd: bool
) -> None:
    if by_winograd:  # which its layers are too narrow for to gain anything
        monkeypatch.setattr(winograd, "CHANNELS_MIN", 1)
        monkeypatch.setattr(winograd, "CHANNELS_A_TILE", 10**6)
    made = make_ct_phantoms(PhantomRequest(3, 9400, tmp_path / "phantom")).scan
    bundle, plain = load_detector("compact", "cpu", plain=True)
    assert isinstance(plain.module, NodeDetector)
    assert isinstance(bundle.recipe, DetectorRecipe)
    theirs, ours = stock(plain.module), inference_form(plain.module)
    boxes = []
    with torch.inference_mode():
        for handle in open_source(made).scans:
            for batch in scan_batches(handle.images, handle.read_slice, bundle.recipe.input):
                (found,) = ours(batch.images.contiguous(memory_format=torch.channels_last))
                boxes.append(assert_same(found, of_stock(theirs, batch.images[0])))
    layers = [part for part in ours.modules() if isinstance(part, PackedConv2d)]
    assert any("by_winograd" in vars(layer) for layer in layers) == by_winograd
    assert len(boxes) > 200
    assert np.sum(boxes) > 300
