"""Which prior of YOLOv3 answers for which box, and how (Redmon and Farhadi 2018, section 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_iou

from lnmdetect.models.ignored import touches_ignored

IGNORE_IOU = 0.5
"""A prior that overlaps a box by more but is not its best is no background (section 2.1)."""
STRIDES_PX = (8, 16, 32)
PRIORS_A_PLACE = 3


@dataclass(frozen=True)
class Priors:
    """The A = 3 x cells priors of an input: finest map first, then by row, column and shape.

    Attributes:
        cells_xy: (A, 2) corner of each prior's cell nearest the origin, px.
        strides: (A, 1) side of the cell, px.
        shapes_wh: (A, 2) px.
    """

    cells_xy: Tensor
    strides: Tensor
    shapes_wh: Tensor

    @property
    def boxes(self) -> Tensor:
        """(A, 4) xyxy px, each centred in its cell."""
        centres = self.cells_xy + self.strides / 2
        return torch.cat([centres - self.shapes_wh / 2, centres + self.shapes_wh / 2], dim=1)


def grid_priors(maps: Sequence[Tensor], shapes_px: Sequence[tuple[float, float]]) -> Priors:
    """Return the priors of maps (N, C, H, W) at strides 8, 16 and 32.

    Args:
        maps: finest first.
        shapes_px: nine (width, height), smallest first: three a map.
    """
    device = maps[0].device
    shapes = torch.tensor(shapes_px, dtype=torch.float32, device=device).reshape(
        len(STRIDES_PX), PRIORS_A_PLACE, 2
    )
    cells, strides, sides = [], [], []
    for one, stride, shape in zip(maps, STRIDES_PX, shapes, strict=True):
        height, width = one.shape[-2:]
        y, x = torch.meshgrid(
            torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
        )
        corner = torch.stack([x, y], dim=-1).reshape(-1, 1, 2) * float(stride)  # (H * W, 1, 2)
        cells.append(corner.expand(-1, PRIORS_A_PLACE, 2).reshape(-1, 2))
        strides.append(torch.full((len(cells[-1]), 1), float(stride), device=device))
        sides.append(shape.expand(height * width, -1, 2).reshape(-1, 2))
    return Priors(torch.cat(cells), torch.cat(strides), torch.cat(sides))


def responsible(boxes: Tensor, priors: Priors) -> Tensor:
    """Return (B,) the prior of each box (B, 4): of the cells with its centre, the best shape."""
    if len(boxes) == 0:
        return torch.zeros(0, dtype=torch.long, device=boxes.device)
    near, far = priors.cells_xy, priors.cells_xy + priors.strides
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    centres = torch.minimum(centres.clamp(min=0), far.amax(dim=0) - 0.5)[:, None]  # (B, 1, 2)
    holds = ((centres >= near) & (centres < far)).all(dim=2)  # (B, A)
    fit = _shape_iou(boxes[:, 2:] - boxes[:, :2], priors.shapes_wh)
    best: Tensor = torch.where(holds, fit, -1).argmax(dim=1)
    return best


def _shape_iou(first_wh: Tensor, second_wh: Tensor) -> Tensor:
    """Return (B, A) IoU of boxes that share their centre."""
    shared = torch.minimum(first_wh[:, None], second_wh[None]).prod(dim=2)
    return shared / (first_wh.prod(dim=1)[:, None] + second_wh.prod(dim=1)[None] - shared)


def encode(boxes: Tensor, priors: Priors, chosen: Tensor) -> Tensor:
    """Return (B, 4) what the network should say: place in the cell in [0, 1], log size ratios."""
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    place = (centres - priors.cells_xy[chosen]) / priors.strides[chosen]
    return torch.cat([place, torch.log(sizes / priors.shapes_wh[chosen])], dim=1)


def decode(said: Tensor, priors: Priors) -> Tensor:
    """Return boxes (..., A, 4) px for (..., A, 4) places in the cell and log size ratios."""
    centres = priors.cells_xy + said[..., :2] * priors.strides
    sizes = priors.shapes_wh * said[..., 2:].exp()
    return torch.cat([centres - sizes / 2, centres + sizes / 2], dim=-1)


def objectness_targets(
    target: dict[str, Tensor], priors: Priors, chosen: Tensor
) -> tuple[Tensor, Tensor]:
    """Return (A,) whether a prior holds a node, and (A,) whether it is asked at all.

    Not asked are priors that overlap a node without being its best, and those that touch an ignored
    box or would be the responsible one of it.
    """
    boxes = priors.boxes
    asked = ~touches_ignored(boxes, target)
    asked[responsible(target["ignored"], priors)] = False
    if len(target["boxes"]):
        asked &= box_iou(boxes, target["boxes"]).amax(dim=1) <= IGNORE_IOU
    holds = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    holds[chosen] = True
    return holds, asked | holds
