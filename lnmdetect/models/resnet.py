"""ResNet-34, ResNet-50 and ResNeXt-50 with a width multiplier, wide bottlenecks and attention.

Layer names are torchvision's, so that its ImageNet weights fit the full-width models.
"""

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

BLOCKS = (3, 4, 6, 3)
"""Blocks a stage, of ResNet-34 and ResNet-50 alike."""
STAGE_PLANES = (64, 128, 256, 512)
STEM_PLANES = 64
EXPANSION = 4
"""He et al. 2016, table 1."""


def scaled(channels: int, width: float) -> int:
    """Return `channels` times `width`, a whole number of at least 8."""
    return max(8, round(channels * width))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a residual sum (He et al. 2016, figure 5, left).

    Args:
        in_channels: of the input.
        planes: channels of the output.
        stride: of the first convolution.
    """

    def __init__(self, in_channels: int, planes: int, stride: int) -> None:
        super().__init__()
        self.out_channels = planes
        self.conv1 = nn.Conv2d(in_channels, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = _shortcut(in_channels, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, planes, H / stride, W / stride) for `x` (N, C, H, W)."""
        y = self.relu(self.bn1(self.conv1(x)))  # (N, planes, H / stride, W / stride)
        y = self.bn2(self.conv2(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(y + shortcut)
        return result


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a residual sum (He et al. 2016, figure 5).

    Args:
        in_channels: of the input.
        planes: a quarter of the output's channels.
        stride: of the 3x3 convolution.
        factor: inner width over planes (2: Zagoruyko and Komodakis 2016).
        groups: of the 3x3 convolution; where the inner width is no multiple of it, the largest
            number that divides both.
        attention: builds the gate placed before the residual sum, given its channels.
    """

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: int,
        *,
        factor: int = 1,
        groups: int = 1,
        attention: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        inner, out_channels = planes * factor, planes * EXPANSION
        groups = math.gcd(inner, groups)
        self.out_channels = out_channels
        self.conv1 = nn.Conv2d(in_channels, inner, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out_channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.attention = attention(out_channels) if attention else None
        self.downsample = _shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 4 * planes, H / stride, W / stride) for `x` (N, C, H, W)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))  # (N, inner, H / stride, W / stride)
        y = self.bn3(self.conv3(y))  # (N, 4 * planes, H / stride, W / stride)
        if self.attention is not None:
            y = self.attention(y)
        shortcut = x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(y + shortcut)
        return result


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """Return the projection of a residual sum, None where the input can be added as it is."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class ResNet(nn.Module):
    """The four stages C2 to C5, at strides 4, 8, 16 and 32.

    Args:
        in_channels: of the image.
        block: builds a block, given its input's channels, its planes and its stride.
        width: multiplier of every layer's channels.
    """

    def __init__(
        self,
        in_channels: int,
        block: Callable[[int, int, int], BasicBlock | Bottleneck],
        *,
        width: float = 1,
    ) -> None:
        super().__init__()
        stem = scaled(STEM_PLANES, width)
        self.conv1 = nn.Conv2d(in_channels, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = stem
        self.out_channels: list[int] = []
        for number, (blocks, base) in enumerate(zip(BLOCKS, STAGE_PLANES, strict=True)):
            planes = scaled(base, width)
            layer = nn.Sequential()
            for index in range(blocks):
                stride = 2 if index == 0 and number > 0 else 1
                built = block(channels, planes, stride)
                layer.append(built)
                channels = built.out_channels
            self.add_module(f"layer{number + 1}", layer)
            self.out_channels.append(channels)
        _initialise(self)

    def forward(self, x: Tensor, *, last: int = 5) -> list[Tensor]:
        """Return [C2, C3, ..., C`last`] for `x` (N, in_channels, H, W)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (N, stem, H / 4, W / 4)
        maps = []
        for number in range(1, last):
            x = self.get_submodule(f"layer{number}")(x)
            maps.append(x)
        return maps


class ResNet50(ResNet):
    """ResNet of bottlenecks: plain, wide, grouped (ResNeXt) or gated by attention.

    Args:
        in_channels: of the image.
        width: multiplier of every layer's channels.
        factor: inner width of the bottlenecks over their planes.
        groups: of the 3x3 convolutions at width 1; fewer in a narrower network, each of the same
            number of channels.
        attention: builds the gate of each bottleneck, given its channels; None for none.
    """

    def __init__(
        self,
        in_channels: int = 3,
        *,
        width: float = 1,
        factor: int = 1,
        groups: int = 1,
        attention: Callable[[int], nn.Module] | None = None,
    ) -> None:
        groups = max(1, round(groups * width))
        block = partial(Bottleneck, factor=factor, groups=groups, attention=attention)
        super().__init__(in_channels, block, width=width)


class ResNet34(ResNet):
    """ResNet of basic blocks.

    Args:
        in_channels: of the image.
        width: multiplier of every layer's channels.
    """

    def __init__(self, in_channels: int = 3, *, width: float = 1) -> None:
        super().__init__(in_channels, BasicBlock, width=width)


def _initialise(module: nn.Module) -> None:
    """He initialisation; each block's last norm starts at 0 (Goyal et al. 2017, section 5.1)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for part in module.modules():
        if isinstance(part, Bottleneck):
            nn.init.zeros_(part.bn3.weight)
        elif isinstance(part, BasicBlock):
            nn.init.zeros_(part.bn2.weight)
