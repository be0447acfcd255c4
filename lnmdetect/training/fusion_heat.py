"""Where a fusion network looks on one kind of image, as an answer to a batch."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from lnmdetect.core.cell_grid import CellGrid
from lnmdetect.core.fusion_config import FusionConfig
from lnmdetect.datasets.fusion_data import FusionBatch
from lnmdetect.models.class_activation import (
    cell_grid,
    gradient_activation,
    locating_stage,
    stages,
)
from lnmdetect.models.fusion import CEUS, FusionInputs, FusionNet, ImageBranch
from lnmdetect.models.fusion_branches import branch_kind
from lnmdetect.training.fusion_task import FusionTask
from lnmdetect.transforms.heat import Heat, spread_cells


class _OfImages(nn.Module):
    """The network as a function of one kind of image, the rest of each case held.

    Args:
        network: the whole one.
        modality: `bmode` or `ceus`.
    """

    def __init__(self, network: FusionNet, modality: str) -> None:
        super().__init__()
        self.network, self.modality = network, modality
        self.held: FusionInputs | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, 2) logits of benign and metastatic, whose difference is the network's own."""
        assert self.held is not None
        held = self.held
        if self.modality == CEUS:
            inputs = replace(held, ceus=images)
        else:
            inputs = replace(held, bmode=images)
        metastatic: Tensor = self.network(inputs)  # (N,)
        return torch.stack([torch.zeros_like(metastatic), metastatic], dim=1)  # (N, 2)


class FusionHeat:
    """Explains a fusion network's answers by one kind of image, with Grad-CAM of its branch.

    `engine.predict` passes batches to it as to the network; their `labels` are the classes to
    explain, and each of their cases has the image. No `Task`: nothing of it is trained or scored.

    Args:
        task: ready to predict.
        modality: `bmode` or `ceus`, of which the network has a branch.
        model: the recipe's.

    Attributes:
        stage: whose map is read: the deepest that has 7 cells a side, else the last.
    """

    def __init__(self, task: FusionTask, modality: str, model: FusionConfig) -> None:
        self.task, self.modality = task, modality
        self.module = _OfImages(task.module.eval(), modality)
        self.size_px = model.size_px
        branch = task.module.branches[modality]
        assert isinstance(branch, ImageBranch)
        kind = branch_kind(model.backbone, model.size_px)
        blank = torch.zeros(1, 1, model.size_px, model.size_px, device=task.device)
        self.stage = locating_stage(stages(branch.body, blank, last=kind.last))
        self.grid: CellGrid = cell_grid(branch.body, blank, layer=self.stage.layer)

    def predict(self, batch: FusionBatch) -> list[Heat]:
        """Return each case's signed heat (F, S, S) of its F frames; of a B-mode image F is 1."""
        assert batch.labels is not None
        classes = batch.labels.to(self.task.device)
        layer = f"network.branches.{self.modality}.body.{self.stage.layer}"
        with torch.inference_mode(False):  # gradients are asked for
            self.module.held = self.task.inputs(batch)
            images: Tensor = getattr(self.module.held, self.modality)  # (N, 1 or F, ...)
            cells = gradient_activation(self.module, images, classes, layer=layer)  # (N * F, h, w)
        size = (self.size_px, self.size_px)
        heat = [spread_cells(one, self.grid, size_px=size) for one in cells.cpu().numpy()]
        return list(np.stack(heat).reshape(len(images), -1, *size))
