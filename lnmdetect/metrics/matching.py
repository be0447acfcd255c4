"""Which detection hits which truth box, by COCO's rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from lnmdetect.core.geometry import Boxes, as_boxes, xyxy_to_xywh

T = TypeVar("T", bound=np.generic)
IOU_OF_A_HIT = 0.5
"""A detection hits a truth box from this IoU on (design, section 8)."""
MAX_DETECTIONS = 100
"""Detections an image that count, best first (design, section 8)."""
_NO_TRUTH = -1


@dataclass(frozen=True)
class ImageBoxes:
    """The truth and the detections of one image.

    Attributes:
        truth_xyxy: (G, 4) px.
        truth_ignored: (G,) bool; COCO's `iscrowd`: neither hit nor miss.
        truth_classes: (G,) int category ids.
        boxes_xyxy: (D, 4) px.
        scores: (D,) any finite ranking, higher is more certain.
    """

    truth_xyxy: Boxes
    truth_ignored: NDArray[np.bool_]
    truth_classes: NDArray[np.int64]
    boxes_xyxy: Boxes
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        as_boxes(self.truth_xyxy)
        as_boxes(self.boxes_xyxy)
        truths, detections = len(self.truth_xyxy), len(self.boxes_xyxy)
        if not self.truth_ignored.shape == self.truth_classes.shape == (truths,):
            raise ValueError(f"truth: expected one flag and class for each of {truths} boxes")
        if self.scores.shape != (detections,) or not np.isfinite(self.scores).all():
            raise ValueError(f"scores: expected one finite score for each of {detections} boxes")


@dataclass(frozen=True)
class Matches:
    """The counted detections of many images, image by image, best first within each.

    Attributes:
        image_index: (N,) place of the image in the sequence that was matched.
        box_index: (N,) place of the detection in its image.
        truth_index: (N,) place of the truth box it hit or fell on, -1 for none.
        scores: (N,).
        ignored: (N,) bool; fell on ignored truth, counts neither as hit nor as false positive.
        images: number of images, those without boxes included.
        truths: number of truth boxes that count.
    """

    image_index: NDArray[np.int64]
    box_index: NDArray[np.int64]
    truth_index: NDArray[np.int64]
    scores: NDArray[np.float64]
    ignored: NDArray[np.bool_]
    images: int
    truths: int

    @property
    def hit(self) -> NDArray[np.bool_]:
        """(N,) bool: the detection hit a truth box that counts."""
        return np.asarray((self.truth_index != _NO_TRUTH) & ~self.ignored)

    @property
    def false_positive(self) -> NDArray[np.bool_]:
        """(N,) bool: the detection lies on no truth box."""
        return np.asarray(self.truth_index == _NO_TRUTH)


def coco_xywh(boxes_xyxy: Boxes) -> Boxes:
    """Return (N, 4) COCO boxes, without the last bits that the way through xyxy has added.

    Files hold at most nine decimals; so an IoU of exactly 0.5 in the file stays 0.5.
    """
    return np.round(xyxy_to_xywh(boxes_xyxy), 9)


def coco_overlaps(image: ImageBoxes) -> NDArray[np.float64]:
    """Return (D, G): IoU, and the covered share of the detection where truth is ignored."""
    if not len(image.boxes_xyxy) or not len(image.truth_xyxy):
        return np.zeros((len(image.boxes_xyxy), len(image.truth_xyxy)))
    detections, truth = coco_xywh(image.boxes_xyxy), coco_xywh(image.truth_xyxy)
    return np.asarray(coco_mask.iou(detections, truth, image.truth_ignored.astype(np.uint8)))


def match_image(
    image: ImageBoxes, *, iou: float = IOU_OF_A_HIT
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (K,) detections best first and (K,) the truth box of each, -1 for none.

    Greedy by score, as COCO's evaluation: a detection takes the free truth box it overlaps most;
    only where there is none may it fall on an ignored one, which stays free for others.
    """
    order = np.argsort(-image.scores, kind="stable")[:MAX_DETECTIONS]
    overlaps = coco_overlaps(image)[order]
    overlaps[overlaps < iou] = 0
    free = ~image.truth_ignored
    taken = np.full(len(order), _NO_TRUTH, dtype=np.int64)
    for place, row in enumerate(overlaps):
        for pool in (row * free, row * image.truth_ignored):
            if pool.any():
                # Of equal overlaps COCO takes the last.
                taken[place] = len(pool) - 1 - int(np.argmax(pool[::-1]))
                free[taken[place]] = False
                break
    return order, taken


def match_images(images: Sequence[ImageBoxes], *, iou: float = IOU_OF_A_HIT) -> Matches:
    """Return the matches of all images in one table."""
    pairs = [match_image(image, iou=iou) for image in images]
    counts = [len(order) for order, _ in pairs]
    truth_index = _joined([taken for _, taken in pairs], np.int64)
    ignored = [np.append(image.truth_ignored, False) for image in images]  # [-1] is no truth
    return Matches(
        image_index=np.repeat(np.arange(len(images)), counts),
        box_index=_joined([order for order, _ in pairs], np.int64),
        truth_index=truth_index,
        scores=_joined([i.scores[o] for i, (o, _) in zip(images, pairs, strict=True)], np.float64),
        ignored=_joined([f[t] for f, (_, t) in zip(ignored, pairs, strict=True)], np.bool_),
        images=len(images),
        truths=sum(int((~image.truth_ignored).sum()) for image in images),
    )


def _joined(parts: list[NDArray[T]], dtype: type[T]) -> NDArray[T]:
    return np.concatenate([np.zeros(0, dtype=dtype), *parts])
