"""Whole networks as one function of one tensor, for runtimes that know nothing of this package.

They are built of torchvision's parts, which exporters know, around the same weights: RoIAlign as an
embedding bag, and proposals in fewer steps, are ours alone and answer the same.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import MultiScaleRoIAlign

from lnmdetect.models.detector import NodeDetector
from lnmdetect.models.folding import fold_batch_norms
from lnmdetect.models.two_stage import ROI_CELLS

LEVELS = ("0", "1", "2", "3")
"""Of the pyramid, that RoIAlign reads: P2 to P5."""
RATIO = 2
"""Bilinear samples a cell and axis."""


class WholeDetector(nn.Module):
    """From an image to boxes and scores.

    Args:
        detector: as it was trained, with RoIAlign; it is copied.
    """

    def __init__(self, detector: NodeDetector) -> None:
        super().__init__()
        self.detector = fold_batch_norms(detector)
        self.detector.roi_heads.box_roi_pool = MultiScaleRoIAlign(LEVELS, ROI_CELLS, RATIO)
        own = self.detector.rpn
        anchors = own.anchor_generator
        self.proposals = RegionProposalNetwork(
            AnchorGenerator(anchors.sizes, anchors.aspect_ratios),
            own.head,
            fg_iou_thresh=0.0,  # of training alone, as the next three
            bg_iou_thresh=0.0,
            batch_size_per_image=1,
            positive_fraction=0.0,
            pre_nms_top_n=own._pre_nms_top_n,
            post_nms_top_n=own._post_nms_top_n,
            nms_thresh=own.nms_thresh,
        )
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (B, 4) px, xyxy, and scores (B,), best first.

        Args:
            image: (1, C, H, W) in [0, 1], H and W multiples of 32.
        """
        maps = self.detector.pyramid_maps(image)
        listed = ImageList(image, [(image.shape[-2], image.shape[-1])])
        proposals, _ = self.proposals(listed, maps)
        (found,), _ = self.detector.roi_heads(maps, proposals, listed.image_sizes)
        return found["boxes"], found["scores"]


class WholeClassifier(nn.Module):
    """From crops to calibrated probabilities.

    Args:
        network: gives logits; as it was trained.
        flips: axes of (N, C, H, W) that each view flips; answers are the mean over views.
        temperature: logits, or the logarithms of that mean, are divided by it.
    """

    def __init__(
        self, network: nn.Module, flips: Sequence[Sequence[int]], temperature: float
    ) -> None:
        super().__init__()
        self.network = fold_batch_norms(network)
        self.flips, self.temperature = flips, temperature
        self.eval()

    def forward(self, crops: Tensor) -> Tensor:
        """Return (N, classes) probabilities that sum to 1 for crops (N, C, S, S) in [0, 1]."""
        views = [self.network(crops.flip(list(axes)) if axes else crops) for axes in self.flips]
        mean = torch.stack([view.log_softmax(dim=1) for view in views]).logsumexp(dim=0)
        return (mean / self.temperature).softmax(dim=1)  # the number of views falls out
