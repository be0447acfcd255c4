"""What `lnmdetect speed` measured: times of each round, and ratios of times of the same rounds."""

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lnmdetect.io.machine_facts import MachineFacts

Fact = float | int | str
NO_BAR_AT_THESE_THREADS = "the bar is of 2 threads"
NO_BAR_AT_THIS_SIZE = "the bar is of full width at 512 px"


@dataclass(frozen=True)
class Timing:
    """The times of one candidate.

    Attributes:
        seconds: a round each, at least one.
    """

    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.seconds or not all(second > 0 for second in self.seconds):
            raise ValueError(f"timing: expected times above 0 s, got {self.seconds}")

    @property
    def median_s(self) -> float:
        """The middle round."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """How far the slowest and the fastest round lie apart, as a share of the median."""
        return (max(self.seconds) - min(self.seconds)) / self.median_s

    def to_json(self) -> dict[str, Any]:
        """Return the figures and the rounds that they are of."""
        return {
            "rounds": len(self.seconds),
            "median_s": _digits(self.median_s),
            "min_s": _digits(min(self.seconds)),
            "spread": _digits(self.spread),
            "seconds": [_digits(second) for second in self.seconds],
        }


@dataclass(frozen=True)
class Figure:
    """A ratio of two candidates' times.

    Attributes:
        value: of their medians.
        low, high: smallest and largest ratio within a round.
    """

    value: float
    low: float
    high: float

    def times(self, factor: float) -> "Figure":
        """Return the figure in another unit."""
        return Figure(self.value * factor, self.low * factor, self.high * factor)


def ratio(above: Timing, below: Timing) -> Figure:
    """Return how many times longer `above` takes than `below`, round by round of one run."""
    rounds = [a / b for a, b in zip(above.seconds, below.seconds, strict=True)]
    return Figure(above.median_s / below.median_s, min(rounds), max(rounds))


@dataclass(frozen=True)
class Bar:
    """What a figure is to reach.

    Attributes:
        kind: which side of `limit` is good.
    """

    limit: float
    kind: Literal["at_least", "at_most"]

    def is_reached_by(self, value: float) -> bool:
        """Return whether a figure, unrounded, reaches it."""
        return value >= self.limit if self.kind == "at_least" else value <= self.limit


@dataclass(frozen=True)
class SpeedRow:
    """One figure of the table.

    Attributes:
        name: unique; family: what it was timed together with.
        label: what was measured. unit: of `figure`, in words.
        figure: None where it could not be measured, or is the reference of others; `reason` says
            which.
        bar: None where none is set.
        timing: of what the label says.
        facts: what else is known of it, by name with its unit.
    """

    name: str
    family: str
    label: str
    unit: str
    figure: Figure | None
    bar: Bar | None = None
    reason: str = ""
    timing: Timing | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        """Whether the figure reaches the bar; None where one of both is missing."""
        if self.bar is None or self.figure is None:
            return None
        return self.bar.is_reached_by(self.figure.value)

    def to_json(self) -> dict[str, Any]:
        """Return the row as data_specs/bench.schema.json has it."""
        figure = self.figure
        return {
            "name": self.name,
            "family": self.family,
            "label": self.label,
            "unit": self.unit,
            "value": None if figure is None else _digits(figure.value),
            "range": None if figure is None else [_digits(figure.low), _digits(figure.high)],
            "bar": None if self.bar is None else asdict(self.bar),
            "reached": self.reached,
            "reason": self.reason or ("" if self.bar else "no bar is set"),
            "timing": None if self.timing is None else self.timing.to_json(),
            "facts": {k: _digits(v) if isinstance(v, float) else v for k, v in self.facts.items()},
        }


@dataclass(frozen=True)
class SpeedResult:
    """All rows of one run.

    Attributes:
        date: ISO 8601, UTC. seconds: the whole run took.
        settings: what was asked for.
        machine: when it began.
    """

    lnmdetect: str
    date: str
    seconds: float
    settings: Mapping[str, Any]
    machine: MachineFacts
    rows: tuple[SpeedRow, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the result as data_specs/bench.schema.json has it."""
        return {
            "lnmdetect": self.lnmdetect,
            "date": self.date,
            "seconds": round(self.seconds, 1),
            "settings": dict(self.settings),
            "machine": self.machine.to_json(),
            "notes": list(self.notes),
            "rows": [row.to_json() for row in self.rows],
        }


def _digits(value: float) -> float:
    """Return four digits: more would be noise."""
    return float(f"{value:.4g}")
