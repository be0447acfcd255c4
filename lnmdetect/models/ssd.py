"""SSD (Liu et al. 2016, Single Shot MultiBox Detector) on ResNet-50, for one class, the node.

The layout is the paper's SSD512 (section 3.6 and footnote 5) with C3, C4 and C5 of ResNet-50 in
place of VGG-16's conv4_3 and fc7.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder, SSDMatcher
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSDHead

from lnmdetect.models.detector_sizes import CLASSES, DetectorSizes
from lnmdetect.models.one_stage import Maps, OneStageDetector, Targets, match_anchors
from lnmdetect.models.resnet import ResNet50, scaled
from lnmdetect.models.shared_batch import gathered, rank_count

STRIDES_PX = (8, 16, 32, 64, 128, 256, 512)
SCALES = (0.04, 0.1, 0.26, 0.42, 0.58, 0.74, 0.9, 1.06)
"""Side of a map's default boxes as a share of the input's; the last closes the series
(section 3.4: SSD512 on COCO begins at 0.04)."""
RATIOS = ([2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2])
REFERENCE_PX = 512
"""Side of the input the scales refer to. Training windows are smaller than slices; boxes must not
shrink with them."""
EXTRA_CHANNELS = ((256, 512), (128, 256), (128, 256), (128, 256))
"""Of the 1x1 and the 3x3 convolution of each added map (section 3, figure 2)."""
NODE_IOU = 0.5
NEGATIVES = 3
"""For each positive box, at most (section 2.2)."""


class AddedMaps(nn.Module):
    """C3, C4, C5 and four maps of half the side each.

    Args:
        body: gives [C2, C3, C4, C5].
        width: multiplier of the added maps' channels.
    """

    def __init__(self, body: ResNet50, width: float) -> None:
        super().__init__()
        self.out_channels = list(body.out_channels[1:])
        self.extra = nn.ModuleList()
        for inner, out in EXTRA_CHANNELS:
            self.extra.append(
                nn.Sequential(
                    nn.Conv2d(self.out_channels[-1], scaled(inner, width), 1),
                    nn.ReLU(inplace=True),
                    nn.Conv2d(scaled(inner, width), scaled(out, width), 3, stride=2, padding=1),
                    nn.ReLU(inplace=True),
                )
            )
            self.out_channels.append(scaled(out, width))

    def forward(self, stages: Maps) -> Maps:
        """Return seven maps at strides 8 to 512 for [C2, C3, C4, C5]."""
        maps = list(stages[1:])
        dtype = next(self.extra.parameters()).dtype  # fp32 in training
        # On a CPU, oneDNN's bfloat16 gradient of these convolutions' weights is wrong, often NaN,
        # where stride 2 meets a map of one cell (torch 2.15).
        with torch.autocast(maps[-1].device.type, enabled=False):
            for block in self.extra:
                maps.append(block(maps[-1].to(dtype)))  # (N, C, H / 2, W / 2), at least one cell
        return maps


class DefaultBoxes(nn.Module):
    """torchvision's default boxes for an input of 512 px, whatever the input's own size."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = DefaultBoxGenerator(
            list(RATIOS), scales=list(SCALES), steps=list(STRIDES_PX)
        )

    def forward(self, images: ImageList, maps: Maps) -> list[Tensor]:
        """Return each image's default boxes (A, 4), px."""
        size = (REFERENCE_PX, REFERENCE_PX)
        reference = ImageList(maps[0].new_empty(1, 0, *size), [size] * len(images.image_sizes))
        boxes: list[Tensor] = self.generator(reference, maps)
        return boxes


class NodeSSDHead(SSDHead):  # type: ignore[misc]
    """torchvision's head with its loss, never trained on default boxes over ignored ones.

    Args:
        channels: of each map.
        boxes: a place of each map.
    """

    def __init__(self, channels: list[int], boxes: list[int]) -> None:
        super().__init__(channels, boxes, CLASSES)
        self.matcher = SSDMatcher(NODE_IOU)
        self.box_coder = BoxCoder((10.0, 10.0, 5.0, 5.0))  # 1 / variances of the authors' code

    def losses(
        self, answers: dict[str, Tensor], anchors: Tensor, targets: Targets
    ) -> dict[str, Tensor]:
        """Return `classification` and `bbox_regression` (section 2.2, equations 1 to 3).

        The hardest negatives are chosen over the batch instead of each image, so that slices
        without nodes take part.
        """
        matched = torch.stack([match_anchors(self.matcher, anchors, one) for one in targets])
        positive = matched >= 0  # (N, A)
        wrong = F.cross_entropy(
            answers["cls_logits"].flatten(0, 1), positive.flatten().long(), reduction="none"
        )  # (N * A,)
        distance = torch.stack(
            [
                self._distance(*one, anchors)
                for one in zip(answers["bbox_regression"], matched, targets, strict=True)
            ]
        )
        wrong, matched, positive = (gathered(x) for x in (wrong, matched.flatten(), positive))
        background = wrong[matched == -1]
        count = max(1, int(positive.sum()))
        hardest = background.topk(min(NEGATIVES * count, len(background))).values
        return {
            "classification": (wrong[positive.flatten()].sum() + hardest.sum()) / count,
            "bbox_regression": distance.sum() * rank_count() / count,
        }

    def _distance(
        self, found: Tensor, matched: Tensor, target: dict[str, Tensor], anchors: Tensor
    ) -> Tensor:
        """Return the summed smooth L1 distance of an image's positive boxes."""
        positive = matched >= 0
        aims = self.box_coder.encode_single(target["boxes"][matched[positive]], anchors[positive])
        return F.smooth_l1_loss(found[positive], aims, reduction="sum")

    def decode(self, answers: dict[str, Tensor], anchors: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (N, A, 4) px and scores (N, A) in [0, 1]."""
        boxes = [self.box_coder.decode_single(one, anchors) for one in answers["bbox_regression"]]
        return torch.stack(boxes), answers["cls_logits"].softmax(dim=-1)[..., 1]


def build_ssd(sizes: DetectorSizes) -> OneStageDetector:
    """Return SSD with ResNet-50; its default boxes are the published ones, not designed ones."""
    body = ResNet50(sizes.in_channels, width=sizes.width)
    neck, boxes = AddedMaps(body, sizes.width), DefaultBoxes()
    places = boxes.generator.num_anchors_per_location()
    return OneStageDetector(
        sizes, body=body, neck=neck, anchors=boxes, head=NodeSSDHead(neck.out_channels, places)
    )
