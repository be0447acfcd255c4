"""What was run: files with their hashes, models, thresholds and where they came from."""

from collections.abc import Iterator, Mapping
from typing import Any

from lnmdetect.io.report_view import Fact
from lnmdetect.stages.evaluate import Evaluation
from lnmdetect.stages.evaluation_result import EvalInfo
from lnmdetect.stages.evaluation_thresholds import threshold_text
from lnmdetect.stages.evaluation_truth import FileStamp

_HASH_DIGITS = 16
"""Of a model's hash: enough to tell it from any other."""


def facts(evaluation: Evaluation) -> tuple[Fact, ...]:
    """Return what was run, a line each."""
    info, nodes = evaluation.result.info, evaluation.result.nodes_3d
    return (
        Fact("Program", f"lnmdetect {info.lnmdetect_version}"),
        *_files("Truth", info.truth),
        *_files("Detections", info.detections_of),
        *_files("Classes", info.classes_of),
        *_files("Classified truth boxes", info.truth_boxes_of),
        *_files("Nodes in 3-D", () if nodes is None else nodes.files),
        *model_facts(evaluation),
        *threshold_facts(evaluation),
        Fact(
            "Data", "phantom: synthetic scans" if info.phantom else "scans, not marked as phantom"
        ),
        Fact("Coverage", info.coverage.replace("_", " ")),
        Fact(
            "Truth boxes",
            f"{info.truth_boxes} that count, {info.ignored_truth_boxes} ignored, on {info.images} "
            f"slices of {info.scans} scans of {info.patients} patients",
        ),
        Fact("A hit", f"IoU of {info.iou_of_a_hit:g} or more, {info.max_detections} boxes a slice"),
        Fact("Intervals", intervals_text(info)),
    )


def intervals_text(info: EvalInfo) -> str:
    """Return how the intervals of the page's two columns come about."""
    over_patients = (
        f"over patients: percentiles of {info.resamples} resamples of the patients (seed "
        f"{info.seed})"
        if info.resamples
        else "none over patients: no resamples were asked for"
    )
    return f"95 %; {over_patients}; as if cases were independent: DeLong for AUC, Wilson for shares"


def _files(name: str, stamps: tuple[FileStamp, ...]) -> Iterator[Fact]:
    yield from (Fact(name, f"{stamp.file}, SHA-256 {stamp.sha256}") for stamp in stamps)


def model_facts(evaluation: Evaluation) -> Iterator[Fact]:
    """Give the models that the prediction files name."""
    inputs = evaluation.inputs
    for stage, predictions in (
        ("detector", inputs.detections),
        ("segmenter", inputs.detections),
        ("classifier", inputs.truth_boxes if inputs.classes is None else inputs.classes),
    ):
        model = None if predictions is None else predictions.columns.info.get(stage)
        if isinstance(model, Mapping):
            yield Fact(stage.capitalize(), _model_text(model))


def _model_text(model: Mapping[str, Any]) -> str:
    text = str(model.get("name") or "unnamed")
    if model.get("sha256"):
        text += f", SHA-256 {str(model['sha256'])[:_HASH_DIGITS]}…"
    if model.get("trained_on_phantoms"):
        text += ", trained on phantoms"
    return text


def threshold_facts(evaluation: Evaluation) -> Iterator[Fact]:
    """Give the operating thresholds and where they came from."""
    thresholds = evaluation.result.thresholds
    yield Fact("Threshold of the detector", threshold_text(thresholds.detector))
    yield Fact("Threshold of the classifier", threshold_text(thresholds.classifier))
