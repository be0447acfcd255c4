"""From the times of one run to rows of the table: every figure is a ratio with a reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lnmdetect.stages.speed_result import Bar, Fact, SpeedRow, ratio
from lnmdetect.stages.speed_rounds import Rounds

IS_REFERENCE = "the reference of the other rows"
KEPT = "the same, with lnmdetect's setting of memory"
"""Label of a reference in a process that begins as lnmdetect's: which part of our figures that
setting is."""


@dataclass(frozen=True)
class Comparison:
    """How the candidates of a family are compared.

    Attributes:
        family: its name.
        reference: the candidate that the others are compared with.
        unit: of the figure, in words.
        kind: whether the figure is how many times faster a candidate is than the reference, or how
            many times its time it takes.
    """

    family: str
    reference: str
    unit: str
    kind: Literal["faster", "longer"] = "faster"

    def row(
        self,
        rounds: Rounds,
        name: str,
        label: str,
        *,
        bar: Bar | None = None,
        facts: Mapping[str, Fact] | None = None,
    ) -> SpeedRow:
        """Return the row of a candidate.

        Args:
            rounds: that it and the reference were timed in.
            name: of the candidate.
            label: what it is, for a reader.
            bar: what the figure is to reach.
            facts: to be told beside it.
        """
        timing, reason = rounds.timings.get(name), rounds.reasons.get(name, "")
        reference = rounds.timings.get(self.reference)
        figure = None
        if name == self.reference:
            reason = reason or IS_REFERENCE
        elif timing is not None and reference is not None:
            pair = (reference, timing) if self.kind == "faster" else (timing, reference)
            figure = ratio(*pair)
        elif timing is not None:
            reason = f"its reference could not run: {rounds.reasons[self.reference]}"
        return SpeedRow(
            f"{self.family}_{name}",
            self.family,
            label,
            self.unit,
            figure,
            bar=bar,
            reason=reason,
            timing=timing,
            facts=facts or {},
        )


def milliseconds(rounds: Rounds, name: str, unit: str, count: int = 1) -> dict[str, Fact]:
    """Return the median time of one of `count` things, as the fact `ms_a_<unit>`."""
    timing = rounds.timings.get(name)
    return {} if timing is None else {f"ms_a_{unit}": 1000 * timing.median_s / count}
