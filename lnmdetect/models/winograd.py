"""3 x 3 convolutions in a quarter of the multiplications, for inference on a CPU in fp32.

Winograd's minimal filtering (Lavin and Gray 2016, section 4): a tile of 4 x 4 outputs takes 36
products a pair of channels instead of 144. The transforms of image, weights and products come from
the values of polynomials at five points and at infinity.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

TILE, SIDE = 4, 3
"""Outputs of a tile along an axis, and weights."""
VALUES = TILE + SIDE - 1
"""Of the image under a tile, along an axis."""
POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)
"""Exact in binary; with the usual 0, 1, -1, 2, -2 rounding errors are twice as large."""
CHUNK = 2**21
"""Values of an image's tiles at a time: they stay in a cache that cores share."""
CHANNELS_MIN, CHANNELS_MAX = 192, 512
CHANNELS_A_TILE = 16
"""Of fewer tiles than a channel in so many, an image does not repay the reading of the weights.

These bounds come from times on two cores: inside them this way is 1.4 to 2 times faster than the
plain one, outside them about as fast or slower.
"""


class Transforms(NamedTuple):
    """Matrices of one axis.

    Attributes:
        image: (6, 6), of the values under a tile.
        weights: (6, 3).
        products: (4, 6), to the tile.
    """

    image: NDArray[np.float64]
    weights: NDArray[np.float64]
    products: NDArray[np.float64]


@cache
def transforms() -> Transforms:
    """Return the matrices: 4 outputs are products @ (weights @ g * image @ d), of 3 and 6 values.

    The convolution is the transpose of a product of polynomials, which Lagrange's formula takes
    from its values at the points (Toom 1963).
    """
    points = np.asarray(POINTS)
    far = np.eye(VALUES)[-1]
    powers = points[:, None] ** np.arange(VALUES)
    image, weights = [], []
    for place, point in enumerate(points):
        others = np.delete(points, place)
        scale = np.prod(point - others)
        image.append(np.append(np.poly(others)[::-1], 0.0))
        weights.append(powers[place, :SIDE] / scale)
    image.append(np.poly(points)[::-1])
    weights.append(far[-SIDE:])
    products = np.column_stack([*powers[:, :TILE], far[-TILE:]])
    return Transforms(np.stack(image), np.stack(weights), products)


def suits(convolution: nn.Conv2d) -> bool:
    """Return whether a convolution is one that this way does, and does faster.

    Narrower ones gain too little on what the transforms take; of wider ones the weights, four times
    as many, take too long to read.
    """
    shape = (SIDE, SIDE), (1, 1), (1, 1), (1, 1), 1, "zeros", torch.float32
    own = (
        convolution.kernel_size,
        convolution.stride,
        convolution.padding,
        convolution.dilation,
        convolution.groups,
        convolution.padding_mode,
        convolution.weight.dtype,
    )
    widths = convolution.in_channels, convolution.out_channels
    return own == shape and min(widths) >= CHANNELS_MIN and max(widths) <= CHANNELS_MAX


def pays(convolution: nn.Conv2d, height: int, width: int) -> bool:
    """Return whether maps have tiles enough for the transformed weights to be worth reading."""
    widest = max(convolution.in_channels, convolution.out_channels)
    return _count(height) * _count(width) * CHANNELS_A_TILE >= widest


class WinogradConv2d(nn.Module):
    """Answers as the convolution whose weights it takes, but for rounding in the last digits.

    Args:
        convolution: one that `suits`.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        of_image, of_weights, of_products = transforms()
        axis = torch.from_numpy(of_weights)
        plain = convolution.weight.detach().double()
        weights = torch.einsum("yi,xj,ocij->yxco", axis, axis, plain).flatten(0, 1)
        self.bias = convolution.bias
        self.weights = nn.Buffer(weights.float().contiguous())  # (36, C, O)
        self.of_image = nn.Buffer(torch.from_numpy(of_image).float())
        self.of_products = nn.Buffer(torch.from_numpy(of_products).float())

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out channels, H, W), channels last, for (N, in channels, H, W)."""
        number, channels, height, width = x.shape
        rows, columns = _count(height), _count(width)
        around = (1, columns * TILE + 1 - width, 1, rows * TILE + 1 - height)
        padded = F.pad(x, around).permute(0, 2, 3, 1).contiguous()  # (N, H', W', C)
        found = x.new_empty(number, rows, TILE, columns, TILE, self.weights.shape[-1])
        step = max(1, CHUNK // (VALUES**2 * columns * channels))
        for image, answers in zip(padded, found, strict=True):
            tiles = image.unfold(0, VALUES, TILE).unfold(1, VALUES, TILE)
            # (rows, columns, C, 6, 6)
            for some, answer in zip(tiles.split(step), answers.split(step), strict=True):
                answer.copy_(self._answers(some.permute(3, 4, 0, 1, 2)))
        whole = found.view(number, rows * TILE, columns * TILE, -1)[:, :height, :width]
        return whole.contiguous().permute(0, 3, 1, 2)

    def _answers(self, tiles: Tensor) -> Tensor:
        """Return (rows, 4, columns, 4, O) of tiles (6, 6, rows, columns, C)."""
        rows, columns, channels = tiles.shape[2:]
        values = _both_axes(self.of_image, tiles.reshape(VALUES**2, -1))  # (36, ...)
        products = torch.bmm(values.view(VALUES**2, -1, channels), self.weights)
        sums = _both_axes(self.of_products, products.view(VALUES**2, -1))  # (16, ...)
        sums = sums.view(TILE, TILE, rows, columns, -1)
        if self.bias is not None:
            sums += self.bias
        return sums.permute(2, 0, 3, 1, 4)


def _count(side: int) -> int:
    """Return how many tiles cover a side."""
    return -(-side // TILE)


def _both_axes(matrix: Tensor, values: Tensor) -> Tensor:
    """Return (K * K, M): a matrix (K, 6) applied along both axes of tiles (6 * 6, M)."""
    once = (matrix @ values.view(VALUES, -1)).view(len(matrix), VALUES, -1)
    return torch.matmul(matrix, once).flatten(0, 1)
