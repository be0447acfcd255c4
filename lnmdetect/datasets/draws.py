"""Which training item comes when: a pure function of seed, epoch and place, so resuming is easy."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Draw:
    """One training item to come: `number` counts the items of an epoch from 0."""

    seed: int
    epoch: int
    number: int

    def generator(self) -> np.random.Generator:
        """Return the generator of this item's random choices, the same at each call."""
        return np.random.default_rng((self.seed, self.epoch, self.number))


@dataclass(frozen=True)
class EpochBatches:
    """The batches of one epoch, from `first_step` on; a batch sampler for a torch loader.

    Attributes:
        batch_size: items of a batch, which processes may divide.
        part, parts: which part of each batch is wanted, of how many in order.
    """

    seed: int
    epoch: int
    steps: int
    batch_size: int
    first_step: int = 0
    part: int = 0
    parts: int = 1

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield the draws of each batch, or of the part of it that is wanted."""
        size = self.batch_size // self.parts
        for step in range(self.first_step, self.steps):
            first = step * self.batch_size + self.part * size
            yield [Draw(self.seed, self.epoch, first + i) for i in range(size)]

    def __len__(self) -> int:
        """Return the number of batches left."""
        return self.steps - self.first_step


def permuted(draw: Draw, count: int) -> int:
    """Return the item of `range(count)` for a draw when each pass visits every item once."""
    turn, place = divmod(draw.number, count)
    order = np.random.default_rng((draw.seed, draw.epoch, turn, 1)).permutation(count)
    return int(order[place])
