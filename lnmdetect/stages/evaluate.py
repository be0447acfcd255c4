"""Stage 3: figures from truth and the files of stages 1 and 2; no model, no pixels, no torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lnmdetect import __version__
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.records import CocoDataset
from lnmdetect.core.wording import counted
from lnmdetect.io.json_files import refuse_existing, write_json
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.metrics.bootstrap import RESAMPLES
from lnmdetect.metrics.detection import average_precision
from lnmdetect.metrics.end_to_end import EndToEnd, classification_on_boxes, end_to_end
from lnmdetect.metrics.froc import froc, operating_point
from lnmdetect.metrics.matching import IOU_OF_A_HIT, MAX_DETECTIONS, match_images
from lnmdetect.stages.evaluation_inputs import (
    FileStamp,
    Predictions,
    Threshold,
    read_predictions,
    read_truth,
)
from lnmdetect.stages.evaluation_result import (
    ClassificationFigures,
    DetectionFigures,
    EvalInfo,
    EvalResult,
    Thresholds,
)

INTERVALS = (
    f"95 %; of classification: percentiles of {RESAMPLES} resamples of the patients (none "
    "with a single one; where all or no nodes are right, Wilson with each patient counted once); "
    "of detection and both stages: Wilson, boxes taken as independent although several are of one "
    "node and patient, so the true ones are wider"
)
"""Said beside every table: only the first kind allows for clustering (design, section 8)."""


@dataclass(frozen=True)
class EvalRequest:
    """What to evaluate.

    Attributes:
        truth: the truth file.
        boxes, nodes: prediction files; with neither, nodes.json beside the working folder's
            truth is taken, else boxes.json. With both, detection is scored on boxes, classes on
            nodes.
        threshold: the detector's operating threshold in place of the one in the file.
        ap50_only: `EvalResult.to_json` gives AP50 alone.
        output: where metrics.json goes; None writes nothing.
    """

    truth: Path = Path("truth.json")
    boxes: Path | None = None
    nodes: Path | None = None
    threshold: float | None = None
    ap50_only: bool = False
    output: Path | None = None
    overwrite: bool = False


def evaluate(request: EvalRequest) -> EvalResult:
    """Return the figures of the request's files, and write them, with run.json, where it says.

    Raises:
        InputError: a file is missing or cannot be used.
        UsageError: the threshold is no score.
        OutputError: the output exists, or cannot be written.
    """
    if request.threshold is not None and not 0 <= request.threshold <= 1:
        raise UsageError(
            "--threshold",
            expected="a score in [0, 1]",
            got=f"{request.threshold:g}",
            remedy="Leave it out to use the one in the file.",
        )
    if request.output is not None:
        refuse_existing(request.output, overwrite=request.overwrite)
    record = RunRecord("eval", {"threshold": request.threshold})
    files = _prediction_files(request)
    truth, stamp = read_truth(_existing(request.truth, "--truth"))
    found = read_predictions(files.detections, truth)
    classes = found if files.classes == files.detections else read_predictions(files.classes, truth)
    record.lap("read")
    result = _score(request, truth, stamp, found=found, classes=classes)
    record.lap("score")
    if request.output is not None:
        write_json(result.metrics_json(), request.output, overwrite=request.overwrite)
        record.inputs |= {s.file: s.sha256 for s in (stamp, found.stamp, classes.stamp)}
        record.write(record_path(request.output))
    return result


@dataclass(frozen=True)
class _PredictionFiles:
    """The file whose boxes are scored and the file whose classes are; often the same."""

    detections: Path
    classes: Path


def _prediction_files(request: EvalRequest) -> _PredictionFiles:
    boxes, nodes = request.boxes, request.nodes
    if boxes is None and nodes is None:
        default = Path("nodes.json") if Path("nodes.json").is_file() else Path("boxes.json")
        found = _existing(default, "--boxes or --nodes")
        return _PredictionFiles(detections=found, classes=found)
    return _PredictionFiles(
        detections=_existing(boxes, "--boxes") if boxes else _existing(nodes, "--nodes"),
        classes=_existing(nodes, "--nodes") if nodes else _existing(boxes, "--boxes"),
    )


def _existing(path: Path | None, option: str) -> Path:
    """Return `path`, which is a file."""
    if path is not None and path.is_file():
        return path
    raise InputError(
        option if path is None else path.name,
        expected="a file",
        got="a folder" if path is not None and path.is_dir() else "none there",
        remedy=f"Give its place with {option}; detect writes boxes.json, classify nodes.json.",
    )


def _score(
    request: EvalRequest,
    truth: CocoDataset,
    stamp: FileStamp,
    *,
    found: Predictions,
    classes: Predictions,
) -> EvalResult:
    detector = _detector_threshold(request, found)
    of_classes = _class_figures(classes, detector.value)
    return EvalResult(
        info=_info(truth, stamp, found=found, classes=classes),
        thresholds=Thresholds(detector, classes.classifier_threshold),
        detection=None if found.on_truth_boxes else _detection(found, detector.value),
        classification=of_classes.shown,
        classification_of_all_boxes=of_classes.of_all,
        end_to_end=of_classes.both_stages,
        ap50_only=request.ap50_only,
        scored=_prediction_files(request).detections,
    )


def _info(
    truth: CocoDataset, stamp: FileStamp, *, found: Predictions, classes: Predictions
) -> EvalInfo:
    ignored = sum(node.ignored for node in truth.annotations)
    return EvalInfo(
        lnmdetect_version=__version__,
        truth=stamp,
        detections_of=found.stamp,
        classes_of=classes.stamp if classes.classified else None,
        phantom=truth.is_phantom,
        coverage=truth.coverage,
        patients=len(truth.patients()),
        images=len(truth.images),
        truth_boxes=len(truth.annotations) - ignored,
        ignored_truth_boxes=ignored,
        detections=sum(len(image.scores) for image in found.images),
        unscored_detections=found.unscored,
        images_without_predictions=found.missing_images,
        iou_of_a_hit=IOU_OF_A_HIT,
        max_detections=MAX_DETECTIONS,
        intervals=INTERVALS,
        notes=tuple(_notes(truth, found, classes)),
    )


def _notes(truth: CocoDataset, found: Predictions, classes: Predictions) -> Iterator[str]:
    name = found.stamp.file
    if truth.is_phantom:
        yield "Phantom figures: the scans are synthetic and say nothing about patients."
    if found.on_truth_boxes:
        yield f"No detection figures: {name} holds truth boxes, which carry no score."
    if not classes.classified:
        yield f"No classification figures: {classes.stamp.file} holds no class probabilities."
    if found.unscored:
        boxes = counted(found.unscored, f"box of {name} is", f"boxes of {name} are")
        yield f"{boxes} not scored: truth, of key images, does not list the slice."
    if found.missing_images:
        images = counted(found.missing_images, "truth image is", "truth images are")
        yield f"{images} not in {name}: nothing is found there."
    if found.failed_studies:
        studies = counted(found.failed_studies, "study", "studies")
        yield f"{studies} of the input could not be read when {name} was made."


def _detector_threshold(request: EvalRequest, found: Predictions) -> Threshold:
    if request.threshold is not None:
        return Threshold(request.threshold, "--threshold")
    return found.detector_threshold


def _detection(found: Predictions, threshold: float | None) -> DetectionFigures:
    matches = match_images(found.images)
    return DetectionFigures(
        average_precision=average_precision(found.images),
        froc=froc(matches),
        operating_point=None if threshold is None else operating_point(matches, threshold),
    )


@dataclass(frozen=True)
class _ClassFigures:
    """The figures that rest on classes; see `EvalResult` for the first two."""

    shown: ClassificationFigures | None = None
    of_all: ClassificationFigures | None = None
    both_stages: EndToEnd | None = None


def _class_figures(classes: Predictions, threshold: float | None) -> _ClassFigures:
    """Return the figures of the classes, and of both stages unless the boxes are truth boxes."""
    if not classes.classified:
        return _ClassFigures()
    matches = match_images(classes.images)

    def figures(
        boxes: Literal["truth", "predicted"], score_min: float | None
    ) -> ClassificationFigures:
        found = classification_on_boxes(
            classes.images,
            classes.classes,
            matches,
            score_min=score_min,
            patient=classes.patient,
        )
        return ClassificationFigures(boxes, score_min, found)

    if classes.on_truth_boxes:
        return _ClassFigures(figures("truth", None))
    return _ClassFigures(
        shown=figures("predicted", threshold),
        of_all=None if threshold is None else figures("predicted", None),
        both_stages=end_to_end(classes.images, classes.classes, matches, threshold=threshold),
    )
