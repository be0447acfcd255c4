"""The scans at a path: which series are read, and each one's slices and voxels."""

from collections.abc import Sequence
from pathlib import Path

from lnmdetect.core.errors import InputError, LnmDetectError
from lnmdetect.io.dicom_geometry import TILT_TOLERANCE_DEGREES, slice_spacing_mm, tilt_degrees
from lnmdetect.io.dicom_index import Progress
from lnmdetect.io.dicom_series import file_notes, image_records
from lnmdetect.io.key_images import lists_images, open_key_images
from lnmdetect.io.listed_scans import open_listed
from lnmdetect.io.pseudonym import load_key
from lnmdetect.io.scan_checks import ScanCase, check_scan
from lnmdetect.io.scan_handle import DicomScan, ScanHandle, ScanSource
from lnmdetect.io.scan_survey import ScanSurvey, survey_scans

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
        series: uid of the series to read; without it the best axial CT of each study
            (`best_axial_series`).
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
    survey = survey_scans(path, series=series, progress=progress)
    scans, refused = _open_all(survey, allow_tilt=allow_tilt)
    failures = [*survey.failures, *refused]
    if not scans:
        raise _nothing_sound(failures)
    notes = [*survey.notes, *_tilt_notes(scans), *file_notes(survey.index)]
    is_phantom = any(scan.slices[0].is_phantom for scan in scans)
    return ScanSource(scans, tuple(notes), tuple(failures), is_phantom)


def _open_all(
    survey: ScanSurvey, *, allow_tilt: bool
) -> tuple[tuple[DicomScan, ...], list[LnmDetectError]]:
    """Return the sound scans, ids rising from 1 over all of them, and why others are not."""
    key = load_key()
    index = survey.index
    scans: list[DicomScan] = []
    refused: list[LnmDetectError] = []
    next_id = 1
    seen: set[str] = set()
    for series in survey.chosen:
        try:
            check_scan(ScanCase(index, series, allow_tilt, seen))
        except InputError as error:
            refused.append(error)
            continue
        seen |= {header.sop_uid for header in series}
        images = image_records(series, first_id=next_id, key=key)
        next_id += len(images)
        scans.append(
            DicomScan(images, slice_spacing_mm(series), tilt_degrees(series), index.files, series)
        )
    return tuple(scans), refused


def _nothing_sound(failures: list[LnmDetectError]) -> LnmDetectError:
    if len(failures) == 1:
        return failures[0]
    return InputError(
        "input",
        expected="at least one sound CT series",
        got=f"{len(failures)} studies, none of them sound; the first: {failures[0].for_file}",
        remedy="Mend or take out the studies, or read one series with --series.",
    )


def _tilt_notes(scans: Sequence[DicomScan]) -> list[str]:
    return [
        f"series {scan.images[0].series}: read with a tilt of {scan.tilt_degrees:.1f} degrees"
        for scan in scans
        if scan.tilt_degrees > TILT_TOLERANCE_DEGREES
    ]
