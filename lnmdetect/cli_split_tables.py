"""Folds and what an audit of them found, as rich tables."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect.core.folds import Balance, FoldCounts, FoldSet

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
