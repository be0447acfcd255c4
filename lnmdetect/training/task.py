"""What differs between arms; the engine knows nothing else of them."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn


class Answering(Protocol):
    """What has an answer to every item: classes, boxes, heat maps."""

    @property
    def module(self) -> nn.Module:
        """The network."""
        ...

    def predict(self, batch: Any) -> Sequence[Any]:
        """Return one answer an item of the batch."""
        ...


class Task(Answering, Protocol):
    """One arm: its network, its loss and its answer.

    Attributes:
        monitor: key of `score` that is maximised.
    """

    monitor: str

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Return the named terms of the loss, scalars; their sum is minimised."""
        ...

    def score(self, predictions: Sequence[Any]) -> dict[str, float]:
        """Return validation figures of the answers for all validation items, in order."""
        ...
