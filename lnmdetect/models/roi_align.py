"""RoIAlign as one weighted embedding bag: the same values as torchvision's, faster on a CPU.

Each output cell is the mean of its bilinear samples, hence a weighted sum of at most
4 * ratio^2 feature rows. Gathering those rows from channels-last features is one `embedding_bag`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CANONICAL_SIZE_PX = 224
CANONICAL_LEVEL = 4
"""A box of 224 px is read from P4 (Lin et al. 2017, equation 1)."""
FIRST_LEVEL = 2


def _axis_samples(start: Tensor, extent: Tensor, cells: int, ratio: int) -> Tensor:
    """Return (N, cells * ratio) sample coordinates along one axis, in feature pixels."""
    step = extent / (cells * ratio)
    offsets = torch.arange(cells * ratio, device=start.device, dtype=start.dtype) + 0.5
    return start[:, None] + step[:, None] * offsets


def _axis_corners(samples: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return (N, S, 2) neighbour indices and their weights, as torchvision's border rule has it."""
    inside = (samples >= -1) & (samples <= size)
    clamped = samples.clamp(min=0, max=size - 1)
    low = clamped.floor().clamp(max=max(size - 2, 0))
    high_weight = clamped - low
    indices = torch.stack([low, (low + 1).clamp(max=size - 1)], dim=-1).long()
    weights = torch.stack([1 - high_weight, high_weight], dim=-1) * inside[..., None]
    return indices, weights


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
    channels, height, width = features.shape[1:]
    rows = features.permute(0, 2, 3, 1).reshape(-1, channels)  # (N * H * W, C)
    boxes = rois[:, 1:].float() * scale
    extent = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)  # legacy rule of aligned=False
    columns, weight_x = _axis_corners(
        _axis_samples(boxes[:, 0], extent[:, 0], cells, ratio), width
    )  # (R, cells * ratio, 2)
    lines, weight_y = _axis_corners(_axis_samples(boxes[:, 1], extent[:, 1], cells, ratio), height)
    grid = (len(rois), cells, ratio * 2)
    columns, weight_x = columns.reshape(grid), weight_x.reshape(grid)
    lines, weight_y = lines.reshape(grid), weight_y.reshape(grid)
    first = rois[:, 0].long().reshape(-1, 1, 1, 1, 1) * (height * width)
    index = first + lines[:, :, None, :, None] * width + columns[:, None, :, None, :]
    weight = weight_y[:, :, None, :, None] * weight_x[:, None, :, None, :] / ratio**2
    bags = F.embedding_bag(
        index.reshape(-1, (ratio * 2) ** 2),
        rows,
        mode="sum",
        per_sample_weights=weight.reshape(-1, (ratio * 2) ** 2).to(rows.dtype),
    )  # (R * cells * cells, C)
    return bags.reshape(len(rois), cells, cells, channels).permute(0, 3, 1, 2)


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
        level = self.level_of(rois[:, 1:])
        pooled = features[0].new_zeros((len(rois), features[0].shape[1], self.cells, self.cells))
        for number, feature in enumerate(features[: self.levels]):
            chosen = torch.nonzero(level == number).flatten()
            if len(chosen):
                scale = 1 / 2 ** (FIRST_LEVEL + number)
                values = roi_align(
                    feature, rois[chosen], scale=scale, cells=self.cells, ratio=self.ratio
                )
                pooled = pooled.index_copy(0, chosen, values)
        return pooled
