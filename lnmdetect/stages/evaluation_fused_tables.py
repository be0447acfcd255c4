"""Fused cases as tables: the figures by modality set, their differences, and table 1."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from lnmdetect.core.wording import counted
from lnmdetect.io.report_view import Table
from lnmdetect.metrics.cohort_table import LevelRow, NumberRow, Spread
from lnmdetect.metrics.comparison import ClassComparison, Compared
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.group_tests import GroupTest
from lnmdetect.metrics.label_permutation import PermutationTest
from lnmdetect.metrics.paired_tests import McNemar, PairedTest
from lnmdetect.stages.comparison_tables import p_text
from lnmdetect.stages.evaluation_fused_inputs import modality_words
from lnmdetect.stages.evaluation_fused_result import (
    PUBLISHED,
    CohortTable,
    FusedResult,
    RowDifference,
    RowFigures,
)
from lnmdetect.stages.evaluation_info import over_patients_sentence
from lnmdetect.stages.evaluation_masks_tables import as_rich
from lnmdetect.stages.evaluation_thresholds import threshold_text
from lnmdetect.stages.figure_tables import short_text
from lnmdetect.stages.mask_tables import as_markdown

_NUMBERS = {"age_years": "age, years", "max_size_mm": "maximum size, mm"}
_UNTESTED = "-"
WITHIN = "AUC within files"


def fused_tables(result: FusedResult) -> RenderableType:
    """Return all tables, and what to know about them, for a terminal."""
    parts: list[RenderableType] = [Text(scored_sentence(result))]
    parts += [as_rich(table, _suffix(result)) for table in text_tables(result)]
    return Group(*parts, *(Text(line) for line in below(result)))


def fused_markdown(result: FusedResult) -> str:
    """Return the same as Markdown, for a paper or a page."""
    tables = [as_markdown(table, _suffix(result)) for table in text_tables(result)]
    lines = "\n".join(f"- {line}" for line in below(result))
    return "\n".join([scored_sentence(result) + "\n", *tables, lines]) + "\n"


def _suffix(result: FusedResult) -> str:
    return ", phantom figures" if result.info.phantom else ""


def scored_sentence(result: FusedResult) -> str:
    """Return what was scored, in a sentence."""
    info = result.info
    cases = counted(info.cases, "case")
    return f"{cases} ({info.metastatic} metastatic) of {counted(info.patients, 'patient')}."


def text_tables(result: FusedResult) -> Iterator[Table]:
    """Give the figures of each row, the differences where there are several, and table 1."""
    pooled = any(row.auc_within_files is not None for row in result.rows)
    rows = tuple(_figures(row, pooled=pooled) for row in result.rows)
    within = (WITHIN,) if pooled else ()
    rates = ("sensitivity", "specificity", "accuracy")
    columns = ("model", "cases (metastatic)", *rates, "AUC", *within)
    shuffled = ("p of AUC, labels shuffled", "p of accuracy, labels shuffled")
    caption = "Metastasis by ultrasound (metastatic = positive), with 95 % intervals over patients"
    yield Table(caption, (*columns, *shuffled), rows)
    if result.differences:
        yield _differences(result)
    yield _cohort(result.cohort)


def _figures(row: RowFigures, *, pooled: bool) -> tuple[str, ...]:
    found = row.figures
    within = (row.auc_within_files or found.auc,) if pooled else ()
    figures = (found.tpr, found.tnr, found.accuracy, found.auc, *within)
    return (
        row.name,
        f"{found.n} ({found.confusion.positives})",
        *map(_cell, figures),
        _p(row.permutation.auc),
        _p(row.permutation.accuracy),
    )


def _differences(result: FusedResult) -> Table:
    pooled = any(one.auc_within_files is not None for one in result.differences)
    within = (WITHIN,) if pooled else ()
    columns = ("less", "cases", "AUC", *within, "p, DeLong", "p, patients' answers swapped")
    calls = ("sensitivity", "specificity", "accuracy", "p of the calls, McNemar")
    rows = tuple(_difference(one, pooled=pooled) for one in result.differences)
    caption = f"{result.rows[0].name}, less each other model on the same cases"
    return Table(caption, (*columns, *calls), rows)


def _difference(one: RowDifference, *, pooled: bool) -> tuple[str, ...]:
    found = one.comparison
    if found is None:
        return one.b, "0", f"- ({one.reason})", *[_UNTESTED] * (7 if pooled else 6)
    within = () if not pooled else (one.auc_within_files or found.auc,)
    return one.b, str(found.n), *_compared(found, within)


def _compared(found: ClassComparison, within: tuple[Compared, ...]) -> Iterator[str]:
    for areas in (found.auc, *within):
        yield _signed(areas.difference)
    yield _p(found.delong)
    yield _p(found.permutation)
    for figure in (found.sensitivity, found.specificity, found.accuracy):
        yield _signed(figure.difference)
    yield _p(found.mcnemar["all"])


def _cohort(cohort: CohortTable) -> Table:
    columns = ("", f"benign ({cohort.benign})", f"metastatic ({cohort.metastatic})", "p", "test")
    rows: list[tuple[str, ...]] = []
    for name, numbers in cohort.numbers.items():
        rows += _number_rows(_NUMBERS[name], numbers)
    for name, levels in cohort.levels.items():
        rows += _level_rows(name, levels, (cohort.benign, cohort.metastatic))
    return Table("Table 1, cases by class", columns, tuple(rows))


def _number_rows(name: str, row: NumberRow) -> Iterator[tuple[str, ...]]:
    groups = (row.benign, row.metastatic)
    yield f"{name}, median (quartiles)", *map(_quartiles, groups), _p(row.test), _method(row.test)
    yield f"{name}, mean ± SD", *map(_mean, groups), "", ""
    if any(group.unknown for group in groups):
        yield f"{name}, not known", *(str(group.unknown) for group in groups), "", ""


def _level_rows(name: str, row: LevelRow, totals: tuple[int, int]) -> Iterator[tuple[str, ...]]:
    yield name, "", "", _p(row.test), _method(row.test)
    for level, counts in row.levels.items():
        yield f"{name}: {' '.join(level.split())}", *map(_of, counts, totals), "", ""
    if any(row.unknown):
        yield f"{name}: not known", *map(_of, row.unknown, totals), "", ""


def _of(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.1f} %)" if total else "0"


def _quartiles(group: Spread) -> str:
    if group.median is None:
        return _UNTESTED
    return f"{group.median:.1f} ({group.q1:.1f} to {group.q3:.1f})"


def _mean(group: Spread) -> str:
    if group.mean is None:
        return _UNTESTED
    return f"{group.mean:.1f}" + ("" if group.sd is None else f" ± {group.sd:.1f}")


def _method(test: GroupTest) -> str:
    return test.method if test.p_value is not None else ""


def _p(test: PermutationTest | PairedTest | McNemar | GroupTest) -> str:
    """Return the p value alone, or why there is none."""
    if test.p_value is None:
        return f"- ({test.reason})"
    return p_text(test.p_value).removeprefix("p ").removeprefix("= ")


def _cell(figure: Figure) -> str:
    return f"- ({figure.reason})" if figure.value is None else short_text(figure)


def _signed(figure: Figure) -> str:
    if figure.value is None:
        return f"- ({figure.reason})"
    if figure.interval is None:
        return f"{figure.value:+.3f}"
    low, high = figure.interval
    return f"{figure.value:+.3f} ({low:+.3f} to {high:+.3f})"


def below(result: FusedResult) -> Iterator[str]:
    """Give what stands below the tables: where the calls come from, the tests, the notes."""
    for row in result.rows:
        files = ", ".join(stamp.file for stamp in row.files)
        yield (
            f"{row.name}: {files}; network of {modality_words(row.modalities)}; threshold on "
            f"P(metastatic) {threshold_text(row.threshold)}."
        )
    info = result.info
    yield f"Intervals: {over_patients_sentence(info.resamples, info.seed)}."
    if info.resamples:
        yield (
            f"p, labels shuffled: (1 + C) / (1 + n) with C of n = {info.resamples} shuffles "
            "scoring no less than truth, as scikit-learn's permutation_test_score; the "
            "predictions stay."
        )
    published = (
        f"{one.row}: {_auc_text(one.auc)}sensitivity {one.sensitivity:g}, "
        f"specificity {one.specificity:g}"
        for one in PUBLISHED
    )
    yield f"Published ({PUBLISHED[0].source}): {'; '.join(published)}."
    yield from (f"Note: {note}" for note in info.notes)


def _auc_text(auc: float | None) -> str:
    return "" if auc is None else f"AUC {auc:g}, "
