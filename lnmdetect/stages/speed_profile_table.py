"""Rows of the family `profile` as cells of a table: a column for each group of operators."""

from collections.abc import Callable, Mapping

from lnmdetect.stages.speed_operators import GROUPS, PRODUCTS
from lnmdetect.stages.speed_result import Fact, SpeedRow

DASH = "-"
HEADINGS = (
    "what",
    *GROUPS.values(),
    "products: GFLOP/s",
    "peak: GFLOP/s",
    "of the peak",
    "largest",
)


def cells(row: SpeedRow) -> tuple[str, ...]:
    """Return the cells of a row under `HEADINGS`; of products in int8 those in it follow."""
    facts = row.facts
    known = facts.get("peak_precision")
    peak = _number(facts.get("peak_gflop_a_s"))
    groups = {group: _percent(facts.get(group)) for group in GROUPS}
    if "products_in_int8" in facts:
        groups[PRODUCTS] += f", {_percent(facts['products_in_int8'])} of them in int8"
    return (
        row.label,
        *groups.values(),
        _with_layers(_number, facts, "gflop_a_s"),
        peak if known is None else f"{peak} ({known})",
        _with_layers(_percent, facts, "share_of_peak"),
        str(facts.get("largest", DASH)),
    )


def _with_layers(written: Callable[[Fact | None], str], facts: Mapping[str, Fact], of: str) -> str:
    """Return a fact of all products, and that of the layers of another library alone."""
    every, own = facts.get(f"products_{of}"), facts.get(f"layers_{of}")
    return written(every) if own is None else f"{written(every)}, its layers {written(own)}"


def _number(value: Fact | None) -> str:
    return f"{value:.0f}" if isinstance(value, float) else DASH


def _percent(share: Fact | None) -> str:
    return f"{100 * share:.0f} %" if isinstance(share, float) else DASH
