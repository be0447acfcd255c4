"""What `lnmdetect models check` compares: the figures that a model reaches in one form."""

from collections.abc import Iterator
from pathlib import Path

from lnmdetect.core.errors import InputError
from lnmdetect.core.precision import InferenceForm
from lnmdetect.core.progress import Progress
from lnmdetect.io.listed_scans import open_listed
from lnmdetect.stages.classify import ClassifyRequest, classify
from lnmdetect.stages.detect import detect
from lnmdetect.stages.detect_request import DetectRequest
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.evaluation_result import EvalResult
from lnmdetect.stages.models_check_request import CheckRequest

Figures = dict[str, float]
AUC = "AUC"


def figures_in(
    form: InferenceForm, request: CheckRequest, output: Path, progress: Progress
) -> tuple[Figures, float]:
    """Return the figures that a form reaches, and the seconds it took.

    Args:
        form: in which the model is run.
        request: which model, on whom.
        output: file for what it finds.
        progress: watches the slices or crops.

    Raises:
        InputError: the truth's patients leave a figure undefined.
    """
    if request.arm == "detector":
        source = open_listed(request.truth, root=request.scan)
        found = detect(_detect_request(request, form, output), progress, source=source)
        result = evaluate(EvalRequest((request.truth,), boxes=(output,), bootstrap=0))
        return dict(_detector_figures(result, request.truth)), round(found.seconds, 3)
    called = classify(_classify_request(request, form, output), progress)
    result = evaluate(EvalRequest((request.truth,), truth_nodes=(output,), bootstrap=0))
    return dict(_classifier_figures(result, request.truth)), round(called.seconds, 3)


def _detect_request(request: CheckRequest, form: InferenceForm, output: Path) -> DetectRequest:
    return DetectRequest(
        request.truth,
        output=output,
        model=request.model,
        device=request.device,
        named_root=request.scan,
        precision=form.precision,
        engine=form.engine,
    )


def _classify_request(request: CheckRequest, form: InferenceForm, output: Path) -> ClassifyRequest:
    return ClassifyRequest(
        request.truth,
        output=output,
        scan=request.scan,
        model=request.model,
        device=request.device,
        precision=form.precision,
        engine=form.engine,
    )


def _detector_figures(result: EvalResult, truth: Path) -> Iterator[tuple[str, float]]:
    detection = result.detection
    assert detection is not None  # boxes were given
    yield "AP50", _value(result.ap50.value, "AP50", truth)
    for curve in (detection.froc, detection.froc_per_scan):
        name = f"mean sensitivity of FROC, {curve.per}"
        yield name, _value(curve.mean.value, name, truth)


def _classifier_figures(result: EvalResult, truth: Path) -> Iterator[tuple[str, float]]:
    classes = result.classification_on_truth_boxes
    yield AUC, _value(classes.figures.auc.value if classes else None, AUC, truth)


def _value(value: float | None, name: str, truth: Path) -> float:
    if value is None:
        raise InputError(
            truth.name,
            expected="nodes that count, of either class for a classifier",
            got=f"{name} that is undefined",
            remedy="Give truth of more patients.",
        )
    return value
