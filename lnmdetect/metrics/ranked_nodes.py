"""Nodes by falling ranking, and how many of each class lie above every cut, for all resamples."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]
Values = NDArray[np.float64]

_CHUNK = 100_000
"""Numbers a chunk: a few arrays of it stay in the cache, and memory stays small."""


@dataclass(frozen=True)
class Steps:
    """C resamples of the same nodes, cut at each of K distinct rankings, the highest first.

    Attributes:
        positives, negatives: (C, K) how many have this very ranking, weighted.
        true_positives, false_positives: (C, K) how many have it or a higher one.
    """

    positives: Values
    negatives: Values
    true_positives: Values
    false_positives: Values

    @property
    def both_classes(self) -> Flags:
        """(C,) whether the resample holds both classes."""
        return np.asarray((self.true_positives[:, -1] > 0) & (self.false_positives[:, -1] > 0))


Measure = Callable[[Steps], Values]
"""From the steps of C resamples to (C, ...) values, NaN where a resample leaves them undefined."""


@dataclass(frozen=True)
class RankedNodes:
    """N nodes by falling ranking; tied ones form one step.

    Attributes:
        is_positive: (N,) metastatic in truth.
        patient: (N,) whose each is, in [0, P).
        starts: (K,) where each distinct ranking begins.
        rankings: (K,) the distinct rankings, falling.
    """

    is_positive: Flags
    patient: Places
    starts: Places
    rankings: Values

    def steps(self, weights: Values) -> Steps:
        """Return the steps of resamples that count each patient as (C, P) `weights` say."""
        drawn = weights[:, self.patient]  # (C, N)
        positives = drawn * self.is_positive
        negatives = drawn - positives
        if len(self.starts) < len(self.patient):
            positives = np.add.reduceat(positives, self.starts, axis=1)  # (C, K)
            negatives = np.add.reduceat(negatives, self.starts, axis=1)
        return Steps(
            positives, negatives, np.cumsum(positives, axis=1), np.cumsum(negatives, axis=1)
        )

    def measured(self, weights: Values, *measures: Measure) -> tuple[Values, ...]:
        """Return each measure of all (R, P) resamples, (R, ...), in chunks that bound memory.

        Raises:
            ValueError: there is no node.
        """
        if not len(self.patient):
            raise ValueError("ranked nodes: expected at least one node, got none")
        found = [[measure(steps) for measure in measures] for steps in self._chunks(weights)]
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))

    def _chunks(self, weights: Values) -> Iterator[Steps]:
        rows = max(1, _CHUNK // len(self.patient))
        for first in range(0, len(weights), rows):
            yield self.steps(weights[first : first + rows])


def ranked_nodes(is_positive: Flags, ranking: Values, patient: Places) -> RankedNodes:
    """Return the nodes by falling ranking.

    Args:
        is_positive: (N,) metastatic in truth.
        ranking: (N,) finite; higher means more likely metastatic.
        patient: (N,) whose each is, in [0, P).

    Raises:
        ValueError: the lengths differ, or a ranking is not finite.
    """
    if not len(is_positive) == len(ranking) == len(patient):
        sizes = f"{len(is_positive)}, {len(ranking)} and {len(patient)}"
        raise ValueError(f"nodes: expected as many classes as rankings and patients, got {sizes}")
    if not np.isfinite(ranking).all():
        raise ValueError("nodes: expected finite rankings, got NaN or infinity")
    order = np.argsort(-ranking, kind="stable")
    ranked = ranking[order]
    starts = np.flatnonzero(np.diff(ranked, prepend=np.inf))
    return RankedNodes(is_positive[order], patient[order], starts, ranked[starts])


def midranks(values: Values) -> Values:
    """Return (N,) ranks from 1 on, the lowest first; tied values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(mean_ranks[place], dtype=np.float64)


def missing_class(is_positive: Flags, of: str = "node") -> str | None:
    """Return what (N,) nodes lack to tell the classes apart, None where both are there.

    Args:
        is_positive: (N,) metastatic in truth.
        of: what they are called, in the singular.
    """
    if not len(is_positive):
        return f"no {of}"
    if is_positive.all():
        return f"no benign {of}"
    return None if is_positive.any() else f"no metastatic {of}"
