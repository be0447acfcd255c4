"""RoI pooling over one map or several, as before RoIAlign (Girshick 2015, section 2.1)."""

from collections.abc import Callable

import torch
import torchvision.ops
from torch import Tensor, nn
from torchvision.ops.poolers import LevelMapper

from lnmdetect.models.roi_align import roi_align

Pooling = Callable[[Tensor, Tensor, float, int], Tensor]
"""(N, C, H, W) map, (R, 5) rows (image, x1, y1, x2, y2), map pixels per image pixel, cells."""


def _pool(features: Tensor, rois: Tensor, scale: float, cells: int) -> Tensor:
    pooled: Tensor = torchvision.ops.roi_pool(features, rois, cells, scale)
    return pooled


def _align(features: Tensor, rois: Tensor, scale: float, cells: int) -> Tensor:
    return roi_align(features, rois, scale=scale, cells=cells)


POOLINGS: dict[str, Pooling] = {"pool": _pool, "align": _align}


class LevelPool(nn.Module):
    """Pools each box from the map of its size.

    Args:
        first, last: levels of the maps; level l lies at stride 2^l.
        how: name in `POOLINGS`.
        cells: side of the output grid.
    """

    def __init__(self, first: int, last: int, *, how: str, cells: int = 7) -> None:
        super().__init__()
        self.first, self.cells = first, cells
        self.pooling = POOLINGS[how]
        self.level_of = LevelMapper(first, last)  # Lin et al. 2017, equation 1

    def forward(self, features: list[Tensor], boxes: list[Tensor]) -> Tensor:
        """Return (R, C, cells, cells) for maps (N, C, H, W) and each image's boxes (R_n, 4).

        They are in the maps' numbers; under autocast in single precision, which it casts for each
        layer that reads them.
        """
        owner = torch.cat([box.new_full((len(box), 1), number) for number, box in enumerate(boxes)])
        rois = torch.cat([owner, torch.cat(boxes)], dim=1).detach().float()  # (R, 5)
        levels = self.level_of(boxes)  # (R,), 0 for the first
        channels = features[0].shape[1]
        pooled = rois.new_zeros((len(rois), channels, self.cells, self.cells))
        for number in range(int(levels.max()) + 1 if len(levels) else 0):
            chosen = torch.nonzero(levels == number).flatten()
            scale = 1 / 2 ** (self.first + number)
            values = self.pooling(features[number].float(), rois[chosen], scale, self.cells)
            pooled = pooled.index_copy(0, chosen, values)
        casts = torch.is_autocast_enabled(pooled.device.type)
        return pooled if casts else pooled.to(features[0].dtype)
