"""Candidates timed in turns, A B C A B C: what disturbs the machine disturbs all of them."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from lnmdetect.core.errors import LnmDetectError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.stages.speed_result import Timing

Result = TypeVar("Result")
Work = Callable[[], float | None]
"""Does once what is timed. A number is its seconds where more was done than is to be timed."""
Clock = Callable[[], float]
"""Seconds since anything."""
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


class CandidateError(RuntimeError):
    """A candidate cannot run; the text says why, as `reason_of` words it."""


@dataclass(frozen=True)
class Candidate:
    """Something to time.

    Attributes:
        name: unique among those that are timed together.
        prepare: gives the work; what it takes to get there is not timed. Where it runs in another
            process it can be pickled.
        is_reference: a process of its own has what users of PyTorch have, not what ours have.
        process: candidates that name the same one share it; empty: one of its own.
        first: makes the files that `prepare` reads, in a process that ends, where candidates have
            one of their own; None where there are none, or `prepare` may make them.
    """

    name: str
    prepare: Callable[[], Work]
    is_reference: bool = False
    process: str = ""
    first: Callable[[], object] | None = None


@dataclass(frozen=True)
class Rounds:
    """The times of candidates that took turns.

    Attributes:
        timings: of those that ran, by name.
        reasons: why the others did not, by name.
    """

    timings: Mapping[str, Timing]
    reasons: Mapping[str, str]


class Host(Protocol):
    """Where candidates run; they are gone when it is left."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(self, *_: object) -> None:
        """End what runs there."""

    def turn(self, candidate: Candidate) -> float:
        """Return the seconds that a candidate took, prepared where it was not yet."""

    def ask(self, question: Callable[[], Result], *, is_reference: bool = False) -> Result:
        """Return the answer to a question, found where candidates of that kind run."""


class ThisProcess:
    """All candidates in this process.

    Args:
        clock: what they are timed with.
    """

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._works: dict[str, Work] = {}
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._works.clear()

    def turn(self, candidate: Candidate) -> float:
        """Return the seconds that a candidate took, prepared where it was not yet."""
        return turn(candidate, self._works, self._clock)

    def ask(self, question: Callable[[], Result], *, is_reference: bool = False) -> Result:
        """Return the answer to a question."""
        return question()


def turn(candidate: Candidate, works: dict[str, Work], clock: Clock = time.perf_counter) -> float:
    """Return the seconds that a candidate's work took.

    Args:
        candidate: whose turn it is.
        works: those prepared so far, by name; its own is added.
        clock: what it is timed with.
    """
    if candidate.name not in works:
        works[candidate.name] = candidate.prepare()
    work, begun = works[candidate.name], clock()
    own = work()
    return clock() - begun if own is None else own


def interleaved(
    candidates: Sequence[Candidate],
    rounds: int,
    *,
    description: str,
    host: Host,
    warm_up: bool = True,
    progress: Progress = SILENT,
) -> Rounds:
    """Return the times of candidates, each run once a round in their order.

    One that cannot be prepared or run is left out of all rounds.

    Args:
        candidates: of different names.
        rounds: 1 or more.
        description: of the whole, for the progress.
        host: where they run; it is left in the end.
        warm_up: run each once before, untimed.
        progress: told about every round, the untimed one too.
    """
    reasons: dict[str, str] = {}
    seconds: dict[str, list[float]] = {}
    turns = range(0 if warm_up else 1, rounds + 1)
    with host:
        for number in progress.track(turns, description=description, total=len(turns)):
            for candidate in candidates:
                name = candidate.name
                if name in reasons:
                    continue
                try:
                    took = host.turn(candidate)
                except CANNOT_RUN as error:
                    reasons[name] = reason_of(error)
                    continue
                if number > 0:
                    seconds.setdefault(name, []).append(took)
    timings = {n: Timing(tuple(s)) for n, s in seconds.items() if n not in reasons}
    return Rounds(timings, reasons)


def reason_of(error: BaseException) -> str:
    """Return in one line why a candidate could not run."""
    if isinstance(error, subprocess.CalledProcessError):
        said = str(error.stderr or "").strip().splitlines()
        return f"a command ended with code {error.returncode}: {said[-1] if said else 'no message'}"
    lines = str(error).strip().splitlines()
    said = lines[:1]
    is_worded = isinstance(error, LnmDetectError | CandidateError)
    return said[0] if is_worded and said else _named(error, said)


def _named(error: BaseException, said: Sequence[str]) -> str:
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
