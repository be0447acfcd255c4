"""What doctor found, as rich tables."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect.core.wording import counted
from lnmdetect.stages.doctor_result import CheckedScan, DoctorResult, Finding, SeriesRow, Verdict

STYLES = {"ok": "green", "warning": "yellow", "refusal": "bold red"}
VERDICTS: dict[Verdict, str] = {
    "ok": "Nothing stands against these scans.",
    "warning": "The stages will read this; mind the warnings.",
    "partly refused": "The stages will read a part of this; mend or take out the rest.",
    "refusal": "The stages would refuse this.",
}
SHOWN_CONTRAST = {True: "yes", False: "no", None: "not said"}
IN_FULL = 3
"""Scans of which every check is shown; of more, only what is not ok."""
SERIES_COLUMNS = (
    *("", "Series", "Kind", "Plane", "Images", "Matrix", "Pixel mm", "Step mm"),
    *("Thickness mm", "Kernel", "Contrast", "Phase"),
)


def doctor_tables(result: DoctorResult) -> RenderableType:
    """Return the series, the checks of each chosen one, and the verdict."""
    return Group(*_parts(result))


def _parts(result: DoctorResult) -> Iterator[RenderableType]:
    yield _series_table(result)
    for scan in result.scans:
        yield from _scan_parts(scan, brief=len(result.scans) > IN_FULL)
    if result.findings:
        yield _checks_table("The input as a whole", result.findings)
    yield Text(VERDICTS[result.verdict], style=STYLES.get(result.verdict, "bold red"))


def _scan_parts(scan: CheckedScan, *, brief: bool) -> Iterator[RenderableType]:
    title = f"Series {scan.series}: {scan.why}"
    shown = [finding for finding in scan.findings if not brief or finding.level != "ok"]
    if hidden := len(scan.findings) - len(shown):
        title += f"; {counted(hidden, 'check')} ok, in full with --json"
    yield _checks_table(title, shown) if shown else Text(title)
    if scan.expected is not None:
        yield Text(_cost(scan))


def _series_table(result: DoctorResult) -> Table:
    files = counted(result.files, "file")
    table = Table(title=f"Series among {files} (> is read)", title_justify="left")
    for name in SERIES_COLUMNS:
        table.add_column(name, overflow="fold")
    for row in result.rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: SeriesRow) -> tuple[str, ...]:
    if row.rows is None or row.pixel_mm is None:
        return "", row.series, row.kind, "", str(row.images)
    return (
        ">" if row.chosen else "",
        row.series,
        row.kind,
        row.plane,
        str(row.images),
        f"{row.rows} x {row.columns}",
        " x ".join(dict.fromkeys(f"{length:.3g}" for length in row.pixel_mm)),
        "" if row.step_mm is None else f"{row.step_mm:.3g}",
        "" if row.thickness_mm is None else f"{row.thickness_mm:.3g}",
        row.kernel,
        SHOWN_CONTRAST[row.contrast],
        row.phase,
    )


def _checks_table(title: str, findings: Sequence[Finding]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("Check", "Result", "What was found, and what to do"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        said = " ".join(filter(None, (finding.sentence, finding.remedy)))
        table.add_row(finding.check, Text(finding.level, style=STYLES[finding.level]), said)
    return table


def _cost(scan: CheckedScan) -> str:
    assert scan.expected is not None
    return (
        f"{counted(scan.slices, 'slice')}: detect takes about {scan.expected.seconds:.0f} s on one "
        f"CPU core and {scan.expected.memory_mb / 1000:.1f} GB of memory."
    )
