"""Who was studied, benign beside metastatic: a paper's table 1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.group_tests import GroupTest, chi_squared, mann_whitney

MOST_LEVELS = 12
"""More different words are a free text and no column of a table."""

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """How N known values lie; all None where there is none.

    Attributes:
        n: known; unknown: not known.
        sd: with N - 1; None of a single value.
        q1, q3: quartiles, interpolated linearly.
    """

    n: int
    unknown: int
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    q1: float | None = None
    q3: float | None = None


@dataclass(frozen=True)
class NumberRow:
    """One measured quantity."""

    benign: Spread
    metastatic: Spread
    test: GroupTest


@dataclass(frozen=True)
class LevelRow:
    """One quality.

    Attributes:
        levels: each to the counts (benign, metastatic); empty for free text.
        unknown: (benign, metastatic) where it is not known; no part of the test.
        different: how many different levels there are.
    """

    levels: Mapping[str, tuple[int, int]]
    unknown: tuple[int, int]
    different: int
    test: GroupTest


def number_row(values: Values, is_positive: Flags) -> NumberRow:
    """Return the row of (N,) values, NaN where one is not known, with the Mann-Whitney test."""
    groups = [values[~is_positive], values[is_positive]]
    benign, metastatic = (group[np.isfinite(group)] for group in groups)
    return NumberRow(
        benign=_spread(benign, len(groups[0]) - len(benign)),
        metastatic=_spread(metastatic, len(groups[1]) - len(metastatic)),
        test=mann_whitney(benign, metastatic),
    )


def level_row(levels: Sequence[str | None], is_positive: Flags) -> LevelRow:
    """Return the row of N levels, None where one is not known, with the chi-squared test."""
    known = sorted({level for level in levels if level is not None})
    counts = np.zeros((2, len(known)), dtype=np.int64)
    unknown = [0, 0]
    for level, positive in zip(levels, is_positive.tolist(), strict=True):
        if level is None:
            unknown[positive] += 1
        else:
            counts[int(positive), known.index(level)] += 1
    unknowns = (unknown[0], unknown[1])
    if len(known) > MOST_LEVELS:
        too_many = f"{len(known)} different values: a free text"
        test = GroupTest("none", reason=too_many)
        return LevelRow({}, unknowns, len(known), test)
    columns = {
        level: (int(counts[0, place]), int(counts[1, place])) for place, level in enumerate(known)
    }
    return LevelRow(columns, unknowns, len(known), chi_squared(counts))


def _spread(known: Values, unknown: int) -> Spread:
    if not len(known):
        return Spread(0, unknown)
    q1, median, q3 = np.quantile(known, [0.25, 0.5, 0.75])
    sd = float(known.std(ddof=1)) if len(known) > 1 else None
    return Spread(len(known), unknown, float(known.mean()), sd, float(median), float(q1), float(q3))
