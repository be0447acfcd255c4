"""What series lie at a path, and which of them each study is read from; headers only."""

from dataclasses import dataclass
from pathlib import Path

from lnmdetect.core.errors import LnmDetectError
from lnmdetect.io.dicom_index import DicomIndex, Progress, index_dicom
from lnmdetect.io.dicom_series import (
    Series,
    best_axial_series,
    describe,
    fault_error,
    group_series,
    group_studies,
    named_series,
    no_scan_error,
)


@dataclass(frozen=True)
class ScanSurvey:
    """The CT series found.

    Attributes:
        index: of all files at the input.
        series: ordered slices of every series, by uid.
        chosen: those to read, one a study; not checked yet.
        failures: studies that hold faulty CT only, or why there is nothing to read at all.
        notes: about series that are not read.
    """

    index: DicomIndex
    series: dict[str, Series]
    chosen: tuple[Series, ...]
    failures: tuple[LnmDetectError, ...]
    notes: tuple[str, ...]


def survey_scans(
    path: Path, *, series: str | None = None, progress: Progress | None = None
) -> ScanSurvey:
    """Return what lies at a folder, file or zip; each study's best axial CT is chosen.

    Args:
        path: as for `io.scan_source.open_source`.
        series: uid of the only series to read.
        progress: called with (files read, files in all).

    Raises:
        InputError: nothing is there, an archive cannot be read, or there is no such series.
    """
    index = index_dicom(path, progress=progress)
    by_uid = group_series(index.slices)
    if series is not None:
        chosen = [named_series(index, by_uid, series.strip())]
        return ScanSurvey(index, by_uid, tuple(chosen), (), ())
    chosen, failures, notes = _choose(index, by_uid)
    if not chosen and not failures:
        failures = [no_scan_error(index)]
    return ScanSurvey(index, by_uid, tuple(chosen), tuple(failures), tuple(notes))


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
