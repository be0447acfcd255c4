"""What an evaluation found, and its form in metrics.json."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lnmdetect.core.records import Coverage
from lnmdetect.metrics.classification import Classification
from lnmdetect.metrics.detection import AveragePrecision
from lnmdetect.metrics.end_to_end import EndToEnd
from lnmdetect.metrics.figure import Figure, figures_to_json, undefined
from lnmdetect.metrics.froc import Froc, OperatingPoint
from lnmdetect.stages.evaluation_inputs import FileStamp, Threshold


@dataclass(frozen=True)
class Thresholds:
    """The thresholds that the figures at an operating point use."""

    detector: Threshold
    classifier: Threshold


@dataclass(frozen=True)
class EvalInfo:
    """What was scored.

    Attributes:
        detections_of, classes_of: the files whose boxes and whose classes were scored.
        phantom: the truth is of synthetic scans; every figure is a phantom figure then.
        truth_boxes: those that count; ignored_truth_boxes: neither hit nor miss.
        detections: scored boxes; unscored_detections: on slices that truth does not list.
        images_without_predictions: truth images that the prediction file does not list.
        intervals: how the 95 % intervals come about and what they leave out.
        notes: what a reader of the figures must know.
    """

    lnmdetect_version: str
    truth: FileStamp
    detections_of: FileStamp
    classes_of: FileStamp | None
    phantom: bool
    coverage: Coverage
    patients: int
    images: int
    truth_boxes: int
    ignored_truth_boxes: int
    detections: int
    unscored_detections: int
    images_without_predictions: int
    iou_of_a_hit: float
    max_detections: int
    intervals: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class DetectionFigures:
    """Boxes as one class, whatever their category."""

    average_precision: AveragePrecision
    froc: Froc
    operating_point: OperatingPoint | None


@dataclass(frozen=True)
class ClassificationFigures:
    """Classes of the boxes that hit a truth box.

    Attributes:
        boxes: whose they are.
        score_min: the detector's score from which on they count; None counts every box of the file.
    """

    boxes: Literal["truth", "predicted"]
    score_min: float | None
    figures: Classification


@dataclass(frozen=True)
class EvalResult:
    """The figures; a part that the files do not allow is None, and `info.notes` says why.

    Attributes:
        classification: of the boxes a user gets: those at or above the operating threshold where
            one is known, else of all.
        classification_of_all_boxes: of every predicted box in the file, also those below the
            threshold; None where the one above is of all.
        scored: the file whose boxes were scored.
    """

    info: EvalInfo
    thresholds: Thresholds
    detection: DetectionFigures | None
    classification: ClassificationFigures | None
    classification_of_all_boxes: ClassificationFigures | None
    end_to_end: EndToEnd | None
    ap50_only: bool
    scored: Path

    @property
    def ap50(self) -> Figure:
        """AP50 of the boxes as one class."""
        if self.detection is None:
            return undefined("the boxes carry no score: they are truth boxes, not detections")
        return self.detection.average_precision.ap50

    def metrics_json(self) -> dict[str, Any]:
        """Return all figures, as metrics.json holds them (data_specs/metrics.schema.json)."""
        detection = self.detection and {
            **figures_to_json(self.detection.average_precision),
            "froc": figures_to_json(self.detection.froc),
            "operating_point": figures_to_json(self.detection.operating_point),
        }
        return {
            "info": figures_to_json(self.info),
            "thresholds": figures_to_json(self.thresholds),
            "detection": detection,
            "classification": _classes_to_json(self.classification),
            "classification_of_all_boxes": _classes_to_json(self.classification_of_all_boxes),
            "end_to_end": figures_to_json(self.end_to_end),
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


def _classes_to_json(classes: ClassificationFigures | None) -> dict[str, Any] | None:
    if classes is None:
        return None
    head = {"boxes": classes.boxes, "score_min": classes.score_min}
    return {**head, **figures_to_json(classes.figures)}
