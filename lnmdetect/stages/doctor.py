"""`lnmdetect doctor`: what lies at a path, and whether the models may be trusted on it."""

import time
from dataclasses import dataclass
from pathlib import Path

from lnmdetect.core.errors import LnmDetectError, UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.wording import counted
from lnmdetect.io.bundle_config import Bundle, read_bundle
from lnmdetect.io.dicom_index import DicomIndex
from lnmdetect.io.dicom_series import fault_error, file_notes
from lnmdetect.io.input_files import printable
from lnmdetect.io.key_images import lists_images
from lnmdetect.io.scan_checks import ScanCase
from lnmdetect.io.scan_survey import ScanSurvey, survey_scans
from lnmdetect.stages.doctor_checks import header_findings, read_sample, refusal
from lnmdetect.stages.doctor_result import CheckedScan, DoctorResult, Expected, Finding, worst
from lnmdetect.stages.doctor_series import series_rows, why_chosen
from lnmdetect.stages.doctor_trust import expected_cost, trust_findings


@dataclass(frozen=True)
class DoctorRequest:
    """What to look at.

    Attributes:
        scan: folder, file or zip of DICOM.
        model: the detector that is to be trusted: a bundle's name or folder.
        series, allow_tilt: see `io.scan_source.open_source`.
    """

    scan: Path
    model: str = "compact"
    series: str | None = None
    allow_tilt: bool = False


def doctor(request: DoctorRequest, progress: Progress = SILENT) -> DoctorResult:
    """Return what the headers and three slices of each scan say; nothing is written.

    Raises:
        InputError: nothing is there that could be looked at.
        UsageError: it is a JSON, which lists slices that were chosen.
        ModelError: there is no such bundle.
    """
    start = time.monotonic()
    if lists_images(request.scan):
        raise UsageError(
            printable(request.scan.name),
            expected="a folder, DICOM file or .zip",
            got="a JSON",
            remedy="Give the folder that its scan_root names.",
        )
    bundle = read_bundle(request.model, "detector")
    survey = survey_scans(request.scan, series=request.series)
    return DoctorResult(
        model={
            "name": bundle.name,
            "sha256": bundle.sha256,
            "recipe": bundle.recipe.name,
            "trained_on_phantoms": bundle.is_phantom,
        },
        files=len(survey.index.files.names),
        rows=series_rows(survey),
        scans=_checked_scans(request, survey, bundle, progress),
        findings=(*_failed(survey.failures), *_left_out(survey.index)),
        seconds=round(time.monotonic() - start, 2),
    )


def _checked_scans(
    request: DoctorRequest, survey: ScanSurvey, bundle: Bundle, progress: Progress
) -> tuple[CheckedScan, ...]:
    scans: list[CheckedScan] = []
    taken: set[str] = set()
    for series in progress.track(survey.chosen, description="looking", total=len(survey.chosen)):
        case = ScanCase(survey.index, series, request.allow_tilt, frozenset(taken))
        headers = header_findings(case)
        more, expected = _look_closer(case, headers, bundle)
        why = why_chosen(survey, series, named=request.series is not None)
        uid = series[0].series_uid
        scans.append(CheckedScan(uid, why, len(series), (*headers, *more), expected))
        if worst(headers) != "refusal":
            taken |= {header.sop_uid for header in series}
    return tuple(scans)


def _look_closer(
    case: ScanCase, headers: tuple[Finding, ...], bundle: Bundle
) -> tuple[tuple[Finding, ...], Expected | None]:
    """Return what three slices and the detector's training say of a series; and what it takes."""
    sample, tissue = read_sample(case, headers)
    if sample is None or worst(headers) == "refusal":
        return tissue, None
    trust = trust_findings(case.series, bundle)
    return (*tissue, *trust), expected_cost(case.series, sample, bundle)


def _failed(failures: tuple[LnmDetectError, ...]) -> tuple[Finding, ...]:
    return tuple(refusal("study", failure) for failure in failures)


def _left_out(index: DicomIndex) -> tuple[Finding, ...]:
    """Return what was passed over; faulty images may belong to a series that is read nowhere."""
    notes = file_notes(index)
    if not notes:
        return ()
    said = f"{'; '.join(notes)}."
    if faults := index.faults():
        error = fault_error(faults[0])
        why = f" The first fault, {error.fault}."
        return (Finding("other files", "warning", said + why, error.remedy),)
    if lost := index.unread():
        why = f" {counted(len(lost), 'of them looks like a slice', 'of them look like slices')}, "
        look = "Compare the number of slices with the scanner's; copy these files again."
        first = f"the first is {printable(lost[0])}, and cannot be read."
        return (Finding("other files", "warning", said + why + first, look),)
    return (Finding("other files", "ok", said),)
