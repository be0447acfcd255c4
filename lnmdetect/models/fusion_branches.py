"""The networks that turn an ultrasound image into features, one row each.

Every branch is the mean of its network's last map over all places: 2048 features of ResNet-50 and
Inception-v3, 512 of VGG-11, whose fully connected layers (124 of its 133 million parameters) are
left out. A width multiplies the channels of each. Nothing is downloaded: weights are random until
`io.imagenet` fills them.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from lnmdetect.core.errors import UsageError
from lnmdetect.core.pretrained import Pretrained
from lnmdetect.models.resnet import ResNet50


@dataclass(frozen=True)
class BranchKind:
    """One network.

    Attributes:
        build: gives the untrained body for a width: grey images (N, 1, S, S) to maps (N, C, h, w).
        features: channels of the last map at width 1.
        min_px: smallest side of an image: the last map has more than one place, or normalisation
            over a single image of a training batch would have nothing to measure.
        imagenet: the published weights of width 1.
        last: name of the body's submodule that gives the last map.
    """

    build: Callable[[float], nn.Module]
    features: int
    min_px: int
    imagenet: Pretrained
    last: str


class LastMap(ResNet50):
    """ResNet-50 that gives only its last map."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Return C5 (N, 2048 * width, S / 32, S / 32) for `x` (N, C, S, S)."""
        last: Tensor = super().forward(x)[-1]
        return last


class _Vgg11(nn.Module):
    """The convolutions of VGG-11, under the names that its published weights have."""

    def __init__(self, width: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for planes in _VGG11_PLANES:
            if planes is None:
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(channels, round(planes * width), 3, padding=1), nn.ReLU()]
            channels = round(planes * width)
        self.features = nn.Sequential(*layers)
        for name, parameter in self.features.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:  # without normalisation torch's own start would fade from layer to layer
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return the last map (N, 512 * width, S / 32, S / 32) for `x` (N, 1, S, S)."""
        last: Tensor = self.features(x)
        return last


_VGG11_PLANES = (64, None, 128, None, 256, 256, None, 512, 512, None, 512, 512, None)
"""Channels of the convolutions; None: half the side (Simonyan and Zisserman 2015, table 1 A)."""


def _resnet50(width: float) -> nn.Module:
    return LastMap(1, width=width)


def _inception_v3(width: float) -> nn.Module:
    """Return torchvision's network up to its last map, its convolutions of scaled channels."""
    from torchvision.models import inception  # ResNets need not pay its import

    def convolution(inputs: int, outputs: int, **options: Any) -> nn.Module:
        channels = 1 if inputs == _COLOURS else round(inputs * width)
        made: nn.Module = inception.BasicConv2d(channels, round(outputs * width), **options)
        return made

    blocks = [getattr(inception, f"Inception{letter}") for letter in "ABCDE"]
    network = inception.Inception3(
        aux_logits=False,
        init_weights=False,
        inception_blocks=[
            convolution,
            *(partial(block, conv_block=convolution) for block in blocks),
            inception.InceptionAux,
        ],
    )
    parts = list(network.named_children())
    last = [name for name, _ in parts].index(_INCEPTION_LAST)
    return nn.Sequential(OrderedDict(parts[: last + 1]))


_COLOURS = 3
"""Channels of the images that torchvision's networks are built for; ours have one."""
_INCEPTION_LAST = "Mixed_7c"
_TWO_PLACES_PX = 33
"""From here on a last map at stride 32 has more than one place, where sides are rounded up."""
_INCEPTION_PX = 107
"""Likewise, where sides are rounded down: 107, 53, 51, 25, 23, 11, 5 and 2 px."""

BRANCHES: Mapping[str, BranchKind] = {
    "resnet50": BranchKind(
        _resnet50,
        2048,
        _TWO_PLACES_PX,
        Pretrained("torchvision", "ResNet50_Weights.IMAGENET1K_V1", "fc"),
        "layer4",
    ),
    "vgg11": BranchKind(_Vgg11, 512, 32, Pretrained("timm", "vgg11", "head.fc"), "features"),
    "inception_v3": BranchKind(
        _inception_v3,
        2048,
        _INCEPTION_PX,
        # As in `models.backbones`: timm publishes torchvision's.
        Pretrained("torchvision", "Inception_V3_Weights.IMAGENET1K_V1", "fc"),
        _INCEPTION_LAST,
    ),
}
"""Guang et al. 2023, tables 2 and 3."""


def branch_kind(name: str, size_px: int) -> BranchKind:
    """Return the network of that name, for images of that side.

    Raises:
        UsageError: there is none of that name, or the images are too small for it.
    """
    if name not in BRANCHES:
        raise UsageError(
            "recipe: model.backbone",
            expected=f"one of {', '.join(BRANCHES)}",
            got=repr(name),
            remedy="Choose one of those.",
        )
    least = BRANCHES[name].min_px
    if size_px < least:
        raise UsageError(
            "recipe: model.size_px",
            expected=f"{least} or more for {name}",
            got=str(size_px),
            remedy="Enlarge size_px, or choose another backbone.",
        )
    return BRANCHES[name]
