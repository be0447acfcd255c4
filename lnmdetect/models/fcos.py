"""FCOS (Tian et al. 2019, Fully Convolutional One-Stage Object Detection) for the node."""

from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import (
    FCOSClassificationHead,
    FCOSHead,
    FCOSRegressionHead,
)

from lnmdetect.models.detector_sizes import FPN_CHANNELS, DetectorSizes
from lnmdetect.models.one_stage import OneStageDetector, ResNetPyramid, Targets
from lnmdetect.models.resnet import ResNet50
from lnmdetect.models.shared_batch import as_share

STRIDES_PX = (8, 16, 32, 64, 128)
"""Of P3 to P7 (section 3.2)."""
REACH = 8
"""A level's places look this many strides far: 64 px on P3, 128 on P4, ... (section 3.2)."""
CENTRE_RADIUS = 1.5
"""Places within this many strides of a box's centre are positive (section 4.3 of the journal
version, IEEE TPAMI 2022)."""
CHANNELS_STEP = 32
"""torchvision's head is built for multiples of this."""
GROUP_CHANNELS = 8
"""Channels a group of the head's norms at full width, 256 / 32; narrow heads keep it."""
FIRST_SIDE = 1.0
"""Strides from a place to each side of its box before training. The head rectifies sides: begun at
torchvision's 0, in a narrow head one of the four is often 0 everywhere and never learns."""
_CERTAINLY_BACKGROUND = -100.0


class NodeFCOSHead(FCOSHead):  # type: ignore[misc]
    """torchvision's head that never trains on places within ignored boxes.

    A place is the centre of a square of its stride's side, which stands in for an anchor.

    Args:
        channels: of the maps, a multiple of 32.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, num_anchors=1, num_classes=1)
        norm = partial(nn.GroupNorm, channels // GROUP_CHANNELS)
        self.classification_head = FCOSClassificationHead(channels, 1, 1, norm_layer=norm)
        self.regression_head = FCOSRegressionHead(channels, 1, norm_layer=norm)
        nn.init.constant_(self.regression_head.bbox_reg.bias, FIRST_SIDE)

    def losses(
        self, answers: dict[str, Tensor], anchors: Tensor, targets: Targets
    ) -> dict[str, Tensor]:
        """Return `classification` (focal), `bbox_regression` (GIoU) and `bbox_ctrness`."""
        matched = [match_places(anchors, target["boxes"]) for target in targets]
        left_out = torch.stack(
            [
                _inside(anchors, target["ignored"]).any(dim=1) & (match < 0)
                for match, target in zip(matched, targets, strict=True)
            ]
        )  # (N, A)
        # A logit this low costs a background place exactly nothing and takes no gradient.
        logits = answers["cls_logits"].masked_fill(left_out[..., None], _CERTAINLY_BACKGROUND)
        nodes = [{**t, "labels": torch.zeros_like(t["labels"])} for t in targets]
        terms: dict[str, Tensor] = self.compute_loss(
            nodes, {**answers, "cls_logits": logits}, [anchors] * len(targets), matched
        )
        return as_share(terms, sum(int((match >= 0).sum()) for match in matched), least=1)

    def decode(self, answers: dict[str, Tensor], anchors: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (N, A, 4) px and scores (N, A), the root of class times centreness."""
        boxes: Tensor = self.box_coder.decode(answers["bbox_regression"], anchors[None])
        scores = answers["cls_logits"].sigmoid() * answers["bbox_ctrness"].sigmoid()
        return boxes, scores[..., 0].sqrt()


def match_places(places: Tensor, boxes: Tensor) -> Tensor:
    """Return (A,) the smallest box a place answers for, -1 for background.

    It lies in that box, near its centre, and the box's far side is within the level's range.

    Args:
        places: (A, 4) squares of the stride's side, px.
        boxes: (B, 4) px.
    """
    if len(boxes) == 0:
        return torch.full((len(places),), -1, device=places.device)
    x, y = _centres(places)[:, None].unbind(dim=2)  # (A, 1)
    sides = torch.stack(
        [x - boxes[:, 0], y - boxes[:, 1], boxes[:, 2] - x, boxes[:, 3] - y], dim=2
    )  # (A, B, 4)
    stride = (places[:, 2] - places[:, 0])[:, None]  # (A, 1)
    offset = (_centres(places)[:, None] - _centres(boxes)).abs().amax(dim=2)  # (A, B)
    farthest = sides.amax(dim=2)
    least = torch.where(stride == STRIDES_PX[0], 0, stride * REACH / 2)
    most = torch.where(stride == STRIDES_PX[-1], torch.inf, stride * REACH)
    answers = (
        (sides.amin(dim=2) > 0)
        & (offset < CENTRE_RADIUS * stride)
        & (farthest > least)
        & (farthest < most)
    )
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    smallest, matched = torch.where(answers, areas, torch.inf).min(dim=1)
    return torch.where(smallest.isfinite(), matched, -1)


def _centres(boxes: Tensor) -> Tensor:
    """Return (N, 2) centres of boxes (N, 4), px."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _inside(places: Tensor, boxes: Tensor) -> Tensor:
    """Return (A, B) whether a place's centre lies in a box."""
    centres = _centres(places)[:, None]  # (A, 1, 2)
    return ((centres > boxes[:, :2]) & (centres < boxes[:, 2:])).all(dim=2)


def build_fcos(sizes: DetectorSizes) -> OneStageDetector:
    """Return FCOS with ResNet-50 on P3 to P7; it has no anchors to design."""
    body = ResNet50(sizes.in_channels, width=sizes.width)
    channels = CHANNELS_STEP * max(1, round(FPN_CHANNELS * sizes.width / CHANNELS_STEP))
    places = AnchorGenerator(tuple((side,) for side in STRIDES_PX), ((1.0,),) * len(STRIDES_PX))
    return OneStageDetector(
        sizes,
        body=body,
        neck=ResNetPyramid(body, channels),
        anchors=places,
        head=NodeFCOSHead(channels),
    )
