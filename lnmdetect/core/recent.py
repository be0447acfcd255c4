"""The few values that were asked for last, made anew when they come again later."""

from collections.abc import Callable, Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(dict[K, V]):
    """A dict in the order of asking, the last at the end; it can be sent to other processes."""

    def recall(self, key: K, make: Callable[[], V], *, most: int) -> V:
        """Return the value of a key, made where it is not kept; at most `most` are kept."""
        value = self.pop(key) if key in self else make()
        self[key] = value
        while len(self) > most:
            del self[next(iter(self))]
        return value
