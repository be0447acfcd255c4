"""Table 1 of an evaluation of fused cases as text: a heading a quality, its rows below it."""

from collections.abc import Iterator

from lnmdetect.io.report_view import Table
from lnmdetect.metrics.cohort_table import OTHER, LevelRow, NumberRow, Spread
from lnmdetect.metrics.group_tests import GroupTest
from lnmdetect.stages.comparison_tables import p_text
from lnmdetect.stages.evaluation_fused_result import CohortTable

_TITLES = {"age_years": "age, years", "max_size_mm": "maximum size, mm"}
_INDENT = "\N{NO-BREAK SPACE}" * 2
"""Which Markdown keeps."""
_NONE = "-"


def table_1(cohort: CohortTable) -> Table:
    """Return benign beside metastatic cases, the p value of each quality beside its heading."""
    columns = ("", f"benign ({cohort.benign})", f"metastatic ({cohort.metastatic})", "p")
    totals = (cohort.benign, cohort.metastatic)
    rows: list[tuple[str, ...]] = []
    for name, numbers in cohort.numbers.items():
        rows += _number_rows(_TITLES[name], numbers)
    for name, levels in cohort.levels.items():
        rows += _level_rows(name, levels, totals)
    return Table("Table 1, cases by class", columns, tuple(rows))


def methods(cohort: CohortTable) -> Iterator[str]:
    """Give by which test the p values of table 1 are, in one sentence; nothing without any."""
    tested: dict[str, list[str]] = {}
    tests = {name: row.test for name, row in cohort.numbers.items()}
    tests |= {name: row.test for name, row in cohort.levels.items()}
    for name, test in tests.items():
        if test.p_value is not None:
            tested.setdefault(test.method, []).append(_TITLES.get(name, name).split(",")[0])
    if tested:
        told = (f"{method} ({', '.join(names)})" for method, names in tested.items())
        yield f"p of table 1: {'; '.join(told)}."


def p_or_reason(p_value: float | None, reason: str | None) -> str:
    """Return the p value alone, or why there is none."""
    if p_value is None:
        return f"- ({reason})"
    return p_text(p_value).removeprefix("p ").removeprefix("= ")


def _heading(title: str, test: GroupTest) -> tuple[str, ...]:
    return title, "", "", p_or_reason(test.p_value, test.reason)


def _number_rows(title: str, row: NumberRow) -> Iterator[tuple[str, ...]]:
    groups = (row.benign, row.metastatic)
    yield _heading(title, row.test)
    yield f"{_INDENT}median (quartiles)", *map(_quartiles, groups), ""
    yield f"{_INDENT}mean ± SD", *map(_mean, groups), ""
    if any(group.unknown for group in groups):
        yield f"{_INDENT}not known", *(str(group.unknown) for group in groups), ""


def _level_rows(title: str, row: LevelRow, totals: tuple[int, int]) -> Iterator[tuple[str, ...]]:
    yield _heading(f"{title}, cases (%)", row.test)
    others = row.different - len(row.levels) + 1
    for level, counts in row.levels.items():
        several = f", {others} different" if level == OTHER and others > 1 else ""
        yield f"{_INDENT}{level}{several}", *map(_of, counts, totals), ""
    if any(row.unknown):
        yield f"{_INDENT}not known", *map(_of, row.unknown, totals), ""


def _of(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.1f} %)" if total else "0"


def _quartiles(group: Spread) -> str:
    if group.median is None:
        return _NONE
    return f"{group.median:.1f} ({group.q1:.1f} to {group.q3:.1f})"


def _mean(group: Spread) -> str:
    if group.mean is None:
        return _NONE
    return f"{group.mean:.1f}" + ("" if group.sd is None else f" ± {group.sd:.1f}")
