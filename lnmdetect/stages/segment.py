"""`lnmdetect segment`: scans in, masks of nodes as segments.json out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnmdetect.core.errors import InputError, LnmDetectError, UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.io.bundles import Bundle, load_weights, read_bundle
from lnmdetect.io.case_folders import refuse_occupied
from lnmdetect.io.coco import write_coco
from lnmdetect.io.json_files import refuse_existing
from lnmdetect.io.nifti import require_nibabel
from lnmdetect.io.pixel_roots import relative_root
from lnmdetect.io.run_record import record_path, sha256_of_slices
from lnmdetect.io.scan_source import ScanSource, open_source
from lnmdetect.stages.convert_out import nifti_masks
from lnmdetect.stages.detect_output import pixel_place, with_pseudonymous_uids
from lnmdetect.stages.scan_record import start_scan_record
from lnmdetect.stages.segment_annotations import node_annotations, node_score
from lnmdetect.stages.segment_info import applied_to_nodes, applied_to_voxels, segment_info
from lnmdetect.stages.segment_scan import Segmenter, segment_scans
from lnmdetect.training.devices import choose_device, limit_threads
from lnmdetect.training.segmenter_task import SegmenterTask

SEGMENTS = Path("segments.json")
COARSE = "coarse"
"""Folder, within a bundle, of the first stage's bundle."""


@dataclass(frozen=True)
class SegmentRequest:
    """What to segment, and how.

    Attributes:
        scan: folder, file or zip of DICOM, or a truth.json that lists the slices.
        threshold: on P(node) of a voxel, in (0, 1], instead of the bundle's.
        node_threshold: on the score of a node, in [0, 1], instead of the bundle's, which holds at
            the bundle's `threshold` only: 0 where another is given.
        series, allow_tilt: see `io.scan_source.open_source`.
        pseudonymise_uids: write keyed uids, and no `scan_root`.
        nifti: a new or empty folder that gets a label map a series too.
    """

    scan: Path
    output: Path = SEGMENTS
    model: str = "compact"
    device: str = "auto"
    series: str | None = None
    allow_tilt: bool = False
    threshold: float | None = None
    node_threshold: float | None = None
    overwrite: bool = False
    pseudonymise_uids: bool = False
    nifti: Path | None = None


@dataclass(frozen=True)
class SegmentResult:
    """What was found.

    Attributes:
        scans: how many were segmented.
        nodes: at or above `node_threshold`; sections: their cross-sections.
        unlikely_nodes: below it; they are in the file too.
        threshold: on P(node) of a voxel.
        notes: about series and files that were not read, and what label maps cannot hold.
        failures: studies of a cohort that could not be read; the others are in the file.
    """

    output: Path
    scans: int
    slices: int
    nodes: int
    sections: int
    unlikely_nodes: int
    threshold: float
    node_threshold: float
    seconds: float
    nifti: Path | None = None
    notes: tuple[str, ...] = ()
    failures: tuple[LnmDetectError, ...] = field(default=())


@dataclass
class _Found:
    """What the scans so far gave."""

    images: list[ImageRecord] = field(default_factory=list)
    annotations: list[NodeAnnotation] = field(default_factory=list)
    scans: int = 0
    nodes: int = 0
    sections: int = 0
    unlikely_nodes: int = 0


def load_segmenter(model: str, device: str) -> tuple[Bundle, Segmenter]:
    """Return a segmenter's bundle and the segmenter, ready to predict.

    Raises:
        ModelError: there is no such bundle, or it is damaged.
        UsageError: there is no such device.
        MissingExtraError: the extra `segmentation` is not installed.
    """
    limit_threads()
    bundle = read_bundle(model, "segmenter")
    assert isinstance(bundle.recipe, SegmenterRecipe)
    task = SegmenterTask(bundle.recipe, choose_device(device))
    load_weights(task.module, bundle)
    if not bundle.recipe.model.coarse:
        return bundle, Segmenter(bundle.recipe, task)
    _, first = load_segmenter(str(bundle.folder / COARSE), device)
    return bundle, Segmenter(bundle.recipe, task, first)


def segment(request: SegmentRequest, progress: Progress = SILENT) -> SegmentResult:
    """Return what was found after writing segments.json and its run record.

    Raises:
        UsageError: the threshold makes no mask, or one output lies in another.
        InputError: nothing at the path can be segmented.
        ModelError: the bundle is absent or damaged.
        OutputError: an output exists and `overwrite` is not set.
        MissingExtraError: the extra `segmentation` is not installed.
    """
    _check(request)
    record = start_scan_record("segment", request.scan, _asked(request))
    source = open_source(request.scan, series=request.series, allow_tilt=request.allow_tilt)
    _require_volumes(source)
    bundle, segmenter = load_segmenter(request.model, request.device)
    record.config = {**record.config, "device": str(segmenter.task.device)}
    voxels = applied_to_voxels(bundle, request.threshold)
    nodes = applied_to_nodes(
        bundle, request.node_threshold, at_other_voxels=voxels.value != bundle.threshold.value
    )
    record.lap("open")
    failures = list(source.failures)
    found = _segment_all(source, segmenter, (voxels.value, nodes.value), progress, failures)
    if not found.images:
        raise failures[0]
    record.lap("segment")
    info = {
        **segment_info(bundle, voxels, nodes, _place(request)),
        "coverage": source.coverage,
        **({} if source.fold is None else {"split": source.fold}),
        "failed_studies": len(failures),
        "phantom": source.is_phantom,
    }
    dataset = CocoDataset(info, tuple(found.images), tuple(found.annotations))
    if request.pseudonymise_uids:
        dataset = with_pseudonymous_uids(dataset)
    if not request.scan.is_file():
        record.inputs["scan"] = sha256_of_slices(dataset.images)
    write_coco(dataset, request.output, overwrite=request.overwrite)
    notes = (*source.notes, *_label_maps(request, progress))
    record.model = {bundle.name: bundle.sha256}
    record.failures = len(failures)
    record.write(record_path(request.output))
    return SegmentResult(
        output=request.output,
        scans=found.scans,
        slices=len(found.images),
        nodes=found.nodes,
        sections=found.sections,
        unlikely_nodes=found.unlikely_nodes,
        threshold=voxels.value,
        node_threshold=nodes.value,
        seconds=sum(record.timings_s.values()),
        nifti=request.nifti,
        notes=notes,
        failures=tuple(failures),
    )


def _check(request: SegmentRequest) -> None:
    """Raise, before any work, where a threshold is none or an output cannot be written.

    Raises:
        UsageError: the threshold on voxels is not in (0, 1] or that on nodes not in [0, 1], or
            segments.json would lie in the maps' folder.
        OutputError: an output exists and `overwrite` is not set.
        MissingExtraError: nibabel, which label maps need, is not installed.
    """
    threshold = request.threshold
    if threshold is not None and not 0 < threshold <= 1:
        raise UsageError(
            "--threshold",
            expected="P(node) above 0 and up to 1",
            got=f"{threshold:g}",
            remedy="Leave it out for the bundle's own.",
        )
    of_nodes = request.node_threshold
    if of_nodes is not None and not 0 <= of_nodes <= 1:
        raise UsageError(
            "--node-threshold",
            expected="a score from 0 to 1",
            got=f"{of_nodes:g}",
            remedy="Leave it out for the bundle's own.",
        )
    refuse_existing(request.output, overwrite=request.overwrite)
    if request.nifti is None:
        return
    require_nibabel("--nifti")
    if request.output.resolve().is_relative_to(request.nifti.resolve()):
        raise UsageError(
            "--nifti",
            expected="a folder of its own",
            got=f"the one in which {request.output.name} goes",
            remedy="Name another folder for the label maps.",
        )
    refuse_occupied(request.nifti, overwrite=request.overwrite)


def _asked(request: SegmentRequest) -> dict[str, Any]:
    return {
        "model": Path(request.model).name,
        "device": request.device,
        "series": request.series,
        "allow_tilt": request.allow_tilt,
        "threshold": request.threshold,
        "node_threshold": request.node_threshold,
        "pseudonymise_uids": request.pseudonymise_uids,
        "nifti": request.nifti is not None,
    }


def _require_volumes(source: ScanSource) -> None:
    if source.coverage == "key_images":
        raise InputError(
            "scan",
            expected="whole scans",
            got="key images, whose neighbours are not known",
            remedy="Use `lnmdetect detect` on key images.",
        )


def _segment_all(
    source: ScanSource,
    segmenter: Segmenter,
    thresholds: tuple[float, float],
    progress: Progress,
    failures: list[LnmDetectError],
) -> _Found:
    """Return what all scans gave; one that cannot be read joins the failures.

    `thresholds` are those on voxels and on nodes.
    """
    found, classes = _Found(), segmenter.recipe.model.classes
    voxels, nodes = thresholds
    for result in segment_scans(source.scans, segmenter, voxels, progress):
        if isinstance(result, InputError):
            failures.append(result)
            continue
        first = len(found.annotations) + 1
        found.annotations += node_annotations(result.pieces, result.images, classes, first=first)
        found.images += result.images
        likely = [piece for piece in result.pieces if node_score(piece) >= nodes]
        found.nodes += len(likely)
        found.sections += sum(len(piece.sections) for piece in likely)
        found.unlikely_nodes += len(result.pieces) - len(likely)
        found.scans += 1
    return found


def _label_maps(request: SegmentRequest, progress: Progress) -> Sequence[str]:
    """Return what label maps cannot hold, after writing them where they are asked for."""
    if request.nifti is None:
        return ()
    place = pixel_place(request.scan) if request.pseudonymise_uids else None
    return nifti_masks(
        request.output,
        request.nifti,
        scan=place,
        allow_tilt=request.allow_tilt,
        overwrite=request.overwrite,
        progress=progress,
    ).notes


def _place(request: SegmentRequest) -> dict[str, Any]:
    if request.pseudonymise_uids:
        return {"pseudonymised_uids": True}
    return {"scan_root": relative_root(pixel_place(request.scan), request.output)}
