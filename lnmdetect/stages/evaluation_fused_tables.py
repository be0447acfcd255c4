"""Fused cases as tables: the figures by modality set, their differences, and table 1."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from lnmdetect.core.wording import counted
from lnmdetect.io.report_view import Table
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.label_permutation import PermutationTest
from lnmdetect.metrics.paired_tests import McNemar, PairedTest
from lnmdetect.stages.evaluation_fused_inputs import modality_words
from lnmdetect.stages.evaluation_fused_result import (
    PUBLISHED,
    FusedResult,
    RowDifference,
)
from lnmdetect.stages.evaluation_fused_table_1 import methods, p_or_reason, table_1
from lnmdetect.stages.evaluation_info import over_patients_sentence
from lnmdetect.stages.evaluation_masks_tables import as_rich
from lnmdetect.stages.evaluation_thresholds import threshold_text
from lnmdetect.stages.figure_tables import short_text, two_lines
from lnmdetect.stages.mask_tables import as_markdown

_UNTESTED = "-"
TABLES = "fused.md"
WITHIN = "AUC within files"
MOST_PAIRS = 10
"""Of five rows, all of which a terminal shows; of more rows, those with the first."""


def fused_tables(result: FusedResult) -> RenderableType:
    """Return all tables, and what to know about them, for a terminal of 80 letters or more."""
    parts: list[RenderableType] = [Text(scored_sentence(result)), _models(result)]
    tables = [*map(_stacked, difference_tables(result, _pairs_shown(result)))]
    tables.append(table_1(result.cohort))
    parts += [as_rich(table, _suffix(result)) for table in tables]
    left_out = len(result.differences) - len(_pairs_shown(result))
    more = f"{counted(left_out, 'more pair')} of rows: in fused_metrics.json (-o) and {TABLES}."
    lines = [*([more] if left_out else []), *below(result)]
    return Group(*parts, *(Text(line) for line in lines))


def fused_markdown(result: FusedResult) -> str:
    """Return the same as Markdown with all pairs of rows, for a paper or a page."""
    tables = [
        _figures(result),
        *difference_tables(result, result.differences),
        table_1(result.cohort),
    ]
    parts = [as_markdown(table, _suffix(result)) for table in tables]
    lines = "\n".join(f"- {line}" for line in below(result))
    return "\n".join([scored_sentence(result) + "\n", *parts, lines]) + "\n"


def _suffix(result: FusedResult) -> str:
    return ", phantom figures" if result.info.phantom else ""


def _pairs_shown(result: FusedResult) -> tuple[RowDifference, ...]:
    if len(result.differences) <= MOST_PAIRS:
        return result.differences
    return tuple(one for one in result.differences if one.a == result.rows[0].name)


def _stacked(table: Table) -> Table:
    """Return the table with what is in brackets below what it belongs to."""
    rows = tuple(tuple(cell.replace(" (", "\n(") for cell in row) for row in table.rows)
    return Table(table.caption, table.columns, rows)


def scored_sentence(result: FusedResult) -> str:
    """Return what was scored, in a sentence."""
    info = result.info
    cases = counted(info.cases, "case")
    return f"{cases} ({info.metastatic} metastatic) of {counted(info.patients, 'patient')}."


_CAPTION = "Metastasis by ultrasound (metastatic = positive), with 95 % intervals over patients"
_RATES = ("sensitivity", "specificity", "accuracy")
_LONG_WORD = 12
"""Letters of a column that holds sensitivity, or an interval, on one line."""


def _pooled(result: FusedResult) -> tuple[str, ...]:
    """Return the column that pooled files have beside AUC."""
    return (WITHIN,) if any(row.auc_within_files is not None for row in result.rows) else ()


def _models(result: FusedResult) -> RichTable:
    """Return the figures of each row for a terminal: intervals and p values below them."""
    rich = RichTable(title=f"{_CAPTION}{_suffix(result)}", title_justify="left")
    rich.add_column("model", overflow="fold")
    for name in (*_RATES, "AUC", *_pooled(result)):
        rich.add_column(name, justify="right", width=_LONG_WORD if name in _RATES[:2] else None)
    for row in result.rows:
        found = row.figures
        within = [row.auc_within_files or found.auc] if _pooled(result) else []
        rates, auc, inside = (
            [_lines(figure) for figure in figures]
            for figures in ((found.tpr, found.tnr, found.accuracy), (found.auc,), within)
        )
        rates[-1] += f"\np {_p(row.permutation.accuracy)}"
        auc[-1] += f"\np {_p(row.permutation.auc)}"
        rich.add_row(row.name, *rates, *auc, *inside)
    return rich


def _figures(result: FusedResult) -> Table:
    """Return the figures of each row for a page."""
    pooled = _pooled(result)
    shuffled = ("p of AUC, labels shuffled", "p of accuracy, labels shuffled")
    columns = ("model", "cases (metastatic)", *_RATES, "AUC", *pooled, *shuffled)
    rows = []
    for row in result.rows:
        found = row.figures
        within = (row.auc_within_files or found.auc,) if pooled else ()
        figures = (found.tpr, found.tnr, found.accuracy, found.auc, *within)
        p_values = _p(row.permutation.auc), _p(row.permutation.accuracy)
        cases = f"{found.n} ({found.confusion.positives})"
        rows.append((row.name, cases, *map(_cell, figures), *p_values))
    return Table(_CAPTION, columns, tuple(rows))


def difference_tables(result: FusedResult, differences: Sequence[RowDifference]) -> Iterator[Table]:
    """Give how AUC differs in each pair of rows, and how their calls do; nothing of one row."""
    if not differences:
        return
    areas = ("AUC", *_pooled(result))
    columns = ("pair", "cases", *areas, "p, DeLong", "p, answers swapped")
    rows = tuple(_areas(one, len(areas)) for one in differences)
    yield Table("AUC of a row less that of another on the same cases", columns, rows)
    calls = tuple(_calls(one) for one in differences if one.comparison is not None)
    if calls:
        columns = ("pair", *_RATES, "p, McNemar")
        yield Table("Calls of a row less those of another on the same cases", columns, calls)


def _pair(one: RowDifference) -> str:
    return f"{one.a} less {one.b}"


def _areas(one: RowDifference, count: int) -> tuple[str, ...]:
    found = one.comparison
    if found is None:
        return _pair(one), "0", f"- ({one.reason})", *[_UNTESTED] * (count + 1)
    areas = (found.auc, one.auc_within_files or found.auc)[:count]
    signed = (_signed(area.difference) for area in areas)
    return _pair(one), str(found.n), *signed, _p(found.delong), _p(found.permutation)


def _calls(one: RowDifference) -> tuple[str, ...]:
    found = one.comparison
    if found is None:
        return ()
    figures = (found.sensitivity, found.specificity, found.accuracy)
    signed = (_signed(figure.difference) for figure in figures)
    return _pair(one), *signed, _p(found.mcnemar["all"])


def _p(test: PermutationTest | PairedTest | McNemar) -> str:
    """Return the p value alone, or why there is none."""
    return p_or_reason(test.p_value, test.reason)


def _lines(figure: Figure) -> str:
    """Return the value, and its interval, or why there is none, below it."""
    return two_lines(figure) if figure.value is not None else f"-\n({figure.reason})"


def _cell(figure: Figure) -> str:
    return f"- ({figure.reason})" if figure.value is None else short_text(figure)


def _signed(figure: Figure) -> str:
    if figure.value is None:
        return f"- ({figure.reason})"
    value, *ends = (
        f"{round(number, 3) + 0.0:+.3f}" for number in (figure.value, *(figure.interval or ()))
    )
    return f"{value} ({' to '.join(ends)})" if ends else value


def below(result: FusedResult) -> Iterator[str]:
    """Give what stands below the tables: where the calls come from, the tests, the notes."""
    for row in result.rows:
        files = ", ".join(stamp.file for stamp in row.files)
        yield (
            f"{row.name}: {files}; network of {modality_words(row.modalities)}; "
            f"{counted(row.figures.n, 'case')} ({row.figures.confusion.positives} metastatic); "
            f"threshold on P(metastatic) {threshold_text(row.threshold)}."
        )
    info = result.info
    yield f"Intervals: {over_patients_sentence(info.resamples, info.seed)}."
    if info.resamples:
        yield (
            "p of AUC and of accuracy, labels shuffled: (1 + C) / (1 + n) with C of "
            f"n = {info.resamples} shuffles scoring no less than truth, as scikit-learn's "
            "permutation_test_score; the predictions stay."
        )
    if result.differences:
        yield (
            "p of a pair: DeLong's, of AUC; answers swapped, of AUC with those of whole patients "
            "swapped between the two; McNemar's, of right and wrong calls."
        )
    yield from methods(result.cohort)
    published = (
        f"{one.row}: {_auc_text(one.auc)}sensitivity {one.sensitivity:g}, "
        f"specificity {one.specificity:g}"
        for one in PUBLISHED
    )
    yield f"Published ({PUBLISHED[0].source}): {'; '.join(published)}."
    yield from (f"Note: {note}" for note in info.notes)


def _auc_text(auc: float | None) -> str:
    return "" if auc is None else f"AUC {auc:g}, "
