"""Figures of voxels counted by label in truth and label answered."""

import numpy as np
from numpy.typing import NDArray

Confusion = NDArray[np.int64]
"""(K, K) voxels: rows by label in truth, columns by label answered; label 0 is the background."""


def dice(truth: int, answered: int, shared: int) -> float | None:
    """Return the Dice coefficient of two sets by their sizes; None where both are empty."""
    total = truth + answered
    return 2 * shared / total if total else None


def dice_by_class(confusion: Confusion) -> tuple[float | None, ...]:
    """Return the Dice coefficient of each label from 1 on."""
    return tuple(
        dice(int(confusion[label].sum()), int(confusion[:, label].sum()), int(shared))
        for label, shared in list(enumerate(confusion.diagonal()))[1:]
    )


def merged_dice(confusion: Confusion) -> float | None:
    """Return the Dice coefficient of all labels from 1 on taken as one."""
    return dice(int(confusion[1:].sum()), int(confusion[:, 1:].sum()), int(confusion[1:, 1:].sum()))
