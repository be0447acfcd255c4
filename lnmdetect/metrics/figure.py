"""A measured number that may be undefined, and its form in JSON."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

Interval = tuple[float, float]

OVER_PATIENTS = "bootstrap over patients"
"""Method of an interval whose resamples hold all of a patient or nothing."""


@dataclass(frozen=True)
class Figure:
    """One measured number; where it is undefined, None and the reason, never 0 or NaN.

    Attributes:
        value: the number, None where it is undefined.
        reason: why it is undefined, or why it is what it is (as 0 without any detection).
        interval: 95 % interval, (low, high), that allows for several boxes of one patient.
        interval_method: how the interval came about, or why there is none.
        independent_interval: 95 % interval that takes every case as independent.
        independent_method: how that came about: DeLong, Wilson.
        n: what a share is a share of.
    """

    value: float | None
    reason: str | None = None
    interval: Interval | None = None
    interval_method: str | None = None
    independent_interval: Interval | None = None
    independent_method: str | None = None
    n: int | None = None

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("figure: expected a reason beside an undefined value, got none")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"figure: expected a finite value, got {self.value}")

    def to_json(self) -> dict[str, Any]:
        """Return `value`, and the other fields where they are set."""
        told = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "value"}
        kept = {name: item for name, item in told.items() if item is not None}
        return {"value": self.value, **figures_to_json(kept)}


def undefined(reason: str) -> Figure:
    """Return the figure that has no value, for `reason`."""
    return Figure(None, reason)


def figures_to_json(value: Any) -> Any:
    """Return dataclasses, mappings and tuples of figures as what JSON can hold."""
    if isinstance(value, Figure):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: figures_to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): figures_to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [figures_to_json(item) for item in value]
    return value
