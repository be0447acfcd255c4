"""Average precision and recall of boxes, by pycocotools."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.matching import MAX_DETECTIONS, ImageBoxes, coco_xywh

COCO_IOUS = np.linspace(0.5, 0.95, 10)
"""0.50 to 0.95 in steps of 0.05, as pycocotools makes them."""
_ALL_AREAS_PX2 = [0, 1e10]
_ONE_CATEGORY = 1
_NO_TRUTH = "no truth box that counts"


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's summary of one class of boxes.

    Attributes:
        ap50, ap75: average precision at IoU 0.50 and 0.75.
        ap: mean over IoU 0.50 to 0.95.
        ar100: recall with at most 100 detections an image, mean over IoU 0.50 to 0.95.
    """

    ap50: Figure
    ap75: Figure
    ap: Figure
    ar100: Figure


def average_precision(images: Sequence[ImageBoxes]) -> AveragePrecision:
    """Return AP and AR of boxes taken as one class, all images counted.

    Truth that is ignored counts as COCO's crowds do. Equal scores keep the order of the boxes.
    Without truth to find every figure is undefined; without detections it is 0, with the reason.
    """
    truths, reason = _count(images)
    if truths == 0:
        none = undefined(_NO_TRUTH)
        return AveragePrecision(none, none, none, none)
    precision, recall = _evaluate(images, COCO_IOUS)

    def figure(values: Any) -> Figure:
        return Figure(float(np.mean(values)), reason, n=truths)

    return AveragePrecision(
        ap50=figure(precision[0]),
        ap75=figure(precision[5]),
        ap=figure(precision),
        ar100=figure(recall),
    )


def ap50(images: Sequence[ImageBoxes]) -> Figure:
    """Return AP50 alone, as `average_precision` has it; the scores may be any ranking."""
    truths, reason = _count(images)
    if truths == 0:
        return undefined(_NO_TRUTH)
    precision, _ = _evaluate(images, COCO_IOUS[:1])
    return Figure(float(np.mean(precision)), reason, n=truths)


def _count(images: Sequence[ImageBoxes]) -> tuple[int, str | None]:
    """Return how many truth boxes count, and the reason where no box was detected."""
    truths = sum(int((~image.truth_ignored).sum()) for image in images)
    return truths, None if any(len(image.scores) for image in images) else "no detection"


def _evaluate(images: Sequence[ImageBoxes], ious: NDArray[np.float64]) -> tuple[Any, Any]:
    """Return pycocotools' precision (len(ious), 101 recalls) and recall (len(ious),)."""
    # pycocotools tells its progress on stdout, which belongs to the command's result.
    with contextlib.redirect_stdout(io.StringIO()):
        run = COCOeval(_truth_index(images), _detection_index(images), "bbox")
        run.params.iouThrs = ious
        run.params.areaRng, run.params.areaRngLbl = [_ALL_AREAS_PX2], ["all"]
        run.params.maxDets = [MAX_DETECTIONS]
        run.evaluate()
        run.accumulate()
    return run.eval["precision"][:, :, 0, 0, 0], run.eval["recall"][:, 0, 0, 0]


def _truth_index(images: Sequence[ImageBoxes]) -> Any:
    annotations = [
        _annotation(image_id, box) | {"iscrowd": int(ignored)}
        for image_id, image in enumerate(images)
        for box, ignored in zip(coco_xywh(image.truth_xyxy), image.truth_ignored, strict=True)
    ]
    return _coco_index(len(images), annotations)


def _detection_index(images: Sequence[ImageBoxes]) -> Any:
    annotations = [
        _annotation(image_id, box) | {"score": float(score)}
        for image_id, image in enumerate(images)
        for box, score in zip(coco_xywh(image.boxes_xyxy), image.scores, strict=True)
    ]
    return _coco_index(len(images), annotations)


def _annotation(image_id: int, box_xywh: Any) -> dict[str, Any]:
    x, y, width, height = (float(side) for side in box_xywh)
    return {
        "image_id": image_id,
        "category_id": _ONE_CATEGORY,
        "bbox": [x, y, width, height],
        "area": width * height,
    }


def _coco_index(images: int, annotations: list[dict[str, Any]]) -> Any:
    coco = COCO()
    # pycocotools takes a match with id 0 for no match: ids start at 1.
    numbered = [a | {"id": number} for number, a in enumerate(annotations, start=1)]
    coco.dataset = {
        "images": [{"id": image_id} for image_id in range(images)],
        "categories": [{"id": _ONE_CATEGORY, "name": "lymph_node"}],
        "annotations": numbered,
    }
    coco.createIndex()
    return coco
