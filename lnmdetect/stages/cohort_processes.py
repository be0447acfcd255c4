"""The studies of a cohort on one machine: processes that each analyse one at a time."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from threading import Event

from lnmdetect.core.cohort import CohortStudy
from lnmdetect.stages.analyst import Analyst, Finished
from lnmdetect.stages.cohort_end import Crew, StudyEnd
from lnmdetect.stages.cohort_study import Pipeline, StudyRequest

POLL_S = 0.02
STUDIES_A_PROCESS = 200
"""So that the start of a process and the reading of the models do not count."""
ATTEMPTS = 2
"""Of a study amid which its process died: too little memory may be enough when others are done."""


def analyse_by_processes(
    requests: Sequence[StudyRequest],
    pipeline: Pipeline,
    crew: Crew,
    stop: Event,
) -> Iterator[StudyEnd]:
    """Yield each study as it ends, until all have or `stop` is set; what is under way is dropped.

    A study amid which its process dies is tried again when the others have begun.
    """
    waiting: deque[tuple[StudyRequest, int]] = deque((request, 1) for request in requests)
    with ExitStack() as held:
        analysts: list[Analyst[tuple[StudyRequest, int], StudyRequest, CohortStudy]] = [
            held.enter_context(
                Analyst(pipeline, crew.timeout_s, threads=crew.threads, analyses=STUDIES_A_PROCESS)
            )
            for _ in range(crew.workers)
        ]
        while not stop.is_set():
            for analyst in analysts:
                if (end := analyst.finished()) is not None:
                    request, attempt = end.item
                    if end.died and attempt < ATTEMPTS:
                        waiting.append((request, attempt + 1))
                    else:
                        yield _ended(request, end)
                if analyst.is_free and waiting:
                    item = waiting.popleft()
                    analyst.begin(item, item[0])
            if not waiting and all(analyst.is_free for analyst in analysts):
                return
            stop.wait(POLL_S)


def _ended(request: StudyRequest, end: Finished[tuple[StudyRequest, int], CohortStudy]) -> StudyEnd:
    return StudyEnd(request, end.result, end.reason, end.error)
