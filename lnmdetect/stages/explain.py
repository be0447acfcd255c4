"""`lnmdetect explain`: where a model looks, as pictures, and two checks of whether that is so."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from lnmdetect import __version__
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import CocoDataset
from lnmdetect.io.coco import read_coco
from lnmdetect.io.json_files import (
    refuse_existing,
    remove_output,
    require_folder,
    sha256_of_file,
    write_json,
)
from lnmdetect.io.pixel_roots import scan_root
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.io.slice_join import shared_ids
from lnmdetect.metrics.faithfulness import faithfulness
from lnmdetect.metrics.resampling import RESAMPLES, Resamples
from lnmdetect.stages.classify import DEFAULT_MODEL
from lnmdetect.stages.explain_cases import Case, cases_of
from lnmdetect.stages.explain_classifier import ClassifierExplainer
from lnmdetect.stages.explain_detector import DetectorExplainer
from lnmdetect.stages.explain_looks import (
    Explained,
    Explainer,
    explained,
    heat_table,
    most_telling,
)
from lnmdetect.stages.explain_notes import findings_by_call, findings_of, heat_notes
from lnmdetect.stages.explain_pictures import PICTURE_NAMES, SHEET, write_pictures
from lnmdetect.stages.explain_result import ExplainInfo, ExplainResult
from lnmdetect.training.classifier_heat import Method

FOLDER = Path("explain")
FILE = "explain.json"
PICTURES = 12


@dataclass(frozen=True)
class ExplainRequest:
    """What to explain, and how.

    Attributes:
        nodes: nodes.json or boxes.json; a truth.json's own boxes.
        truth: gives masks and classes; None: none, but a truth.json is its own.
        scan: where the pixels are; None takes the file's `info.scan_root`.
        model: the classifier; None: the one that `nodes` names, else the bundled one.
        detector: its scores are explained instead.
        method: see `training.classifier_heat.ClassifierHeat`.
        count: at most so many pictures.
        bootstrap, seed: of the intervals; the seed is also that of the random regions.
        output: a folder.
    """

    nodes: Path
    truth: Path | None = None
    scan: Path | None = None
    model: str | None = None
    detector: str | None = None
    method: str = "auto"
    count: int = PICTURES
    bootstrap: int = RESAMPLES
    seed: int = 0
    device: str = "auto"
    output: Path = FOLDER
    overwrite: bool = False


def explain(request: ExplainRequest, progress: Progress = SILENT) -> ExplainResult:
    """Return the checks after writing explain.json, its run record and the pictures.

    Raises:
        InputError: a file or its pixels are unsound, or truth lists none of the slices.
        ModelError: the bundle is absent or damaged.
        UsageError: the method does not fit the model, or an option another.
        OutputError: the output exists and `overwrite` is not set.
    """
    _check(request)
    record = RunRecord("explain", _config(request), seed=request.seed)
    dataset = read_coco(request.nodes)
    truth = _truth(request, dataset)
    unlisted = _unlisted(request, dataset, truth)
    store = PixelStore(
        scan_root(request.nodes, dataset, request.scan), png_folder=request.nodes.parent
    )
    explainer = _explainer(request, dataset, store)
    cases = cases_of(dataset, truth)
    record.lap("open")
    rows = _explain_all(explainer, cases, progress, seed=request.seed)
    record.lap("explain")
    patients = tuple(dict.fromkeys(row.case.image.patient for row in rows))
    resamples = Resamples(len(patients), request.bootstrap, request.seed)
    checks = faithfulness(heat_table(rows, patients), resamples)
    by_call = {
        call: faithfulness(heat_table([r for r in rows if r.called == call], patients), resamples)
        for call in sorted({row.called for row in rows if row.called})
    }
    findings = (*findings_of(checks, rows), *findings_by_call(by_call))
    notes = heat_notes(explainer, rows, phantom=_is_phantom(dataset, truth), unlisted=unlisted)
    info = _info(request, explainer, tuple(notes), phantom=_is_phantom(dataset, truth))
    _clear(request.output)
    pictures = write_pictures(
        most_telling(rows, request.count),
        explainer,
        store,
        request.output,
        findings=findings,
        phantom=info.phantom,
        progress=progress,
    )
    record.lap("draw")
    result = ExplainResult(info, checks, by_call, findings, tuple(rows), len(patients), pictures)
    _write(result, request, explainer, record)
    return result


def _check(request: ExplainRequest) -> None:
    """Raise, before any work, where an option cannot be used or the output not be written."""
    methods = get_args(Method)
    if request.method not in methods:
        raise UsageError(
            "--method",
            expected=f"one of {', '.join(methods)}",
            got=repr(request.method),
            remedy="Choose one of those.",
        )
    if request.detector is not None and request.model is not None:
        raise UsageError(
            "--detector",
            expected="no --model beside it",
            got="both",
            remedy="Explain one model at a time.",
        )
    if request.detector is not None and request.method == "cam":
        raise UsageError(
            "--method",
            expected="gradcam: CAM is for classifiers",
            got="'cam'",
            remedy="Leave --method out.",
        )
    refuse_existing(request.output / FILE, overwrite=request.overwrite)
    require_folder(request.output)


def _config(request: ExplainRequest) -> dict[str, object]:
    return {
        "model": None if request.model is None else Path(request.model).name,
        "detector": None if request.detector is None else Path(request.detector).name,
        "method": request.method,
        "count": request.count,
        "bootstrap": request.bootstrap,
        "device": request.device,
    }


def _truth(request: ExplainRequest, dataset: CocoDataset) -> CocoDataset | None:
    if request.truth is not None:
        return read_coco(request.truth)
    boxes = dataset.annotations
    is_truth = bool(boxes) and all(b.score is None and b.probabilities is None for b in boxes)
    return dataset if is_truth else None


def _unlisted(request: ExplainRequest, dataset: CocoDataset, truth: CocoDataset | None) -> int:
    """Return how many slices truth does not list; raises where it lists none of them."""
    if truth is None:
        return 0
    shared = shared_ids(dataset.images, truth.images)
    if not shared and dataset.images:
        name = request.nodes.name if request.truth is None else request.truth.name
        raise InputError(
            f"{name}: images",
            expected=f"slices of {request.nodes.name}",
            got="none of them, by SOP uid or file name",
            remedy="Give the truth of the same scans, or leave --truth out.",
        )
    return len(dataset.images) - len(shared)


def _is_phantom(dataset: CocoDataset, truth: CocoDataset | None) -> bool:
    return dataset.is_phantom or (truth is not None and truth.is_phantom)


def _explainer(request: ExplainRequest, dataset: CocoDataset, store: PixelStore) -> Explainer:
    if request.detector is not None:
        return DetectorExplainer(request.detector, dataset, store, device=request.device)
    named = (dataset.info.get("classifier") or {}).get("name", DEFAULT_MODEL)
    return ClassifierExplainer(
        request.model or str(named),
        dataset,
        store,
        method=cast(Method, request.method),
        device=request.device,
    )


def _explain_all(
    explainer: Explainer, cases: list[Case], progress: Progress, *, seed: int
) -> list[Explained]:
    watched = progress.track(cases, description="explaining", total=len(cases))
    return [explained(explainer, case, seed=seed) for case in watched]


def _info(
    request: ExplainRequest, explainer: Explainer, notes: tuple[str, ...], *, phantom: bool
) -> ExplainInfo:
    bundle = explainer.bundle
    return ExplainInfo(
        lnmdetect_version=__version__,
        nodes=_stamp(request.nodes),
        truth=None if request.truth is None else _stamp(request.truth),
        phantom=phantom,
        model={
            "arm": bundle.recipe.arm,
            "name": bundle.name,
            "sha256": bundle.sha256,
            "trained_on_phantoms": bundle.is_phantom,
        },
        method=explainer.method,
        explains=explainer.explains,
        layer=explainer.layer,
        cells=explainer.cells,
        crop={"margin": explainer.margin, "size_px": explainer.size_px},
        resamples=request.bootstrap,
        seed=request.seed,
        notes=notes,
    )


def _stamp(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": sha256_of_file(path)}


def _clear(folder: Path) -> None:
    """Delete the pictures of an earlier run, which would stand beside other figures."""
    for path in [folder / SHEET, *sorted(folder.glob(PICTURE_NAMES))]:
        remove_output(path)


def _write(
    result: ExplainResult, request: ExplainRequest, explainer: Explainer, record: RunRecord
) -> None:
    path = request.output / FILE
    write_json(result.to_json(), path, overwrite=True)
    stamps = [result.info.nodes, *([result.info.truth] if result.info.truth else [])]
    record.add_inputs((stamp["file"], stamp["sha256"]) for stamp in stamps)
    record.model = {explainer.bundle.name: explainer.bundle.sha256}
    record.write(record_path(path))
