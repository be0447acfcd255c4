"""How much of the time that a training may take is gone."""

import time
from dataclasses import dataclass, field


@dataclass
class TimeBudget:
    """A clock that a resumed training takes up where it was.

    Attributes:
        limit_s: seconds the training may take, validation included; None for no limit.
        spent_before_s: seconds taken before it was interrupted.
        validation_s: seconds of the longest validation; so many are kept free for the next.
    """

    limit_s: float | None
    spent_before_s: float = 0.0
    validation_s: float = 0.0
    _begun: float = field(default_factory=lambda: time.monotonic())  # looked up when called

    @property
    def spent_s(self) -> float:
        """Seconds the training has taken."""
        return self.spent_before_s + time.monotonic() - self._begun

    @property
    def share(self) -> float:
        """The share of the time for steps that is gone, in [0, 1]; 0 without a limit."""
        if self.limit_s is None:
            return 0.0
        free_s = self.limit_s - self.validation_s
        return min(1.0, self.spent_s / free_s) if free_s > 0 else 1.0

    @property
    def is_out(self) -> bool:
        """Whether no time is left for another step."""
        return self.share >= 1
