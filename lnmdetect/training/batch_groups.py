"""The batches of each optimiser step, and how long the training waited for them."""

import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any


class BatchGroups:
    """Batches in groups of one optimiser step each, each batch taken when it is asked for.

    Args:
        batches: in order, of whole groups; each group is gone through before the next.
        count: of a group.

    Attributes:
        waited_s: seconds that whoever asked for batches has waited since `start_anew`.
    """

    def __init__(self, batches: Iterable[Any], count: int) -> None:
        self._batches, self._count = self._timed(iter(batches)), count
        self.waited_s = 0.0

    def __iter__(self) -> Iterator[Iterator[Any]]:
        """Yield the groups."""
        while first := list(islice(self._batches, 1)):
            group = chain(first, islice(self._batches, self._count - 1))
            del first  # held by the group alone, and only until it is taken
            yield group

    def start_anew(self) -> None:
        """Count the waiting from here on."""
        self.waited_s = 0.0

    def _timed(self, batches: Iterator[Any]) -> Iterator[Any]:
        begun = time.perf_counter()
        for batch in batches:
            self.waited_s += time.perf_counter() - begun
            yield batch
            begun = time.perf_counter()
