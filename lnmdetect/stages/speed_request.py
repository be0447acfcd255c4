"""What `lnmdetect speed` is asked for, and what every family of rows is given."""

import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import torch

from lnmdetect.core.errors import UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.io.machine import usable_cores
from lnmdetect.stages.speed_children import ChildProcesses
from lnmdetect.stages.speed_plan import SpeedPlan
from lnmdetect.stages.speed_rounds import Candidate, Host, Rounds, ThisProcess, interleaved
from lnmdetect.stages.speed_scans import Volume, phantom_volume
from lnmdetect.training.devices import limit_threads

OUTPUT = Path("bench.json")
FULL_WIDTH, FULL_SIZE_PX = 1.0, 512
STRIDE = 32


@dataclass(frozen=True)
class SpeedRequest:
    """What to measure, and how.

    Attributes:
        output: the JSON file; a .md of its name lies beside it.
        rows: families to measure, each once; none: all.
        threads: None takes the cores that may be used.
        rounds: of what takes a second; what takes minutes is run fewer times.
        width: of the networks, 1 being the published ones, of which alone the bars are.
        size_px: side of a slice.
        overhead_slices: of the scan on which the detectors' overhead is measured.
        memory_slices: lengths of the scans on which peak memory is measured, shortest first.
        cohort_studies, cohort_slices: how many studies, and of how many slices.
        processes: whether each network has a process of its own.
    """

    output: Path = OUTPUT
    rows: tuple[str, ...] = ()
    threads: int | None = None
    rounds: int = 7
    width: float = FULL_WIDTH
    size_px: int = FULL_SIZE_PX
    overhead_slices: int = 100
    memory_slices: tuple[int, ...] = (100, 400, 800)
    cohort_studies: int = 6
    cohort_slices: int = 24
    processes: bool = True
    overwrite: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(dict.fromkeys(self.rows)))
        if self.size_px < 2 * STRIDE or self.size_px % STRIDE:
            raise UsageError(
                "--size",
                expected=f"a multiple of {STRIDE} px, {2 * STRIDE} or more",
                got=str(self.size_px),
                remedy=f"Leave it out for {FULL_SIZE_PX}.",
            )
        if not 0 < self.width < math.inf or self.rounds < 1:
            raise UsageError(
                "--width, --rounds",
                expected="a width above 0 and a round or more",
                got=f"width {self.width:g}, {self.rounds} rounds",
                remedy="Leave both out.",
            )
        cores = usable_cores()
        if self.threads is not None and not 1 <= self.threads <= cores:
            raise UsageError(
                "--threads",
                expected=f"1 to {cores}, the cores that may be used",
                got=str(self.threads),
                remedy="Give fewer: more threads than cores are many times slower.",
            )

    @property
    def is_full(self) -> bool:
        """Whether the bars, which are of the published width at 512 px, are of this run."""
        return self.width == FULL_WIDTH and self.size_px == FULL_SIZE_PX


@dataclass(frozen=True)
class SpeedRun:
    """What a family of rows works with.

    Attributes:
        threads: of the networks.
        folder: an empty one of its own, gone afterwards.
    """

    request: SpeedRequest
    threads: int
    folder: Path
    progress: Progress = field(default=SILENT, repr=False)

    @cached_property
    def plan(self) -> SpeedPlan:
        """What other processes are told of it."""
        return SpeedPlan(self.request.width, self.request.size_px, self.folder)

    @cached_property
    def volume(self) -> Volume:
        """A phantom's neck, of the size asked for."""
        return phantom_volume(self.request.size_px)

    def place(self, name: str) -> Path:
        """Return a new folder of a family's own."""
        folder = self.folder / name
        folder.mkdir()
        return folder

    @property
    def networks_host(self) -> Host:
        """Where networks run: each in a process of its own, unless the request has all in one."""
        if not self.request.processes:
            return ThisProcess()
        reference = partial(set_threads, self.threads)
        return ChildProcesses(ours=limit_threads, reference=reference)

    def timed(
        self,
        candidates: Sequence[Candidate],
        *,
        what: str,
        most: int | None = None,
        warm_up: bool = True,
        host: Host | None = None,
    ) -> Rounds:
        """Return the times of candidates in turns.

        Args:
            candidates: of different names.
            what: is timed, for the progress.
            most: rounds, where the request asks for more.
            warm_up: run each once before, untimed.
            host: where they run; None: in this process.
        """
        return interleaved(
            candidates,
            min(self.request.rounds, most or self.request.rounds),
            description=what,
            host=host or ThisProcess(),
            warm_up=warm_up,
            progress=self.progress,
        )

    def command(self, *words: object) -> None:
        """Run a command of lnmdetect in a process of its own.

        Raises:
            CalledProcessError: it did not end well.
        """
        said(lnmdetect_line(*words))


def set_threads(threads: int) -> None:
    """Give PyTorch in this process its threads, and change nothing else, as its users do."""
    torch.set_num_threads(threads)


def lnmdetect_line(*words: object) -> list[str]:
    """Return the command line of a command of lnmdetect."""
    return [sys.executable, "-m", "lnmdetect", *map(str, words)]


def said(line: Sequence[str]) -> str:
    """Return what a command line wrote to stdout.

    Raises:
        CalledProcessError: it did not end well.
    """
    return subprocess.run(list(line), capture_output=True, text=True, check=True).stdout
