"""What an evaluation found, and its form in metrics.json."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from lnmdetect.core.records import Coverage
from lnmdetect.metrics.average_precision import AveragePrecision
from lnmdetect.metrics.classification import Classification
from lnmdetect.metrics.end_to_end import EndToEnd
from lnmdetect.metrics.error_kinds import ErrorCounts
from lnmdetect.metrics.figure import Figure, figures_to_json, undefined
from lnmdetect.metrics.froc import Froc, OperatingPoint
from lnmdetect.metrics.groups import GroupFigures
from lnmdetect.stages.evaluation_linked import Nodes3d
from lnmdetect.stages.evaluation_masks import MaskFigures
from lnmdetect.stages.evaluation_thresholds import Threshold
from lnmdetect.stages.evaluation_truth import FileStamp

TRUTH_BOXES = "the boxes carry no score: they are truth boxes, not detections"


@dataclass(frozen=True)
class Thresholds:
    """The thresholds that the figures at an operating point use."""

    detector: Threshold
    classifier: Threshold


@dataclass(frozen=True)
class EvalInfo:
    """What was scored.

    Attributes:
        truth, detections_of, classes_of, truth_boxes_of: the files of truth, and those whose boxes,
            whose classes and whose classes of truth boxes were scored.
        phantom: the truth is of synthetic scans; every figure is a phantom figure then.
        truth_boxes: those that count; ignored_truth_boxes: neither hit nor miss.
        detections: scored boxes; unscored_detections: on slices that truth does not list.
        images_without_predictions: truth images that the prediction files do not list.
        resamples, seed: of the bootstrap over patients.
        intervals: how the 95 % intervals come about.
        notes: what a reader of the figures must know.
    """

    lnmdetect_version: str
    truth: tuple[FileStamp, ...]
    detections_of: tuple[FileStamp, ...]
    classes_of: tuple[FileStamp, ...]
    truth_boxes_of: tuple[FileStamp, ...]
    phantom: bool
    coverage: Coverage
    patients: int
    scans: int
    images: int
    truth_boxes: int
    ignored_truth_boxes: int
    detections: int
    unscored_detections: int
    images_without_predictions: int
    iou_of_a_hit: float
    max_detections: int
    resamples: int
    seed: int
    intervals: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class DetectionFigures:
    """Boxes as one class, whatever their category.

    Attributes:
        ap50_by_size: by the shorter side of the box, mm.
        froc, froc_per_scan: sensitivity for boxes at false positives an image, and a scan.
        nodes_per_scan: sensitivity for nodes, found with any of their cross-sections.
        operating_point: at the detector's threshold, None where it is unknown.
    """

    average_precision: AveragePrecision
    ap50_by_size: Mapping[str, Figure]
    froc: Froc
    froc_per_scan: Froc
    nodes_per_scan: Froc
    operating_point: OperatingPoint | None


@dataclass(frozen=True)
class ClassificationFigures:
    """Classes of the boxes that hit a truth box.

    Attributes:
        boxes: whose they are.
        score_min: the detector's score from which on they count; None counts every box of the
            files, or stands for thresholds that differ from file to file.
        at_threshold: only boxes at or above the detector's threshold count.
    """

    boxes: Literal["truth", "predicted"]
    score_min: float | None
    at_threshold: bool
    figures: Classification


@dataclass(frozen=True)
class EvalResult:
    """The figures; a part that the files do not allow is None, and `info.notes` says why.

    Attributes:
        classification: of the boxes a user gets: those at or above the operating threshold where
            one is known, else of all.
        classification_of_all_boxes: of every predicted box in the file, also those below the
            threshold; None where there is none below.
        classification_on_truth_boxes: of truth boxes that were classified.
        errors: where errors arise, at the operating thresholds.
        groups: column to figures of its groups; groups_of_truth_boxes: of classified truth boxes.
        nodes_3d: boxes linked across slices; None on key images, without a threshold, and where
            truth does not say which boxes are of one node.
        masks: where truth and the predictions both carry masks.
    """

    info: EvalInfo
    thresholds: Thresholds
    detection: DetectionFigures | None
    classification: ClassificationFigures | None
    classification_of_all_boxes: ClassificationFigures | None
    classification_on_truth_boxes: ClassificationFigures | None
    end_to_end: EndToEnd | None
    errors: ErrorCounts | None
    groups: Mapping[str, tuple[GroupFigures, ...]]
    groups_of_truth_boxes: Mapping[str, tuple[GroupFigures, ...]]
    nodes_3d: Nodes3d | None
    masks: MaskFigures | None
    ap50_only: bool

    @property
    def ap50(self) -> Figure:
        """AP50 of the boxes as one class."""
        if self.detection is None:
            return undefined(TRUTH_BOXES)
        return self.detection.average_precision.ap50

    def metrics_json(self) -> dict[str, Any]:
        """Return all figures, as metrics.json holds them (data_specs/metrics.schema.json)."""
        detection = self.detection and {
            **figures_to_json(self.detection.average_precision),
            **figures_to_json(_without_average(self.detection)),
        }
        return {
            "info": figures_to_json(self.info),
            "thresholds": figures_to_json(self.thresholds),
            "detection": detection,
            "classification": _classes_to_json(self.classification),
            "classification_of_all_boxes": _classes_to_json(self.classification_of_all_boxes),
            "classification_on_truth_boxes": _classes_to_json(self.classification_on_truth_boxes),
            "end_to_end": figures_to_json(self.end_to_end),
            "errors": figures_to_json(self.errors),
            "groups": figures_to_json(self.groups),
            "groups_of_truth_boxes": figures_to_json(self.groups_of_truth_boxes),
            "nodes_3d": figures_to_json(self.nodes_3d),
            "masks": figures_to_json(self.masks),
        }

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` prints: all figures, or AP50 alone where only that was asked."""
        if not self.ap50_only:
            return self.metrics_json()
        return {
            "ap50": self.ap50.to_json(),
            "phantom": self.info.phantom,
            "notes": list(self.info.notes),
        }


def _without_average(detection: DetectionFigures) -> dict[str, Any]:
    kept = dict(vars(detection))
    del kept["average_precision"]
    return kept


def _classes_to_json(classes: ClassificationFigures | None) -> dict[str, Any] | None:
    if classes is None:
        return None
    head = {
        "boxes": classes.boxes,
        "score_min": classes.score_min,
        "at_threshold": classes.at_threshold,
    }
    return {**head, **figures_to_json(classes.figures)}


def with_notes(result: EvalResult, *notes: str) -> EvalResult:
    """Return the result with more notes."""
    return replace(result, info=replace(result.info, notes=(*result.info.notes, *notes)))
