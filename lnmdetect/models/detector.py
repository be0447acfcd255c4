"""Faster R-CNN with ResNet-50 and FPN for one class, the node (Wang et al. 2023, section 3.1.1)."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from lnmdetect.models.detector_sizes import CLASSES, FPN_CHANNELS, DetectorSizes
from lnmdetect.models.resnet import ResNet50, scaled
from lnmdetect.models.roi_align import PyramidRoIAlign
from lnmdetect.models.roi_pool import LevelPool
from lnmdetect.models.two_stage import (
    ROI_CELLS,
    ExactAnchorGenerator,
    ExactPredictor,
    PooledRoIHeadsAdapter,
    build_heads,
    build_rpn,
)

HEAD_CHANNELS = 1024
"""Lin et al. 2017, section 4.2."""


@dataclass(frozen=True)
class DenseAnswers:
    """What a detector says of every place of its images, before any box.

    Attributes:
        maps: by level, P2 to P6: (N, C, H, W).
        objectness: (N, A, H, W) a level.
        regression: (N, 4 A, H, W) a level.
    """

    maps: dict[str, Tensor]
    objectness: list[Tensor]
    regression: list[Tensor]


class NodeDetector(nn.Module):
    """Boxes of lymph nodes on slices.

    Args:
        sizes: widths, anchors and sampling.

    Attributes:
        dense_elsewhere: what runs the dense part, if not this network itself.
    """

    def __init__(self, sizes: DetectorSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.dense_elsewhere: Callable[[Tensor], DenseAnswers] | None = None
        channels = scaled(FPN_CHANNELS, sizes.width)
        self.body = ResNet50(sizes.in_channels, width=sizes.width)
        self.fpn = FeaturePyramidNetwork(self.body.out_channels, channels, LastLevelMaxPool())
        hidden = scaled(HEAD_CHANNELS, sizes.width)
        self.rpn = build_rpn(sizes, channels, _pyramid_anchors(sizes))
        self.roi_heads = build_heads(
            sizes,
            pool=PooledRoIHeadsAdapter(_pyramid_pool(sizes.roi)),
            head=TwoMLPHead(channels * ROI_CELLS**2, hidden),
            predictor=ExactPredictor(hidden, CLASSES),
        )

    def losses(self, images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the four terms of the multi-task loss; the module must be in train mode.

        Args:
            images: (N, C, H, W) in [0, 1], H and W multiples of 32.
            targets: per image `boxes` (B, 4) and `ignored` (I, 4), px, and `labels` (B,) of ones.
        """
        listed, features = _listed(images), self.pyramid_maps(images)
        proposals, rpn_losses = self.rpn(listed, features, targets)
        _, head_losses = self.roi_heads(features, proposals, listed.image_sizes, targets)
        return {**rpn_losses, **head_losses}

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Return per image `boxes` (B, 4) px and `scores` (B,), best first; needs eval mode.

        Args:
            images: (N, C, H, W) in [0, 1], H and W multiples of 32.
        """
        dense = self.dense_answers(images)
        listed = _listed(images)
        answers = (dense.objectness, dense.regression)
        proposals, _ = self.rpn(listed, dense.maps, answers=answers)
        detections, _ = self.roi_heads(dense.maps, proposals, listed.image_sizes)
        return [{"boxes": found["boxes"], "scores": found["scores"]} for found in detections]

    def dense_answers(self, images: Tensor) -> DenseAnswers:
        """Return what is said of every place of images (N, C, H, W)."""
        if self.dense_elsewhere is not None:
            return self.dense_elsewhere(images)
        maps = self.pyramid_maps(images)
        return DenseAnswers(maps, *self.rpn.head(list(maps.values())))

    def pyramid_maps(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps (N, C, H / stride, W / stride) by level, P2 to P6."""
        stages = {str(level): x for level, x in enumerate(self.body(images))}
        maps: dict[str, Tensor] = self.fpn(stages)  # P2 to P6, (N, channels, H / stride, ...)
        return maps


def _listed(images: Tensor) -> ImageList:
    return ImageList(images, [(images.shape[-2], images.shape[-1])] * len(images))


def _pyramid_anchors(sizes: DetectorSizes) -> ExactAnchorGenerator:
    return ExactAnchorGenerator(
        sizes=tuple((area**0.5,) for area in sizes.anchor_areas_px2),
        aspect_ratios=(tuple(sizes.anchor_ratios),) * len(sizes.anchor_areas_px2),
    )


def _pyramid_pool(how: str) -> PyramidRoIAlign | LevelPool:
    """Return the pooling from P2 to P5; RoIAlign is our faster one of the same values."""
    if how == "align":
        return PyramidRoIAlign(cells=ROI_CELLS)
    return LevelPool(2, 5, how=how, cells=ROI_CELLS)
