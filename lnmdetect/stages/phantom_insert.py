"""`lnmdetect phantom insert`: synthetic nodes in a given CT series, as DICOM, with their truth."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lnmdetect import __version__
from lnmdetect.core.errors import InputError, LnmDetectError, OutputError, UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation, Scan
from lnmdetect.io.coco import write_coco
from lnmdetect.io.dicom_write import (
    RESCALE_INTERCEPT_HU,
    CtSeriesMeta,
    derived_uid,
    write_ct_series,
)
from lnmdetect.io.json_files import refuse_existing, remove_output
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.io.scan_handle import DicomScan, ScanHandle
from lnmdetect.io.scan_source import open_source
from lnmdetect.phantom.given_scan import GivenScan
from lnmdetect.phantom.insertion import InsertedScan, insert_nodes
from lnmdetect.phantom.nodes import Kind
from lnmdetect.phantom.scan import draw_kinds
from lnmdetect.stages.anatomical_order import turned, turned_section
from lnmdetect.stages.phantom import SCAN_FOLDER, TRUTH_NAME
from lnmdetect.stages.phantom_truth import section_annotation

FOLDER_PREFIX = "inserted-"
STORED_HU = (RESCALE_INTERCEPT_HU, 32767 + RESCALE_INTERCEPT_HU)
"""What 16 signed bits hold at the intercept the series is written with."""


@dataclass(frozen=True)
class InsertRequest:
    """What to put where.

    Attributes:
        onto: folder, file or zip of a CT series, or of several patients.
        output: folder that receives scan/ and truth.json.
        nodes: how many a scan. seed: the same seed and scan give the same bytes.
        series: see `io.scan_source.open_source`.
    """

    onto: Path
    output: Path
    nodes: int
    seed: int = 0
    series: str | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class InsertResult:
    """What was made; `nodes` of `wanted` found a place. failures: scans that were left out."""

    truth: Path
    scan: Path
    scans: int
    images: int
    nodes: int
    wanted: int
    cross_sections: int
    notes: tuple[str, ...] = ()
    failures: tuple[LnmDetectError, ...] = field(default=())


@dataclass(frozen=True)
class _Made:
    images: list[ImageRecord]
    annotations: list[NodeAnnotation]
    facts: dict[str, Any]


def insert_phantom_nodes(request: InsertRequest, progress: Progress = SILENT) -> InsertResult:
    """Return what was written: `output`/scan/inserted-<patient>/*.dcm and `output`/truth.json.

    Raises:
        UsageError: no node is asked for, the seed is negative, or the output is the input.
        InputError: the scan is unsound, shows no neck, or has no room for a node.
        OutputError: the folder already holds scans and `overwrite` is not set.
    """
    _check(request)
    record = RunRecord("phantom insert", {"nodes": request.nodes}, seed=request.seed)
    source = open_source(request.onto, series=request.series)
    failures = list(source.failures)
    _clear(request)
    made: list[_Made] = []
    for index, handle in enumerate(
        progress.track(source.scans, description="Inserting", total=len(source.scans))
    ):
        try:
            made.append(_insert_one(request, handle, index))
        except InputError as error:
            failures.append(error)
    if not made:
        raise failures[0]
    dataset = _dataset(request, made)
    truth = request.output / TRUTH_NAME
    write_coco(dataset, truth, overwrite=request.overwrite)
    record.lap("insert")
    record.failures = len(failures)
    record.write(record_path(truth))
    nodes, wanted = sum(m.facts["nodes"] for m in made), request.nodes * len(made)
    notes = [*source.notes]
    if nodes < wanted:
        notes.append(f"{nodes} of {wanted} nodes found room in the fat between the neck's muscles")
    return InsertResult(
        truth=truth,
        scan=request.output / SCAN_FOLDER,
        scans=len(made),
        images=len(dataset.images),
        nodes=nodes,
        wanted=wanted,
        cross_sections=len(dataset.annotations),
        notes=tuple(notes),
        failures=tuple(failures),
    )


def _check(request: InsertRequest) -> None:
    if request.nodes < 1 or request.seed < 0:
        raise UsageError(
            "phantom insert",
            expected="one node or more and a seed of 0 or more",
            got=f"{request.nodes} nodes, seed {request.seed}",
            remedy="Change --nodes or --seed.",
        )
    refuse_existing(request.output / TRUTH_NAME, overwrite=True)
    scans = request.output / SCAN_FOLDER
    if request.onto.resolve().is_relative_to(scans.resolve()):
        raise UsageError(
            "phantom insert",
            expected="an output folder other than the scan's own",
            got=f"a scan that lies in the output's {SCAN_FOLDER}/",
            remedy="Choose another --output.",
        )
    filled = scans.is_dir() and any(scans.iterdir())
    if ((request.output / TRUTH_NAME).exists() or filled) and not request.overwrite:
        raise OutputError(
            request.output.name,
            expected=f"a folder without {SCAN_FOLDER}/ and {TRUTH_NAME}",
            got="earlier ones",
            remedy="Choose another --output, or replace them with --overwrite.",
        )


def _clear(request: InsertRequest) -> None:
    """Take away what an earlier run put into the output, truth first: it stands for whole scans."""
    remove_output(request.output / TRUTH_NAME)
    for folder in sorted((request.output / SCAN_FOLDER).glob(f"{FOLDER_PREFIX}*")):
        shutil.rmtree(folder)


def _insert_one(request: InsertRequest, handle: ScanHandle, index: int) -> _Made:
    if not isinstance(handle, DicomScan):
        raise InputError(
            "--onto",
            expected="a CT series with all its slices",
            got="key images",
            remedy="Give the folder of the series.",
        )
    scan, orientation = handle.load(), handle.slices[0].orientation
    rng = np.random.default_rng((request.seed, index))
    given = GivenScan(
        turned(np.clip(scan.voxels_hu, *STORED_HU).astype(np.int16), orientation),
        scan.spacing_mm,
        _thickness_mm(scan),
    )
    inserted = insert_nodes(given, _kinds(request.nodes, rng), rng)
    if not inserted.nodes:
        raise InputError(
            "--onto",
            expected="a neck with room for a node in the fat between its muscles",
            got="none",
            remedy="Give another scan, or another --seed.",
        )
    images = _write(request, handle, scan, inserted, index)
    facts = _facts(inserted, scan.images[0].patient)
    return _Made(images, _annotations(inserted, scan, orientation, index), facts)


def _thickness_mm(scan: Scan) -> float:
    return scan.images[0].thickness_mm or scan.spacing_mm[0]


def _write(
    request: InsertRequest, handle: DicomScan, scan: Scan, inserted: InsertedScan, index: int
) -> list[ImageRecord]:
    """Write the new series under uids of its own; return its records."""
    series, patient = scan.images[0].series, scan.images[0].patient
    header = handle.slices[0]
    meta = CtSeriesMeta(
        seed=f"lnmdetect/insert/{series}/{request.nodes}/{request.seed}",
        patient_id=patient,
        patient_name=patient,
        spacing_mm=scan.spacing_mm,
        thickness_mm=_thickness_mm(scan),
        origin_mm=_three(header.position),
        description="Synthetic nodes inserted",
        orientation=header.orientation,
    )
    folder = request.output / SCAN_FOLDER / f"{FOLDER_PREFIX}{index + 1:03d}-{patient}"
    written = write_ct_series(turned(inserted.voxels_hu, header.orientation), folder, meta)
    return [
        replace(
            image,
            image_id=number + 1,
            file_name=f"{file.sop_instance_uid}.dcm",
            series=derived_uid(f"{meta.seed}/series"),
            sop_instance_uid=file.sop_instance_uid,
            position_mm=round(file.position_mm, 6),
        )
        for number, (image, file) in enumerate(zip(scan.images, written, strict=True))
    ]


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = values
    return (float(x), float(y), float(z))


def _kinds(count: int, rng: np.random.Generator) -> list[Kind]:
    """Return kinds as phantom patients have them, those of one or more patients mixed."""
    kinds: list[Kind] = []
    while len(kinds) < count:
        kinds += draw_kinds(rng)
    return [kinds[index] for index in rng.permutation(len(kinds))[:count]]


def _annotations(
    inserted: InsertedScan, scan: Scan, orientation: Sequence[float], index: int
) -> list[NodeAnnotation]:
    shape = scan.voxels_hu.shape
    sections = [turned_section(s, shape, orientation) for s in inserted.sections]
    sections.sort(key=lambda section: (section.slice_index, section.node_index))
    return [
        section_annotation(
            section,
            inserted.nodes[section.node_index],
            annotation_id=number + 1,
            prefix=f"i{index + 1:03d}",
            image_shape=(shape[1], shape[2]),
            spacing_mm=(scan.spacing_mm[1], scan.spacing_mm[2]),
        )
        for number, section in enumerate(sections)
    ]


def _facts(inserted: InsertedScan, patient: str) -> dict[str, Any]:
    """Return what was measured on the scan, for `info.inserted`."""
    look, neck = inserted.look, inserted.neck
    return {
        "patient": patient,
        "nodes": len(inserted.nodes),
        "contrast_phase": round(look.tissue.phase, 3),
        "muscle_hu": round(look.tissue.muscle_hu, 1),
        "psf_px": round(look.sharpness.psf_px[0], 3),
        "noise_hu": round(float(np.median(look.noise.deviation_hu[neck.start : neck.stop])), 2),
        "neck_slices": [neck.start, neck.stop],
    }


def _dataset(request: InsertRequest, made: Sequence[_Made]) -> CocoDataset:
    images: list[ImageRecord] = []
    annotations: list[NodeAnnotation] = []
    for one in made:
        first_image, first_annotation = len(images), len(annotations)
        images += [image.with_id(first_image + image.image_id) for image in one.images]
        annotations += [
            replace(
                a,
                annotation_id=first_annotation + a.annotation_id,
                image_id=first_image + a.image_id,
            )
            for a in one.annotations
        ]
    info = {
        "description": "synthetic nodes inserted into given CT series; "
        "nodes that were there before are not listed",
        "lnmdetect_version": __version__,
        "phantom": True,
        "coverage": "all_slices",
        "scan_root": SCAN_FOLDER,
        "seed": request.seed,
        "inserted_into_given_scan": True,
        "inserted": [one.facts for one in made],
    }
    return CocoDataset(info, tuple(images), tuple(annotations))
