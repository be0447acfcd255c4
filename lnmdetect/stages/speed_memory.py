"""Peak memory of `detect` on scans of rising length."""

import shutil
from collections.abc import Iterator
from dataclasses import replace

from lnmdetect.stages.command_memory import told_mb, watched_line
from lnmdetect.stages.speed_request import SpeedRun, lnmdetect_line, said
from lnmdetect.stages.speed_result import Bar, Figure, SpeedRow
from lnmdetect.stages.speed_rounds import CANNOT_RUN, reason_of
from lnmdetect.stages.speed_rows import IS_REFERENCE
from lnmdetect.stages.speed_scans import write_body

BAR = Bar(1.05, "at_most")
NO_REFERENCE = "the shortest scan, its reference, could not be measured"


def memory_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield the peak of each length over that of the shortest; the bar is of the longest."""
    lengths = run.request.memory_slices
    shortest_mb: float | None = None
    for slices in run.progress.track(lengths, description="memory", total=len(lengths)):
        bar = BAR if slices == lengths[-1] else None
        row = SpeedRow(
            f"memory_{slices}",
            "memory",
            f"lnmdetect detect, compact detector, {slices} slices: peak resident memory",
            f"times that of {lengths[0]} slices",
            None,
            bar,
        )
        try:
            peak_mb = _peak_mb(run, slices)
        except CANNOT_RUN as error:
            yield replace(row, reason=reason_of(error))
            continue
        if slices == lengths[0]:
            shortest_mb = peak_mb
        yield _with_peak(row, peak_mb, shortest_mb, is_first=slices == lengths[0])


def _with_peak(
    row: SpeedRow, peak_mb: float, shortest_mb: float | None, *, is_first: bool
) -> SpeedRow:
    facts = {"peak_mb": peak_mb}
    if shortest_mb is None:
        return replace(row, reason=NO_REFERENCE, facts=facts)
    if is_first:
        return replace(row, reason=IS_REFERENCE, facts=facts)
    share = peak_mb / shortest_mb
    return replace(row, figure=Figure(share, share, share), facts=facts)


def _peak_mb(run: SpeedRun, slices: int) -> float:
    folder = run.place(f"memory_{slices}")
    write_body(folder / "scan", slices, run.request.size_px)
    line = lnmdetect_line("detect", folder / "scan", "-o", folder / "boxes.json")
    try:
        return told_mb(said(watched_line([*line, "--device", "cpu", "-q"])))
    finally:
        shutil.rmtree(folder)  # the longest takes as much disk as all others together
