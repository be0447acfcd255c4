"""What all of `lnmdetect convert from-*` share: the scans, and the COCO file that is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnmdetect import __version__
from lnmdetect.core.errors import InputError
from lnmdetect.core.patient_space import PatientGrid
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.core.structure_names import ClassRules
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.json_files import refuse_existing, sha256_of_file
from lnmdetect.io.key_images import lists_images
from lnmdetect.io.pixel_roots import relative_root, scan_root
from lnmdetect.io.run_record import RunRecord, record_path, sha256_of_slices
from lnmdetect.io.scan_grid import patient_grid, scan_slices
from lnmdetect.io.scan_handle import ScanHandle, ScanSource
from lnmdetect.io.scan_source import open_source
from lnmdetect.stages.convert_nodes import FoundNode, found_annotations


@dataclass(frozen=True)
class FromRequest:
    """What is read, and what it becomes.

    Attributes:
        source: label map, folder or DICOM object.
        scan: folder, file or zip of DICOM, or a COCO file that lists the slices.
        output: the COCO file.
        rules: which class a value or name stands for, before the file's own words.
        as_result: a tool's answer with a score a node, for `eval --nodes`; else truth.
        series, allow_tilt: see `io.scan_source.open_source`.
    """

    source: Path
    scan: Path
    output: Path
    rules: ClassRules = ()
    as_result: bool = False
    series: str | None = None
    allow_tilt: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class FromResult:
    """What was written; scans without masks are not in the file."""

    output: Path
    scans: int
    slices: int
    nodes: int
    sections: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PlacedScan:
    """A scan and where its voxels lie in the patient.

    Attributes:
        scanner_series, scanner_uids: of the series, and SOP uids of its slices in the order of the
            grid, in the slices' own headers.
    """

    handle: ScanHandle
    grid: PatientGrid
    scanner_series: str
    scanner_uids: tuple[str, ...]

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """One record a slice, in the order of the grid's."""
        return self.handle.images

    @property
    def series(self) -> str:
        """The series' uid, as the files have it."""
        return self.images[0].series


def begin(request: FromRequest, command: str, config: Mapping[str, Any]) -> RunRecord:
    """Return the run's record, once the output may be written.

    Names of structures and of files that other tools wrote may be the patient's: of a rule only a
    number is kept, of a file what it is.

    Raises:
        OutputError: the output exists and `overwrite` is not set.
    """
    refuse_existing(request.output, overwrite=request.overwrite)
    rules = [[given if given.isdecimal() else "a name", name] for given, name in request.rules]
    settings = {"rules": rules, "result": request.as_result}
    return RunRecord(f"convert {command}", {**settings, **config})


def add_sources(record: RunRecord, what: str, paths: Sequence[Path]) -> None:
    """Add the files that are converted to the record, by number where there are several."""
    names = [what] if len(paths) == 1 else [f"{what} {n}" for n in range(1, len(paths) + 1)]
    record.add_inputs((n, sha256_of_file(path)) for n, path in zip(names, paths, strict=True))


def open_scans(request: FromRequest) -> tuple[ScanSource, tuple[PlacedScan, ...]]:
    """Return what lies at the request's scan, and each scan with its grid.

    Raises:
        InputError: nothing there is a sound CT scan, or they are key images.
    """
    source = open_source(request.scan, series=request.series, allow_tilt=request.allow_tilt)
    if source.coverage == "key_images":
        raise InputError(
            "--scan",
            expected="whole scans, on whose grid masks lie",
            got="key images",
            remedy="Give the folder of the whole scans.",
        )
    return source, tuple(_placed(scan, request) for scan in source.scans)


def _placed(scan: ScanHandle, request: FromRequest) -> PlacedScan:
    grid = patient_grid(scan, allow_tilt=request.allow_tilt)
    slices = scan_slices(scan)
    return PlacedScan(scan, grid, slices[0].series_uid, tuple(one.sop_uid for one in slices))


Found = Sequence[tuple[PlacedScan, Sequence[FoundNode]]]


def write_found(
    request: FromRequest, source: ScanSource, found: Found, record: RunRecord, notes: list[str]
) -> FromResult:
    """Return what was written: the slices of all scans with masks, and their nodes.

    Raises:
        OutputError: the output cannot be written.
    """
    images: list[ImageRecord] = []
    annotations: list[NodeAnnotation] = []
    for scan, nodes in found:
        numbered = [
            image.with_id(number) for number, image in enumerate(scan.images, len(images) + 1)
        ]
        images += numbered
        annotations += found_annotations(
            nodes, numbered, first=len(annotations) + 1, as_result=request.as_result
        )
    info = _info(request, source, record.command.removeprefix("convert from-"))
    dataset = CocoDataset(info, tuple(images), tuple(annotations))
    record.add_inputs([("scan", sha256_of_slices(images))])
    write_coco(dataset, request.output, overwrite=request.overwrite)
    record.lap("convert")
    record.write(record_path(request.output))
    return FromResult(
        request.output,
        scans=len(found),
        slices=len(images),
        nodes=sum(len(nodes) for _, nodes in found),
        sections=len(annotations),
        notes=(*source.notes, *(str(failure) for failure in source.failures), *notes),
    )


def _info(request: FromRequest, source: ScanSource, kind: str) -> dict[str, Any]:
    scan = request.scan
    pixels = scan_root(scan, read_coco(scan), None) if lists_images(scan) else scan
    what = "found by another tool" if request.as_result else "drawn in another tool"
    info: dict[str, Any] = {
        "description": f"Masks of cervical lymph nodes {what}. Research use only.",
        "lnmdetect_version": __version__,
        "scan_root": relative_root(pixels, request.output),
        "coverage": "all_slices",
        "phantom": source.is_phantom,
        "masks_from": kind,
    }
    if request.as_result:
        info["operating_threshold"] = 0.0
        info["operating_threshold_source"] = "every node of the mask"
    return info
