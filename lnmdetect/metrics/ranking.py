"""Detections in the order of their scores, counted again for every resample of the patients.

Matching does not depend on which patients are drawn, so it is done once; a resample only changes
how often each detection counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.matching import Matches
from lnmdetect.metrics.resampling import Resamples

Values = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]


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

    def truths_in(self, weights: Values) -> float:
        """Return how much truth counts when the patients count (P,) times."""
        return float(weights @ self.truths)


@dataclass(frozen=True)
class Draw:
    """One resample.

    Attributes:
        weights: (P,) how often each patient counts.
        total: (N,) detections of the ranking up to and with each, counted so often.
    """

    weights: Values
    total: Values

    def hits(self, curve: Curve) -> Values:
        """Return (H,) hits up to and with each hit."""
        return np.cumsum(self.weights[curve.ranking.patient[curve.hit_at]])

    def detections(self, curve: Curve, at: Places) -> Values:
        """Return (K,) hits and false positives up to and with the (K,) places."""
        ignored = np.cumsum(self.weights[curve.ranking.patient[curve.ignored_at]])
        before = np.searchsorted(curve.ignored_at, at, side="right")
        return np.asarray(self.total[at] - np.concatenate([[0.0], ignored])[before])


Reading = Callable[[Draw], Values]
"""What is read off one resample: K numbers, NaN where undefined."""


def read_resamples(
    ranking: Ranking, readings: Sequence[Reading], resamples: Resamples
) -> list[Values]:
    """Return (1 + B, K) for each reading, the sample first and then each resample."""
    rows = []
    for weights in resamples.weights:
        draw = Draw(weights, np.cumsum(weights[ranking.patient]))
        rows.append([reading(draw) for reading in readings])
    return [np.stack(columns) for columns in zip(*rows, strict=True)]
