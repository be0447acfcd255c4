"""What an engine is told and what it tells: how many work on the studies, and how each ended."""

from dataclasses import dataclass

from lnmdetect.core.cohort import CohortStudy
from lnmdetect.core.errors import LnmDetectError
from lnmdetect.stages.cohort_study import StudyRequest


@dataclass(frozen=True)
class StudyEnd:
    """What came of a study: its record, or why there is none."""

    request: StudyRequest
    study: CohortStudy | None
    reason: str = ""
    error: LnmDetectError | None = None


@dataclass(frozen=True)
class Crew:
    """How many processes, and of how many threads each."""

    workers: int
    threads: int
    timeout_s: float


def crew_for(cores: int, wanted: int | None, studies: int, timeout_s: float) -> Crew:
    """Return processes that together have no more threads than there are cores.

    Args:
        cores: that may be used.
        wanted: processes; None takes one a core, since two of one thread are faster than one of
            two.
        studies: to analyse; no more processes than these.
        timeout_s: longest analysis.
    """
    workers = max(1, min(wanted or cores, cores, studies))
    return Crew(workers, max(1, cores // workers), timeout_s)
