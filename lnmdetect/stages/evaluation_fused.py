"""`eval --fused`: figures of ultrasound cases by modality set, from fused.json alone; no torch."""

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lnmdetect import __version__
from lnmdetect.core.errors import UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.io.json_files import write_json
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.metrics.answers import Answers
from lnmdetect.metrics.classification import classification
from lnmdetect.metrics.comparison import Compared, compare_classes
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.label_permutation import label_permutation
from lnmdetect.metrics.paired_tests import difference_figure
from lnmdetect.metrics.ranked_nodes import missing_class
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.stratified_auc import areas_within
from lnmdetect.stages.evaluation_fused_cohort import cohort_table
from lnmdetect.stages.evaluation_fused_figures import (
    refuse_existing_figures,
    write_fused_figures,
)
from lnmdetect.stages.evaluation_fused_inputs import FusedRow, read_rows
from lnmdetect.stages.evaluation_fused_notes import fused_notes
from lnmdetect.stages.evaluation_fused_request import TRAININGS, FusedRequest
from lnmdetect.stages.evaluation_fused_result import (
    FusedInfo,
    FusedResult,
    RowDifference,
    RowFigures,
)
from lnmdetect.stages.evaluation_info import over_patients_sentence
from lnmdetect.stages.evaluation_optimism import flattery
from lnmdetect.stages.export_files import check_output

CASE = "case"


def evaluate_fused(request: FusedRequest, progress: Progress = SILENT) -> FusedResult:
    """Return the figures of each row, and write what the request asks for.

    Raises:
        InputError: a file cannot be used, a case is pooled twice, rows contradict each other; or a
            model was trained or tuned on patients that are scored, and the request does not say
            `optimistic`.
        UsageError: two rows hold the same files, or the output is one of them; or there is
            no folder for the curves of trainings.
        OutputError: an output exists, or cannot be written.
    """
    if request.output is not None:
        inputs = [path for row in request.rows for path in row.paths]
        check_output(request.output, inputs, overwrite=request.overwrite)
    if request.curves and request.figures is None:
        raise UsageError(
            TRAININGS,
            expected="--figures beside it",
            got="none",
            remedy="Give the folder for the figures with --figures.",
        )
    if request.figures is not None:
        refuse_existing_figures(request.figures, overwrite=request.overwrite)
    record = RunRecord("eval --fused", _config(request), seed=request.seed)
    rows = read_rows(request)
    warnings = flattery(rows, optimistic=request.optimistic, threshold_replaced=False)
    record.lap("read")
    result = _result(request, rows, warnings, progress)
    record.lap("score")
    if request.figures is not None:
        write_fused_figures(
            result, request.figures, trainings=request.curves, overwrite=request.overwrite
        )
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
    pairs = list(combinations(rows, 2))
    differences = tuple(
        difference(a, b, bootstrap=request.bootstrap, seed=request.seed)
        for a, b in progress.track(pairs, description="comparing")
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
        notes=(*warnings, *fused_notes(request, rows, differences, cohort)),
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
