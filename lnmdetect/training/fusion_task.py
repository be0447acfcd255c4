"""The ultrasound arm as a task: loss and probability of cases, AUC of a validation set."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lnmdetect.core.errors import UsageError
from lnmdetect.core.fusion_config import FusionRecipe, GreyScale
from lnmdetect.core.pretrained import Pretrained
from lnmdetect.datasets.fusion_data import LABELS, FusionBatch
from lnmdetect.metrics.classification import auc_by_ranks
from lnmdetect.models.fusion import FusionInputs, FusionNet, FusionSizes
from lnmdetect.models.fusion_branches import BranchKind, branch_kind
from lnmdetect.models.norms import with_norm

POSITIVE = LABELS.index("metastatic")
CALL_AT = 0.5
"""Probability from which on a case counts as called metastatic, before a threshold is chosen."""
_AS_IT_IS = GreyScale(mean=0, sd=1)


def chosen_branch(recipe: FusionRecipe) -> BranchKind:
    """Return the kind of network of a recipe's image branches.

    Raises:
        UsageError: the recipe's images are too small for it.
    """
    return branch_kind(recipe.model.backbone, recipe.model.size_px)


def branch_weights(recipe: FusionRecipe) -> Pretrained:
    """Return which published weights the image branches of a recipe may start from.

    Raises:
        UsageError: there are none of its width, or it has no image branch.
    """
    model = recipe.model
    if model.width == 1 and model.images:
        return chosen_branch(recipe).imagenet
    raise UsageError(
        "--init imagenet",
        expected="a recipe of width 1 with image branches",
        got=f"width {model.width:g} and modalities {', '.join(model.modalities)}",
        remedy="Use such a recipe, for instance guang2023, or leave --init out.",
    )


def fusion_sizes(recipe: FusionRecipe) -> FusionSizes:
    """Return what fixes the shape of a recipe's network; what is not measured stays as it is."""
    model = recipe.model
    scales = {"bmode": model.normalisation.bmode, "ceus": model.normalisation.ceus}
    found = {modality: scale or _AS_IT_IS for modality, scale in scales.items()}
    return FusionSizes(
        modalities=model.modalities,
        scales={modality: (scale.mean, scale.sd) for modality, scale in found.items()},
        backbone=model.backbone,
        width=model.width,
        size_px=model.size_px,
        frames=model.frames,
        fusion=model.fusion,
        dropout=model.dropout,
    )


class FusionTask:
    """Tells metastasis from ultrasound; see `training.task.Task`.

    Args:
        recipe: with its normalisation.
        device: where it runs.
        validation: labels of the validation cases in the order they are predicted, for `score`.
    """

    monitor: str

    def __init__(
        self, recipe: FusionRecipe, device: torch.device, validation: Sequence[int] = ()
    ) -> None:
        self.device = device
        self.monitor = recipe.monitor
        self.validation = np.asarray(validation, dtype=np.int64)
        module = with_norm(FusionNet(fusion_sizes(recipe)), recipe.model.norm).to(device)
        self.module = module.to(memory_format=torch.channels_last)

    def losses(self, batch: FusionBatch) -> dict[str, Tensor]:
        """Return the binary cross-entropy."""
        assert batch.labels is not None
        truth = (batch.labels.to(self.device) == POSITIVE).float()
        logits = self.module(self.inputs(batch)).float()
        return {"cross_entropy": F.binary_cross_entropy_with_logits(logits, truth)}

    def predict(self, batch: FusionBatch) -> list[float]:
        """Return each case's probability of metastasis."""
        logits = self.module(self.inputs(batch))
        return [float(p) for p in logits.double().sigmoid().cpu()]

    def score(self, predictions: Sequence[float]) -> dict[str, float]:
        """Return AUC and accuracy (called at 0.5); AUC 0.5 where a class is missing."""
        probabilities = np.asarray(predictions, dtype=np.float64)
        is_positive = self.validation == POSITIVE
        auc = auc_by_ranks(is_positive, probabilities)
        right = (probabilities >= CALL_AT) == is_positive
        return {"auc": 0.5 if auc.value is None else auc.value, "accuracy": float(right.mean())}

    def inputs(self, batch: FusionBatch) -> FusionInputs:
        """Return a batch as the network reads it, on the task's device."""
        return FusionInputs(
            bmode=batch.bmode.to(self.device, memory_format=torch.channels_last),
            ceus=batch.ceus.to(self.device),
            finding=batch.finding.to(self.device),
            has_bmode=batch.has_bmode.to(self.device),
            has_ceus=batch.has_ceus.to(self.device),
        )
