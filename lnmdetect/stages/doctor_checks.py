"""The stages' own checks of a series, each told as a finding."""

from collections.abc import Iterator

from lnmdetect.core.errors import LnmDetectError
from lnmdetect.io.scan_checks import ScanCase, ScanCheck, every_finding
from lnmdetect.io.scan_handle import read_voxels
from lnmdetect.stages.doctor_result import Finding
from lnmdetect.stages.scan_hounsfield import (
    LEAST_AIR_SHARE,
    LEAST_SHARE,
    Sample,
    check_hounsfield,
    sample_places,
)
from lnmdetect.transforms.tissue import TissueShares

PIXELS_NEED = frozenset({"files", "compression", "grid", "size"})
"""Checks without which no three slices can be read and laid on each other."""
AIR_HU = (-1035, -965)
"""Calibrated air, -1000 HU, give or take the scanner's tolerance; -1024 is padding."""
TISSUE = "tissue values"


def refusal(check: str, error: LnmDetectError) -> Finding:
    """Return the finding of what a stage would raise."""
    return Finding(check, "refusal", f"{error.fault}.", error.remedy)


def header_findings(case: ScanCase) -> tuple[Finding, ...]:
    """Return what the checks say that need headers only."""
    return tuple(_told(check, outcome) for check, outcome in every_finding(case))


def _told(check: ScanCheck, outcome: LnmDetectError | ScanCheck | None) -> Finding:
    if outcome is None:
        return Finding(check.name, "ok", check.sound)
    if isinstance(outcome, ScanCheck):
        return Finding(
            check.name,
            "warning",
            f"Not checked: it says nothing while {outcome.name} is refused.",
            "Mend that first, and look again.",
        )
    return refusal(check.name, outcome)


def read_sample(
    case: ScanCase, findings: tuple[Finding, ...]
) -> tuple[Sample | None, tuple[Finding, ...]]:
    """Return three slices in HU and what they say; None where they cannot be read."""
    if any(f.level == "refusal" and f.check in PIXELS_NEED for f in findings):
        return None, ()
    slices = [case.series[place] for place in sample_places(len(case.series))]
    try:
        hu = read_voxels(case.index.files, slices)
        shares = check_hounsfield(hu, case.series[0].series_uid)
    except LnmDetectError as error:
        return None, (refusal(TISSUE, error),)
    return hu, tuple(_tissue_findings(shares))


def _tissue_findings(shares: TissueShares) -> Iterator[Finding]:
    seen = (
        f"Three slices are {shares.air:.0%} air, {shares.fat:.0%} fat and "
        f"{shares.soft:.0%} soft tissue"
    )
    absent = [
        name
        for name, share, least in (
            ("air", shares.air, LEAST_AIR_SHARE),
            ("fat", shares.fat, LEAST_SHARE),
        )
        if share < least
    ]
    look = "Look at the scan's slope and intercept before you trust its boxes."
    if absent:
        yield Finding(TISSUE, "warning", f"{seen}: no {' and no '.join(absent)}.", look)
    elif shares.air_hu is not None and not AIR_HU[0] <= shares.air_hu <= AIR_HU[1]:
        air = f"{seen}, but air lies at {shares.air_hu:.0f} HU, not at -1000."
        yield Finding(TISSUE, "warning", air, look)
    else:
        yield Finding(TISSUE, "ok", f"{seen}, in Hounsfield units as expected.")
