"""Whether heat tells what a model looks at: two checks, each against what chance would give.

A heat map is a claim. The first check asks where the heat lies: its share inside the node beside
the node's share of the crop. The second asks whether it matters: how far the probability of the
called class falls when the hottest region is wiped out, beside regions of the same size and shape
elsewhere in the same crop: moved at random, away from the hottest as far as the crop allows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.resampling import Resamples

HOT_SHARE = 0.10
"""Of the crop's pixels, the hottest, that are wiped out."""
RANDOM_REGIONS = 10
"""For each crop; their mean is what the hottest region is held against."""
MOST_OVERLAP = 0.10
"""Of a region elsewhere, the share that may lie in the hottest: what overlaps falls with it."""
TRIES = 20
"""How often a region elsewhere is drawn until it overlaps so little."""

Flags = NDArray[np.bool_]
Heat = NDArray[np.floating]
Values = NDArray[np.float64]


def share_inside(heat: Heat, inside: Heat) -> float | None:
    """Return the share of the positive heat that lies inside, None where no heat is positive.

    Args:
        heat: (P, P), signed.
        inside: (P, P) share of each pixel inside the node, in [0, 1].
    """
    positive = np.clip(np.asarray(heat, dtype=np.float64), 0, None)
    total = float(positive.sum())
    return float((positive * inside).sum()) / total if total > 0 else None


def hottest_region(heat: Heat, share: float = HOT_SHARE) -> Flags:
    """Return (P, P) the hottest `share` of the pixels, at least one, the earlier of equals."""
    flat = np.asarray(heat).ravel()
    count = max(1, round(share * len(flat)))
    region = np.zeros(len(flat), dtype=bool)
    region[np.argsort(-flat, kind="stable")[:count]] = True
    return region.reshape(np.shape(heat))


def moved_regions(region: Flags, rng: np.random.Generator, count: int = RANDOM_REGIONS) -> Flags:
    """Return (count, P, P) the region moved at random; what leaves the crop enters opposite.

    So each has exactly the region's size and, but for a cut at the border, its shape. Each is drawn
    until at most `MOST_OVERLAP` of it lies in the region itself; where `TRIES` draws all overlap
    more, as of a region that is strewn over the crop, the least overlapping is taken.

    Args:
        region: (P, P).
        rng: draws the moves.
        count: how many.
    """
    return np.stack([_moved(region, rng) for _ in range(count)])


def _moved(region: Flags, rng: np.random.Generator) -> Flags:
    least, most_allowed = region, MOST_OVERLAP * region.sum()
    for _ in range(TRIES):
        y, x = (int(rng.integers(side)) for side in region.shape)
        moved = np.roll(region, (y, x), axis=(0, 1))
        if (moved & region).sum() <= (least & region).sum():
            least = moved
        if (least & region).sum() <= most_allowed:
            break
    return least


@dataclass(frozen=True)
class HeatTable:
    """N boxes whose heat is positive somewhere.

    Attributes:
        patient: (N,) whose each box is, in [0, P).
        share_inside: (N,) of the positive heat, inside the node.
        area_share: (N,) of the crop, inside the node.
        drop_hottest: (N,) how far the probability of the called class falls without the hottest
            region; negative where it rises.
        drop_random: (N,) mean of that over regions elsewhere.
    """

    patient: NDArray[np.int64]
    share_inside: Values
    area_share: Values
    drop_hottest: Values
    drop_random: Values

    def __post_init__(self) -> None:
        columns = (self.share_inside, self.area_share, self.drop_hottest, self.drop_random)
        if any(column.shape != self.patient.shape for column in columns):
            raise ValueError("heat: expected a value of each kind for each box")


@dataclass(frozen=True)
class Faithfulness:
    """The two checks: means over boxes, and the differences that they turn on."""

    share_inside: Figure
    area_share: Figure
    share_above_area: Figure
    drop_hottest: Figure
    drop_random: Figure
    drop_above_random: Figure


def faithfulness(table: HeatTable, resamples: Resamples) -> Faithfulness:
    """Return the checks over all boxes; undefined without any box."""
    n, patients = len(table.patient), len(np.unique(table.patient))

    def mean(values: Values) -> Figure:
        means = resamples.mean(table.patient, values)
        return resamples.figure(means, n=n, patients=patients, reason=None if n else "no box")

    return Faithfulness(
        share_inside=mean(table.share_inside),
        area_share=mean(table.area_share),
        share_above_area=mean(table.share_inside - table.area_share),
        drop_hottest=mean(table.drop_hottest),
        drop_random=mean(table.drop_random),
        drop_above_random=mean(table.drop_hottest - table.drop_random),
    )
