"""The scans at a path: which series are read, and each one's slices and voxels."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lnmdetect.core.errors import InputError, LnmDetectError
from lnmdetect.io.dicom_geometry import (
    TILT_TOLERANCE_DEGREES,
    check_geometry,
    slice_spacing_mm,
    tilt_degrees,
)
from lnmdetect.io.dicom_header import LeftOut
from lnmdetect.io.dicom_index import DicomIndex, Progress, index_dicom
from lnmdetect.io.dicom_pixels import require_codec
from lnmdetect.io.dicom_series import (
    Series,
    best_axial_series,
    check_distinct_uids,
    describe,
    fault_error,
    file_notes,
    group_series,
    group_studies,
    image_records,
    named_series,
    no_scan_error,
)
from lnmdetect.io.key_images import lists_images, open_key_images
from lnmdetect.io.listed_scans import open_listed
from lnmdetect.io.pseudonym import load_key
from lnmdetect.io.scan_handle import DicomScan, ScanHandle, ScanSource

__all__ = ["DicomScan", "ScanHandle", "ScanSource", "open_source"]


def open_source(
    path: Path,
    *,
    series: str | None = None,
    allow_tilt: bool = False,
    key_images: bool = False,
    pixel_spacing_mm: tuple[float, float] | None = None,
    progress: Progress | None = None,
) -> ScanSource:
    """Return the scans at a folder (nested, mixed), one file, or a zip: one series a study.

    Args:
        path: DICOMDIR and files that are not DICOM are passed over.
        series: uid of the series to read; without it each study's axial CT with most slices.
        allow_tilt: read a tilted gantry's slices as they are.
        key_images: take every slice by itself, as `open_key_images`; so are those of a JSON's list
            that says so (`info.coverage`).
        pixel_spacing_mm: (row, column) of PNG key images, which do not carry it.
        progress: called with (files read, files in all) while headers are read.

    Raises:
        InputError: nothing there can be read as an axial CT scan.
        OutputError: the pseudonym key can neither be read nor made.
    """
    if key_images:
        return open_key_images(path, spacing_mm=pixel_spacing_mm, progress=progress)
    if lists_images(path):
        return open_listed(path, progress=progress)
    index = index_dicom(path, progress=progress)
    by_uid = group_series(index.slices)
    failures: list[LnmDetectError] = []
    notes: list[str] = []
    if series is not None:
        chosen = [named_series(index, by_uid, series.strip())]
    else:
        chosen, failures, notes = _choose(index, by_uid)
    if len(chosen) + len(failures) == 0:
        raise no_scan_error(index)
    scans, refused = _open_all(index, chosen, allow_tilt=allow_tilt)
    failures += refused
    if not scans:
        raise _nothing_sound(failures)
    notes += [*_tilt_notes(scans), *file_notes(index)]
    is_phantom = any(scan.slices[0].is_phantom for scan in scans)
    return ScanSource(scans, tuple(notes), tuple(failures), is_phantom)


def _choose(
    index: DicomIndex, by_uid: dict[str, Series]
) -> tuple[list[Series], list[LnmDetectError], list[str]]:
    """Return each study's series to read, the studies with faulty CT only, and notes."""
    studies = group_studies(by_uid)
    faults = {entry.study_uid: entry for entry in reversed(index.faults())}
    chosen: list[Series] = []
    notes: list[str] = []
    for candidates in studies:
        best = best_axial_series(candidates)
        others = [describe(series) for series in candidates if series is not best]
        if best is not None:
            chosen.append(best)
        if others:
            notes.append(f"series not read, choose with --series: {'; '.join(others)}")
    sound = {series[0].study_uid for series in by_uid.values()}
    only_faulty = [fault for uid, fault in faults.items() if uid and uid not in sound]
    return chosen, [fault_error(fault) for fault in only_faulty], notes


def _open_all(
    index: DicomIndex, chosen: list[Series], *, allow_tilt: bool
) -> tuple[tuple[DicomScan, ...], list[LnmDetectError]]:
    """Return the sound scans, ids rising from 1 over all of them, and why others are not."""
    key = load_key()
    scans: list[DicomScan] = []
    refused: list[LnmDetectError] = []
    next_id = 1
    seen: set[str] = set()
    for series in chosen:
        try:
            _check(index, series, allow_tilt=allow_tilt)
            seen |= check_distinct_uids(series, seen)
        except InputError as error:
            refused.append(error)
            continue
        images = image_records(series, first_id=next_id, key=key)
        next_id += len(images)
        scans.append(
            DicomScan(images, slice_spacing_mm(series), tilt_degrees(series), index.files, series)
        )
    return tuple(scans), refused


def _check(index: DicomIndex, series: Series, *, allow_tilt: bool) -> None:
    for fault in index.faults():
        if fault.series_uid == series[0].series_uid or _belongs(fault, index, series):
            raise fault_error(fault)
    for header in {header.transfer_syntax: header for header in reversed(series)}.values():
        require_codec(header)
    check_geometry(series, allow_tilt=allow_tilt, unread=index.unread())


def _belongs(fault: LeftOut, index: DicomIndex, series: Series) -> bool:
    """Return whether a CT file cut short before its series uid lies among this study's files only.

    Left out, it could be the last slice of the scan, and nothing would tell.
    """
    if fault.series_uid:
        return False
    folder = PurePosixPath(fault.file).parent
    studies = {h.study_uid for h in index.slices if PurePosixPath(h.file).parent == folder}
    return studies == {series[0].study_uid}


def _nothing_sound(failures: list[LnmDetectError]) -> LnmDetectError:
    if len(failures) == 1:
        return failures[0]
    return InputError(
        "input",
        expected="at least one sound CT series",
        got=f"{len(failures)} studies, none of them sound; the first: {failures[0]}",
        remedy="Mend or take out the studies, or read one series with --series.",
    )


def _tilt_notes(scans: Sequence[DicomScan]) -> list[str]:
    return [
        f"series {scan.images[0].series}: read with a tilt of {scan.tilt_degrees:.1f} degrees"
        for scan in scans
        if scan.tilt_degrees > TILT_TOLERANCE_DEGREES
    ]
