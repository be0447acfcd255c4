"""The networks that can classify a node's crop, one row each; a row is all that a new one costs.

Every network takes crops (N, in_channels, S, S) in [0, 1] and gives (N, classes) logits. Those of
the ResNet family are ours and take a width; the others come from timm and torchvision at their
published size. Nothing is downloaded: weights are random until `io.imagenet` fills them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn

from lnmdetect.core.errors import UsageError
from lnmdetect.core.pretrained import Pretrained
from lnmdetect.models.classifier import NodeClassifier, PooledClassifier
from lnmdetect.models.resnet import ResNet34, ResNet50

STRIDE_PX = 32
"""Of the last map of all these networks: a smaller crop has no whole pixel there."""


@dataclass(frozen=True)
class ClassifierSizes:
    """What fixes a classifier's shape; see `core.config.ClassifierConfig`.

    Attributes:
        factor, attention: act on resnet50 only.
    """

    in_channels: int = 3
    classes: int = 2
    width: float = 1
    dropout: float = 0
    factor: int = 1
    attention: bool = False


@dataclass(frozen=True)
class Backbone:
    """One network.

    Attributes:
        build: gives the untrained network.
        features: name of the submodule whose output is the last map (N, C, h, w).
        head: name of the last linear layer.
        imagenet: tells the published weights for the sizes.
        reads_mean: whether the head reads the mean of the last map alone, as CAM asks for
            (Zhou et al. 2016, section 2).
        scales: whether `width` acts; the others ignore it.
        min_px: smallest side of a crop.
    """

    build: Callable[[ClassifierSizes], nn.Module]
    features: str
    head: str
    imagenet: Callable[[ClassifierSizes], Pretrained]
    reads_mean: bool = True
    scales: bool = False
    min_px: int = STRIDE_PX


def backbone(name: str, size_px: int) -> Backbone:
    """Return the network of that name, for crops of that side.

    Raises:
        UsageError: there is none of that name, or the crops are too small for it.
    """
    if name not in BACKBONES:
        raise UsageError(
            "recipe: model.backbone",
            expected=f"one of {', '.join(BACKBONES)}",
            got=repr(name),
            remedy="Choose one of those.",
        )
    least = BACKBONES[name].min_px
    if size_px < least:
        raise UsageError(
            "recipe: model.size_px",
            expected=f"{least} or more for {name}",
            got=str(size_px),
            remedy="Enlarge size_px, or choose another backbone.",
        )
    return BACKBONES[name]


def _resnet50(sizes: ClassifierSizes) -> nn.Module:
    return NodeClassifier(
        sizes.in_channels,
        sizes.classes,
        width=sizes.width,
        factor=sizes.factor,
        attention=sizes.attention,
        dropout=sizes.dropout,
    )


def _resnet34(sizes: ClassifierSizes) -> nn.Module:
    body = ResNet34(sizes.in_channels, width=sizes.width)
    return PooledClassifier(body, sizes.classes, dropout=sizes.dropout)


def _resnext50(sizes: ClassifierSizes) -> nn.Module:
    """ResNeXt-50 (32x4d): 32 groups in bottlenecks of doubled width (Xie et al. 2017, table 1)."""
    body = ResNet50(sizes.in_channels, width=sizes.width, factor=2, groups=32)
    return PooledClassifier(body, sizes.classes, dropout=sizes.dropout)


def _resnet_row(build: Callable[[ClassifierSizes], nn.Module], weights: str) -> Backbone:
    """Return the row of a network of the ResNet family; `weights` are those of its plain form."""

    def imagenet(sizes: ClassifierSizes) -> Pretrained:
        factor = sizes.factor if build is _resnet50 else 1
        if sizes.width != 1 or factor > 2:
            raise UsageError(
                "--init imagenet",
                expected="a recipe of width 1 with a bottleneck_factor of 1 or 2",
                got=f"width {sizes.width:g} and bottleneck_factor {sizes.factor}",
                remedy="Use such a recipe, for instance wang2023, or leave --init out.",
            )
        name = "Wide_ResNet50_2_Weights" if factor == 2 else weights
        return Pretrained("torchvision", f"{name}.IMAGENET1K_V1", "fc", body="body")

    return Backbone(build, "body.layer4", "fc", imagenet, scales=True)


def _shufflenet(sizes: ClassifierSizes) -> nn.Module:
    from torchvision.models import shufflenet_v2_x1_0

    network: nn.Module = shufflenet_v2_x1_0(weights=None, num_classes=sizes.classes)
    stem, last = network.get_submodule("conv1"), network.get_submodule("fc")
    assert isinstance(stem, nn.Sequential)
    assert isinstance(stem[0], nn.Conv2d)
    assert isinstance(last, nn.Linear)
    stem[0] = nn.Conv2d(sizes.in_channels, stem[0].out_channels, 3, stride=2, padding=1, bias=False)
    network.set_submodule("fc", nn.Sequential(nn.Dropout(sizes.dropout), last))
    return network


def _timm_network(name: str, head: str, sizes: ClassifierSizes) -> nn.Module:
    from timm import create_model  # seconds of import that ResNets need not pay

    network: nn.Module = create_model(
        name,
        pretrained=False,
        in_chans=sizes.in_channels,
        num_classes=sizes.classes,
        drop_rate=sizes.dropout,
    )
    last = network.get_submodule(head)
    assert isinstance(last, nn.Linear)
    last.reset_parameters()  # some of timm's start so wide that logits of two classes are near 10
    return network


def _timm_row(
    name: str,
    features: str,
    head: str,
    *,
    reads_mean: bool = True,
    min_px: int = STRIDE_PX,
    weights: Pretrained | None = None,
) -> Backbone:
    """Return the row of a timm model, by default with the weights that timm itself prefers."""
    published = weights or Pretrained("timm", name, head)
    return Backbone(
        partial(_timm_network, name, head),
        features,
        head,
        lambda sizes: published,
        reads_mean=reads_mean,
        min_px=min_px,
    )


_INCEPTION_PX, _XCEPTION_PX = 75, 71
"""Smallest inputs that Keras' documentation of these networks allows."""

BACKBONES: Mapping[str, Backbone] = {
    "resnet50": _resnet_row(_resnet50, "ResNet50_Weights"),
    "resnet34": _resnet_row(_resnet34, "ResNet34_Weights"),
    "resnext50": _resnet_row(_resnext50, "ResNeXt50_32X4D_Weights"),
    "mobilenetv2": _timm_row("mobilenetv2_100", "bn2", "classifier"),
    "shufflenetv2": Backbone(
        _shufflenet,
        "conv5",
        "fc.1",
        lambda sizes: Pretrained("torchvision", "ShuffleNet_V2_X1_0_Weights.IMAGENET1K_V1", "fc"),
    ),
    "densenet121": _timm_row("densenet121", "features", "classifier"),
    "densenet169": _timm_row("densenet169", "features", "classifier"),
    "efficientnet_b0": _timm_row("efficientnet_b0", "bn2", "classifier"),
    # Wang et al. 2023 does not say which RegNet: X is the plain family of Radosavovic et al. 2020,
    # and 4.0 GF its member nearest to ResNet-50 in operations (4.1 GF; our reading).
    "regnet": _timm_row("regnetx_040", "final_conv", "head.fc"),
    "inceptionv3": _timm_row(
        "inception_v3",
        "Mixed_7c",
        "fc",
        min_px=_INCEPTION_PX,
        # timm publishes torchvision's, and lets a file of another network pass without a word.
        weights=Pretrained("torchvision", "Inception_V3_Weights.IMAGENET1K_V1", "fc"),
    ),
    "xception": _timm_row("legacy_xception", "act4", "fc", min_px=_XCEPTION_PX),
    "inceptionresnetv2": _timm_row(
        "inception_resnet_v2", "conv2d_7b", "classif", min_px=_INCEPTION_PX
    ),
    # The last map before the last max-pooling, since that only makes it coarser.
    "vgg16": _timm_row("vgg16", "features.29", "head.fc", reads_mean=False),
    "vgg19": _timm_row("vgg19", "features.35", "head.fc", reads_mean=False),
}
