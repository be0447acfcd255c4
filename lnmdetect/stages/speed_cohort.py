"""`lnmdetect cohort` with one worker and with two, each on a core of its own."""

import os
import statistics
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lnmdetect.core.errors import UsageError
from lnmdetect.io.json_files import read_json
from lnmdetect.stages.speed_request import SpeedRun, lnmdetect_line, said
from lnmdetect.stages.speed_result import Bar, Fact, SpeedRow
from lnmdetect.stages.speed_rounds import Candidate, Rounds, Work
from lnmdetect.stages.speed_rows import Comparison
from lnmdetect.stages.speed_scans import write_scan

ROUNDS = 2
"""A cohort takes the better part of a minute."""
BAR = Bar(1.8, "at_least")
ONE = "one_worker"
FASTER = Comparison("cohort", ONE, "times faster than one worker of one thread")
CREWS = {
    ONE: (1, 1, "1 worker of 1 thread, on 1 core"),
    "two_threads": (1, 2, "1 worker of 2 threads, on 2 cores"),
    "two_workers": (2, 2, "2 workers of 1 thread, on 2 cores"),
}
"""Workers, cores, and both in words."""
_HOLD = """
import os, sys
os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
os.execv(sys.argv[2], sys.argv[2:])
"""


def cohort_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield the time a study for each crew once it is at work: start-up does not count."""
    folder, request = run.place("cohort"), run.request
    for number in range(request.cohort_studies):
        path = folder / "studies" / f"study-{number}"
        write_scan(run.volume, path, request.cohort_slices, seed=f"study-{number}")
    candidates = [Candidate(name, partial(_prepared, folder, name)) for name in CREWS]
    rounds = run.timed(candidates, what="cohort", most=ROUNDS, warm_up=False)
    for name, (_, _, words) in CREWS.items():
        facts = _facts(rounds, name, folder, request.cohort_studies, request.cohort_slices)
        bar = BAR if name == "two_workers" else None
        yield FASTER.row(rounds, name, f"lnmdetect cohort, {words}", bar=bar, facts=facts)


def _prepared(folder: Path, name: str) -> Work:
    workers, cores, _ = CREWS[name]
    held = held_to(cores)

    def work() -> float:
        line = lnmdetect_line("cohort", folder / "studies", "-o", folder / name)
        line += ["--workers", str(workers), "--device", "cpu", "--overwrite", "-q"]
        said([*held, *line])
        return study_seconds(folder / name) / workers

    return work


def study_seconds(output: Path) -> float:
    """Return the median time of a study, of which each worker's first has the start-up in it."""
    records = sorted((output / "studies").glob("*/study.json"))
    return statistics.median(float(read_json(record)["seconds"]) for record in records)


def held_to(cores: int) -> list[str]:
    """Return the words before a command line that hold it to so many cores.

    Raises:
        UsageError: this process may not use as many, or the system cannot hold it.
    """
    if not hasattr(os, "sched_getaffinity"):
        got = "a system that cannot hold a process to a core"
    else:
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) >= cores:
            chosen = ",".join(map(str, usable[:cores]))
            return [sys.executable, "-c", _HOLD, chosen]
        got = f"{len(usable)} usable"
    raise UsageError(
        "cohort",
        expected=f"cores to hold a command to, {cores} of them",
        got=got,
        remedy="Run it on Linux with as many cores.",
    )


def _facts(rounds: Rounds, name: str, folder: Path, studies: int, slices: int) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"studies": studies, "slices_a_study": slices}
    timing = rounds.timings.get(name)
    if timing is not None:
        files = [file for file in (folder / name / "studies").rglob("*") if file.is_file()]
        facts["studies_an_hour"] = 3600 / timing.median_s
        facts["result_files_a_study"] = len(files) // studies
        facts["result_bytes_a_study"] = sum(f.stat().st_size for f in files) // studies
    return facts
