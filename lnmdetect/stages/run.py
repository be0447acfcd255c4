"""`lnmdetect run`: detect, classify, link and draw in one go, into one folder.

`lnmdetect cohort` does the same study by study, with models that stay in memory.
"""

from dataclasses import dataclass
from pathlib import Path

from lnmdetect.core.precision import Engine, Precision
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.io.bundles import read_bundle
from lnmdetect.io.json_files import refuse_existing
from lnmdetect.io.loaded_study import LoadedStudy
from lnmdetect.stages.classify import DEFAULT_MODEL as CLASSIFIER
from lnmdetect.stages.classify import (
    NODES,
    ClassifyRequest,
    ClassifyResult,
    LoadedClassifier,
    classify,
)
from lnmdetect.stages.detect import LoadedDetector, detect
from lnmdetect.stages.detect_output import pixel_place
from lnmdetect.stages.detect_request import BOXES, DetectRequest, DetectResult
from lnmdetect.stages.detect_request import DEFAULT_MODEL as DETECTOR
from lnmdetect.stages.model_form import refuse_form
from lnmdetect.stages.nodes import LINKED, NodesRequest, NodesResult, csv_path, link_nodes
from lnmdetect.stages.overlay import SHEET, OverlayRequest, OverlayResult, overlay


@dataclass(frozen=True)
class RunRequest:
    """What to run on what; the folder `output` receives the files.

    Attributes:
        scan, series, allow_tilt, key_images, pixel_spacing_mm, pseudonymise_uids: as `detect`
            takes them.
        model, classifier: bundles of the two stages, by name or folder.
        truth: drawn on the picture where it is known.
        slices: on the picture; 0 draws none.
        named_root: as `detect` takes it.
        precision, engine: of both networks, as the stages take them; the classifier, which has no
            int8, then answers in its usual precision.
    """

    scan: Path
    output: Path
    model: str = DETECTOR
    classifier: str = CLASSIFIER
    device: str = "auto"
    series: str | None = None
    allow_tilt: bool = False
    key_images: bool = False
    pixel_spacing_mm: tuple[float, float] | None = None
    pseudonymise_uids: bool = False
    truth: Path | None = None
    slices: int = 24
    overwrite: bool = False
    named_root: Path | None = None
    precision: Precision | None = None
    engine: Engine = "torch"


@dataclass(frozen=True)
class LoadedModels:
    """The models of both stages, in memory."""

    detector: LoadedDetector
    classifier: LoadedClassifier


@dataclass(frozen=True)
class RunResult:
    """What each stage returned; there is no picture where none was wanted."""

    detected: DetectResult
    classified: ClassifyResult
    linked: NodesResult
    picture: OverlayResult | None


def run(
    request: RunRequest,
    progress: Progress = SILENT,
    models: LoadedModels | None = None,
    study: LoadedStudy | None = None,
) -> RunResult:
    """Return what the four stages found and wrote.

    Args:
        request: what to run on what.
        progress: watches each stage.
        models: the request's where they are in memory already; else they are read.
        study: what lies at the request's `scan`, likewise.

    Raises:
        InputError: nothing at the path can be searched.
        MissingExtraError: the engine is not installed.
        ModelError: a bundle is absent or damaged, or the detector has no int8 form.
        OutputError: one of the outputs exists and `overwrite` is not set.
        UsageError: a network cannot be had in the form that is asked for.
    """
    outputs = [request.output / path for path in (BOXES, NODES, LINKED, SHEET)]
    boxes, nodes, linked, sheet = outputs
    for path in (*outputs, csv_path(linked)):
        refuse_existing(path, overwrite=request.overwrite)
    if models is None:
        _refuse_forms(request)
    detector, classifier = (models.detector, models.classifier) if models else (None, None)
    source, store = (study.source, study.store()) if study else (None, None)
    drawn = _overlay_request(request, nodes, sheet) if request.slices else None
    return RunResult(
        detect(_detect_request(request, boxes), progress, detector, source),
        classify(_classify_request(request, boxes, nodes), progress, classifier, store),
        link_nodes(_nodes_request(request, nodes, linked), progress, store),
        overlay(drawn, progress, store) if drawn else None,
    )


def _refuse_forms(request: RunRequest) -> None:
    detector = read_bundle(request.model, "detector")
    classifier = read_bundle(request.classifier, "classifier", option="--classifier")
    refuse_form(detector, request.precision, request.engine)
    refuse_form(classifier, _classifier_precision(request), request.engine)


def _classifier_precision(request: RunRequest) -> Precision | None:
    return None if request.precision == "int8" else request.precision


def _detect_request(request: RunRequest, boxes: Path) -> DetectRequest:
    return DetectRequest(
        request.scan,
        output=boxes,
        model=request.model,
        device=request.device,
        series=request.series,
        allow_tilt=request.allow_tilt,
        key_images=request.key_images,
        pixel_spacing_mm=request.pixel_spacing_mm,
        pseudonymise_uids=request.pseudonymise_uids,
        overwrite=request.overwrite,
        named_root=request.named_root,
        precision=request.precision,
        engine=request.engine,
    )


def _classify_request(request: RunRequest, boxes: Path, nodes: Path) -> ClassifyRequest:
    return ClassifyRequest(
        boxes,
        output=nodes,
        scan=_place(request),
        model=request.classifier,
        device=request.device,
        overwrite=request.overwrite,
        named_root=request.named_root,
        precision=_classifier_precision(request),
        engine=request.engine,
    )


def _nodes_request(request: RunRequest, nodes: Path, linked: Path) -> NodesRequest:
    return NodesRequest(
        nodes,
        output=linked,
        scan=_place(request),
        overwrite=request.overwrite,
        named_root=request.named_root,
    )


def _place(request: RunRequest) -> Path | None:
    """Return where the pixels are, if boxes.json and nodes.json will not say so, or not near."""
    hidden = request.pseudonymise_uids or request.named_root
    return pixel_place(request.scan) if hidden else None


def _overlay_request(request: RunRequest, nodes: Path, sheet: Path) -> OverlayRequest:
    return OverlayRequest(
        nodes,
        truth=request.truth,
        output=sheet,
        scan=_place(request),
        slices=request.slices,
        overwrite=request.overwrite,
    )
