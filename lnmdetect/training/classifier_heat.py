"""Where a classifier looks, as an answer to a batch: heat maps in place of probabilities."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from lnmdetect.core.cell_grid import CellGrid
from lnmdetect.core.errors import UsageError
from lnmdetect.datasets.classifier_data import ClassifierBatch
from lnmdetect.models.backbones import Backbone
from lnmdetect.models.class_activation import (
    cell_grid,
    class_activation,
    gradient_activation,
    locating_stage,
    stages,
)
from lnmdetect.training.classifier_task import ClassifierTask
from lnmdetect.transforms.heat import Heat, spread_cells

Method = Literal["auto", "cam", "gradcam"]
NAMES = {"cam": "CAM (Zhou et al. 2016)", "gradcam": "Grad-CAM (Selvaraju et al. 2017)"}


class ClassifierHeat:
    """Explains a classifier's answers; `engine.predict` passes batches to it as to the classifier.

    No `Task`: nothing of it is trained or scored. It takes the classifier's own network, views
    and batches, in which `labels` are the classes to explain.

    Args:
        task: the classifier, ready to predict.
        network: the row of its network.
        method: `cam` and `gradcam` read the last map; `auto` is CAM where the network allows it
            and its last map is fine enough to locate anything, else Grad-CAM of the deepest stage
            that is.
        example: (N, C, S, S), of the size of the crops.

    Attributes:
        method, layer: what was chosen.
        stage, last: whose map is read, and the network's last.

    Raises:
        UsageError: CAM was asked for and the network does not allow it.
    """

    def __init__(
        self, task: ClassifierTask, network: Backbone, method: Method, example: Tensor
    ) -> None:
        self.task, self.head = task, network.head
        self.module: nn.Module = task.module.eval()
        example = example.to(task.device)
        found = stages(self.module, example, last=network.features)
        self.last = found[-1]
        self.stage = locating_stage(found) if method == "auto" else self.last
        self.layer = self.stage.layer
        if method == "cam" and not network.reads_mean:
            raise UsageError(
                "--method",
                expected="gradcam: CAM needs a network whose head reads the mean of its last map",
                got="'cam'",
                remedy="Leave --method out, or give --method gradcam.",
            )
        is_cam = method == "cam" or (
            method == "auto" and network.reads_mean and self.stage == self.last
        )
        self.method: Literal["cam", "gradcam"] = "cam" if is_cam else "gradcam"
        self.grid: CellGrid = cell_grid(self.module, example, layer=self.layer)

    def predict(self, batch: ClassifierBatch) -> list[Heat]:
        """Return each crop's signed heat (S, S), the mean over the classifier's views."""
        classes = batch.labels.to(self.task.device)
        with torch.inference_mode(False):  # gradients are asked for
            crops = batch.crops.to(self.task.device, memory_format=torch.channels_last)
            views = [
                (axes, self._cells(crops.flip(axes) if axes else crops, classes).cpu().numpy())
                for axes in self.task.flips
            ]
        size = (crops.shape[2], crops.shape[3])
        return [
            np.mean([self._spread(cells[item], axes, size) for axes, cells in views], axis=0)
            for item in range(len(crops))
        ]

    def _cells(self, crops: Tensor, classes: Tensor) -> Tensor:
        if self.method == "cam":
            return class_activation(self.module, crops, classes, layer=self.layer, head=self.head)
        return gradient_activation(self.module, crops, classes, layer=self.layer)

    def _spread(self, cells: Heat, axes: tuple[int, ...], size: tuple[int, int]) -> Heat:
        """Return a view's heat (H, W), turned back to how the crop lies."""
        heat = spread_cells(cells, self.grid, size_px=size)
        return np.flip(heat, tuple(axis - 2 for axis in axes))  # of (N, C, H, W) to (H, W)
