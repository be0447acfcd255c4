"""What detectors without a proposal stage share: maps, a head on all of them, boxes that remain."""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
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


class PyramidTop(LastLevelP6P7):  # type: ignore[misc]
    """torchvision's P6 and P7, with right gradients on small windows in bfloat16 too.

    On a CPU, oneDNN's bfloat16 gradient of a 3 x 3 convolution's weights is wrong, often NaN, where
    stride 2 meets a map one cell wide (torch 2.15). One more column, of the zeros that lie around
    the map anyway, changes no answer.
    """

    def forward(self, p: Maps, c: Maps, names: list[str]) -> tuple[Maps, list[str]]:
        """Return the maps and names of a pyramid, and those of P6 and P7 after them.

        Args:
            p: [P3, P4, P5].
            c: [C3, C4, C5].
            names: of p.
        """
        p6 = self.p6(_two_wide(p[-1] if self.use_P5 else c[-1]))
        p7 = self.p7(_two_wide(F.relu(p6)))
        return [*p, p6, p7], [*names, "p6", "p7"]


def _two_wide(x: Tensor) -> Tensor:
    return F.pad(x, (0, 1)) if x.shape[-1] == 1 else x


class ResNetPyramid(nn.Module):
    """P3 to P7 on C3 to C5 (Lin et al. 2017 b, section 4).

    Args:
        body: gives [C2, C3, C4, C5].
        channels: of every map.
    """

    def __init__(self, body: ResNet50, channels: int) -> None:
        super().__init__()
        self.fpn = FeaturePyramidNetwork(
            body.out_channels[1:], channels, PyramidTop(channels, channels)
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
