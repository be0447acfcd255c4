"""What a segmenter's logits lose against the truth: MONAI's Dice loss, and cross-entropies."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from lnmdetect.core.segmenter_config import SegmenterConfig

Losses = Callable[[Tensor, Tensor], dict[str, Tensor]]
"""Logits (N, K + 1, D, H, W), labels (N, D, H, W) int64 -> named terms; label 0 is background."""


def joint_losses(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return the Dice loss, mean over the classes, and the cross-entropy over all voxels."""
    return {
        "dice_loss": _dice_loss(logits, labels),
        "cross_entropy": F.cross_entropy(logits, labels),
    }


def conditional_losses(
    logits: Tensor, labels: Tensor, *, class_weight: float = 1
) -> dict[str, Tensor]:
    """Return Dice loss and cross-entropy of node or not, and cross-entropy of class in nodes.

    Args:
        logits: see `Losses`.
        labels: see `Losses`.
        class_weight: of the last term.
    """
    inside = labels > 0
    binary = torch.stack([logits[:, 0], logits[:, 1:].logsumexp(dim=1)], dim=1)
    return {
        "dice_loss": _dice_loss(binary, inside.long()),
        "cross_entropy": F.cross_entropy(binary, inside.long()),
        "class_cross_entropy": class_weight
        * _balanced(logits[:, 1:].movedim(1, -1)[inside], labels[inside] - 1),
    }


def _dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return 1 less the soft Dice coefficient of the batch, the mean over labels from 1 on."""
    from monai.losses.dice import DiceLoss

    loss = DiceLoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
    return torch.as_tensor(loss(logits, labels[:, None]))


def _balanced(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the cross-entropy of (V, K) logits, each class that occurs as heavy as any other."""
    if not len(classes):
        return logits.sum() * 0
    counts = torch.bincount(classes, minlength=logits.shape[1])
    weights = torch.where(counts > 0, 1 / counts.clamp(min=1), 0).to(logits.dtype)
    return F.cross_entropy(logits, classes, weight=weights)


def losses_of(model: SegmenterConfig) -> Losses:
    """Return the losses that a recipe names; one class has no class to tell within nodes."""
    if model.loss == "joint" or len(model.classes) == 1:
        return joint_losses
    return partial(conditional_losses, class_weight=model.class_weight)
