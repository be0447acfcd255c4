"""`lnmdetect detect`: scans in, boxes.json out."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lnmdetect import __version__
from lnmdetect.core.config import STORED_SCORE_MIN, DetectorRecipe
from lnmdetect.core.errors import InputError, LnmDetectError
from lnmdetect.core.patient_digests import chosen_on, trained_on
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import (
    LYMPH_NODE,
    CocoDataset,
    Detections,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.datasets.detector_data import DetectorBatch
from lnmdetect.datasets.scan_slices import scan_batches
from lnmdetect.io.bundles import Bundle, load_weights, read_bundle
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.json_files import refuse_existing
from lnmdetect.io.key_images import lists_images
from lnmdetect.io.pixel_roots import relative_root, scan_root
from lnmdetect.io.pseudonym import load_key, pseudonymise_image
from lnmdetect.io.run_record import record_path, sha256_of_slices
from lnmdetect.io.scan_source import ScanSource, open_source
from lnmdetect.stages.scan_hounsfield import check_hounsfield, sample_places
from lnmdetect.stages.scan_record import start_scan_record
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.devices import Compute, choose_device, limit_threads
from lnmdetect.training.engine import predict

DEFAULT_MODEL = "compact"
BOXES = Path("boxes.json")


@dataclass(frozen=True)
class DetectRequest:
    """What to search, and how.

    Attributes:
        scan: folder, file or zip of DICOM; key images as DICOM or PNG; or a truth.json that lists
            the slices of either.
        threshold: operating threshold in [0, 1] instead of the bundle's.
        series, allow_tilt, key_images, pixel_spacing_mm: see `io.scan_source.open_source`.
        named_root: what `info.scan_root` names instead of `scan`: a folder around it, where the
            scan's own name may be a patient's.
    """

    scan: Path
    output: Path = BOXES
    model: str = DEFAULT_MODEL
    device: str = "auto"
    series: str | None = None
    allow_tilt: bool = False
    key_images: bool = False
    pixel_spacing_mm: tuple[float, float] | None = None
    threshold: float | None = None
    overwrite: bool = False
    pseudonymise_uids: bool = False
    named_root: Path | None = None


LoadedDetector = tuple[Bundle, DetectorTask]


@dataclass(frozen=True)
class DetectResult:
    """What was found.

    Attributes:
        boxes: scored 0.05 or more; boxes_above_threshold: those meant for people.
        patients: their pseudonyms.
        notes: about series and files that were not read.
        failures: studies of a cohort that could not be read; the others are in the file.
    """

    output: Path
    scans: int
    slices: int
    boxes: int
    boxes_above_threshold: int
    threshold: float
    seconds: float
    notes: tuple[str, ...] = ()
    failures: tuple[LnmDetectError, ...] = field(default=())
    patients: tuple[str, ...] = ()


def load_detector(model: str, device: str, *, plain: bool = False) -> LoadedDetector:
    """Return a detector's bundle and its task, ready to predict; `plain`: as it was trained.

    Raises:
        ModelError: there is no such bundle, or it is damaged.
        UsageError: there is no such device.
    """
    limit_threads()
    bundle = read_bundle(model, "detector")
    assert isinstance(bundle.recipe, DetectorRecipe)
    task = DetectorTask(bundle.recipe, choose_device(device))
    load_weights(task.module, bundle)
    if not plain:
        task.prepare_inference()
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
        ModelError: the bundle is absent or damaged.
        OutputError: the output exists and `overwrite` is not set.
    """
    refuse_existing(request.output, overwrite=request.overwrite)
    record = start_scan_record("detect", request.scan, _asked(request))
    source = source or _open(request)
    bundle, task = loaded or load_detector(request.model, request.device)
    record.config = {**record.config, "device": str(task.device)}
    record.lap("open")
    failures = list(source.failures)
    pairs = list(_detect_all(source, bundle, task, progress, failures))
    if not pairs:
        raise failures[0]
    record.lap("detect")
    threshold = bundle.threshold.value if request.threshold is None else request.threshold
    info = {
        **_info(request, bundle, threshold),
        "coverage": source.coverage,
        **({} if source.fold is None else {"split": source.fold}),
        "failed_studies": len(failures),
        "phantom": source.is_phantom,
    }
    dataset = _dataset(info, pairs)
    if request.pseudonymise_uids:
        dataset = with_pseudonymous_uids(dataset)
    if not request.scan.is_file():
        record.inputs["scan"] = sha256_of_slices(dataset.images)
    write_coco(dataset, request.output, overwrite=request.overwrite)
    record.model = {bundle.name: bundle.sha256}
    record.failures = len(failures)
    record.write(record_path(request.output))
    return DetectResult(
        output=request.output,
        scans=len({image.series for image, _ in pairs}),
        slices=len(pairs),
        boxes=len(dataset.annotations),
        boxes_above_threshold=sum((a.score or 0) >= threshold for a in dataset.annotations),
        threshold=threshold,
        seconds=sum(record.timings_s.values()),
        notes=(*source.notes, *_neighbour_notes(source, bundle)),
        failures=tuple(failures),
        patients=tuple(sorted({image.patient for image, _ in pairs})),
    )


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


def _detect_all(
    source: ScanSource,
    bundle: Bundle,
    task: DetectorTask,
    progress: Progress,
    failures: list[LnmDetectError],
) -> Iterator[tuple[ImageRecord, Detections]]:
    """Yield every slice with its detections; a scan that cannot be read joins the failures."""
    compute = Compute(task.device)
    recipe = bundle.recipe
    assert isinstance(recipe, DetectorRecipe)

    def batches() -> Iterator[DetectorBatch]:
        for handle in source.scans:
            try:
                scan = handle.load()
                if source.coverage == "all_slices":
                    sample = scan.voxels_hu[sample_places(len(scan.images))]
                    check_hounsfield(sample, scan.images[0].series)
            except InputError as error:
                failures.append(error)
                continue
            yield from scan_batches(scan, recipe.input)

    slices = sum(len(handle.images) for handle in source.scans)
    watched = progress.track(batches(), description="detecting", total=slices)
    images: list[ImageRecord] = []

    def noted() -> Iterator[DetectorBatch]:
        for batch in watched:
            images.extend(item.image for item in batch.items if item.image is not None)
            yield batch

    for place, found in enumerate(predict(task, noted(), compute)):
        yield images[place], found


def _dataset(info: dict[str, Any], pairs: list[tuple[ImageRecord, Detections]]) -> CocoDataset:
    annotations: list[NodeAnnotation] = []
    for image, found in pairs:
        for box, score in zip(found.boxes_xyxy, found.scores, strict=True):
            if score >= STORED_SCORE_MIN:
                x1, y1, x2, y2 = (float(v) for v in box)
                annotations.append(
                    NodeAnnotation(
                        annotation_id=len(annotations) + 1,
                        image_id=image.image_id,
                        category_id=LYMPH_NODE,
                        box_xyxy=(x1, y1, x2, y2),
                        score=float(score),
                    )
                )
    images = tuple(image for image, _ in pairs)
    return CocoDataset(info, images, tuple(annotations))


def _neighbour_notes(source: ScanSource, bundle: Bundle) -> list[str]:
    """Return a warning where a 2.5-D model looks at slices without their neighbours."""
    assert isinstance(bundle.recipe, DetectorRecipe)
    if source.coverage == "all_slices" or len(set(bundle.recipe.input.slice_offsets_mm)) == 1:
        return []
    return [
        f"bundle {bundle.name} looks at neighbouring slices, which key images lack: each slice "
        "stands in for its own neighbours, and far fewer nodes are found than on a whole scan "
        "unless the bundle was trained on key images"
    ]


def _info(request: DetectRequest, bundle: Bundle, threshold: float) -> dict[str, Any]:
    chosen = bundle.threshold if request.threshold is None else None
    if request.pseudonymise_uids:
        place: dict[str, Any] = {"pseudonymised_uids": True}
    else:
        root = request.named_root or pixel_place(request.scan)
        place = {"scan_root": relative_root(root, request.output)}
    return {
        "description": "Boxes of cervical lymph nodes. Research use only.",
        "lnmdetect_version": __version__,
        "detector": {
            "name": bundle.name,
            "sha256": bundle.sha256,
            "trained_on_phantoms": bundle.is_phantom,
        },
        "recipe": bundle.recipe.name,
        **place,
        "operating_threshold": threshold,
        "operating_threshold_source": (
            f"bundle {bundle.name}: {chosen.described}" if chosen else "--threshold"
        ),
        **trained_on("detector", bundle.trained_on),
        **chosen_on("operating_threshold", chosen.patients if chosen else None),
    }


def pixel_place(scan: Path) -> Path:
    """Return where the pixels of what is searched lie: of a JSON list, what the list names.

    Raises:
        InputError: nothing is there.
    """
    return scan_root(scan, read_coco(scan), None) if lists_images(scan) else scan


def with_pseudonymous_uids(dataset: CocoDataset) -> CocoDataset:
    """Return the data set with keyed uids in place of the scanner's."""
    key = load_key()
    return replace(dataset, images=tuple(pseudonymise_image(i, key) for i in dataset.images))
