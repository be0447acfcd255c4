"""Results as rich tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from lnmdetect.stages.anchor_coverage import Coverage, MissedNode, SetCoverage

_SHOWN_MISSES = 5


def percent(share: float | None) -> str:
    """Return a share as text, a dash where there is none."""
    return "-" if share is None else f"{100 * share:.1f} %"


def coverage_table(sets: Sequence[SetCoverage]) -> Table:
    """Return the coverage of each anchor set: by shape, on the grid, and on the grid by size."""
    table = Table(title=f"Best IoU with an anchor, {sets[0].on_grid.boxes} boxes")
    table.add_column("")
    for row in sets:
        table.add_column(row.name, justify="right")
    table.add_row("sizes, px", *(" ".join(f"{size:.3g}" for size in row.sizes_px) for row in sets))
    _add_coverage(table, "by shape", [row.by_shape for row in sets])
    _add_coverage(table, "on the grid", [row.on_grid for row in sets])
    for group, coverage in sets[0].by_size_mm.items():
        shares = (percent(row.by_size_mm[group].reached) for row in sets)
        table.add_row(f">= 0.5, {group} mm (n = {coverage.boxes})", *shares)
    return table


def _add_coverage(table: Table, name: str, coverages: Sequence[Coverage]) -> None:
    means = ("-" if c.mean_iou is None else f"{c.mean_iou:.3f}" for c in coverages)
    table.add_section()
    table.add_row(f"{name}: mean", *means)
    table.add_row(">= 0.5", *(percent(c.reached) for c in coverages))
    table.add_row(">= 0.7", *(percent(c.positive) for c in coverages))


def recipe_text(recipe: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the keys of a recipe as YAML."""
    lines = ["For the recipe:"]
    for part, keys in recipe.items():
        lines += [f"{part}:", *(f"  {key}: {_yaml(value)}" for key, value in keys.items())]
    return "\n".join(lines)


def _yaml(value: Any) -> str:
    return "null" if value is None else str(value)


def missed_text(missed: Sequence[MissedNode]) -> str:
    """Return which nodes no anchor of the fitted set reaches, the smallest few by name."""
    if not missed:
        return "A fitted anchor reaches every node (IoU >= 0.5 in one cross-section or more)."
    named = "; ".join(
        f"{node.patient} {node.node} ({node.short_axis_mm:.1f} mm, best IoU {node.best_iou:.2f})"
        for node in missed[:_SHOWN_MISSES]
    )
    more = f"; and {len(missed) - _SHOWN_MISSES} more" if len(missed) > _SHOWN_MISSES else ""
    return f"Nodes that no fitted anchor reaches ({len(missed)}): {named}{more}."
