"""`lnmdetect detect`: scans in, boxes.json out."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lnmdetect import __version__
from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.errors import InputError, LnmDetectError
from lnmdetect.core.precision import Engine, Precision
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import (
    Detections,
    ImageRecord,
)
from lnmdetect.core.wording import counted
from lnmdetect.io.bundles import Bundle, load_weights, quantised_file, read_bundle
from lnmdetect.io.detection_spool import detection_spool, spool_identity
from lnmdetect.io.json_files import refuse_existing
from lnmdetect.io.run_record import record_path, sha256_of_slices
from lnmdetect.io.scan_source import ScanSource, open_source
from lnmdetect.stages.detect_output import threshold_of, write_boxes
from lnmdetect.stages.detect_request import DetectRequest, DetectResult
from lnmdetect.stages.detect_stream import FoundScan, detect_scans
from lnmdetect.stages.model_form import chosen_form, refuse_form
from lnmdetect.stages.scan_record import start_scan_record
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.devices import choose_device, limit_threads

LoadedDetector = tuple[Bundle, DetectorTask]


def load_detector(
    model: str,
    device: str,
    *,
    precision: Precision | None = None,
    engine: Engine = "torch",
    plain: bool = False,
) -> LoadedDetector:
    """Return a detector's bundle and its task, ready to predict.

    Args:
        model: name or folder of the bundle.
        device: auto, cpu, cuda or cuda:N.
        precision: see `model_form.chosen_form`.
        engine: likewise.
        plain: whether the network stays as it was trained.

    Raises:
        MissingExtraError: the engine is not installed.
        ModelError: there is no such bundle, it is damaged, or it has no int8 form.
        UsageError: there is no such device, or the engine cannot compute in this precision.
    """
    limit_threads()
    bundle = read_bundle(model, "detector")
    assert isinstance(bundle.recipe, DetectorRecipe)
    task = DetectorTask(bundle.recipe, choose_device(device))
    load_weights(task.module, bundle)
    if not plain:
        form = chosen_form(bundle, task.device, precision, engine)
        quantised = quantised_file(bundle) if form.precision == "int8" else None
        task.prepare_inference(form, quantised=quantised)
    return bundle, task


def detect(
    request: DetectRequest,
    progress: Progress = SILENT,
    loaded: LoadedDetector | None = None,
    source: ScanSource | None = None,
) -> DetectResult:
    """Return what was found after writing boxes.json and its run record.

    Args:
        request: what to search, and how.
        progress: watches the slices.
        loaded: the request's model where it is in memory already.
        source: what lies at the request's `scan` where it is open already.

    Raises:
        InputError: nothing at the path can be searched.
        MissingExtraError: the engine is not installed.
        ModelError: the bundle is absent or damaged, or has no int8 form.
        OutputError: the output exists and `overwrite` is not set.
        UsageError: the network cannot be had in the form that is asked for.
    """
    refuse_existing(request.output, overwrite=request.overwrite)
    if loaded is None:
        refuse_form(read_bundle(request.model, "detector"), request.precision, request.engine)
    record = start_scan_record("detect", request.scan, _asked(request))
    source = source or _open(request)
    bundle, task = loaded or load_detector(
        request.model, request.device, precision=request.precision, engine=request.engine
    )
    record.config = {**record.config, "device": str(task.device), **asdict(task.form)}
    record.lap("open")
    failures = list(source.failures)
    with detection_spool(request.output, _identity(request, source, bundle, task)) as spool:
        known = len(spool.found)
        pairs = _sound(detect_scans(source, bundle, task, spool, progress), failures)
        record.lap("detect")
        dataset = write_boxes(request, source, bundle, pairs, form=task.form, failed=len(failures))
    if not request.scan.is_file():
        record.inputs["scan"] = sha256_of_slices(dataset.images)
    record.model = {bundle.name: bundle.sha256}
    record.failures = len(failures)
    record.write(record_path(request.output))
    threshold = threshold_of(request, bundle)
    above = [a for a in dataset.annotations if (a.score or 0) >= threshold]
    return DetectResult(
        output=request.output,
        scans=len({image.series for image, _ in pairs}),
        slices=len(pairs),
        boxes=len(dataset.annotations),
        boxes_above_threshold=len(above),
        threshold=threshold,
        seconds=sum(record.timings_s.values()),
        notes=(*source.notes, *_neighbour_notes(source, bundle), *_resume_notes(known)),
        failures=tuple(failures),
        patients=tuple(sorted({image.patient for image, _ in pairs})),
    )


def _identity(
    request: DetectRequest, source: ScanSource, bundle: Bundle, task: DetectorTask
) -> str:
    """Return what an earlier run must have in common with this one for its boxes to hold."""
    slices = [
        [(image.sop_instance_uid, image.position_mm, image.spacing_mm) for image in scan.images]
        for scan in source.scans
    ]
    decides = {
        "lnmdetect": __version__,
        "model": bundle.sha256,
        "device": str(task.device),
        "form": asdict(task.form),
        "int8": dict(bundle.quantised.sha256) if bundle.quantised else None,
        "coverage": source.coverage,
        "slices": slices,
    }
    return spool_identity(request.scan, decides)


def _resume_notes(known: int) -> list[str]:
    if not known:
        return []
    return [f"went on after {counted(known, 'slice')} that an earlier run had searched"]


def _open(request: DetectRequest) -> ScanSource:
    return open_source(
        request.scan,
        series=request.series,
        allow_tilt=request.allow_tilt,
        key_images=request.key_images,
        pixel_spacing_mm=request.pixel_spacing_mm,
    )


def _asked(request: DetectRequest) -> dict[str, Any]:
    return {
        "model": Path(request.model).name,
        "device": request.device,
        "series": request.series,
        "allow_tilt": request.allow_tilt,
        "key_images": request.key_images,
        "pixel_spacing_mm": request.pixel_spacing_mm,
        "threshold": request.threshold,
        "pseudonymise_uids": request.pseudonymise_uids,
    }


def _sound(
    found: Iterable[FoundScan | InputError], failures: list[LnmDetectError]
) -> list[tuple[ImageRecord, Detections]]:
    """Return every slice with its detections; a scan that cannot be read joins the failures.

    Raises:
        InputError: no scan can be read.
    """
    pairs: list[tuple[ImageRecord, Detections]] = []
    for scan in found:
        if isinstance(scan, FoundScan):
            pairs += scan.slices
        else:
            failures.append(scan)
    if not pairs:
        raise failures[0]
    return pairs


def _neighbour_notes(source: ScanSource, bundle: Bundle) -> list[str]:
    """Return a warning where a 2.5-D model looks at slices without their neighbours."""
    assert isinstance(bundle.recipe, DetectorRecipe)
    offsets_mm = set(bundle.recipe.input.slice_offsets_mm)
    if source.coverage == "all_slices" or len(offsets_mm) == 1:
        return []
    return [
        f"bundle {bundle.name} looks at neighbouring slices, which key images lack: each slice "
        "stands in for its own neighbours, and far fewer nodes are found than on a whole scan "
        "unless the bundle was trained on key images"
    ]
