"""What `lnmdetect speed` is asked for, and what every family of rows is given."""

import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe
from lnmdetect.core.errors import UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.io.machine import usable_cores
from lnmdetect.io.recipes import read_recipe
from lnmdetect.stages.speed_rounds import Candidate, Rounds, interleaved
from lnmdetect.stages.speed_scans import Volume, phantom_volume

OUTPUT = Path("bench.json")
RECIPE = "wang2023"
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
        overhead_slices: of the scan on which the compact detector's overhead is measured.
        memory_slices: lengths of the scans on which peak memory is measured, shortest first.
        cohort_studies, cohort_slices: how many studies, and of how many slices.
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
    def detector(self) -> DetectorRecipe:
        """The published detector's recipe, of the width asked for."""
        recipe = read_recipe(RECIPE, "detector")
        assert isinstance(recipe, DetectorRecipe)
        model = recipe.model.model_copy(update={"width": self.request.width})
        return recipe.model_copy(update={"model": model})

    @cached_property
    def classifier(self) -> ClassifierRecipe:
        """The published classifier's recipe, of the width asked for."""
        recipe = read_recipe(RECIPE, "classifier")
        assert isinstance(recipe, ClassifierRecipe)
        model = recipe.model.model_copy(update={"width": self.request.width})
        return recipe.model_copy(update={"model": model})

    @cached_property
    def volume(self) -> Volume:
        """A phantom's neck, of the size asked for."""
        return phantom_volume(self.request.size_px)

    def place(self, name: str) -> Path:
        """Return a new folder of a family's own."""
        folder = self.folder / name
        folder.mkdir()
        return folder

    def timed(
        self,
        candidates: Sequence[Candidate],
        *,
        what: str,
        most: int | None = None,
        warm_up: bool = True,
    ) -> Rounds:
        """Return the times of candidates in turns.

        Args:
            candidates: of different names.
            what: is timed, for the progress.
            most: rounds, where the request asks for more.
            warm_up: run each once before, untimed.
        """
        rounds = min(self.request.rounds, most or self.request.rounds)
        return interleaved(
            candidates, rounds, description=what, warm_up=warm_up, progress=self.progress
        )

    def command(self, *words: object) -> None:
        """Run a command of lnmdetect in a process of its own.

        Raises:
            CalledProcessError: it did not end well.
        """
        said(lnmdetect_line(*words))


def lnmdetect_line(*words: object) -> list[str]:
    """Return the command line of a command of lnmdetect."""
    return [sys.executable, "-m", "lnmdetect", *map(str, words)]


def said(line: Sequence[str]) -> str:
    """Return what a command line wrote to stdout.

    Raises:
        CalledProcessError: it did not end well.
    """
    return subprocess.run(list(line), capture_output=True, text=True, check=True).stdout
