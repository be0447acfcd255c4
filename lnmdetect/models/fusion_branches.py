"""The networks that turn an ultrasound image into features, one row each.

Every branch is the mean of its network's last map over all places: 2048 features of ResNet-50 and
Inception-v3, 512 of VGG-11, whose fully connected layers (119 of its 129 million parameters) are
left out. Nothing is downloaded: weights are random until `io.imagenet` fills them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

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


class _Maps(nn.Module):
    """The convolutions of a timm network under the name that its published weights give them."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor) -> Tensor:
        """Return the last map."""
        last: Tensor = self.features(x)
        return last


def _resnet50(width: float) -> nn.Module:
    return LastMap(1, width=width)


def _vgg11(width: float) -> nn.Module:
    from timm import create_model  # seconds of import that ResNets need not pay

    network: nn.Module = create_model("vgg11", pretrained=False, in_chans=1, num_classes=0)
    return _Maps(network.get_submodule("features"))


def _inception_v3(width: float) -> nn.Module:
    from timm import create_model

    network: nn.Module = create_model(
        "inception_v3", pretrained=False, in_chans=1, num_classes=0, global_pool=""
    )
    return network


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
    "vgg11": BranchKind(_vgg11, 512, 32, Pretrained("timm", "vgg11", "head.fc"), "features"),
    "inception_v3": BranchKind(
        _inception_v3,
        2048,
        _INCEPTION_PX,
        # As in `models.backbones`: timm publishes torchvision's.
        Pretrained("torchvision", "Inception_V3_Weights.IMAGENET1K_V1", "fc"),
        "Mixed_7c",
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
