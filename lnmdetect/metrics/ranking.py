"""Detections in the order of their scores, counted again for every resample of the patients.

Matching does not depend on which patients are drawn, so it is done once; a resample only changes
how often each detection counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.matching import Matches
from lnmdetect.metrics.resampling import Resamples

_CHUNK = 100_000
"""Numbers at a time: a few arrays of it stay in the cache, and memory stays small."""

Values = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]
Counts = Values | Places


@dataclass(frozen=True)
class Ranking:
    """N detections of all images, best first; equal scores keep the order of the images.

    Attributes:
        order: (N,) places in the matches that were ranked.
        patient: (N,) whose each is.
        scores: (N,) falling.
        tie_end: (N,) place of the last detection of the same score.
    """

    order: Places
    patient: Places
    scores: Values
    tie_end: Places

    @classmethod
    def of(cls, matches: Matches, cohort: Cohort) -> "Ranking":
        """Return the ranking of the counted detections."""
        order = np.argsort(-matches.scores, kind="stable")
        scores = matches.scores[order]
        return cls(
            order,
            cohort.patient_of_image[matches.image_index[order]],
            scores,
            np.searchsorted(-scores, -scores, side="right") - 1,
        )


@dataclass(frozen=True)
class Curve:
    """What the detections of a ranking count as.

    Attributes:
        ranking: the detections.
        hit_at: (H,) places of the hits.
        ignored_at: (I,) places of those that count neither as hit nor as false positive.
        truths: (P,) how much truth of each patient counts.
    """

    ranking: Ranking
    hit_at: Places
    ignored_at: Places
    truths: Values

    @classmethod
    def of(cls, ranking: Ranking, *, hit: Flags, ignored: Flags, truths: Values) -> "Curve":
        """Return the curve of (N,) flags in the order of the matches and (P,) truth counts."""
        return cls(
            ranking,
            np.flatnonzero(hit[ranking.order]),
            np.flatnonzero((ignored & ~hit)[ranking.order]),
            truths,
        )

    @classmethod
    def of_matches(
        cls, matches: Matches, cohort: Cohort, *, ranking: Ranking | None = None
    ) -> "Curve":
        """Return the curve of matches; `ranking` is theirs, where it has been made already."""
        truths = cohort.per_patient(matches.tables.truth.image[matches.counts])
        ranking = ranking or Ranking.of(matches, cohort)
        return cls.of(ranking, hit=matches.hit, ignored=matches.ignored, truths=truths)

    def stops(self, at: Places) -> "Stops":
        """Return where to count the detections: up to and with the (K,) places."""
        return Stops(at, np.searchsorted(self.ignored_at, at, side="right"))

    def truths_in(self, weights: Values) -> Values:
        """Return (C,) how much truth counts in resamples that count patients (C, P) times."""
        return np.asarray(weights @ self.truths)


@dataclass(frozen=True)
class Stops:
    """K places of a ranking at which its detections are counted, the same for every resample.

    Attributes:
        at: (K,) places.
        ignored: (K,) how many of the ignored ones stand up to and with each.
    """

    at: Places
    ignored: Places


@dataclass(frozen=True)
class Draws:
    """C resamples.

    Attributes:
        weights: (C, P) how often each patient counts.
        counts: the same as whole numbers, whose running sums take a tenth of the time.
        total: (C, N) detections of the ranking up to and with each, counted so often.
    """

    weights: Values
    counts: Places
    total: Places

    @classmethod
    def of(cls, weights: Values, ranking: Ranking) -> "Draws":
        """Return the resamples that count patients (C, P) times."""
        counts = weights.astype(np.int64)
        return cls(weights, counts, _running(counts, ranking.patient))

    def hits(self, curve: Curve) -> Places:
        """Return (C, H) hits up to and with each hit."""
        return _running(self.counts, curve.ranking.patient[curve.hit_at])

    def detections(self, curve: Curve, stops: Stops) -> Places:
        """Return (C, K) hits and false positives up to and with each of the (K,) stops."""
        found = self.total.take(stops.at, axis=1)
        if not len(curve.ignored_at):
            return found
        ignored = _running(self.counts, curve.ranking.patient[curve.ignored_at])
        ignored = np.concatenate([np.zeros_like(ignored[:, :1]), ignored], axis=1)
        return np.asarray(found - ignored.take(stops.ignored, axis=1))


def _running(counts: Places, patient: Places) -> Places:
    """Return (C, K) how often the first of K patients' cases count, up to and with each."""
    return np.cumsum(counts.take(patient, axis=1), axis=1)


Reading = Callable[[Draws], Values]
"""What is read off C resamples: (C, K) numbers, NaN where undefined."""


def read_resamples(
    ranking: Ranking, readings: Sequence[Reading], resamples: Resamples
) -> list[Values]:
    """Return (1 + B, K) for each reading, the sample first and then each resample."""
    rows = max(1, _CHUNK // max(1, len(ranking.patient)))
    parts = []
    for first in range(0, 1 + resamples.count, rows):
        weights = resamples.weights[first : first + rows]
        draws = Draws.of(weights, ranking)
        parts.append([reading(draws) for reading in readings])
    return [np.concatenate(columns) for columns in zip(*parts, strict=True)]


def places_in_rows(rising: Counts, wanted: Counts, *, side: Literal["left", "right"]) -> Places:
    """Return (C, R) where in each of C rising rows the R wanted counts of that row belong.

    `np.searchsorted` for many rows at once; counts are whole, so that the rows can be laid end to
    end without rounding.

    Args:
        rising: (C, H) whole numbers from 0 on.
        wanted: (C, R) whole numbers from 0 on.
        side: as `np.searchsorted` has it.
    """
    rows, length = rising.shape
    highest = max(int(rising.max(initial=0)), int(wanted.max(initial=0)))
    start = np.arange(rows)[:, None] * (highest + 1)
    laid, sought = ((counts.astype(np.int64) + start).ravel() for counts in (rising, wanted))
    places = np.searchsorted(laid, sought, side=side)
    return np.asarray(places.reshape(wanted.shape) - np.arange(rows)[:, None] * length)
