"""Faster R-CNN with ResNet-50 and FPN for one class, the node (Wang et al. 2023, section 3.1.1)."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from lnmdetect.models.ignored import NODE_OVERLAP, touches_ignored
from lnmdetect.models.resnet import ResNet50, scaled
from lnmdetect.models.roi_align import PyramidRoIAlign
from lnmdetect.models.roi_pool import LevelPool

FPN_CHANNELS = 256
HEAD_CHANNELS = 1024
"""Lin et al. 2017, sections 3 and 4.2."""
ROI_CELLS = 7
CLASSES = 2
"""Background and lymph node."""
STRIDE = 32
"""Image sides must be multiples of C5's stride."""


@dataclass(frozen=True)
class DetectorSizes:
    """What fixes a detector's shape and its sampling; see `core.config.DetectorConfig`."""

    anchor_areas_px2: tuple[float, ...]
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    in_channels: int = 3
    width: float = 1
    fpn: bool = True
    roi: str = "align"
    anchor_shapes_px: tuple[tuple[float, float], ...] = ()
    proposals_train: int = 1000
    proposals_test: int = 1000
    roi_samples: int = 512
    nms_iou: float = 0.5
    score_min: float = 0.05
    detections_max: int = 100


class IgnoringRPN(RegionProposalNetwork):  # type: ignore[misc]
    """torchvision's proposal network that leaves anchors on ignored boxes out of the loss."""

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return labels (1 node, 0 background, -1 left out) and matched boxes of every anchor."""
        labels, matched = super().assign_targets_to_anchors(anchors, targets)
        for label, anchor, target in zip(labels, anchors, targets, strict=True):
            label[touches_ignored(anchor, target) & (label == 0)] = -1
        return labels, matched


class IgnoringRoIHeads(RoIHeads):  # type: ignore[misc]
    """torchvision's box heads that never train on proposals over ignored boxes."""

    def select_training_samples(
        self, proposals: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        """Return the sampled proposals with their matches, labels and regression targets."""
        kept = [
            boxes[~touches_ignored(boxes, target)]
            for boxes, target in zip(proposals, targets, strict=True)
        ]
        selected: tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]] = (
            super().select_training_samples(kept, targets)
        )
        return selected


class PooledRoIHeadsAdapter(nn.Module):
    """Gives a pooling of maps the call signature of torchvision's box heads."""

    def __init__(self, pool: PyramidRoIAlign | LevelPool) -> None:
        super().__init__()
        self.pool = pool

    def forward(
        self, features: dict[str, Tensor], proposals: list[Tensor], _: list[tuple[int, int]]
    ) -> Tensor:
        """Return (R, C, 7, 7) of the maps (N, C, H, W) at each image's proposals (R_n, 4)."""
        pooled: Tensor = self.pool(list(features.values()), proposals)  # (R, C, 7, 7)
        return pooled


class NodeDetector(nn.Module):
    """Boxes of lymph nodes on slices.

    Args:
        sizes: widths, anchors and sampling.
    """

    def __init__(self, sizes: DetectorSizes) -> None:
        super().__init__()
        self.sizes = sizes
        channels = scaled(FPN_CHANNELS, sizes.width)
        self.body = ResNet50(sizes.in_channels, width=sizes.width)
        self.fpn = FeaturePyramidNetwork(self.body.out_channels, channels, LastLevelMaxPool())
        hidden = scaled(HEAD_CHANNELS, sizes.width)
        self.rpn = build_rpn(sizes, channels, _pyramid_anchors(sizes))
        self.roi_heads = build_heads(
            sizes,
            pool=PooledRoIHeadsAdapter(_pyramid_pool(sizes.roi)),
            head=TwoMLPHead(channels * ROI_CELLS**2, hidden),
            predictor=FastRCNNPredictor(hidden, CLASSES),
        )

    def losses(self, images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the four terms of the multi-task loss; the module must be in train mode.

        Args:
            images: (N, C, H, W) in [0, 1], H and W multiples of 32.
            targets: per image `boxes` (B, 4) and `ignored` (I, 4), px, and `labels` (B,) of ones.
        """
        listed, features = self._features(images)
        proposals, rpn_losses = self.rpn(listed, features, targets)
        _, head_losses = self.roi_heads(features, proposals, listed.image_sizes, targets)
        return {**rpn_losses, **head_losses}

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Return per image `boxes` (B, 4) px and `scores` (B,), best first; needs eval mode.

        Args:
            images: (N, C, H, W) in [0, 1], H and W multiples of 32.
        """
        listed, features = self._features(images)
        proposals, _ = self.rpn(listed, features)
        detections, _ = self.roi_heads(features, proposals, listed.image_sizes)
        return [{"boxes": found["boxes"], "scores": found["scores"]} for found in detections]

    def _features(self, images: Tensor) -> tuple[ImageList, dict[str, Tensor]]:
        size = (images.shape[-2], images.shape[-1])
        maps = {str(level): x for level, x in enumerate(self.body(images))}
        features = self.fpn(maps)  # P2 to P6, (N, channels, H / stride, W / stride)
        return ImageList(images, [size] * len(images)), features


def _pyramid_anchors(sizes: DetectorSizes) -> AnchorGenerator:
    return AnchorGenerator(
        sizes=tuple((area**0.5,) for area in sizes.anchor_areas_px2),
        aspect_ratios=(tuple(sizes.anchor_ratios),) * len(sizes.anchor_areas_px2),
    )


def _pyramid_pool(how: str) -> PyramidRoIAlign | LevelPool:
    """Return the pooling from P2 to P5; RoIAlign is our faster one of the same values."""
    if how == "align":
        return PyramidRoIAlign(cells=ROI_CELLS)
    return LevelPool(2, 5, how=how, cells=ROI_CELLS)


def build_rpn(sizes: DetectorSizes, channels: int, anchors: AnchorGenerator) -> IgnoringRPN:
    """Return the proposal network on maps of `channels` with the anchors given."""
    return IgnoringRPN(
        anchors,
        RPNHead(channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 2 * sizes.proposals_train, "testing": sizes.proposals_test},
        post_nms_top_n={"training": sizes.proposals_train, "testing": sizes.proposals_test},
        nms_thresh=0.7,
    )  # Ren et al. 2017, sections 3.1.2 and 3.3


def build_heads(
    sizes: DetectorSizes,
    *,
    pool: PooledRoIHeadsAdapter,
    head: Callable[[Tensor], Tensor],
    predictor: FastRCNNPredictor,
) -> IgnoringRoIHeads:
    """Return the box heads: `pool` cuts cells, `head` describes them, `predictor` answers."""
    return IgnoringRoIHeads(
        pool,
        head,
        predictor,
        fg_iou_thresh=NODE_OVERLAP,
        bg_iou_thresh=NODE_OVERLAP,
        batch_size_per_image=sizes.roi_samples,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=sizes.score_min,
        nms_thresh=sizes.nms_iou,
        detections_per_img=sizes.detections_max,
    )  # Girshick 2015, section 2.3
