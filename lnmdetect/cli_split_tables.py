"""Folds and what an audit of them found, as rich tables."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect.core.folds import Balance, FoldCounts, FoldSet
from lnmdetect.core.wording import counted

if TYPE_CHECKING:
    from lnmdetect.datasets.leaks import Leak
    from lnmdetect.stages.split_audit import AuditResult, Check

_SHOWN_LEAKS = 20
_SHOWN_IDS = 5
_COUNTS = ("patients", "images", "boxes", "benign", "metastatic", "unknown")


def fold_tables(folds: FoldSet) -> RenderableType:
    """Return what each fold holds, how evenly, and the warning where there is one."""
    parts: list[RenderableType] = [_counts_table(folds)]
    if folds.balance:
        parts.append(_balance_table(folds))
    if folds.warning is not None:
        parts.append(Text(f"Warning: {folds.warning}."))
    return Group(*parts, Text(folds.rule))


def _counts_table(folds: FoldSet) -> Table:
    optimistic = ", OPTIMISTIC (wang2023)" if folds.warning else ""
    phantom = ", phantoms" if folds.is_phantom else ""
    table = Table(title=f"Folds, seed {folds.seed}{phantom}{optimistic}", title_justify="left")
    table.add_column("fold")
    shown = [n for n in _COUNTS if n != "unknown" or any(map(_unknown, _counted(folds)))]
    for name in shown:
        table.add_column(name, justify="right")
    for fold in folds.folds:
        if fold.counts is not None:
            table.add_row(fold.name, *(f"{getattr(fold.counts, name)}" for name in shown))
    table.add_section()
    sums = {name: sum(getattr(c, name) for c in _counted(folds)) for name in shown}
    sums["patients"] = len(folds.patients())
    table.add_row("all", *(f"{sums[name]}" for name in shown))
    return table


def _counted(folds: FoldSet) -> Iterator[FoldCounts]:
    return (fold.counts for fold in folds.folds if fold.counts is not None)


def _unknown(counts: FoldCounts) -> int:
    return counts.unknown


def _balance_table(folds: FoldSet) -> Table:
    table = Table(title="Largest distance of a fold from its even share", title_justify="left")
    table.add_column("of")
    table.add_column("here", justify="right")
    table.add_column("random deal (median)", justify="right")
    for row in folds.balance:
        here, random = (f"{100 * value:.1f} %" for value in (row.deviation, row.random_deviation))
        table.add_row(_amount(row), here, random)
    return table


def _amount(row: Balance) -> str:
    if not row.column:
        return row.of
    with_it = "with " if row.of == "patients" else ""
    return f"{row.of} {with_it}{row.column} {row.value}"


def audit_tables(result: "AuditResult") -> RenderableType:
    """Return which comparisons were made, and what stands in two parts."""
    title = f"Audit of {counted(len(result.parts), 'part')}"
    table = Table(title=title, title_justify="left")
    for name in ("in two parts", "slices compared", "found", ""):
        table.add_column(name, justify="right" if name in ("slices compared", "found") else "left")
    for check in result.checks:
        table.add_row(check.name, *_check_cells(check))
    parts: list[RenderableType] = [_parts_table(result), table]
    for title, leaks in (("Leaks", result.leaks), ("Warnings", result.warnings)):
        if leaks:
            parts.append(_leaks_table(title, leaks))
    return Group(*parts)


def _parts_table(result: "AuditResult") -> Table:
    table = Table()
    table.add_column("part")
    table.add_column("patients", justify="right")
    table.add_column("images", justify="right")
    for part in result.parts:
        table.add_row(part.name, f"{part.patients}", f"{part.images}")
    return table


def _check_cells(check: "Check") -> tuple[str, str, str]:
    if check.compared is None:
        return "not made", "", check.remark
    remark = "warning only" if check.only_warns and check.found else check.remark
    return f"{check.compared}", f"{check.found}", remark


def _leaks_table(title: str, leaks: "Sequence[Leak]") -> Table:
    """Return a row for each kind of leak between the same patients and parts."""
    rows: dict[tuple[str, ...], dict[str, list[int]]] = {}
    for leak in leaks:
        key = (leak.kind, ", ".join(leak.patients), *leak.images)
        for part, ids in leak.images.items():
            rows.setdefault(key, {}).setdefault(part, []).extend(ids)
    more = len(rows) - _SHOWN_LEAKS
    caption = f"and {more} more rows: lnmdetect split --audit --json" if more > 0 else None
    table = Table(title=title, title_justify="left", caption=caption)
    for name in ("what", "of patient", "images (ids)"):
        table.add_column(name)
    for (kind, patients, *_), images in list(rows.items())[:_SHOWN_LEAKS]:
        where = (f"{part}: {_ids(sorted(set(ids)))}" for part, ids in images.items())
        table.add_row(kind, patients, "; ".join(where))
    return table


def _ids(ids: Sequence[int]) -> str:
    more = len(ids) - _SHOWN_IDS
    return " ".join(map(str, ids[:_SHOWN_IDS])) + (f" and {more} more" if more > 0 else "")


def leak_sentence(result: "AuditResult") -> str:
    """Return in one sentence what was found."""
    found = [*result.leaks, *(result.warnings if result.strict else ())]
    counts: dict[str, int] = {}
    for leak in found:
        counts[leak.kind] = counts.get(leak.kind, 0) + 1
    named = ", ".join(f"{count} x {kind}" for kind, count in counts.items())
    return f"These parts leak: {named}. Figures from them are optimistic; deal by patient anew."
