"""What a reader of the figures of fused cases must know."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lnmdetect.core.wording import counted
from lnmdetect.metrics.group_tests import SMALLEST_EXPECTED
from lnmdetect.stages.comparison import MANY_TESTS
from lnmdetect.stages.evaluation_fused_inputs import FusedRow
from lnmdetect.stages.evaluation_fused_request import FusedRequest
from lnmdetect.stages.evaluation_fused_result import CohortTable, RowDifference
from lnmdetect.stages.evaluation_info import resample_notes


def fused_notes(
    request: FusedRequest,
    rows: Sequence[FusedRow],
    differences: Sequence[RowDifference],
    cohort: CohortTable,
) -> Iterator[str]:
    """Give what to know, a sentence or two each."""
    if rows[0].phantom:
        yield "Phantom figures: the images are synthetic and say nothing about patients."
    yield from resample_notes(cohort.patients, request.bootstrap)
    if len(rows) > 1:
        yield MANY_TESTS
    yield from _pool_notes(rows)
    for row in rows:
        yield from _row_notes(row)
    yield from _pair_notes(differences)
    for row in rows:
        yield from _best_single(row, rows, differences)
    yield from _cohort_notes(cohort)


def _pair_notes(differences: Sequence[RowDifference]) -> Iterator[str]:
    left_out = [
        f"{one.only_a} of {one.a} and {one.only_b} of {one.b}"
        for one in differences
        if one.comparison is not None and (one.only_a or one.only_b)
    ]
    if left_out:
        yield f"Pairs are compared on the cases that both have; left out: {'; '.join(left_out)}."


def _best_single(
    row: FusedRow, rows: Sequence[FusedRow], differences: Sequence[RowDifference]
) -> Iterator[str]:
    """Give by how much a network of several modalities leads whichever single one is best.

    Above the best is above each: the lowest of the intervals is one for the best, which need not be
    known (intersection-union: Berger 1982, Technometrics 24:295).
    """
    singles = {other.name for other in rows if len(other.modalities) == 1}
    if len(row.modalities) == 1 or len(singles) < 2:
        return
    leads = [
        lead
        for one in differences
        if row.name in (one.a, one.b) and singles & {one.a, one.b} and (lead := _lead(one, row))
    ]
    if len(leads) < len(singles):
        return
    least, least_of = min((lead.least, lead.over) for lead in leads)
    low, low_of = min((lead.low, lead.over) for lead in leads)
    yield (
        f"{row.name} less the best single modality, whichever that is (none is picked on these "
        f"cases): AUC {least:+.3f} at least (less {least_of}), and the interval starts at "
        f"{low:+.3f}, the lowest start of all (less {low_of})."
    )


@dataclass(frozen=True)
class _Lead:
    """By how much a row leads another in AUC: as found, and where the interval starts."""

    over: str
    least: float
    low: float


def _lead(one: RowDifference, row: FusedRow) -> _Lead | None:
    areas = None if one.comparison is None else one.comparison.auc.difference
    if areas is None or areas.value is None or areas.interval is None:
        return None
    if one.a == row.name:
        return _Lead(one.b, areas.value, areas.interval[0])
    return _Lead(one.a, -areas.value, -areas.interval[1])


def _cohort_notes(cohort: CohortTable) -> Iterator[str]:
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


def _pool_notes(rows: Sequence[FusedRow]) -> Iterator[str]:
    pooled = [f"{row.name}: {len(row.stamps)}" for row in rows if len(row.stamps) > 1]
    if pooled:
        yield (
            f"Files pooled ({'; '.join(pooled)}): AUC ranks the probabilities of several models "
            "together, which need not mean the same; AUC within files takes pairs of one file "
            "alone. Each file is called at its own threshold."
        )


def _row_notes(row: FusedRow) -> Iterator[str]:
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
