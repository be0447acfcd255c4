"""`lnmdetect segment`: scans in, masks of nodes as segments.json out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from lnmdetect import __version__
from lnmdetect.core.errors import InputError, LnmDetectError
from lnmdetect.core.node_classes import EXTRANODAL, EXTRANODAL_KIND, NEGATIVE, category_of
from lnmdetect.core.patient_digests import chosen_on, trained_on
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import LYMPH_NODE, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.io.bundles import Bundle, load_weights, read_bundle
from lnmdetect.io.coco import write_coco
from lnmdetect.io.json_files import refuse_existing, sha256_of_file
from lnmdetect.io.pixel_roots import relative_root
from lnmdetect.io.run_record import RunRecord, record_path, sha256_of_slices
from lnmdetect.io.scan_handle import ScanHandle
from lnmdetect.io.scan_source import ScanSource, open_source
from lnmdetect.stages.detect import pixel_place
from lnmdetect.stages.segment_scan import Segmenter, segment_scan
from lnmdetect.training.devices import choose_device, limit_threads
from lnmdetect.training.segmenter_task import SegmenterTask
from lnmdetect.transforms.mask_pieces import Piece, Section

SEGMENTS = Path("segments.json")
COARSE = "coarse"
"""Folder, within a bundle, of the first stage's bundle."""


@dataclass(frozen=True)
class SegmentRequest:
    """What to segment, and how.

    Attributes:
        scan: folder, file or zip of DICOM, or a truth.json that lists the slices.
        threshold: on P(node) of a voxel, in (0, 1], instead of the bundle's.
        series, allow_tilt: see `io.scan_source.open_source`.
    """

    scan: Path
    output: Path = SEGMENTS
    model: str = "compact"
    device: str = "auto"
    series: str | None = None
    allow_tilt: bool = False
    threshold: float | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class SegmentResult:
    """What was found.

    Attributes:
        sections: cross-sections of all nodes.
        notes: about series and files that were not read.
        failures: studies of a cohort that could not be read; the others are in the file.
    """

    output: Path
    scans: int
    slices: int
    nodes: int
    sections: int
    threshold: float
    seconds: float
    notes: tuple[str, ...] = ()
    failures: tuple[LnmDetectError, ...] = field(default=())


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
        InputError: nothing at the path can be segmented.
        ModelError: the bundle is absent or damaged.
        OutputError: the output exists and `overwrite` is not set.
        MissingExtraError: the extra `segmentation` is not installed.
    """
    refuse_existing(request.output, overwrite=request.overwrite)
    record = RunRecord(
        "segment", {"model": Path(request.model).name, "threshold": request.threshold}
    )
    if request.scan.is_file():
        record.inputs["scan"] = sha256_of_file(request.scan)
    source = open_source(request.scan, series=request.series, allow_tilt=request.allow_tilt)
    _require_volumes(source)
    bundle, segmenter = load_segmenter(request.model, request.device)
    threshold = bundle.threshold.value if request.threshold is None else request.threshold
    record.lap("open")
    failures = list(source.failures)
    images: list[ImageRecord] = []
    annotations: list[NodeAnnotation] = []
    nodes = 0
    for scan in source.scans:
        try:
            pieces = list(segment_scan(scan, segmenter, threshold, progress))
        except InputError as error:
            failures.append(error)
            continue
        nodes += len(pieces)
        images += scan.images
        annotations += _annotations(pieces, scan, segmenter.recipe, first=len(annotations) + 1)
    if not images:
        raise failures[0]
    record.lap("segment")
    dataset = CocoDataset(
        _info(request, bundle, source, threshold, failed=len(failures)),
        tuple(images),
        tuple(annotations),
    )
    if not request.scan.is_file():
        record.inputs["scan"] = sha256_of_slices(dataset.images)
    write_coco(dataset, request.output, overwrite=request.overwrite)
    record.model = {bundle.name: bundle.sha256}
    record.failures = len(failures)
    record.write(record_path(request.output))
    return SegmentResult(
        output=request.output,
        scans=len(source.scans),
        slices=len(images),
        nodes=nodes,
        sections=len(annotations),
        threshold=threshold,
        seconds=sum(record.timings_s.values()),
        notes=source.notes,
        failures=tuple(failures),
    )


def _require_volumes(source: ScanSource) -> None:
    if source.coverage == "key_images":
        raise InputError(
            "scan",
            expected="whole scans",
            got="key images, whose neighbours are not known",
            remedy="Use `lnmdetect detect` on key images.",
        )


def _annotations(
    pieces: Sequence[Piece], scan: ScanHandle, recipe: SegmenterRecipe, *, first: int
) -> Iterator[NodeAnnotation]:
    """Yield the cross-sections of all nodes of a scan, the surest node first, numbered n1, n2.."""
    surest = sorted(pieces, key=lambda piece: -_score(piece))
    number = first
    for rank, piece in enumerate(surest, start=1):
        for section in piece.sections:
            yield _annotation(piece, section, scan, recipe, (number, f"n{rank}"))
            number += 1


def _score(piece: Piece) -> float:
    """Return the mean P(node) over the voxels of a node."""
    return float(np.clip(piece.means.sum(), 0, 1))


def _annotation(
    piece: Piece,
    section: Section,
    scan: ScanHandle,
    recipe: SegmenterRecipe,
    names: tuple[int, str],
) -> NodeAnnotation:
    image = scan.images[section.index]
    classes = recipe.model.classes
    shares = dict(zip(classes, piece.means / piece.means.sum(), strict=True))
    likeliest = max(classes, key=lambda name: shares[name])
    category = category_of(likeliest)
    benign = round(float(shares.get(NEGATIVE, 0)), 6)
    return NodeAnnotation(
        annotation_id=names[0],
        image_id=image.image_id,
        category_id=LYMPH_NODE if category is None else category,
        box_xyxy=section.box_xyxy,
        score=_score(piece),
        node_id=names[1],
        kind=EXTRANODAL_KIND if likeliest == EXTRANODAL else None,
        segmentation=_encoded(section, image),
        probabilities=None
        if category is None
        else {"benign": benign, "metastatic": round(1 - benign, 6)},
        extra={"class_probabilities": {name: round(float(p), 6) for name, p in shares.items()}},
    )


def _encoded(section: Section, image: ImageRecord) -> dict[str, Any]:
    plane = np.zeros((image.height, image.width), dtype=np.uint8, order="F")
    (row, column), (rows, columns) = section.corner, section.inside.shape
    plane[row : row + rows, column : column + columns] = section.inside
    coded = rle.encode(plane)
    return {"size": [image.height, image.width], "counts": coded["counts"].decode("ascii")}


def _info(
    request: SegmentRequest,
    bundle: Bundle,
    source: ScanSource,
    threshold: float,
    *,
    failed: int,
) -> dict[str, Any]:
    chosen = bundle.threshold if request.threshold is None else None
    return {
        "description": "Masks of cervical lymph nodes. Research use only.",
        "lnmdetect_version": __version__,
        "segmenter": {
            "name": bundle.name,
            "sha256": bundle.sha256,
            "trained_on_phantoms": bundle.is_phantom,
        },
        "recipe": bundle.recipe.name,
        "scan_root": relative_root(pixel_place(request.scan), request.output),
        "voxel_threshold": threshold,
        "voxel_threshold_source": (
            f"bundle {bundle.name}: {chosen.described}" if chosen else "--threshold"
        ),
        "operating_threshold": 0.0,
        "operating_threshold_source": "every node of the mask",
        **trained_on("segmenter", bundle.trained_on),
        **chosen_on("voxel_threshold", chosen.patients if chosen else None),
        "coverage": source.coverage,
        **({} if source.fold is None else {"split": source.fold}),
        "failed_studies": failed,
        "phantom": source.is_phantom,
    }
