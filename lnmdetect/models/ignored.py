"""Truth boxes that are neither hit nor miss: nothing that lies on them is background."""

import torch
from torch import Tensor
from torchvision.ops import box_iou

IGNORE_OVERLAP = 0.3
"""A proposal or anchor with this IoU with an ignored truth box is neither positive nor negative."""
NODE_OVERLAP = 0.5
"""A proposal with this IoU with a counted truth box is a node (Girshick 2015, section 2.3)."""


def touches_ignored(boxes: Tensor, target: dict[str, Tensor]) -> Tensor:
    """Return (N,) whether a box (N, 4) overlaps an ignored truth box and is no counted node."""
    ignored, counted = target["ignored"], target["boxes"]
    if len(ignored) == 0 or len(boxes) == 0:
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    touches: Tensor = (box_iou(boxes, ignored) >= IGNORE_OVERLAP).any(dim=1)
    is_node: Tensor = (box_iou(boxes, counted) >= NODE_OVERLAP).any(dim=1)
    return touches & ~is_node


def stands_for_ignored(anchors: Tensor, target: dict[str, Tensor]) -> Tensor:
    """Return (A,) whether an anchor (A, 4) touches an ignored box or is the nearest one to it.

    One-stage detectors make a counted box's best anchor positive however little it overlaps; an
    ignored box's best anchor is then no background either.
    """
    stands = touches_ignored(anchors, target)
    if len(target["ignored"]):
        best: Tensor = box_iou(target["ignored"], anchors).argmax(dim=1)
        stands[best] = True
    return stands
