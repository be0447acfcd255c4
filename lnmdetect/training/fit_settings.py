"""How a training runs, and what it reached."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from lnmdetect.core.config_parts import OptimiserConfig
from lnmdetect.training.devices import Compute

Keep = Literal["best", "last"]
WAITED = "loader_wait_share"
"""Column of a row: the share of the epoch's `seconds` spent waiting for the next batch."""


@dataclass(frozen=True)
class FitSettings:
    """How a training runs.

    Attributes:
        steps_an_epoch: optimiser steps between two validations.
        folder: receives checkpoints and curves; must exist.
        resume: whether to go on from the folder's last checkpoint.
        identity: what a resumed run must share with the one begun, by name (recipe, seed, data).
        budget_s: seconds the training may take; it then ends with a validation, within an epoch if
            need be, and the learning rate's schedule with it. None: all epochs.
        keep: which epoch's weights stay, the one with the best validation figure or the last.
    """

    optimiser: OptimiserConfig
    compute: Compute
    steps_an_epoch: int
    folder: Path
    resume: bool = False
    identity: Mapping[str, str] = field(default_factory=dict)
    budget_s: float | None = None
    keep: Keep = "best"


@dataclass(frozen=True)
class FitResult:
    """What a training reached: one row of figures an epoch, and the one that is kept.

    Attributes:
        kept: validation figure of the epoch whose weights are kept; kept_epoch: which it is.
        steps, seconds: taken, validations included.
    """

    rows: tuple[dict[str, float], ...]
    kept: float
    kept_epoch: int
    steps: int = 0
    seconds: float = 0.0

    @property
    def loader_wait_share(self) -> float | None:
        """The share of the epochs' time without validation spent waiting for batches.

        None where it is not known: no time has gone, or the epochs are of an older version.
        """
        taken = sum(row["seconds"] for row in self.rows)
        if taken <= 0 or any(WAITED not in row for row in self.rows):
            return None
        return sum(row[WAITED] * row["seconds"] for row in self.rows) / taken


class CountedBatches(Protocol):
    """Batches whose number is known."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


BatchSource = Callable[[int, int], Iterable[Any]]
"""Gives the batches of (epoch, first optimiser step within it), `accumulate` of them a step."""
