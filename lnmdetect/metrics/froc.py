"""Sensitivity against false positives, an image or a scan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.intervals import wilson_interval
from lnmdetect.metrics.matching import Matches
from lnmdetect.metrics.ranking import (
    Curve,
    Draws,
    Reading,
    Values,
    places_in_rows,
    read_resamples,
)
from lnmdetect.metrics.resampling import Resamples

FROC_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives at which the curve is read (design, section 8)."""
PLOTTED_RATES = np.geomspace(1 / 16, 16, 65)
"""Where the drawn curve and its band are read: 8 steps an octave."""
_ROUNDING = 1e-9
"""Rate times images is rarely whole; counts are."""

Unit = Literal["image", "scan"]
Kind = Literal["box", "node"]


@dataclass(frozen=True)
class FrocPoint:
    """One reading of the curve.

    Attributes:
        false_positives: an image or a scan, at most.
        sensitivity: share of the truth hit there.
        threshold: lowest score needed there, None where nothing is hit.
    """

    false_positives: float
    sensitivity: Figure
    threshold: float | None


@dataclass(frozen=True)
class FrocBand:
    """The curve as it is drawn, each list as long; the band is None without an interval."""

    false_positives: tuple[float, ...]
    sensitivity: tuple[float, ...]
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None


@dataclass(frozen=True)
class Froc:
    """The readings of one curve and their mean.

    Attributes:
        per: what the false positives are counted by.
        of: what is found: boxes (IoU >= 0.5), or nodes, one of whose boxes is.
        points: at 1/8 to 8 false positives, or those asked for.
        mean: of the points.
        curve: for a plot; None where it is undefined.
    """

    per: Unit
    of: Kind
    points: tuple[FrocPoint, ...]
    mean: Figure
    curve: FrocBand | None


@dataclass(frozen=True)
class OperatingPoint:
    """What the detections at or above the operating threshold are worth.

    Attributes:
        sensitivity: share of truth boxes hit.
        precision: share of the detections, ignored ones apart, that hit.
        false_positives_per_image, false_positives_per_scan: all images and scans counted.
    """

    sensitivity: Figure
    precision: Figure
    false_positives_per_image: Figure
    false_positives_per_scan: Figure


def froc_reading(curve: Curve, units: Values, rates: Sequence[float]) -> Reading:
    """Return what reads (C, R) sensitivities at (R,) false positives a unit off C resamples.

    Each is the best sensitivity of a threshold that keeps within the false positives: steps, no
    interpolation. Detections of equal score are counted together.

    Args:
        curve: what counts as a hit.
        units: (P,) images or scans of each patient.
        rates: false positives a unit.
    """
    wanted = np.asarray(rates, dtype=np.float64)
    # All detections that score as a hit does are counted with it.
    ends = curve.ranking.tie_end[curve.hit_at]
    stops, last = curve.stops(ends), np.searchsorted(curve.hit_at, ends, side="right") - 1

    def read(draws: Draws) -> Values:
        truths = curve.truths_in(draws.weights)[:, None]
        hits = draws.hits(curve).take(last, axis=1)
        false_positives = draws.detections(curve, stops) - hits
        allowed = np.floor((draws.weights @ units)[:, None] * wanted + _ROUNDING)
        # No more can be found than there are, however many are allowed.
        allowed = np.minimum(allowed, false_positives.max(initial=0))
        within = places_in_rows(false_positives, allowed, side="right")
        hits = np.concatenate([np.zeros((len(hits), 1), dtype=np.int64), hits], axis=1)
        found = np.take_along_axis(hits, within, axis=1)
        undefined_rows = np.full(found.shape, np.nan)
        return np.asarray(np.divide(found, truths, out=undefined_rows, where=truths > 0))

    return read


def froc(
    curve: Curve,
    cohort: Cohort,
    *,
    per: Unit,
    of: Kind = "box",
    rates: Sequence[float] = FROC_RATES,
) -> Froc:
    """Return the readings of the curve with their intervals over patients.

    Args:
        curve: the detections in order, and which of them hit.
        cohort: whose the images and scans are.
        per: what the false positives are counted by.
        of: what the truth is.
        rates: false positives a unit, at which it is read.
    """
    resamples = cohort.resamples
    units = cohort.images_each if per == "image" else cohort.scans_each
    n = int(curve.truths.sum())
    if n == 0 or units.sum() == 0:
        name = "truth box that counts" if of == "box" else "node that counts"
        lacking = f"no {per}" if units.sum() == 0 else f"no {name}"
        return undefined_froc(lacking, per=per, of=of, rates=rates)
    readings = [froc_reading(curve, units, r) for r in (rates, tuple(PLOTTED_RATES))]
    at_rates, plotted = read_resamples(curve.ranking, readings, resamples)
    told = int((curve.truths > 0).sum())
    reason = None if len(curve.ranking.order) else "no detection"
    points = tuple(
        FrocPoint(
            rate,
            _share(resamples.figure(at_rates[:, k], n=n, patients=told, is_share=True), n),
            _threshold(curve, float(at_rates[0, k])),
        )
        for k, rate in enumerate(rates)
    )
    mean = resamples.figure(at_rates.mean(axis=1), n=n, reason=reason, patients=told)
    return Froc(per, of, points, mean, _band(plotted, resamples, told))


def undefined_froc(
    reason: str, *, per: Unit, of: Kind, rates: Sequence[float] = FROC_RATES
) -> Froc:
    """Return the curve that cannot be drawn, for `reason`."""
    none = undefined(reason)
    return Froc(per, of, tuple(FrocPoint(rate, none, None) for rate in rates), none, None)


def _share(figure: Figure, n: int) -> Figure:
    """Return the figure with Wilson's interval beside it."""
    assert figure.value is not None
    wilson = wilson_interval(round(figure.value * n), n)
    return replace(figure, independent_interval=wilson, independent_method="Wilson")


def _threshold(curve: Curve, sensitivity: float) -> float | None:
    """Return the highest score from which on the sample's sensitivity is reached."""
    needed = round(sensitivity * curve.truths.sum())
    return float(curve.ranking.scores[curve.hit_at[needed - 1]]) if needed else None


def _band(plotted: Values, resamples: Resamples, patients: int) -> FrocBand:
    rates, sample = _drawn(PLOTTED_RATES), _drawn(plotted[0])
    band, _ = resamples.band(plotted, patients=patients)
    if band is None:
        return FrocBand(rates, sample, None, None)
    low, high = band
    return FrocBand(rates, sample, _drawn(low), _drawn(high))


def _drawn(values: Values) -> tuple[float, ...]:
    """Return (K,) values to the sixth digit, which no plot shows."""
    return tuple(round(float(value), 6) for value in values)


def operating_point(matches: Matches, chosen: NDArray[np.bool_], cohort: Cohort) -> OperatingPoint:
    """Return what the detections are worth that a threshold leaves.

    Matching is greedy by score, so the matches above a threshold do not depend on those below.

    Args:
        matches: at IoU 0.5.
        chosen: (D,) the detections at or above the threshold.
        cohort: whose the images are.
    """
    resamples, truth = cohort.resamples, matches.tables.truth
    above = chosen[matches.found_index] & ~matches.ignored
    owner = cohort.patient_of_image[matches.image_index]
    wrong = resamples.totals(owner, above & matches.false_positive)

    def rate(units_each: Values, unit: str) -> Figure:
        units = resamples.weights @ units_each
        values = np.divide(wrong, units, out=np.full(len(units), np.nan), where=units > 0)
        reason = None if units[0] else f"no {unit}"
        return resamples.figure(values, n=int(units[0]), reason=reason)

    return OperatingPoint(
        sensitivity=resamples.share(
            found_truth(matches, above)[matches.counts],
            cohort.patient_of_image[truth.image[matches.counts]],
            of="truth box that counts",
        ),
        precision=resamples.share(
            matches.hit[above], owner[above], of="detection at or above the threshold"
        ),
        false_positives_per_image=rate(cohort.images_each, "image"),
        false_positives_per_scan=rate(cohort.scans_each, "scan"),
    )


def found_truth(matches: Matches, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (G,) whether one of the detections that (N,) `chosen` marks hits each truth box."""
    found = np.zeros(len(matches.tables.truth), dtype=bool)
    found[matches.truth_index[chosen & matches.hit]] = True
    return found
