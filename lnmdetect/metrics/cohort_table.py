"""Who was studied, benign beside metastatic: a paper's table 1."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.group_tests import GroupTest, chi_squared, mann_whitney

OTHER = "other"
"""The level of all words that few cases have."""

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
        levels: each to the counts (benign, metastatic), `OTHER` last.
        unknown: (benign, metastatic) where it is not known; no part of the test.
        different: how many different words there are, those in `OTHER` counted one by one.
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


def level_row(words: Sequence[str | None], is_positive: Flags, *, fewest: int = 1) -> LevelRow:
    """Return the row of N words, None where one is not known, with the chi-squared test.

    Args:
        words: (N,) of one quality.
        is_positive: (N,) metastatic.
        fewest: cases of a level; words of fewer are taken together as `OTHER`, so that a free text
            does not fill the table. One such word alone stays what it is.
    """
    of_each = Counter(word for word in words if word is not None)
    rare = {word for word, cases in of_each.items() if cases < fewest or word == OTHER}
    pooled = dict.fromkeys(rare, OTHER) if len(rare) > 1 else {}
    known = sorted(
        {pooled.get(word, word) for word in of_each}, key=lambda one: (one == OTHER, one)
    )
    counts = np.zeros((2, len(known)), dtype=np.int64)
    unknown = [0, 0]
    for word, positive in zip(words, is_positive.tolist(), strict=True):
        if word is None:
            unknown[positive] += 1
        else:
            counts[int(positive), known.index(pooled.get(word, word))] += 1
    levels = {
        level: (int(counts[0, place]), int(counts[1, place])) for place, level in enumerate(known)
    }
    test = chi_squared(counts)
    if pooled and known == [OTHER]:
        seldom = f"{len(of_each)} different values, none in {fewest} cases or more"
        test = GroupTest(test.method, reason=seldom)
    return LevelRow(levels, (unknown[0], unknown[1]), len(of_each), test)


def _spread(known: Values, unknown: int) -> Spread:
    if not len(known):
        return Spread(0, unknown)
    q1, median, q3 = np.quantile(known, [0.25, 0.5, 0.75])
    sd = float(known.std(ddof=1)) if len(known) > 1 else None
    return Spread(len(known), unknown, float(known.mean()), sd, float(median), float(q1), float(q3))
