"""What detectors without a proposal stage share: maps, a head on all of them, boxes that remain."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FeaturePyramidNetwork, box_iou, clip_boxes_to_image, nms
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.ignored import stands_for_ignored
from lnmdetect.models.resnet import ResNet50

CANDIDATES = 1000
"""Boxes that enter non-maximum suppression (Lin et al. 2017 b, section 4.1)."""

Maps = list[Tensor]
Targets = list[dict[str, Tensor]]
AnchorsOf = Callable[[ImageList, Maps], list[Tensor]]
"""Anchors (A, 4) px of each image, in the order of the head's answers."""


class DenseHead(Protocol):
    """A head that answers once an anchor; a torch module."""

    def __call__(self, maps: Maps) -> dict[str, Tensor]:
        """Return named answers (N, A, ...) for maps (N, C, H, W)."""
        ...

    def losses(
        self, answers: dict[str, Tensor], anchors: Tensor, targets: Targets
    ) -> dict[str, Tensor]:
        """Return the named terms of the loss, for anchors (A, 4) px."""
        ...

    def decode(self, answers: dict[str, Tensor], anchors: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (N, A, 4) px and scores (N, A) in [0, 1]."""
        ...


class ResNetPyramid(nn.Module):
    """P3 to P7 on C3 to C5 (Lin et al. 2017 b, section 4).

    Args:
        body: gives [C2, C3, C4, C5].
        channels: of every map.
    """

    def __init__(self, body: ResNet50, channels: int) -> None:
        super().__init__()
        self.fpn = FeaturePyramidNetwork(
            body.out_channels[1:], channels, LastLevelP6P7(channels, channels)
        )

    def forward(self, stages: Maps) -> Maps:
        """Return [P3, ..., P7] for [C2, ..., C5]."""
        named = {str(level): x for level, x in enumerate(stages[1:])}
        return list(self.fpn(named).values())


class OneStageDetector(nn.Module):
    """Boxes of lymph nodes on slices, from a head that looks at every place once.

    Args:
        sizes: what remains of the found boxes.
        body: gives [C2, C3, C4, C5].
        neck: makes the head's maps of them.
        anchors: of an input and its maps.
        head: answers at every anchor.
    """

    def __init__(
        self,
        sizes: DetectorSizes,
        *,
        body: ResNet50,
        neck: nn.Module,
        anchors: AnchorsOf,
        head: DenseHead,
    ) -> None:
        super().__init__()
        self.sizes = sizes
        self.body, self.neck = body, neck
        self.anchors, self.head = anchors, head

    def losses(self, images: Tensor, targets: Targets) -> dict[str, Tensor]:
        """Return the terms of the loss; the module must be in train mode.

        Args:
            images: (N, C, H, W) in [0, 1], H and W multiples of 32.
            targets: per image `boxes` (B, 4) and `ignored` (I, 4), px, and `labels` (B,) of ones.
        """
        answers, anchors = self.answers(images)
        return self.head.losses(answers, anchors, targets)

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Return per image `boxes` (B, 4) px and `scores` (B,), best first; needs eval mode.

        Args:
            images: (N, C, H, W) in [0, 1], H and W multiples of 32.
        """
        boxes, scores = self.head.decode(*self.answers(images))
        return [best_boxes(*one, images, self.sizes) for one in zip(boxes, scores, strict=True)]

    def answers(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the head's answers in single precision and the anchors (A, 4)."""
        maps = [x.float() for x in self.neck(self.body(images))]
        size = (images.shape[-2], images.shape[-1])
        (anchors,) = self.anchors(ImageList(images, [size]), maps)
        dtype = next(self.parameters()).dtype  # fp32 in training: autocast casts for each layer
        answers = self.head([x.to(dtype) for x in maps])
        return {name: x.float() for name, x in answers.items()}, anchors


def match_anchors(matcher: Matcher, anchors: Tensor, target: dict[str, Tensor]) -> Tensor:
    """Return (A,) the box an anchor (A, 4) stands for, -1 for background, -2 for left out."""
    if len(target["boxes"]):
        matched: Tensor = matcher(box_iou(target["boxes"], anchors))
    else:
        matched = torch.full((len(anchors),), Matcher.BELOW_LOW_THRESHOLD, device=anchors.device)
    left_out = stands_for_ignored(anchors, target) & (matched < 0)
    return torch.where(left_out, Matcher.BETWEEN_THRESHOLDS, matched)


def best_boxes(
    boxes: Tensor, scores: Tensor, images: Tensor, sizes: DetectorSizes
) -> dict[str, Tensor]:
    """Return the `boxes` (B, 4) on the image and `scores` (B,) that remain, best first.

    Args:
        boxes: (A, 4) px.
        scores: (A,) in [0, 1].
        images: (N, C, H, W), for its size.
        sizes: least score, overlap and number.
    """
    boxes = clip_boxes_to_image(boxes, (images.shape[-2], images.shape[-1]))
    has_extent = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    chosen = torch.nonzero(has_extent & (scores >= sizes.score_min)).flatten()
    chosen = chosen[scores[chosen].argsort(descending=True, stable=True)[:CANDIDATES]]
    boxes, scores = boxes[chosen], scores[chosen]
    kept = nms(boxes, scores, sizes.nms_iou)[: sizes.detections_max]
    return {"boxes": boxes[kept], "scores": scores[kept]}
