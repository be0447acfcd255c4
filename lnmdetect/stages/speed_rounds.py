"""Candidates timed in turns, A B C A B C: what disturbs the machine disturbs all of them."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lnmdetect.core.errors import LnmDetectError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.stages.speed_result import Timing

Work = Callable[[], float | None]
"""Does once what is timed. A number is its seconds where more was done than is to be timed."""
CANNOT_RUN = (
    LnmDetectError,
    RuntimeError,
    OSError,
    ValueError,
    ImportError,
    MemoryError,
    subprocess.SubprocessError,
)
"""What keeps one candidate from running here, and none of the others."""


@dataclass(frozen=True)
class Candidate:
    """Something to time.

    Attributes:
        name: unique among those that are timed together.
        prepare: gives the work; what it takes to get there is not timed.
    """

    name: str
    prepare: Callable[[], Work]


@dataclass(frozen=True)
class Rounds:
    """The times of candidates that took turns.

    Attributes:
        timings: of those that ran, by name.
        reasons: why the others did not, by name.
    """

    timings: Mapping[str, Timing]
    reasons: Mapping[str, str]


def interleaved(
    candidates: Sequence[Candidate],
    rounds: int,
    *,
    description: str,
    warm_up: bool = True,
    progress: Progress = SILENT,
    clock: Callable[[], float] = time.perf_counter,
) -> Rounds:
    """Return the times of candidates, each run once a round in their order.

    One that cannot be prepared or run is left out of all rounds.

    Args:
        candidates: of different names.
        rounds: 1 or more.
        description: of the whole, for the progress.
        warm_up: run each once before, untimed.
        progress: told about every round, the untimed one too.
        clock: seconds.
    """
    works: dict[str, Work] = {}
    reasons: dict[str, str] = {}
    seconds: dict[str, list[float]] = {}
    turns = range(0 if warm_up else 1, rounds + 1)
    for turn in progress.track(turns, description=description, total=len(turns)):
        for candidate in candidates:
            name = candidate.name
            if name in reasons:
                continue
            try:
                if name not in works:
                    works[name] = candidate.prepare()
                took = _timed(works[name], clock)
            except CANNOT_RUN as error:
                reasons[name] = reason_of(error)
                continue
            if turn > 0:
                seconds.setdefault(name, []).append(took)
    timings = {n: Timing(tuple(s)) for n, s in seconds.items() if n not in reasons}
    return Rounds(timings, reasons)


def _timed(work: Work, clock: Callable[[], float]) -> float:
    begun = clock()
    own = work()
    return clock() - begun if own is None else own


def reason_of(error: BaseException) -> str:
    """Return in one line why a candidate could not run."""
    if isinstance(error, subprocess.CalledProcessError):
        said = str(error.stderr or "").strip().splitlines()
        return f"a command ended with code {error.returncode}: {said[-1] if said else 'no message'}"
    lines = str(error).strip().splitlines()
    said = lines[:1]
    return said[0] if isinstance(error, LnmDetectError) and said else _named(error, said)


def _named(error: BaseException, said: Sequence[str]) -> str:
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
