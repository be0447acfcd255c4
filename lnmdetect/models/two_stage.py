"""Proposals and box heads of Faster R-CNN, with and without a feature pyramid.

torchvision's parts, changed in two ways: what lies on ignored boxes trains nothing, and boxes are
computed in single precision also where the network runs in bfloat16.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.ignored import NODE_OVERLAP, touches_ignored
from lnmdetect.models.roi_align import PyramidRoIAlign
from lnmdetect.models.roi_pool import LevelPool

ROI_CELLS = 7
"""Side of the grid a proposal is cut into (Girshick 2015, section 2.1)."""


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


class ExactAnchorGenerator(AnchorGenerator):  # type: ignore[misc]
    """torchvision's anchors in single precision, whatever the maps are in.

    In bfloat16, the precision of training, places beyond 256 px are two pixels apart.
    """

    def forward(self, images: ImageList, maps: list[Tensor]) -> list[Tensor]:
        """Return the anchors (A, 4) px of each image."""
        shapes = [x.new_zeros((), dtype=torch.float32).expand(x.shape) for x in maps]
        anchors: list[Tensor] = super().forward(images, shapes)
        return anchors


class ExactRPNHead(RPNHead):  # type: ignore[misc]
    """torchvision's head with answers in single precision, in which boxes are then computed."""

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return objectness (N, A, H, W) and box regression (N, 4 A, H, W) of each map."""
        objectness, regression = super().forward(maps)
        return [x.float() for x in objectness], [x.float() for x in regression]


class ExactPredictor(FastRCNNPredictor):  # type: ignore[misc]
    """torchvision's last layers with answers in single precision."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits (R, classes) and box regression (R, 4 * classes)."""
        logits, regression = super().forward(x)
        return logits.float(), regression.float()


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


def build_rpn(sizes: DetectorSizes, channels: int, anchors: AnchorGenerator) -> IgnoringRPN:
    """Return the proposal network on maps of `channels` with the anchors given."""
    return IgnoringRPN(
        anchors,
        ExactRPNHead(channels, anchors.num_anchors_per_location()[0]),
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
