"""Faster R-CNN on the one map C4 of ResNet-50, the layout before feature pyramids.

Proposals and pooled cells come from C4 at stride 16, and C5 with global average pooling is the box
head (He et al. 2016, appendix A). All anchors stand on that map (Lin et al. 2017, table 1 a).
"""

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from lnmdetect.models.detector_sizes import CLASSES, DetectorSizes
from lnmdetect.models.resnet import ResNet50
from lnmdetect.models.roi_pool import LevelPool
from lnmdetect.models.two_stage import (
    ROI_CELLS,
    ExactAnchorGenerator,
    ExactPredictor,
    PooledRoIHeadsAdapter,
    build_heads,
    build_rpn,
)

LEVEL = 4
"""C4, at stride 2^4."""


class SingleMapDetector(nn.Module):
    """Boxes of lymph nodes on slices, from one map.

    Pooled cells are 7 x 7 (Ren et al. 2017) and C5 keeps its stride, so that it sees 4 x 4 after
    its first block.

    Args:
        sizes: widths, anchors and sampling; `roi` says how cells are pooled.
    """

    def __init__(self, sizes: DetectorSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.body = ResNet50(sizes.in_channels, width=sizes.width)
        *_, channels, head_channels = self.body.out_channels
        sides = tuple(area**0.5 for area in sizes.anchor_areas_px2)
        self.rpn = build_rpn(
            sizes, channels, ExactAnchorGenerator((sides,), (sizes.anchor_ratios,))
        )
        self.roi_heads = build_heads(
            sizes,
            pool=PooledRoIHeadsAdapter(LevelPool(LEVEL, LEVEL, how=sizes.roi, cells=ROI_CELLS)),
            head=self._fifth_stage,
            predictor=ExactPredictor(head_channels, CLASSES),
        )

    def losses(self, images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the four terms of the multi-task loss; see `NodeDetector.losses`."""
        listed, features = self._features(images)
        proposals, rpn_losses = self.rpn(listed, features, targets)
        _, head_losses = self.roi_heads(features, proposals, listed.image_sizes, targets)
        return {**rpn_losses, **head_losses}

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Return per image `boxes` (B, 4) px and `scores` (B,); see `NodeDetector.forward`."""
        listed, features = self._features(images)
        proposals, _ = self.rpn(listed, features)
        found, _ = self.roi_heads(features, proposals, listed.image_sizes)
        return [{"boxes": one["boxes"], "scores": one["scores"]} for one in found]

    def _features(self, images: Tensor) -> tuple[ImageList, dict[str, Tensor]]:
        c4 = self.body(images, last=LEVEL)[-1]  # (N, C, H / 16, W / 16)
        size = (images.shape[-2], images.shape[-1])
        return ImageList(images, [size] * len(images)), {"0": c4}

    def _fifth_stage(self, cells: Tensor) -> Tensor:
        """Return (R, C5 channels, 1, 1) for pooled cells (R, C4 channels, 7, 7)."""
        maps: Tensor = self.body.get_submodule("layer4")(cells)  # (R, C5 channels, 4, 4)
        return torch.mean(maps, dim=(2, 3), keepdim=True)
