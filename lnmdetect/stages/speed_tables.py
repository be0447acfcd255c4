"""The measured rows as tables, for a terminal and as Markdown."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect.core.wording import counted
from lnmdetect.stages import speed_profile_table
from lnmdetect.stages.speed_result import (
    NO_BAR_AT_THESE_THREADS,
    NO_BAR_AT_THIS_SIZE,
    SpeedResult,
    SpeedRow,
)
from lnmdetect.stages.speed_rows import IS_REFERENCE

HEADINGS = (
    "what",
    "figure",
    "rounds from, to",
    "bar",
    "reached",
    "median",
    "fastest",
    "spread",
    "also",
)
DASH = "-"
WHOLE_FROM = 100
"""Of facts this large the digits behind the point are noise."""
SAID_BY_THE_TABLE = (IS_REFERENCE, NO_BAR_AT_THIS_SIZE, NO_BAR_AT_THESE_THREADS)
_TITLES = {
    "startup": "Start-up",
    "detector": "Detector, a slice",
    "roi_align": "RoIAlign",
    "training": "Training step of the detector",
    "classifier": "Classifier, a batch",
    "profile": "Where the time goes, as shares of profiled passes",
    "dicom": "DICOM to the network's input, a slice",
    "overhead_compact": "Pipeline, compact detector",
    "overhead_published": "Pipeline, published detector",
    "overhead": "Pipeline",
    "scan": "A scan by stage",
    "cohort": "Cohort",
    "memory": "Peak memory",
}


Layout = tuple[tuple[str, ...], Callable[[SpeedRow], tuple[str, ...]]]
"""Headings, and what gives the cells of a row under them."""
OWN_LAYOUTS: Mapping[str, Layout] = {
    "profile": (speed_profile_table.HEADINGS, speed_profile_table.cells)
}
"""Of families whose rows are shares and not times."""


def speed_tables(result: SpeedResult) -> RenderableType:
    """Return a table a family and what is to be known of them, for a terminal."""
    parts: list[RenderableType] = [Text(line) for line in machine_lines(result)]
    for family, rows in _families(result):
        table = Table(title=_title(family, rows), title_justify="left")
        headings, cells_of = _layout(family)
        for place, name in enumerate(headings):
            table.add_column(name, justify="right" if place else "left")
        for row in rows:
            table.add_row(*cells_of(row))
        parts.append(table)
    return Group(*parts, *(Text(line) for line in below(result)))


def markdown(result: SpeedResult) -> str:
    """Return the same as Markdown."""
    lines = ["# lnmdetect speed", "", *(f"- {line}" for line in machine_lines(result)), ""]
    for family, rows in _families(result):
        lines += [f"**{_title(family, rows)}**", ""]
        headings, cells_of = _layout(family)
        lines += ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
        for row in rows:
            lines.append("| " + " | ".join(c.replace("|", "/") for c in cells_of(row)) + " |")
        lines.append("")
    return "\n".join([*lines, *(f"- {line}" for line in below(result))]) + "\n"


def machine_lines(result: SpeedResult) -> list[str]:
    """Return when, where and how it was measured, in lines."""
    machine, settings = result.machine, result.settings
    memory = "" if machine.memory_gb is None else f", {machine.memory_gb:g} GB"
    load = "not told" if machine.load_average is None else f"{machine.load_average:g}"
    packages = ", ".join(f"{name} {found}" for name, found in machine.packages.items())
    return [
        f"{result.date}, lnmdetect {result.lnmdetect}, {result.seconds / 60:.1f} minutes",
        f"{machine.cpu} ({machine.system}), {machine.cores} cores{memory}; "
        f"{' '.join(machine.flags) or 'no flags told'}",
        f"{counted(settings['threads'], 'thread')}, load average {load} at the start"
        f"{' (busy)' if machine.is_busy else ''}",
        f"Python {machine.python}, {packages}",
        bars_line(result),
    ]


def bars_line(result: SpeedResult) -> str:
    """Return how many bars are reached, in a line."""
    told = Counter(row.reached for row in result.rows if row.bar is not None)
    return (
        f"Bars: {told[True]} reached, {told[False]} not reached, {told[None]} without a figure; "
        f"{len(result.rows)} rows"
    )


def cells(row: SpeedRow) -> tuple[str, ...]:
    """Return the cells of a row under `HEADINGS`."""
    figure, bar, timing = row.figure, row.bar, row.timing
    limit = DASH if bar is None else f"{'>=' if bar.kind == 'at_least' else '<='} {bar.limit:g}"
    span = DASH if figure is None or timing is None else f"{figure.low:.3g}, {figure.high:.3g}"
    times = (DASH, DASH, DASH)
    if timing is not None:
        times = (
            _seconds(timing.median_s),
            _seconds(min(timing.seconds)),
            f"{100 * timing.spread:.0f} %",
        )
    reached = {True: "yes", False: "no", None: DASH}[row.reached]
    shown = DASH if figure is None else f"{figure.value:.3g}"
    also = ", ".join(
        f"{name.replace('_', ' ')} {_fact(value)}" for name, value in row.facts.items()
    )
    return (row.label, shown, span, limit, reached, *times, also or DASH)


def below(result: SpeedResult) -> Iterator[str]:
    """Give what is to be known of the rows: why some have no figure or no bar, and the notes."""
    for row in result.rows:
        if row.reason and row.reason not in SAID_BY_THE_TABLE:
            yield f"{_TITLES.get(row.family, row.family)}: {row.label}: {row.reason}"
    yield from (f"{note[0].upper()}{note[1:]}." for note in result.notes)


def _layout(family: str) -> Layout:
    return OWN_LAYOUTS.get(family, (HEADINGS, cells))


def _families(result: SpeedResult) -> Iterator[tuple[str, list[SpeedRow]]]:
    for family, rows in groupby(result.rows, key=lambda row: row.family):
        yield family, list(rows)


def _title(family: str, rows: list[SpeedRow]) -> str:
    if family in OWN_LAYOUTS:
        return _TITLES[family]
    unit = next((row.unit for row in rows if row.unit), "")
    return f"{_TITLES.get(family, family)}{f' ({unit})' if unit else ''}"


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _fact(value: float | int | str) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value >= WHOLE_FROM else f"{value:.3g}"
