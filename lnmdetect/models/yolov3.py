"""YOLOv3 (Redmon and Farhadi 2018) for one class, the node."""

from dataclasses import replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.one_stage import best_boxes
from lnmdetect.models.resnet import scaled
from lnmdetect.models.yolo_targets import (
    PRIORS_A_PLACE,
    Priors,
    decode,
    encode,
    grid_priors,
    objectness_targets,
    responsible,
)

NECK_CHANNELS = (512, 256, 128)
"""Of the coarsest map's neck to the finest one's (authors' yolov3.cfg)."""
LEAK = 0.1
"""Slope of the leaky rectifiers (authors' yolov3.cfg)."""
NODE_PRIOR = 0.01
"""Objectness at the start (Lin et al. 2017 b, section 3.3). The paper starts at 0.5, which the
thousands of background places of a slice take long to bring down."""
LARGEST_LOG_RATIO = 4.0
"""A box is at most e^4 times its prior; training never comes near, but exp must stay finite."""


def darknet53(in_channels: int, width: float) -> nn.Module:
    """Return timm's DarkNet-53 with a width multiplier, giving maps at strides 8, 16 and 32."""
    # Other detectors do without timm, whose import takes as long as a slice.
    import timm
    from timm.models.cspnet import model_cfgs

    published = model_cfgs["darknet53"]
    stages = published.stages
    channels = tuple(scaled(count, width) for count in stages.out_chs)
    body: nn.Module = timm.create_model(
        "darknet53",
        features_only=True,
        out_indices=(3, 4, 5),
        in_chans=in_channels,
        stem=replace(published.stem, out_chs=scaled(published.stem.out_chs, width)),
        stages=replace(stages, out_chs=channels),
    )
    return body


def _convolution(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(LEAK, inplace=True),
    )


def _five(in_channels: int, channels: int) -> nn.Sequential:
    """Return 1x1, 3x3, 1x1, 3x3 and 1x1 convolutions."""
    widths = (in_channels, channels, 2 * channels, channels, 2 * channels, channels)
    return nn.Sequential(
        *(_convolution(a, b, 3 if b > channels else 1) for a, b in pairwise(widths))
    )


class YoloHead(nn.Module):
    """Answers at three scales, coarser maps upsampled and joined to finer ones (section 2.3).

    Args:
        channels: of the body's maps, finest first.
        width: multiplier of the neck's channels.
        classes: beside objectness and box.
    """

    def __init__(self, channels: list[int], width: float, classes: int = 1) -> None:
        super().__init__()
        self.numbers = 5 + classes
        self.necks, self.lifts, self.answers = (nn.ModuleList() for _ in range(3))
        below = 0
        for found, base in zip(reversed(channels), NECK_CHANNELS, strict=True):
            neck = scaled(base, width)
            if below:
                self.lifts.append(_convolution(below, neck, 1))
            self.necks.append(_five(found + (neck if below else 0), neck))
            self.answers.append(
                nn.Sequential(
                    _convolution(neck, 2 * neck, 3),
                    nn.Conv2d(2 * neck, PRIORS_A_PLACE * self.numbers, 1),
                )
            )
            below = neck
        self._start_with_background()

    def _start_with_background(self) -> None:
        for answer in self.answers:
            last = answer.get_submodule("1")
            assert isinstance(last, nn.Conv2d)
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
            with torch.no_grad():
                biases = last.bias.reshape(PRIORS_A_PLACE, self.numbers)  # type: ignore[union-attr]
                biases[:, 4] = torch.logit(torch.tensor(NODE_PRIOR))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return (N, A, 5 + classes) answers at the priors of maps (N, C, H, W), finest first."""
        answers: list[Tensor] = []
        lower: Tensor | None = None
        for number, found in enumerate(reversed(maps)):
            if lower is not None:
                lifted = F.interpolate(self.lifts[number - 1](lower), scale_factor=2)
                found = torch.cat([lifted, found], dim=1)
            lower = self.necks[number](found)
            answer = self.answers[number](lower)  # (N, 3 * numbers, H, W)
            rows = answer.permute(0, 2, 3, 1).reshape(len(answer), -1, self.numbers)
            answers.insert(0, rows)
        return torch.cat(answers, dim=1)


class YoloV3(nn.Module):
    """Boxes of lymph nodes on slices, from three maps of DarkNet-53.

    Args:
        sizes: width and nine priors, smallest first, and what remains of the found boxes.
    """

    def __init__(self, sizes: DetectorSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.body = darknet53(sizes.in_channels, sizes.width)
        self.head = YoloHead(self.body.feature_info.channels(), sizes.width)  # type: ignore[operator, union-attr]

    def losses(self, images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return objectness, class and box terms, sums over an image, means over the batch.

        Args:
            images: (N, C, H, W) in [0, 1], H and W multiples of 32.
            targets: per image `boxes` (B, 4) and `ignored` (I, 4), px, and `labels` (B,) of ones.
        """
        answers, priors = self.answers(images)
        return yolo_losses(answers, priors, targets)

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Return per image `boxes` (B, 4) px and `scores` (B,), best first; needs eval mode.

        Args:
            images: (N, C, H, W) in [0, 1], H and W multiples of 32.
        """
        answers, priors = self.answers(images)
        boxes = decode(_said(answers), priors)
        scores = answers[..., 4].sigmoid() * answers[..., 5].sigmoid()
        return [best_boxes(*one, images, self.sizes) for one in zip(boxes, scores, strict=True)]

    def answers(self, images: Tensor) -> tuple[Tensor, Priors]:
        """Return (N, A, 6) answers in single precision and the priors they stand at."""
        maps = self.body(images)
        return self.head(maps).float(), grid_priors(maps, self.sizes.anchor_shapes_px)


def _said(answers: Tensor) -> Tensor:
    """Return (..., 4) places in the cell and log size ratios of answers (..., 5 + classes)."""
    ratios = answers[..., 2:4].clamp(max=LARGEST_LOG_RATIO)
    return torch.cat([answers[..., :2].sigmoid(), ratios], dim=-1)


def yolo_losses(
    answers: Tensor, priors: Priors, targets: list[dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Return objectness, class and box terms for answers (N, A, 6) (sections 2.1 and 2.2).

    The paper's squared error of a centre is taken after the sigmoid, which is our reading of it.
    """
    terms = [_image_losses(*one, priors) for one in zip(answers, targets, strict=True)]
    names = ("loss_objectness", "loss_class", "loss_box")
    means = torch.stack(terms).mean(dim=0)
    return dict(zip(names, means, strict=True))


def _image_losses(answers: Tensor, target: dict[str, Tensor], priors: Priors) -> Tensor:
    """Return (3,) objectness, class and box terms of one image, sums over its priors."""
    chosen = responsible(target["boxes"], priors)
    holds, asked = objectness_targets(target, priors, chosen)
    objectness = F.binary_cross_entropy_with_logits(
        answers[asked, 4], holds[asked].float(), reduction="sum"
    )
    named = answers[chosen, 5]
    node = F.binary_cross_entropy_with_logits(named, torch.ones_like(named), reduction="sum")
    aims = encode(target["boxes"], priors, chosen)
    box = F.mse_loss(_said(answers[chosen]), aims, reduction="sum") / 2
    return torch.stack([objectness, node, box])
