"""Where a detector looks for one box: Grad-CAM of its score, as an answer to a batch."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lnmdetect.core.cell_grid import CellGrid
from lnmdetect.core.geometry import Boxes, pairwise_iou
from lnmdetect.datasets.detector_data import DetectorBatch, DetectorItem
from lnmdetect.metrics.matching import IOU_OF_A_HIT
from lnmdetect.models.class_activation import recorded, weighted_channels
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.transforms.heat import Heat, spread_cells

READ_BY_HEADS = ("fpn", "neck", "body")
"""Which submodule gives the maps that a detector's heads read: the first of these that it has."""


@dataclass(frozen=True)
class ScoredHeat:
    """Heat of the box that was asked for.

    Attributes:
        score: of the best overlapping detection, 0 without one.
        heat: (H, W), signed, on the model's slice; all 0 without a detection.
    """

    score: float
    heat: Heat


class DetectorHeat:
    """Explains box scores; `engine.predict` passes batches to it as to the detector.

    The score of the detection on the box asked for is followed back to the maps that the heads
    read. Of a feature pyramid with RoI pooling only the level that the box was pooled from has a
    gradient; of one-stage detectors the level of the box's anchor, and the levels that this one
    is made from. The levels' heat is summed. A channel's weight is the sum of its gradient over
    the cells, not the mean (Selvaraju et al. 2017, equation 1): that would divide each level by
    the number of its cells. Of one level both give the same picture.

    Args:
        task: the detector, ready to predict. A batch's items have one box each: the one explained.

    Attributes:
        layer: the submodule that gives the maps.
    """

    def __init__(self, task: DetectorTask) -> None:
        self.task = task
        self.module: nn.Module = task.module.eval()
        self.layer = next(name for name in READ_BY_HEADS if hasattr(task.module, name))

    def predict(self, batch: DetectorBatch) -> list[ScoredHeat]:
        """Return the heat of each item's first box."""
        with torch.inference_mode(False), torch.enable_grad():
            return [
                self._heat(image[None], item)
                for image, item in zip(batch.images, batch.items, strict=True)
            ]

    def _heat(self, image: Tensor, item: DetectorItem) -> ScoredHeat:
        pixels = image.to(self.task.device, memory_format=torch.channels_last)
        with recorded(self.module, self.layer) as outputs:
            (found,) = self.module(pixels.detach().requires_grad_())
        place = best_overlap(found["boxes"].detach().double().cpu().numpy(), item.boxes_xyxy)
        size = (item.channels.shape[1], item.channels.shape[2])
        if place is None:
            return ScoredHeat(0.0, np.zeros(size, dtype=np.float32))
        score = found["scores"][place]
        maps = list(_maps(outputs[-1]))
        gradients = torch.autograd.grad(score, maps, allow_unused=True)
        padded = (image.shape[-2], image.shape[-1])
        heat = np.zeros(padded, dtype=np.float32)
        for values, gradient in zip(maps, gradients, strict=True):
            if gradient is not None:
                weights = gradient.sum(dim=(2, 3))
                cells = weighted_channels(values.detach(), weights)[0].cpu().numpy()
                heat += spread_cells(cells, _grid(cells, padded), size_px=padded)
        return ScoredHeat(float(score.detach()), heat[: size[0], : size[1]])


def best_overlap(boxes_xyxy: Boxes, wanted_xyxy: Boxes) -> int | None:
    """Return which box overlaps the first wanted one most; None where none does by 0.5.

    Args:
        boxes_xyxy: (B, 4).
        wanted_xyxy: (1 or more, 4).
    """
    if len(boxes_xyxy) == 0:
        return None
    overlap = pairwise_iou(boxes_xyxy, wanted_xyxy[:1])[:, 0]
    best = int(overlap.argmax())
    return best if overlap[best] >= IOU_OF_A_HIT else None


def _maps(output: "dict[str, Tensor] | Iterable[Tensor]") -> Iterable[Tensor]:
    return output.values() if isinstance(output, dict) else output


def _grid(cells: Heat, size_px: tuple[int, int]) -> CellGrid:
    """Return where cells lie: all our detectors halve maps by padded convolutions.

    Such a convolution keeps the first cell on the first pixel (`models.class_activation`).
    """
    return CellGrid(step_px=(size_px[1] / cells.shape[1], size_px[0] / cells.shape[0]))
