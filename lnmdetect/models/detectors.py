"""Detectors by name: every row takes the same sizes, images and targets, and answers alike."""

from collections.abc import Callable, Mapping

from lnmdetect.models.detector import NodeDetector
from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.fcos import build_fcos
from lnmdetect.models.one_stage import OneStageDetector
from lnmdetect.models.retinanet import build_retinanet
from lnmdetect.models.single_map_rcnn import SingleMapDetector
from lnmdetect.models.ssd import build_ssd
from lnmdetect.models.yolov3 import YoloV3

Detector = NodeDetector | SingleMapDetector | OneStageDetector | YoloV3


def build_faster_rcnn(sizes: DetectorSizes) -> NodeDetector | SingleMapDetector:
    """Return Faster R-CNN, on a feature pyramid or on C4 alone."""
    return NodeDetector(sizes) if sizes.fpn else SingleMapDetector(sizes)


DETECTORS: Mapping[str, Callable[[DetectorSizes], Detector]] = {
    "faster_rcnn": build_faster_rcnn,
    "ssd": build_ssd,
    "yolov3": YoloV3,
    "retinanet": build_retinanet,
    "fcos": build_fcos,
}
"""Each has `losses(images, targets)` and `forward(images)` as `NodeDetector` has."""
