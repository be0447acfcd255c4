"""Coordinate attention (Hou, Zhou and Feng, CVPR 2021, section 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MIN_HIDDEN_CHANNELS = 8
REDUCTION = 32
"""Hidden channels are max(8, C // 32): Hou et al. 2021, section 4.1, r = 32."""


def hidden_channels(channels: int) -> int:
    """Return the width of the attention's shared bottleneck for `channels` input channels."""
    return max(MIN_HIDDEN_CHANNELS, channels // REDUCTION)


class CoordinateAttention(nn.Module):
    """Gates every row and every column of a map by what the whole row and column hold.

    The two directional means are encoded together by one biased 1x1 convolution, then split into a
    gate along the height and one along the width.

    Args:
        channels: of the map that is gated.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = hidden_channels(channels)
        self.conv1 = nn.Conv2d(channels, hidden, kernel_size=1)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.act = nn.Hardswish()
        self.conv_h = nn.Conv2d(hidden, channels, kernel_size=1)
        self.conv_w = nn.Conv2d(hidden, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated map, the shape of `x` (N, C, H, W)."""
        height, width = (int(side) for side in x.shape[2:])  # plain also when traced: ONNX asks
        # Means; as pooling ten times faster than `mean` where channels lie last.
        rows = F.adaptive_avg_pool2d(x, (height, 1))  # (N, C, H, 1)
        columns = F.adaptive_avg_pool2d(x, (1, width)).transpose(2, 3)  # (N, C, W, 1)
        shared = self.act(self.bn1(self.conv1(torch.cat([rows, columns], dim=2))))  # (N, R, H+W, 1)
        shared_h, shared_w = shared.split([height, width], dim=2)
        gate_h = self.conv_h(shared_h).sigmoid()  # (N, C, H, 1)
        gate_w = self.conv_w(shared_w.transpose(2, 3)).sigmoid()  # (N, C, 1, W)
        gated: Tensor = x * gate_h * gate_w
        return gated
