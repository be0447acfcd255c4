"""RetinaNet (Lin et al. 2017 b, Focal Loss for Dense Object Detection) for one class, the node."""

import torch
from torch import Tensor
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.retinanet import RetinaNetHead

from lnmdetect.models.detector_sizes import FPN_CHANNELS, DetectorSizes
from lnmdetect.models.one_stage import (
    OneStageDetector,
    ResNetPyramid,
    Targets,
    match_anchors,
)
from lnmdetect.models.resnet import ResNet50, scaled

OCTAVE_STEPS = (2 ** (0 / 3), 2 ** (1 / 3), 2 ** (2 / 3))
"""Three anchor sizes a level (section 4)."""
NODE_IOU, BACKGROUND_IOU = 0.5, 0.4
"""Anchors between the two are left out of the loss (section 4)."""


class NodeRetinaNetHead(RetinaNetHead):  # type: ignore[misc]
    """torchvision's head that never trains on anchors over ignored boxes.

    Args:
        channels: of the maps.
        anchors: a place.
    """

    def __init__(self, channels: int, anchors: int) -> None:
        super().__init__(channels, anchors, num_classes=1)
        self.matcher = Matcher(NODE_IOU, BACKGROUND_IOU, allow_low_quality_matches=True)

    def losses(
        self, answers: dict[str, Tensor], anchors: Tensor, targets: Targets
    ) -> dict[str, Tensor]:
        """Return `classification` (focal) and `bbox_regression` (L1)."""
        matched = [match_anchors(self.matcher, anchors, target) for target in targets]
        # torchvision counts classes from 0
        nodes = [{**t, "labels": torch.zeros_like(t["labels"])} for t in targets]
        terms: dict[str, Tensor] = self.compute_loss(
            nodes, answers, [anchors] * len(targets), matched
        )
        return terms

    def decode(self, answers: dict[str, Tensor], anchors: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (N, A, 4) px and scores (N, A) in [0, 1]."""
        coder = self.regression_head.box_coder
        boxes = [coder.decode_single(one, anchors) for one in answers["bbox_regression"]]
        return torch.stack(boxes), answers["cls_logits"].sigmoid()[..., 0]


def build_retinanet(sizes: DetectorSizes) -> OneStageDetector:
    """Return RetinaNet with ResNet-50 on P3 to P7.

    Its anchors are designed for nodes: the five areas of `sizes` take the place of 32^2 to 512^2,
    one a level, each with the published three octave steps and the ratios of `sizes`.
    """
    body = ResNet50(sizes.in_channels, width=sizes.width)
    channels = scaled(FPN_CHANNELS, sizes.width)
    sides = [area**0.5 for area in sizes.anchor_areas_px2]
    generator = AnchorGenerator(
        tuple(tuple(side * step for step in OCTAVE_STEPS) for side in sides),
        (tuple(sizes.anchor_ratios),) * len(sides),
    )
    return OneStageDetector(
        sizes,
        body=body,
        neck=ResNetPyramid(body, channels),
        anchors=generator,
        head=NodeRetinaNetHead(channels, generator.num_anchors_per_location()[0]),
    )
