"""RoIAlign as one weighted embedding bag: the same values as torchvision's, faster on a CPU.

Each output cell is the mean of its bilinear samples, hence a weighted sum of at most
4 * ratio^2 feature rows. Gathering those rows from channels-last features is one `embedding_bag`.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CANONICAL_SIZE_PX = 224
CANONICAL_LEVEL = 4
"""A box of 224 px is read from P4 (Lin et al. 2017, equation 1)."""
FIRST_LEVEL = 2

Grid = tuple[int, int]
"""Cells a side, and bilinear samples a cell and axis."""


def _axis_samples(start: Tensor, extent: Tensor, cells: int, ratio: int) -> Tensor:
    """Return (R, cells * ratio) sample coordinates along one axis, in feature pixels."""
    step = extent / (cells * ratio)
    offsets = torch.arange(cells * ratio, device=start.device, dtype=start.dtype) + 0.5
    return start[:, None] + step[:, None] * offsets


def _axis_corners(samples: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Return indices and weights of both neighbours, as torchvision's border rule has it.

    Args:
        samples: (R, S) coordinates, in feature pixels.
        size: (R, 1) of the map along the axis.

    Returns:
        (R, S, 2) each.
    """
    inside = (samples >= -1) & (samples <= size)
    clamped = samples.clamp(min=0).minimum(size - 1)
    low = clamped.floor().minimum((size - 2).clamp(min=0))
    high_weight = clamped - low
    indices = torch.stack([low, (low + 1).minimum(size - 1)], dim=-1).long()
    weights = torch.stack([1 - high_weight, high_weight], dim=-1) * inside[..., None]
    return indices, weights


def _align(
    maps: Sequence[Tensor], rois: Tensor, level: Tensor, scales: Sequence[float], grid: Grid
) -> Tensor:
    """Return (R, C, cells, cells), lying in memory with the channels last.

    Args:
        maps: (N, C, H, W) a level.
        rois: (R, 5) rows (image index, x1, y1, x2, y2), image pixels.
        level: (R,) number of the map that each is read from.
        scales: feature pixels per image pixel, of each map.
        grid: cells a side, and bilinear samples a cell and axis.
    """
    cells, ratio = grid
    channels = maps[0].shape[1]
    table = [x.permute(0, 2, 3, 1).reshape(-1, channels) for x in maps]  # (N * H * W, C) a map
    first = rois.new_tensor([0, *accumulate(len(rows) for rows in table[:-1])], dtype=torch.long)
    shape = rois.new_tensor([(*x.shape[2:], scale) for x, scale in zip(maps, scales, strict=True)])
    height, width, scale = shape.float()[level, None].unbind(dim=2)  # (R, 1) each
    boxes = rois[:, 1:].float() * scale
    extent = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)  # legacy rule of aligned=False
    columns, weight_x = _axis_corners(_axis_samples(boxes[:, 0], extent[:, 0], *grid), width)
    lines, weight_y = _axis_corners(_axis_samples(boxes[:, 1], extent[:, 1], *grid), height)
    start = first[level, None] + rois[:, :1].long() * (height * width).long()  # (R, 1)
    lines = start[..., None] + lines * width[..., None].long()  # (R, cells * ratio, 2), of rows
    corners = (len(rois), cells, ratio * 2)
    index = lines.reshape(corners)[:, :, None, :, None] + columns.reshape(corners)[:, None, :, None]
    weight = (
        weight_y.reshape(corners)[:, :, None, :, None]
        * weight_x.reshape(corners)[:, None, :, None]
        / ratio**2
    )
    bags = F.embedding_bag(
        index.reshape(-1, (ratio * 2) ** 2),
        table[0] if len(table) == 1 else torch.cat(table),
        mode="sum",
        per_sample_weights=weight.reshape(-1, (ratio * 2) ** 2).to(maps[0].dtype),
    )  # (R * cells * cells, C)
    return bags.reshape(len(rois), cells, cells, channels).permute(0, 3, 1, 2)


def roi_align(
    features: Tensor, rois: Tensor, *, scale: float, cells: int = 7, ratio: int = 2
) -> Tensor:
    """Return (R, C, cells, cells), equal to `torchvision.ops.roi_align(aligned=False)`.

    Args:
        features: (N, C, H, W) map of one pyramid level.
        rois: (R, 5) rows (image index, x1, y1, x2, y2), image pixels.
        scale: feature pixels per image pixel.
        cells: side of the output grid.
        ratio: bilinear samples a cell and axis.
    """
    level = torch.zeros(len(rois), dtype=torch.long, device=rois.device)
    return _align([features], rois, level, [scale], (cells, ratio))


class PyramidRoIAlign(nn.Module):
    """RoIAlign over P2 to P5, each box read from the level of its size.

    Args:
        levels: number of maps, the first at stride 4.
        cells: side of the output grid.
        ratio: bilinear samples a cell and axis.
    """

    def __init__(self, levels: int = 4, cells: int = 7, ratio: int = 2) -> None:
        super().__init__()
        self.levels, self.cells, self.ratio = levels, cells, ratio

    def level_of(self, boxes: Tensor) -> Tensor:
        """Return (R,) level numbers from 0 for boxes (R, 4), px."""
        side = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6).prod(dim=1).sqrt()
        level = torch.floor(CANONICAL_LEVEL + torch.log2(side / CANONICAL_SIZE_PX) + 1e-6)
        return (level.long() - FIRST_LEVEL).clamp(0, self.levels - 1)

    def forward(self, features: list[Tensor], boxes: list[Tensor]) -> Tensor:
        """Return (R, C, cells, cells) for maps (N, C, H, W) and each image's boxes (R_n, 4)."""
        owner = torch.cat([box.new_full((len(box), 1), number) for number, box in enumerate(boxes)])
        rois = torch.cat([owner, torch.cat(boxes)], dim=1).detach()  # (R, 5)
        scales = [1 / 2 ** (FIRST_LEVEL + number) for number in range(self.levels)]
        level = self.level_of(rois[:, 1:])
        return _align(features[: self.levels], rois, level, scales, (self.cells, self.ratio))
