"""ResNet-50 with a width multiplier, wide bottlenecks and a slot for attention.

Layer names are torchvision's, so that its ImageNet weights fit the full-width model.
"""

from collections.abc import Callable

from torch import Tensor, nn

BLOCKS_RESNET50 = (3, 4, 6, 3)
STAGE_PLANES = (64, 128, 256, 512)
STEM_PLANES = 64
EXPANSION = 4
"""He et al. 2016, table 1."""


def scaled(channels: int, width: float) -> int:
    """Return `channels` times `width`, a whole number of at least 8."""
    return max(8, round(channels * width))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a residual sum (He et al. 2016, figure 5).

    Args:
        in_channels: of the input.
        planes: a quarter of the output's channels.
        stride: of the 3x3 convolution.
        factor: inner width over planes (2: Zagoruyko and Komodakis 2016).
        attention: builds the gate placed before the residual sum, given its channels.
    """

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: int,
        *,
        factor: int = 1,
        attention: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        inner, out_channels = planes * factor, planes * EXPANSION
        self.conv1 = nn.Conv2d(in_channels, inner, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out_channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.attention = attention(out_channels) if attention else None
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
            if stride != 1 or in_channels != out_channels
            else None
        )

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


class ResNet50(nn.Module):
    """The four stages C2 to C5, at strides 4, 8, 16 and 32.

    Args:
        in_channels: of the image.
        width: multiplier of every layer's channels.
        factor: inner width of the bottlenecks over their planes.
        attention: builds the gate of each bottleneck, given its channels; None for none.
    """

    def __init__(
        self,
        in_channels: int = 3,
        *,
        width: float = 1,
        factor: int = 1,
        attention: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        stem = scaled(STEM_PLANES, width)
        self.conv1 = nn.Conv2d(in_channels, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = stem
        self.out_channels: list[int] = []
        for number, (blocks, base) in enumerate(zip(BLOCKS_RESNET50, STAGE_PLANES, strict=True)):
            planes = scaled(base, width)
            layer = nn.Sequential()
            for index in range(blocks):
                stride = 2 if index == 0 and number > 0 else 1
                layer.append(
                    Bottleneck(channels, planes, stride, factor=factor, attention=attention)
                )
                channels = planes * EXPANSION
            self.add_module(f"layer{number + 1}", layer)
            self.out_channels.append(channels)
        _initialise(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return [C2, C3, C4, C5] for `x` (N, in_channels, H, W)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (N, stem, H / 4, W / 4)
        maps = []
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
            maps.append(x)
        return maps


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
