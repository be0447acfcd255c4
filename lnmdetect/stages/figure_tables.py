"""Figures as text and as rows of rich tables."""

from collections.abc import Sequence

from rich.table import Table

from lnmdetect.metrics.figure import Figure

Row = tuple[str, Figure]


def figure_table(title: str, rows: Sequence[Row]) -> Table:
    """Return a table of named figures with intervals, or reasons, and what each rests on."""
    table = Table(title=title, title_justify="left")
    beside = any(figure.independent_interval is not None for _, figure in rows)
    table.add_column("Figure")
    independent = ["as if independent"] if beside else []
    for name in ("Value", "95 % interval or reason", *independent, "n"):
        table.add_column(name, justify="right")
    for name, figure in rows:
        cells = [*figure_text(figure), *([_independent_text(figure)] if beside else [])]
        table.add_row(name, *cells, "" if figure.n is None else str(figure.n))
    return table


def _independent_text(figure: Figure) -> str:
    if figure.independent_interval is None:
        return ""
    low, high = figure.independent_interval
    return f"({low:.3f} to {high:.3f})"


def figure_text(figure: Figure) -> tuple[str, str]:
    """Return the value and, beside it, the interval or the reason."""
    value = "undefined" if figure.value is None else f"{figure.value:.3f}"
    if figure.reason is not None:
        return value, figure.reason
    if figure.interval is None:
        return value, figure.interval_method or ""
    low, high = figure.interval
    return value, f"{low:.3f} to {high:.3f}"


def two_lines(figure: Figure) -> str:
    """Return the value, and its interval below it."""
    if figure.value is None or figure.interval is None:
        return short_text(figure)
    return f"{figure.value:.3f}\n{figure.interval[0]:.2f} to {figure.interval[1]:.2f}"


def short_text(figure: Figure | None) -> str:
    """Return the value with its interval in brackets; a dash where it is undefined."""
    if figure is None or figure.value is None:
        return "-"
    if figure.interval is None:
        return f"{figure.value:.3f}"
    low, high = figure.interval
    return f"{figure.value:.3f} ({low:.2f} to {high:.2f})"
