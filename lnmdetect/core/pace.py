"""How fast a long run goes, and how long it has still to go."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lnmdetect.core.wording import counted


@dataclass
class Pace:
    """Counts what is done; `total` items of a kind that has a `one` and a `many`.

    Attributes:
        clock: seconds, rising.
    """

    total: int
    one: str
    many: str
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    failed: int = 0
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def count(self, *, failed: bool = False) -> None:
        """Count one more item."""
        self.done += 1
        self.failed += failed

    @property
    def seconds(self) -> float:
        """Since the start."""
        return self.clock() - self.began

    def line(self) -> str:
        """Return how far it is, how fast it goes and how long it will take, as a sentence."""
        seconds = self.seconds
        text = f"{self.done} of {counted(self.total, self.one, self.many)}, {self.failed} failed"
        if not self.done or seconds <= 0:
            return f"{text}."
        rate = self.done / seconds
        left = duration((self.total - self.done) / rate)
        return f"{text}; {3600 * rate:.0f} an hour, {left} left."


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units, as `3 h 20 min`."""
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
