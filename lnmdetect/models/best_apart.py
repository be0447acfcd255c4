"""The best of many boxes that lie apart, without looking at those that cannot be among them."""

from torch import Tensor
from torchvision.ops import batched_nms

FEW = 1001
"""Boxes of which it does not matter. On a CPU torchvision compares fewer of them in another way."""
SPARE = 1.5
"""Times as many boxes are looked at as would do, were all parted like those looked at before."""


def best_apart(boxes: Tensor, scores: Tensor, group: Tensor, *, iou: float, most: int) -> Tensor:
    """Return the places of the boxes that greedy suppression within groups keeps, best first.

    A box falls to better ones alone, so that what is kept of the best few does not depend on the
    rest, which then need no comparing. Of equal scores the first box is the better one.

    Args:
        boxes: (K, 4) px.
        scores: (K,).
        group: (K,) whole numbers; boxes of different groups never suppress each other.
        iou: overlap above which the better box suppresses the other.
        most: how many are wanted.
    """
    order = scores.sort(descending=True, stable=True).indices
    looked_at = max(FEW, int(SPARE * most))
    while True:
        some = order[:looked_at]
        kept = batched_nms(boxes[some], scores[some], group[some], iou)
        best: Tensor = some[kept.sort().values[:most]]
        if len(kept) >= most or looked_at >= len(boxes):
            return best
        looked_at = int(SPARE * looked_at * most / len(kept))
