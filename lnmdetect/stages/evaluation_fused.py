"""`eval --fused`: figures of ultrasound cases by modality set, from fused.json alone; no torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lnmdetect import __version__
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.ultrasound import UltrasoundCase
from lnmdetect.core.wording import counted
from lnmdetect.io.json_files import refuse_existing, write_json
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.metrics.answers import Answers
from lnmdetect.metrics.classification import classification
from lnmdetect.metrics.cohort_table import level_row, number_row
from lnmdetect.metrics.comparison import Compared, compare_classes
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.group_tests import SMALLEST_EXPECTED
from lnmdetect.metrics.label_permutation import label_permutation
from lnmdetect.metrics.paired_tests import difference_figure
from lnmdetect.metrics.ranked_nodes import missing_class
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.stratified_auc import areas_within
from lnmdetect.stages.comparison import MANY_TESTS
from lnmdetect.stages.evaluation_fused_figures import (
    refuse_existing_figures,
    write_fused_figures,
)
from lnmdetect.stages.evaluation_fused_inputs import FusedRow, read_rows
from lnmdetect.stages.evaluation_fused_request import FusedRequest
from lnmdetect.stages.evaluation_fused_result import (
    CohortTable,
    FusedInfo,
    FusedResult,
    RowDifference,
    RowFigures,
)
from lnmdetect.stages.evaluation_info import over_patients_sentence, resample_notes
from lnmdetect.stages.evaluation_optimism import flattery

CASE = "case"


def evaluate_fused(request: FusedRequest, progress: Progress = SILENT) -> FusedResult:
    """Return the figures of each row, and write what the request asks for.

    Raises:
        InputError: a file cannot be used, a case is pooled twice, rows contradict each other; or a
            model was trained or tuned on patients that are scored, and the request does not say
            `optimistic`.
        UsageError: two rows hold the same files.
        OutputError: an output exists, or cannot be written.
    """
    if request.output is not None:
        refuse_existing(request.output, overwrite=request.overwrite)
    if request.figures is not None:
        refuse_existing_figures(request.figures, overwrite=request.overwrite)
    record = RunRecord("eval --fused", _config(request), seed=request.seed)
    rows = read_rows(request)
    warnings = flattery(rows, optimistic=request.optimistic, threshold_replaced=False)
    record.lap("read")
    result = _result(request, rows, warnings, progress)
    record.lap("score")
    if request.figures is not None:
        write_fused_figures(result, request.figures, overwrite=request.overwrite)
    if request.output is not None:
        write_json(result.to_json(), request.output, overwrite=request.overwrite)
        record.add_inputs((stamp.file, stamp.sha256) for row in rows for stamp in row.stamps)
        record.write(record_path(request.output))
    return result


def _config(request: FusedRequest) -> dict[str, object]:
    names = ("threshold", "bootstrap", "seed", "optimistic")
    return {name: getattr(request, name) for name in names}


def _result(
    request: FusedRequest, rows: Sequence[FusedRow], warnings: Iterable[str], progress: Progress
) -> FusedResult:
    figures = tuple(
        row_figures(row, bootstrap=request.bootstrap, seed=request.seed)
        for row in progress.track(rows, description="scoring")
    )
    differences = tuple(
        difference(rows[0], other, bootstrap=request.bootstrap, seed=request.seed)
        for other in progress.track(rows[1:], description="comparing")
    )
    everyone = {case.fused.case.case_id: case.fused.case for row in rows for case in row.cases}
    cohort = cohort_table(list(everyone.values()))
    over_patients = over_patients_sentence(request.bootstrap, request.seed)
    info = FusedInfo(
        lnmdetect_version=__version__,
        phantom=rows[0].phantom,
        cases=len(everyone),
        patients=cohort.patients,
        metastatic=cohort.metastatic,
        resamples=request.bootstrap,
        seed=request.seed,
        intervals=f"{over_patients}; the independent ones take every case as independent: DeLong "
        "for AUC, Wilson for shares",
        notes=(*warnings, *_notes(request, rows, differences, cohort)),
    )
    return FusedResult(info, figures, differences, cohort)


def row_figures(row: FusedRow, *, bootstrap: int, seed: int) -> RowFigures:
    """Return the figures of one row, which do not depend on what stands beside it."""
    patients = row.patients
    owner, resamples = row.places_of(patients), Resamples(len(patients), bootstrap, seed)
    return RowFigures(
        name=row.name,
        files=row.stamps,
        modalities=row.modalities,
        modalities_used=row.used,
        threshold=row.threshold,
        unlabelled=row.unlabelled,
        figures=classification(
            row.is_positive,
            row.p_metastatic,
            row.called,
            patient=owner,
            resamples=resamples,
            of=CASE,
        ),
        auc_within_files=_within(row, owner, resamples),
        permutation=label_permutation(
            row.is_positive,
            row.p_metastatic,
            row.called,
            patient=owner,
            resamples=resamples,
            of=CASE,
        ),
    )


_NO_PAIR = "no file holds both a benign and a metastatic case"


def _within(row: FusedRow, owner: NDArray[np.int64], resamples: Resamples) -> Figure | None:
    """Return the area over pairs of one file; None where there is only one."""
    if len(row.stamps) == 1:
        return None
    areas = areas_within(
        row.is_positive, row.p_metastatic, row.file, patient=owner, resamples=resamples
    )
    return resamples.figure(areas, n=len(owner), reason=_no_pair(areas))


def _no_pair(areas: NDArray[np.float64]) -> str | None:
    return _NO_PAIR if np.isnan(areas[0]) else None


def difference(a: FusedRow, b: FusedRow, *, bootstrap: int, seed: int) -> RowDifference:
    """Return how two rows differ on the cases that both have, drawn together by patient."""
    ids_a, ids_b = (
        {case.fused.case.case_id: place for place, case in enumerate(row.cases)} for row in (a, b)
    )
    shared = [name for name in ids_a if name in ids_b]
    only = (len(ids_a) - len(shared), len(ids_b) - len(shared))
    of_a, of_b = ([ids[name] for name in shared] for ids in (ids_a, ids_b))
    truth = a.is_positive[of_a]
    lacking = missing_class(truth, f"{CASE} in common")
    if lacking:
        return RowDifference(a.name, b.name, *only, None, reason=lacking)
    names = [a.cases[place].fused.case.patient for place in of_a]
    patients, owner = np.unique(names, return_inverse=True)
    resamples = Resamples(len(patients), bootstrap, seed)
    answers = _answers(a, of_a), _answers(b, of_b)
    found = compare_classes(truth, *answers, patient=owner, resamples=resamples)
    within = None
    if len(a.stamps) > 1 or len(b.stamps) > 1:
        stratum = a.file[of_a] * len(b.stamps) + b.file[of_b]
        areas = [
            areas_within(truth, one.ranking, stratum, patient=owner, resamples=resamples)
            for one in answers
        ]
        within = _compared(areas, resamples, n=len(truth))
    return RowDifference(a.name, b.name, *only, found, within)


def _compared(areas: Sequence[NDArray[np.float64]], resamples: Resamples, *, n: int) -> Compared:
    of_a, of_b = areas
    reason = _no_pair(of_a)
    return Compared(
        resamples.figure(of_a, n=n, reason=reason),
        resamples.figure(of_b, n=n, reason=reason),
        difference_figure(resamples, of_a, of_b, n=n, reason=reason),
    )


def _answers(row: FusedRow, places: Sequence[int]) -> Answers:
    given = np.ones(len(places), dtype=bool)
    return Answers(given, row.p_metastatic[places], row.called[places])


def cohort_table(cases: Sequence[UltrasoundCase]) -> CohortTable:
    """Return table 1 of cases of known status."""
    is_positive = np.array([case.label == "metastatic" for case in cases], dtype=bool)
    numbers = {
        name: np.array([getattr(case, name) for case in cases], dtype=np.float64)  # None: NaN
        for name in ("age_years", "max_size_mm")
    }
    levels: Mapping[str, list[str | None]] = {
        "sex": [case.sex for case in cases],
        "location": [case.location for case in cases],
        "finding": [None if case.finding == "unknown" else case.finding for case in cases],
    }
    return CohortTable(
        benign=int((~is_positive).sum()),
        metastatic=int(is_positive.sum()),
        patients=len({case.patient for case in cases}),
        numbers={name: number_row(values, is_positive) for name, values in numbers.items()},
        levels={name: level_row(values, is_positive) for name, values in levels.items()},
    )


def _notes(
    request: FusedRequest,
    rows: Sequence[FusedRow],
    differences: Sequence[RowDifference],
    cohort: CohortTable,
) -> Iterator[str]:
    if rows[0].phantom:
        yield "Phantom figures: the images are synthetic and say nothing about patients."
    yield from resample_notes(cohort.patients, request.bootstrap)
    if len(rows) > 1:
        yield MANY_TESTS
    for row in rows:
        yield from _row_notes(row)
    for other in differences:
        if other.only_a or other.only_b:
            yield (
                f"{other.a} and {other.b} are compared on the cases that both have; "
                f"{other.only_a} of the former and {other.only_b} of the latter are left out."
            )
    if cohort.patients < cohort.benign + cohort.metastatic:
        yield (
            "Some patients have several cases: intervals and shuffles keep a patient's together; "
            "DeLong's test, McNemar's and those of table 1 take cases as independent."
        )
    thin = [
        name
        for name, level in cohort.levels.items()
        if (level.test.smallest_expected or SMALLEST_EXPECTED) < SMALLEST_EXPECTED
    ]
    if thin:
        yield (
            f"Table 1, {', '.join(thin)}: an expected count lies below {SMALLEST_EXPECTED:g}, and "
            "chi-squared is only approximate."
        )


def _row_notes(row: FusedRow) -> Iterator[str]:
    if len(row.stamps) > 1:
        yield (
            f"{row.name} pools {len(row.stamps)} files: AUC ranks the probabilities of several "
            "models together, which need not mean the same; AUC within files takes pairs of one "
            "file alone. Each file is called at its own threshold."
        )
    if row.unlabelled:
        cases = counted(row.unlabelled, "case has", "cases have")
        yield f"{row.name}: {cases} no label and no part in any figure."
    full = "+".join(row.modalities)
    fewer = sum(count for used, count in row.used.items() if used != full)
    if fewer:
        yield (
            f"{row.name}: {fewer} of {counted(len(row.cases), 'case')} answered from fewer "
            "modalities than the network takes."
        )
