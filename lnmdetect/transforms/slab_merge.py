"""Overlapping windows of a volume merged plane by plane: memory does not grow with depth."""

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def window_starts(length: int, side: int, overlap: float) -> tuple[int, ...]:
    """Return where windows of `side` start so that they cover `length`, evenly spread.

    Args:
        length: of the axis; where it is shorter than a window, the one window hangs over its end.
        side: of a window.
        overlap: least share of a window that the next one covers too, in [0, 1).
    """
    if length <= side:
        return (0,)
    step = max(1, int(side * (1 - overlap)))
    count = -(-(length - side) // step) + 1
    return tuple(int(start) for start in np.rint(np.linspace(0, length - side, count)))


class SlabMerge:
    """Weighted means of windows over a volume, given out from the first plane on.

    It holds as many planes as a window is deep.

    Args:
        channels: K of each window.
        importance: (D, H, W) weights of a window's voxels, above 0.
        shape: (depth, rows, columns) of the volume.
    """

    def __init__(self, channels: int, importance: Floats, shape: tuple[int, int, int]) -> None:
        depth = len(importance)
        self.shape, self.importance = shape, importance
        self.sums = np.zeros((depth, channels, *shape[1:]), dtype=np.float32)
        self.weights = np.zeros((depth, *shape[1:]), dtype=np.float32)
        self.first = 0

    def add(self, start: tuple[int, int, int], window: Floats) -> None:
        """Add a window (K, D, H, W) at its place, whose first plane is not given out yet."""
        z, y, x = start
        assert z == self.first, "windows come in order of their planes"
        rows = min(window.shape[2], self.shape[1] - y)
        columns = min(window.shape[3], self.shape[2] - x)
        part = (slice(None), slice(None), slice(0, rows), slice(0, columns))
        weight = self.importance[:, :rows, :columns]
        place = (slice(y, y + rows), slice(x, x + columns))
        self.sums[(slice(None), slice(None), *place)] += (window[part] * weight).swapaxes(0, 1)
        self.weights[(slice(None), *place)] += weight

    def advance(self, to: int) -> Iterator[Floats | None]:
        """Yield the planes before plane `to`, (K, rows, columns); None where no window lay."""
        count = min(to, self.shape[0]) - self.first
        for plane in range(count):
            covered = self.weights[plane] > 0 if plane < len(self.weights) else np.zeros(0)
            if covered.any():
                yield self.sums[plane] / np.where(covered, self.weights[plane], 1)
            else:
                yield None
        kept = max(0, len(self.weights) - count)
        for held in (self.sums, self.weights):
            held[:kept] = held[count:].copy()
            held[kept:] = 0
        self.first += count


def window_places(
    shape: tuple[int, int, int], patch: tuple[int, int, int], overlap: float
) -> Iterator[tuple[int, int, int]]:
    """Yield where windows start, plane by plane, to cover a volume."""
    starts = (window_starts(n, side, overlap) for n, side in zip(shape, patch, strict=True))
    yield from product(*starts)
