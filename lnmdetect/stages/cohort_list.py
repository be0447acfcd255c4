"""`lnmdetect cohort --list`: which study has which name; said to who asks, and never written."""

from dataclasses import dataclass
from pathlib import Path

from lnmdetect.core.cohort import CohortStatus
from lnmdetect.io.cohort_cases import list_cases
from lnmdetect.io.cohort_folder import CohortFolder
from lnmdetect.stages.cohort_request import CohortRequest


@dataclass(frozen=True)
class ListedStudy:
    """A study's keyed name, what its record says, and where its files are."""

    case: str
    status: CohortStatus
    path: Path


def list_studies(request: CohortRequest) -> tuple[ListedStudy, ...]:
    """Return the studies of the cohort, or of one part of it.

    Raises:
        InputError: there is no study.
    """
    folder = CohortFolder(request.output)
    cases = list_cases(request.studies, depth=request.depth, leave_out=request.output)
    listed = []
    for case in cases.studies:
        if request.part is None or request.part.holds(case.name):
            study = folder.record(case.name)
            listed.append(ListedStudy(case.name, study.status if study else "missing", case.path))
    return tuple(listed)
