"""What `lnmdetect cohort` is asked to do, and what it says at its end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lnmdetect.core.errors import LnmDetectError, UsageError
from lnmdetect.stages.cohort_study import (
    CohortOptions,
    Loader,
    Pipeline,
    analyse_study,
    load_for,
)

Say = Callable[[str], None]
"""Called with a sentence for whoever runs the cohort."""
EngineName = Literal["processes", "ray"]


@dataclass(frozen=True)
class Part:
    """One of several runs that share a cohort; each study belongs to exactly one part.

    Attributes:
        number: from 1.
        of: how many there are.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(
                "--part",
                expected="i/n with i from 1 to n, as 3/16",
                got=f"{self.number}/{self.of}",
                remedy="Number the parts from 1.",
            )

    @property
    def name(self) -> str:
        """As files are named by it."""
        return f"part-{self.number}-of-{self.of}"

    def holds(self, case: str) -> bool:
        """Return whether a study is of this part, by its name alone, whatever others there are."""
        return int(case.removeprefix("s-"), 16) % self.of == self.number - 1


@dataclass(frozen=True)
class CohortRequest:
    """Which studies to analyse, and how.

    Attributes:
        studies: a folder with a folder or zip archive a study; `depth` says so many levels down.
        output: the folder of the results.
        options: what decides the results of a study.
        engine: processes of this machine, or Ray, on the cluster of RAY_ADDRESS where that is set.
        workers: processes, or actors of Ray; None takes one a core of this machine.
        part: which studies; None takes all.
        collect: make the table of what is there already, and analyse nothing.
        parquet: write the table as Parquet too.
        timeout_s: longest analysis of a study.
        overwrite: analyse again what is done.
        load, pipeline: what is run on a study, importable by name; only Ray loads apart.
    """

    studies: Path
    output: Path
    options: CohortOptions = field(default_factory=CohortOptions)
    depth: int = 1
    engine: EngineName = "processes"
    workers: int | None = None
    part: Part | None = None
    collect: bool = False
    parquet: bool = False
    timeout_s: float = 3600.0
    overwrite: bool = False
    load: Loader = load_for
    pipeline: Pipeline = analyse_study


@dataclass(frozen=True)
class FailedStudy:
    """A study without results, or without some of its scans."""

    case: str
    reason: str


@dataclass(frozen=True)
class CohortResult:
    """What became of the studies.

    Attributes:
        table: the CSV file.
        studies: of this part of the cohort.
        analysed: in this run, with results; skipped: done before.
        failed: without results, or with those of some scans only.
        missing: whose turn has not come.
        slices, nodes, metastatic_nodes: of all studies with results.
        phantom_studies: how many of these are synthetic.
        workers, threads: that ran, and of each.
        stopped: the run was ended before its end.
        stopped_by: the error that ended it, as a full disk.
    """

    table: Path
    studies: int
    analysed: int
    skipped: int
    failed: tuple[FailedStudy, ...]
    missing: int
    slices: int
    nodes: int
    metastatic_nodes: int
    phantom_studies: int
    workers: int
    threads: int
    seconds: float
    stopped: bool = False
    stopped_by: LnmDetectError | None = None
    notes: tuple[str, ...] = ()

    @property
    def studies_per_hour(self) -> float | None:
        """Of those analysed in this run; None without any."""
        return 3600 * self.analysed / self.seconds if self.analysed and self.seconds else None

    def to_json(self) -> dict[str, Any]:
        """Return the result as `--json` prints it."""
        counts: Mapping[str, Any] = {k: v for k, v in vars(self).items() if k != "stopped_by"}
        return {**counts, "studies_per_hour": self.studies_per_hour}
