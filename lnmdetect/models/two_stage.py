"""Proposals and box heads of Faster R-CNN, with and without a feature pyramid.

torchvision's parts, changed in four ways: what lies on ignored boxes trains nothing, boxes are
computed in single precision also where the network runs in bfloat16, anchors become boxes only
after the best of them are chosen, and boxes are compared only as far as they are wanted.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import (
    RegionProposalNetwork,
    RPNHead,
    concat_box_prediction_layers,
)
from torchvision.ops import clip_boxes_to_image, remove_small_boxes

from lnmdetect.models.best_apart import best_apart
from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.ignored import NODE_OVERLAP, touches_ignored
from lnmdetect.models.roi_align import PyramidRoIAlign
from lnmdetect.models.roi_pool import LevelPool
from lnmdetect.models.shared_batch import as_share, shared_sampler

ROI_CELLS = 7
"""Side of the grid a proposal is cut into (Girshick 2015, section 2.1)."""


class IgnoringRPN(RegionProposalNetwork):  # type: ignore[misc]
    """torchvision's proposal network that leaves anchors on ignored boxes out of the loss.

    It gives the same proposals from fewer steps: of the anchors of an image, 65,000 at 512 x 512,
    only the best few thousand are turned into boxes, of which `best_apart` compares no more than it
    has to. Of equal scores, whose order torchvision leaves open, the first anchor is the better.
    """

    def forward(
        self,
        images: ImageList,
        features: dict[str, Tensor],
        targets: list[dict[str, Tensor]] | None = None,
        answers: tuple[list[Tensor], list[Tensor]] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Return the proposals (P, 4) px of each image and, in train mode, the two losses.

        Args:
            images: of which the maps are.
            features: (N, C, H, W) a level.
            targets: the truth of each image, in train mode.
            answers: the head's, where it has been asked: (N, A, H, W) and (N, 4 A, H, W) a map.
        """
        maps = list(features.values())
        objectness, regression = answers or self.head(maps)
        anchors = self.anchor_generator(images, maps)
        counts = [x[0].numel() for x in objectness]
        objectness, regression = concat_box_prediction_layers(objectness, regression)
        proposals = [
            self._proposals(*image, counts)
            for image in zip(
                objectness.detach().reshape(len(anchors), -1),
                regression.detach().reshape(len(anchors), -1, 4),
                anchors,
                images.image_sizes,
                strict=True,
            )
        ]
        if not self.training:
            return proposals, {}
        assert targets is not None
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        wanted = self.box_coder.encode(matched, anchors)
        of_objectness, of_boxes = self.compute_loss(objectness, regression, labels, wanted)
        terms = {"loss_objectness": of_objectness, "loss_rpn_box_reg": of_boxes}
        return proposals, as_share(terms, self.fg_bg_sampler.chosen(labels))

    def _proposals(
        self,
        logits: Tensor,
        regression: Tensor,
        anchors: Tensor,
        size: tuple[int, int],
        counts: list[int],
    ) -> Tensor:
        """Return the proposals (P, 4) px of one image, best first.

        Args:
            logits: (A,) objectness of the anchors of all levels.
            regression: (A, 4) their changes.
            anchors: (A, 4) px.
            size: height and width, px.
            counts: anchors of each level.
        """
        chosen = self._get_top_n_idx(logits[None], counts)[0]  # (K,), level after level
        level = torch.arange(len(counts), device=logits.device)
        level = level.repeat_interleave(torch.tensor(counts, device=logits.device))[chosen]
        boxes = self.box_coder.decode(regression[chosen], [anchors[chosen]]).reshape(-1, 4)
        boxes = clip_boxes_to_image(boxes, size)
        kept = remove_small_boxes(boxes, self.min_size)
        boxes, scores, level = boxes[kept], logits[chosen][kept].sigmoid(), level[kept]
        most = self.post_nms_top_n()
        best = best_apart(boxes, scores, level, iou=self.nms_thresh, most=most)
        proposals: Tensor = boxes[best]
        return proposals

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return labels (1 node, 0 background, -1 left out) and matched boxes of every anchor."""
        labels, matched = super().assign_targets_to_anchors(anchors, targets)
        for label, anchor, target in zip(labels, anchors, targets, strict=True):
            label[touches_ignored(anchor, target) & (label == 0)] = -1
        return labels, matched


class IgnoringRoIHeads(RoIHeads):  # type: ignore[misc]
    """torchvision's box heads that never train on proposals over ignored boxes.

    Attributes:
        sampled: proposals that the last losses are means over.
    """

    sampled: int = 0

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Return the boxes found and, in train mode, the two losses in their place."""
        found, terms = super().forward(features, proposals, image_shapes, targets)
        return found, as_share(terms, self.sampled) if terms else terms

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
        self.sampled = sum(map(len, selected[0]))
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
    network = IgnoringRPN(
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
    network.fg_bg_sampler = shared_sampler(network.fg_bg_sampler)
    return network


def build_heads(
    sizes: DetectorSizes,
    *,
    pool: PooledRoIHeadsAdapter,
    head: Callable[[Tensor], Tensor],
    predictor: FastRCNNPredictor,
) -> IgnoringRoIHeads:
    """Return the box heads: `pool` cuts cells, `head` describes them, `predictor` answers."""
    heads = IgnoringRoIHeads(
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
    heads.fg_bg_sampler = shared_sampler(heads.fg_bg_sampler)
    return heads
