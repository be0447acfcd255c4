"""`lnmdetect cohort`: every study of a folder through the pipeline, one bad study stopping none.

Each study's results are whole or not there, and its record says with which files, models and
options they were made: a run takes up what is not done with just these.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

from lnmdetect.core.cohort import FINISHED, CohortFigures, CohortStudy
from lnmdetect.core.errors import LnmDetectError, ModelError, OutputError, UsageError
from lnmdetect.core.pace import Pace
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.wording import counted
from lnmdetect.io.cohort_cases import Case, list_cases
from lnmdetect.io.cohort_folder import CohortFolder
from lnmdetect.io.cohort_table import write_cohort_csv, write_cohort_parquet
from lnmdetect.io.machine import usable_cores
from lnmdetect.io.run_record import RunRecord
from lnmdetect.stages.cohort_end import Crew, StudyEnd
from lnmdetect.stages.cohort_processes import analyse_by_processes
from lnmdetect.stages.cohort_ray import RayWork, analyse_by_ray
from lnmdetect.stages.cohort_request import (
    CohortRequest,
    CohortResult,
    FailedStudy,
    Say,
)
from lnmdetect.stages.cohort_start import check_request, crew_of, made_with_of, start_record
from lnmdetect.stages.cohort_study import StudyRequest, reason_for

SAY_EVERY_S = 60.0
FATAL = (UsageError, ModelError, OutputError)
"""Of these no study is to blame, and the next would meet them too."""
INTERRUPTED = 130
"""Exit code after a signal, as a shell gives it for Ctrl-C."""
NOT_YET = "its turn has not come yet"


@dataclass
class _Book:
    """What is known of each study while the cohort runs; the folder knows it after it."""

    request: CohortRequest
    folder: CohortFolder
    known: dict[str, CohortStudy] = field(default_factory=dict)
    skipped: int = 0
    analysed: int = 0

    def enter(self, end: StudyEnd) -> CohortStudy:
        """Return a study that has ended, after writing down its failure where it is one."""
        study = end.study
        if study is None:
            case = end.request.case.name
            reason = reason_for(end.error, end.request) if end.error else end.reason
            study = CohortStudy(case, "failed", reason, end.request.made_with)
            self.folder.keep_failure(study)
        self.analysed += study.status in FINISHED
        self.known[study.case] = study
        return study

    def leave(self, request: StudyRequest) -> None:
        """Take a study for done that ended in the very moment of the stop, else clean up."""
        case = request.case
        study = self.folder.record(case.name)
        if study is not None and self.folder.is_current(case, study, request.made_with):
            self.known[case.name] = study
        else:
            self.folder.drop_draft(case.name)


def run_cohort(
    request: CohortRequest,
    stop: Event,
    progress: Progress = SILENT,
    say: Say = lambda text: None,
) -> CohortResult:
    """Return what became of the studies after writing the results of each, and the table.

    Args:
        request: which studies, and how.
        stop: set from outside to end; what is done is kept, and the table written.
        progress: watches the studies.
        say: called now and then with a line on how far it is.

    Raises:
        UsageError: more workers than cores, the results' folder lies within a study, or was begun
            with another pseudonym key.
        InputError: there is no study.
        ModelError: a bundle is absent or damaged.
        OutputError: the folder holds something else, or another run works in it.
        MissingExtraError: a package that is needed is not installed.
    """
    began = time.monotonic()
    cores = usable_cores()
    check_request(request, cores)
    made_with, record = made_with_of(request.options), start_record(request)
    cases = list_cases(request.studies, depth=request.depth, leave_out=request.output)
    chosen = [c for c in cases.studies if request.part is None or request.part.holds(c.name)]
    folder = CohortFolder(request.output)
    folder.prepare()
    with folder.locked(request.part.name if request.part else None):
        book = _Book(request, folder)
        to_do = _to_do(progress.track(chosen, description="comparing"), book, made_with)
        record.lap("list")
        crew = crew_of(request, cores, len(to_do))
        stopped_by = None
        if to_do and not request.collect:
            stopped_by = _analyse(to_do, made_with, book, _Run(crew, stop, progress, say))
        record.lap("analyse")
        studies = [_of(case, book) for case in chosen]
        _write_tables(request, studies)
        record.ended_with = stopped_by.exit_code if stopped_by else INTERRUPTED * stop.is_set()
        _finish(record, request, made_with, studies)
    return _result(
        request,
        studies,
        analysed=book.analysed,
        skipped=book.skipped,
        workers=crew.workers,
        threads=crew.threads,
        seconds=time.monotonic() - began,
        stopped=stop.is_set(),
        stopped_by=stopped_by,
        notes=_notes(request, folder, cases.studies, cases.loose_files),
    )


def table_path(request: CohortRequest) -> Path:
    """Return where the table of a cohort, or of one of its parts, goes."""
    part = f".{request.part.name}" if request.part else ""
    return request.output / f"cohort{part}.csv"


@dataclass(frozen=True)
class _Run:
    """Who works, until when, and who watches."""

    crew: Crew
    stop: Event
    progress: Progress
    say: Say


def _to_do(cases: Iterable[Case], book: _Book, made_with: dict[str, Any]) -> list[StudyRequest]:
    """Return the studies to analyse; the others' results are current."""
    to_do, request = [], book.request
    for case in cases:
        study = book.folder.record(case.name)
        current = study is not None and book.folder.is_current(case, study, made_with)
        if current and (request.collect or not request.overwrite):
            book.skipped += 1
        else:
            to_do.append(_study_request(case, request, made_with))
        if study is not None and (current or study.status == "failed"):
            book.known[case.name] = study
    return to_do


def _study_request(case: Case, request: CohortRequest, made_with: dict[str, Any]) -> StudyRequest:
    """Return what a process needs to know, also one that stands in another folder."""
    options = request.options
    return StudyRequest(
        Case(case.name, case.path.absolute()),
        request.studies.absolute(),
        request.output.absolute(),
        replace(options, model=_place(options.model), classifier=_place(options.classifier)),
        made_with,
    )


def _place(model: str) -> str:
    """Return a bundle's folder as any process finds it; a bundle's name as it is."""
    return str(Path(model).absolute()) if Path(model).is_dir() else model


def _analyse(
    to_do: Sequence[StudyRequest], made_with: dict[str, Any], book: _Book, run: _Run
) -> LnmDetectError | None:
    """Return the error that ended the run before its end, None otherwise."""
    pace = Pace(len(to_do), "study", "studies")
    for request in to_do:  # what earlier runs said of it is no more so
        book.known.pop(request.case.name, None)
    ends = _ends(book.request, to_do, run)
    watched = run.progress.track(ends, description="analysing", total=len(to_do))
    said = pace.clock()
    try:
        for end in watched:
            if isinstance(end.error, FATAL):
                return end.error
            study = book.enter(end)
            pace.count(failed=study.status == "failed")
            if pace.clock() - said >= SAY_EVERY_S:
                said = pace.clock()
                run.say(pace.line())
    except OutputError as error:  # of the record of a failure
        return error
    finally:
        _close(watched, ends)
        for request in to_do:
            if request.case.name not in book.known:
                book.leave(request)
    return None


def _ends(request: CohortRequest, to_do: Sequence[StudyRequest], run: _Run) -> Iterator[StudyEnd]:
    if request.engine == "ray":
        work = RayWork(request.load, request.pipeline, request.timeout_s)
        return analyse_by_ray(to_do, work, run.crew, run.stop)
    return analyse_by_processes(to_do, request.pipeline, run.crew, run.stop)


def _close(*iterators: Iterator[StudyEnd]) -> None:
    """End the processes now, not when the iterators happen to be collected."""
    for iterator in iterators:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


def _of(case: Case, book: _Book) -> CohortStudy:
    return book.known.get(case.name) or CohortStudy(case.name, "missing", NOT_YET)


def _write_tables(request: CohortRequest, studies: Sequence[CohortStudy]) -> None:
    table = table_path(request)
    write_cohort_csv(studies, table)
    if request.parquet:
        write_cohort_parquet(studies, table.with_suffix(".parquet"))


def _finish(
    record: RunRecord,
    request: CohortRequest,
    made_with: dict[str, Any],
    studies: Sequence[CohortStudy],
) -> None:
    record.model = {arm: made_with[arm] for arm in ("detector", "classifier")}
    record.failures = sum(study.status != "done" for study in studies)
    part = f".{request.part.name}" if request.part else ""
    record.write(request.output / f"run{part}.json")


def _notes(
    request: CohortRequest, folder: CohortFolder, cases: Sequence[Case], loose: int
) -> tuple[str, ...]:
    notes = []
    if loose:
        notes.append(f"{counted(loose, 'file')} beside the studies not read")
    others = folder.other_results(frozenset(case.name for case in cases))
    if others:
        notes.append(
            f"results of {counted(others, 'study', 'studies')} that the cohort holds no more stay "
            f"in {request.output.name}/studies"
        )
    return tuple(notes)


def _result(request: CohortRequest, studies: Sequence[CohortStudy], **known: Any) -> CohortResult:
    found: list[CohortFigures] = [study.figures for study in studies if study.figures]
    failed = [s for s in studies if s.status in ("failed", "partial")]
    return CohortResult(
        table=table_path(request),
        studies=len(studies),
        failed=tuple(FailedStudy(study.case, study.reason) for study in failed),
        missing=sum(study.status == "missing" for study in studies),
        slices=sum(figures.slices for figures in found),
        nodes=sum(figures.nodes for figures in found),
        metastatic_nodes=sum(figures.metastatic_nodes for figures in found),
        phantom_studies=sum(figures.phantom for figures in found),
        **known,
    )
