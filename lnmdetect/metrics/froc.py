"""Sensitivity against false positives an image, for 2-D boxes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.intervals import share
from lnmdetect.metrics.matching import Matches

FROC_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives at which the curve is read (design, section 8)."""


@dataclass(frozen=True)
class FrocPoint:
    """One reading of the curve.

    Attributes:
        false_positives: an image, at most.
        sensitivity: share of truth boxes hit there.
        threshold: lowest score counted there, None where no detection is.
    """

    false_positives: float
    sensitivity: Figure
    threshold: float | None


@dataclass(frozen=True)
class Froc:
    """The readings at 1/8 to 8 false positives an image and their mean; hit: IoU >= 0.5."""

    per: Literal["image", "scan"]
    points: tuple[FrocPoint, ...]
    mean: Figure


@dataclass(frozen=True)
class OperatingPoint:
    """What the detections at or above one threshold are worth.

    Attributes:
        threshold: the detector's score.
        sensitivity: share of truth boxes hit.
        precision: share of the detections, ignored ones apart, that hit.
        false_positives_per_image: all images counted.
    """

    threshold: float
    sensitivity: Figure
    precision: Figure
    false_positives_per_image: Figure


def froc(matches: Matches) -> Froc:
    """Return the FROC readings.

    Each reading is the best sensitivity of a threshold that keeps within the false positives:
    steps, no interpolation. Detections of equal score are counted together.
    """
    if matches.images == 0 or matches.truths == 0:
        none = undefined("no image" if matches.images == 0 else "no truth box that counts")
        return Froc("image", tuple(FrocPoint(rate, none, None) for rate in FROC_RATES), none)
    thresholds, hits, false_positives = _curve(matches)
    points = []
    for rate in FROC_RATES:
        allowed = np.flatnonzero(false_positives <= rate * matches.images)
        at = allowed[-1] if len(allowed) else None
        found = 0 if at is None else int(hits[at])
        sensitivity = share(found, matches.truths, of="truth box that counts")
        points.append(FrocPoint(rate, sensitivity, None if at is None else float(thresholds[at])))
    mean = float(np.mean([point.sensitivity.value for point in points]))
    reason = None if len(matches.scores) else "no detection"
    return Froc("image", tuple(points), Figure(mean, reason, n=matches.truths))


def _curve(matches: Matches) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct scores, falling, with hits and false positives at or above each."""
    counted = ~matches.ignored
    order = np.argsort(-matches.scores[counted], kind="stable")
    scores = matches.scores[counted][order]
    last_of_score = np.flatnonzero(np.append(np.diff(scores) != 0, True)[: len(scores)])
    hits = np.cumsum(matches.hit[counted][order])
    false_positives = np.cumsum(matches.false_positive[counted][order])
    return scores[last_of_score], hits[last_of_score], false_positives[last_of_score]


def operating_point(matches: Matches, threshold: float) -> OperatingPoint:
    """Return sensitivity, precision and false positives an image at `threshold`.

    Matching is greedy by score, so the matches above a threshold do not depend on those below.
    """
    above = matches.scores >= threshold
    hits = int((matches.hit & above).sum())
    wrong = int((matches.false_positive & above).sum())
    rate = (
        Figure(wrong / matches.images, n=matches.images)
        if matches.images
        else undefined("no image")
    )
    return OperatingPoint(
        threshold=threshold,
        sensitivity=share(hits, matches.truths, of="truth box that counts"),
        precision=share(hits, hits + wrong, of="detection at or above the threshold"),
        false_positives_per_image=rate,
    )
