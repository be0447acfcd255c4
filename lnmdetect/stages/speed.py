"""`lnmdetect speed`: every figure of speed as a ratio of times taken in turns in one run."""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lnmdetect import __version__
from lnmdetect.core.errors import UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.wording import counted
from lnmdetect.io.benchmark_files import write_table_text
from lnmdetect.io.json_files import refuse_existing, write_json
from lnmdetect.io.machine_facts import MachineFacts, machine_facts
from lnmdetect.io.pseudonym import KEY_FILE_VARIABLE
from lnmdetect.stages.speed_classifier import classifier_rows
from lnmdetect.stages.speed_cohort import cohort_rows
from lnmdetect.stages.speed_commands import scan_rows, startup_rows
from lnmdetect.stages.speed_detector import detector_rows
from lnmdetect.stages.speed_dicom import dicom_rows
from lnmdetect.stages.speed_memory import memory_rows
from lnmdetect.stages.speed_overhead import overhead_rows
from lnmdetect.stages.speed_profile import profile_rows
from lnmdetect.stages.speed_request import SpeedRequest, SpeedRun
from lnmdetect.stages.speed_result import (
    NO_BAR_AT_THESE_THREADS,
    NO_BAR_AT_THIS_SIZE,
    SpeedResult,
    SpeedRow,
)
from lnmdetect.stages.speed_roi_align import roi_align_rows
from lnmdetect.stages.speed_rounds import CANNOT_RUN, reason_of
from lnmdetect.stages.speed_tables import markdown
from lnmdetect.stages.speed_training import training_rows
from lnmdetect.training.devices import limit_threads

THREADS_VARIABLE = "OMP_NUM_THREADS"
QUIET_PROFILER = ("KINETO_LOG_LEVEL", "99")
"""PyTorch's profiler else writes to the terminal when it begins, and when it ends."""
FOLDER_VARIABLE = "TMPDIR"
"""Where children write what is to be gone with them."""
REACH_THREADS = 2
"""Of which the bars are."""
SCALED = ("detector", "roi_align", "training", "classifier", "dicom", "overhead_published")
"""Families whose bars are of the published width at 512 px alone."""

PROCESSES = (
    "each network that is timed or profiled has a process of its own, but in the rows of dicom and "
    "overhead, and one of them works at a time; torchvision's and eager PyTorch's have the threads "
    "of this run and are else as PyTorch leaves them, but in rows that name lnmdetect's setting of "
    "memory; lnmdetect's are as its commands are: memory that is freed stays with the process"
)
ONE_PROCESS = "all networks share one process, and lnmdetect's setting of its memory"


@dataclass(frozen=True)
class Family:
    """Rows that are timed together.

    Attributes:
        about: what they are, for a reader who chooses.
    """

    about: str
    rows: Callable[[SpeedRun], Iterable[SpeedRow]]


FAMILIES: Mapping[str, Family] = {
    "startup": Family("start of a command that computes nothing", startup_rows),
    "detector": Family("a slice by engine and precision, share of the peak", detector_rows),
    "roi_align": Family("RoIAlign, forward and backward", roi_align_rows),
    "training": Family("a training step of the detector", training_rows),
    "classifier": Family("a crop by engine and precision", classifier_rows),
    "profile": Family("where the time of networks goes", profile_rows),
    "dicom": Family("reading a slice, by transfer syntax", dicom_rows),
    "overhead": Family("detect beyond its network", overhead_rows),
    "scan": Family("a scan by stage, eval too", scan_rows),
    "cohort": Family("studies an hour by workers", cohort_rows),
    "memory": Family("peak memory by length of the scan", memory_rows),
}


def speed(request: SpeedRequest, progress: Progress = SILENT) -> SpeedResult:
    """Return what was measured after writing it as JSON, and as a table beside it.

    A row that cannot run says why; it ends nothing.

    Args:
        request: what to measure, and how.
        progress: told about every round of each family.

    Raises:
        UsageError: there is no such family.
        OutputError: an output exists and `overwrite` is not set.
    """
    table = request.output.with_suffix(".md")
    _check(request, table)
    machine, begun = machine_facts(), time.monotonic()
    date = datetime.now(UTC).isoformat(timespec="seconds")
    with _settled(request.threads) as (folder, threads):
        run = SpeedRun(request, threads, folder, progress)
        names = request.rows or tuple(FAMILIES)
        result = SpeedResult(
            __version__,
            date,
            0.0,
            _settings(request, threads, names),
            machine,
            (),
            tuple(_notes(request, machine, threads)),
        )
        for number, name in enumerate(names):
            rows = (*result.rows, *_rows(run, name))
            result = replace(result, rows=rows, seconds=time.monotonic() - begun)
            # After each family: what ends the run takes no figure with it.
            again = request.overwrite or number > 0
            write_json(result.to_json(), request.output, overwrite=again)
            write_table_text(markdown(result), table)
    return result


def _check(request: SpeedRequest, table: Path) -> None:
    unknown = [name for name in request.rows if name not in FAMILIES]
    if unknown:
        raise UsageError(
            "--rows",
            expected=f"some of {', '.join(FAMILIES)}",
            got=", ".join(unknown),
            remedy="Leave it out for all.",
        )
    if table == request.output:
        raise UsageError(
            "--output",
            expected="a name for the JSON file, such as bench.json",
            got=table.name,
            remedy="The table is written beside it as .md.",
        )
    for path in (request.output, table):
        refuse_existing(path, overwrite=request.overwrite)


def _rows(run: SpeedRun, name: str) -> Iterator[SpeedRow]:
    """Yield the rows of a family; one that says why where it cannot even begin."""
    try:
        for row in FAMILIES[name].rows(run):
            yield _without_bar(row, run) if row.family in SCALED else row
    except CANNOT_RUN as error:
        about = FAMILIES[name].about
        yield SpeedRow(f"{name}_failed", name, about, "", None, reason=reason_of(error))


def _without_bar(row: SpeedRow, run: SpeedRun) -> SpeedRow:
    """Return the row without its bar where the bar is of another run than this."""
    is_reach = run.request.is_full and run.threads == REACH_THREADS
    if row.bar is None or is_reach:
        return row
    why = NO_BAR_AT_THESE_THREADS if run.request.is_full else NO_BAR_AT_THIS_SIZE
    return replace(row, bar=None, reason=row.reason or why)


@contextmanager
def _settled(threads: int | None) -> Iterator[tuple[Path, int]]:
    """Give a folder that is gone afterwards, and the threads that this and every child now have.

    The patients are phantoms, and get their pseudonyms by a key of their own.
    """
    with tempfile.TemporaryDirectory(prefix="lnmdetect-speed-") as name:
        folder = Path(name)
        new = {KEY_FILE_VARIABLE: str(folder / "pseudonym.key"), FOLDER_VARIABLE: name}
        new |= [QUIET_PROFILER]
        if threads is not None:
            new[THREADS_VARIABLE] = str(threads)
        held = {variable: os.environ.get(variable) for variable in new}
        os.environ.update(new)
        try:
            yield folder, limit_threads()
        finally:
            for variable, value in held.items():
                os.environ.pop(variable)
                if value is not None:
                    os.environ[variable] = value


def _settings(request: SpeedRequest, threads: int, names: tuple[str, ...]) -> dict[str, object]:
    return {
        "threads": threads,
        "rounds": request.rounds,
        "width": request.width,
        "size_px": request.size_px,
        "rows": list(names),
        "overhead_slices": request.overhead_slices,
        "memory_slices": list(request.memory_slices),
        "cohort_studies": request.cohort_studies,
        "cohort_slices": request.cohort_slices,
        "processes": request.processes,
    }


def _notes(request: SpeedRequest, machine: MachineFacts, threads: int) -> Iterator[str]:
    if machine.is_busy:
        yield (
            f"the machine was busy when this began (load average {machine.load_average} on "
            f"{machine.cores} cores): look at the ranges, and measure again when it is quiet"
        )
    if threads != REACH_THREADS:
        had = counted(threads, "thread")
        yield (
            f"the bars of the networks are of {REACH_THREADS} threads and are left out here: this "
            f"run is of {had}"
        )
    if not request.is_full:
        yield "the bars of the networks are of full width at 512 px and are left out here"
    yield (
        "networks of --width are untrained, and noise gives them as many proposals and boxes "
        "as their recipe allows, at least the work of a slice of a neck"
    )
    yield PROCESSES if request.processes else ONE_PROCESS
    yield "the cohort's workers are held to a core each, which reading ahead shares"
