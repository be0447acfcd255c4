"""What `lnmdetect doctor` says of a scan, and how it is written."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "warning", "refusal"]
Verdict = Literal["ok", "warning", "partly refused", "refusal"]


@dataclass(frozen=True)
class Finding:
    """One check: what is so, and what to do about it.

    Attributes:
        check: in a word or two.
        level: `refusal` where the stages read nothing; `warning` where boxes may be worse.
        sentence: what was found.
        remedy: what to do, empty where it is ok.
    """

    check: str
    level: Level
    sentence: str
    remedy: str = ""


@dataclass(frozen=True)
class SeriesRow:
    """One series of the input, as far as its headers tell.

    Attributes:
        series, study: uids.
        kind: CT, or why its images are no CT slices.
        plane: axial, coronal or sagittal; empty for what is no CT slice, as all that follow are.
        step_mm: mean step from slice to slice; None of a single one.
        kernel: a known name, `other` for one that is not, empty for none; `mixed` for several.
        contrast, phase: as the headers say; None and empty where they do not.
        chosen: whether the stages read it.
    """

    series: str
    study: str
    kind: str
    images: int
    plane: str = ""
    rows: int | None = None
    columns: int | None = None
    pixel_mm: tuple[float, float] | None = None
    step_mm: float | None = None
    thickness_mm: float | None = None
    kernel: str = ""
    contrast: bool | None = None
    phase: str = ""
    chosen: bool = False


@dataclass(frozen=True)
class Expected:
    """What `detect` is expected to take on a CPU.

    Attributes:
        seconds: on one core. memory_mb: at its peak.
    """

    seconds: float
    memory_mb: int


@dataclass(frozen=True)
class CheckedScan:
    """A chosen series, checked.

    Attributes:
        why: it was chosen.
        expected: None where the scan cannot be read.
    """

    series: str
    why: str
    slices: int
    findings: tuple[Finding, ...]
    expected: Expected | None

    @property
    def level(self) -> Level:
        """The worst of the findings."""
        return worst(self.findings)


@dataclass(frozen=True)
class DoctorResult:
    """What lies at a path, and whether the models may be trusted on it.

    Attributes:
        model: name, sha256, recipe and trained_on_phantoms of the detector.
        files: looked at.
        rows: of every series.
        scans: the chosen series.
        findings: about the input as a whole, as studies that cannot be read.
        seconds: that the look took.
    """

    model: Mapping[str, Any]
    files: int
    rows: tuple[SeriesRow, ...]
    scans: tuple[CheckedScan, ...]
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The worst finding; `partly refused` where a stage would read some studies, not all."""
        level = worst((*self.findings, *(f for scan in self.scans for f in scan.findings)))
        if level == "refusal" and any(scan.level != "refusal" for scan in self.scans):
            return "partly refused"
        return level

    def refusals(self) -> Iterator[Finding]:
        """Yield why studies are refused."""
        every = (*self.findings, *(f for scan in self.scans for f in scan.findings))
        return (finding for finding in every if finding.level == "refusal")

    def to_json(self) -> dict[str, Any]:
        """Return the result as data_specs/doctor.schema.json has it."""
        return {
            "verdict": self.verdict,
            "model": dict(self.model),
            "files": self.files,
            "series": [asdict(row) for row in self.rows],
            "scans": [{"level": scan.level, **asdict(scan)} for scan in self.scans],
            "findings": [asdict(finding) for finding in self.findings],
            "seconds": self.seconds,
        }


def worst(findings: tuple[Finding, ...]) -> Level:
    """Return the worst level, ok of none."""
    found = {finding.level for finding in findings}
    order: tuple[Level, ...] = ("refusal", "warning")
    return next((level for level in order if level in found), "ok")
