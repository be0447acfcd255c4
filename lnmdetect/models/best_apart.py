"""The best of many boxes that lie apart, without looking at those that cannot be among them."""

import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

FEW = 1000
"""Boxes of which it does not matter, and which torchvision compares in another way than more."""
AT_FIRST = 1.5
"""Boxes that are looked at for each that is wanted; twice as many where that was too few."""


def best_apart(boxes: Tensor, scores: Tensor, group: Tensor, *, iou: float, most: int) -> Tensor:
    """Return the places of the boxes that greedy suppression within groups keeps, best first.

    A box falls to better ones alone, so that what is kept of the best few does not depend on the
    rest, which then need no comparing.

    Args:
        boxes: (K, 4) px.
        scores: (K,).
        group: (K,) whole numbers; boxes of different groups never suppress each other.
        iou: overlap above which the better box suppresses the other.
        most: how many are wanted.
    """
    looked_at = max(FEW, int(AT_FIRST * most))
    order = scores.sort(descending=True, stable=True).indices
    while looked_at < len(boxes):
        some = order[:looked_at]
        kept = some[_kept(boxes[some], scores[some], group[some], iou)]
        if len(kept) >= most:
            return kept[:most]
        looked_at *= 2
    found: Tensor = batched_nms(boxes, scores, group, iou)[:most]
    return found


def _kept(boxes: Tensor, scores: Tensor, group: Tensor, iou: float) -> Tensor:
    """Return which boxes are kept, (K,) of bool."""
    kept = torch.zeros_like(group, dtype=torch.bool)
    for one in torch.unique(group):
        members = (group == one).nonzero()[:, 0]
        kept[members[nms(boxes[members], scores[members], iou)]] = True
    return kept
