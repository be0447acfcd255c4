"""The segmentation arm as a task: loss of patches, confusion of their voxels, Dice."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.datasets.segmenter_data import SegmenterBatch
from lnmdetect.metrics.voxel_confusion import dice_by_class, merged_dice
from lnmdetect.models.shared_batch import gathered
from lnmdetect.models.unet3d import UNet3d, UNetSizes
from lnmdetect.training.segmenter_losses import losses_of

Confusion = NDArray[np.int64]


def build_segmenter(recipe: SegmenterRecipe) -> UNet3d:
    """Return the untrained network of a recipe that has its plan.

    Raises:
        MissingExtraError: the extra `segmentation` is not installed.
    """
    model, plan = recipe.model, recipe.plan
    assert plan is not None
    levels = len(plan.strides)
    return UNet3d(
        UNetSizes(
            in_channels=recipe.input.channels + model.coarse,
            out_channels=len(model.classes) + 1,
            filters=model.filters(levels),
            strides=plan.strides,
            kernels=plan.kernels,
            supervised_levels=model.coarser_supervised(levels),
        )
    )


class WindowAnswers:
    """Says of every voxel of a window how likely each class is; see `training.task.Answering`.

    Args:
        task: whose network answers.
    """

    def __init__(self, task: "SegmenterTask") -> None:
        self.module, self.device = task.module, task.device

    def predict(self, batch: SegmenterBatch) -> list[NDArray[np.float32]]:
        """Return each window's probabilities (K, D, H, W), background first, summing to 1."""
        volumes = batch.volumes.to(self.device, memory_format=torch.channels_last_3d)
        return list(self.module(volumes).float().softmax(dim=1).cpu().numpy())


class SegmenterTask:
    """Finds the voxels of nodes, by class; see `training.task.Task`.

    Args:
        recipe: with its plan.
        device: where it runs.
    """

    monitor = "dice"

    def __init__(self, recipe: SegmenterRecipe, device: torch.device) -> None:
        self.device = device
        self.classes = recipe.model.classes
        module = build_segmenter(recipe).to(device)
        self.module = module.to(memory_format=torch.channels_last_3d)
        self._losses = losses_of(recipe.model)

    def losses(self, batch: SegmenterBatch) -> dict[str, Tensor]:
        """Return the terms of the recipe's loss, each the mean over the supervised levels.

        A level weighs half of the next finer one (Isensee et al. 2021).
        """
        assert batch.labels is not None
        truth = batch.labels.to(self.device)[:, None].float()
        answers = self.module(self._volumes(batch))
        weights = torch.tensor([0.5**level for level in range(len(answers))])
        terms: dict[str, Tensor] = {}
        for share, logits in zip(weights / weights.sum(), answers, strict=True):
            labels = F.interpolate(truth, logits.shape[2:], mode="nearest-exact")[:, 0].long()
            # The Dice coefficient is that of the batch, so all ranks look at all of it.
            whole = self._losses(gathered(logits.float()), gathered(labels))
            for name, term in whole.items():
                terms[name] = terms.get(name, torch.zeros((), device=self.device)) + share * term
        return terms

    def predict(self, batch: SegmenterBatch) -> list[Confusion]:
        """Return each patch's voxels (K, K) by label in truth and by label answered."""
        assert batch.labels is not None
        answered = self.module(self._volumes(batch)).argmax(dim=1).cpu()
        count = len(self.classes) + 1
        pairs = (batch.labels * count + answered).flatten(1)
        return [
            torch.bincount(patch, minlength=count**2).reshape(count, count).numpy()
            for patch in pairs
        ]

    def score(self, predictions: Sequence[Confusion]) -> dict[str, float]:
        """Return the Dice of all classes merged, and of each class that truth holds."""
        total = np.sum(predictions, axis=0)
        merged = {"dice": merged_dice(total) or 0.0}
        if len(self.classes) == 1:
            return merged
        held = total.sum(axis=1)[1:] > 0
        named = zip(self.classes, dice_by_class(total), held, strict=True)
        return merged | {f"dice_{name}": dice or 0.0 for name, dice, is_held in named if is_held}

    def _volumes(self, batch: SegmenterBatch) -> Tensor:
        return batch.volumes.to(self.device, memory_format=torch.channels_last_3d)
