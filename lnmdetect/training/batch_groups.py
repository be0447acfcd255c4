"""The batches of each optimiser step, and how long the training waited for them."""

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any


class BatchGroups:
    """Batches in groups of one optimiser step each.

    Args:
        batches: in order.
        count: of a group.

    Attributes:
        waited_s: seconds that whoever asked for groups has waited since `start_anew`.
    """

    def __init__(self, batches: Iterable[Any], count: int) -> None:
        self._batches, self._count = iter(batches), count
        self.waited_s = 0.0

    def __iter__(self) -> Iterator[list[Any]]:
        """Yield the groups."""
        while group := self._next():
            yield group

    def start_anew(self) -> None:
        """Count the waiting from here on."""
        self.waited_s = 0.0

    def _next(self) -> list[Any]:
        begun = time.perf_counter()
        group = list(islice(self._batches, self._count))
        self.waited_s += time.perf_counter() - begun
        return group
