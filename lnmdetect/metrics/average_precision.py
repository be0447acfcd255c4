"""Average precision and recall of boxes as one class, equal to pycocotools' for the sample."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.matching import find_overlaps, match, match_tables
from lnmdetect.metrics.ranking import (
    Curve,
    Draws,
    Places,
    Ranking,
    Reading,
    Values,
    places_in_rows,
    read_resamples,
)
from lnmdetect.metrics.tables import BoxTables, ImageBoxes

COCO_IOUS = np.linspace(0.5, 0.95, 10)
"""0.50 to 0.95 in steps of 0.05, as pycocotools makes them."""
RECALLS = np.linspace(0, 1, 101)
"""Where the precision is read, as pycocotools does."""
NO_TRUTH = "no truth box that counts"
NO_DETECTION = "no detection"


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's summary of one class of boxes.

    Attributes:
        ap50, ap75: average precision at IoU 0.50 and 0.75.
        ap: mean over IoU 0.50 to 0.95.
        ar100: recall with at most 100 detections an image, mean over IoU 0.50 to 0.95.
    """

    ap50: Figure
    ap75: Figure
    ap: Figure
    ar100: Figure


def precision_reading(curve: Curve) -> Reading:
    """Return what reads (C, 2) average precision and recall off C resamples."""

    stops = curve.stops(curve.hit_at)

    def read(draws: Draws) -> Values:
        truths = curve.truths_in(draws.weights)
        found = np.zeros((len(truths), 2))
        found[truths == 0] = np.nan
        if not len(curve.hit_at):
            return found
        hits = draws.hits(curve)
        counted = draws.detections(curve, stops)
        # Between two hits recall stays and precision falls: only the hits need be looked at.
        places = places_in_rows(hits, _hits_at_recalls(truths), side="left")
        some = truths > 0
        found[some, 0] = _best_from(hits / np.maximum(counted, 1), places)[some].mean(axis=1)
        found[some, 1] = hits[some, -1] / truths[some]
        return found

    return read


def _best_from(values: Values, places: Places) -> Values:
    """Return (C, R) the highest of each of C rows from each of R rising places on, 0 past its end.

    Args:
        values: (C, H) not below 0.
        places: (C, R) from 0 to H, rising in each row.
    """
    rows, length = values.shape
    ended = np.concatenate([values, np.zeros((rows, 1))], axis=1)
    starts = np.concatenate([places, np.full((rows, 1), length)], axis=1)
    starts += np.arange(rows)[:, None] * (length + 1)
    best = np.maximum.reduceat(ended.ravel(), starts.ravel()).reshape(rows, -1)[:, :-1]
    return np.asarray(np.maximum.accumulate(best[:, ::-1], axis=1)[:, ::-1])


def _hits_at_recalls(truths: Values) -> Values:
    """Return (C, 101) the fewest hits of (C,) truths that reach each recall, as COCO rounds."""
    total = np.maximum(truths, 1.0)[:, None]
    hits = np.ceil(RECALLS * total)
    hits -= (hits - 1) / total >= RECALLS
    hits += hits / total < RECALLS
    return np.asarray(np.maximum(hits, 0.0))


def average_precision(tables: BoxTables, cohort: Cohort) -> AveragePrecision:
    """Return AP and AR of boxes taken as one class, all images counted.

    Truth that is ignored counts as COCO's crowds do. Equal scores keep the order of the boxes.
    Without truth to find every figure is undefined; without detections it is 0, with the reason.
    """
    overlaps = find_overlaps(tables)
    all_matches = [match(overlaps, iou=iou) for iou in COCO_IOUS]
    ranking = Ranking.of(all_matches[0], cohort)
    curves = [Curve.of_matches(matches, cohort, ranking=ranking) for matches in all_matches]
    readings = [precision_reading(curve) for curve in curves]
    values = np.stack(read_resamples(ranking, readings, cohort.resamples))  # (10, 1 + B, 2)

    def figure(drawn: Values) -> Figure:
        return _figure(drawn, curves[0], cohort)

    return AveragePrecision(
        ap50=figure(values[0, :, 0]),
        ap75=figure(values[5, :, 0]),
        ap=figure(values[:, :, 0].mean(axis=0)),
        ar100=figure(values[:, :, 1].mean(axis=0)),
    )


def ap_of_curve(curve: Curve, cohort: Cohort) -> Figure:
    """Return the average precision of one curve."""
    (values,) = read_resamples(curve.ranking, [precision_reading(curve)], cohort.resamples)
    return _figure(values[:, 0], curve, cohort)


def ap50_of(tables: BoxTables, cohort: Cohort) -> Figure:
    """Return AP50 alone, as `average_precision` has it; the scores may be any ranking."""
    return ap_of_curve(Curve.of_matches(match_tables(tables), cohort), cohort)


def ap50(images: Sequence[ImageBoxes]) -> Figure:
    """Return AP50 of boxes that come image by image, without an interval."""
    figure = ap50_of(BoxTables.of_images(images), Cohort.without_patients(len(images)))
    return replace(figure, interval_method=None)


def _figure(values: Values, curve: Curve, cohort: Cohort) -> Figure:
    n = int(curve.truths.sum())
    reason = NO_TRUTH if n == 0 else None if len(curve.ranking.order) else NO_DETECTION
    told = int((curve.truths > 0).sum())
    return cohort.resamples.figure(values, n=n, reason=reason, patients=told)


SIZES_MM = (5.0, 10.0, 15.0)
"""Where the groups of the short axis meet (design, section 8)."""


def size_names(limits: Sequence[float] = SIZES_MM) -> tuple[str, ...]:
    """Return the names of the groups between the limits, mm, smallest first."""
    inner = [f"{low:g} to {high:g} mm" for low, high in pairwise(limits)]
    return (f"under {limits[0]:g} mm", *inner, f"{limits[-1]:g} mm or more")


def ap50_by_size(
    tables: BoxTables, cohort: Cohort, *, truth_side_mm: Values, found_side_mm: Values
) -> dict[str, Figure]:
    """Return AP50 of boxes of each size, as COCO does it for its three sizes.

    Truth of another size is ignored, and so is a detection of another size that hits nothing.

    Args:
        tables: the boxes.
        cohort: whose the images are.
        truth_side_mm: (G,) shorter side of each box, the short axis of the cross-section as its
            box shows it.
        found_side_mm: (D,) the same of the detections.
    """
    overlaps = find_overlaps(tables)
    truth_group = np.digitize(truth_side_mm, SIZES_MM)
    found_group = np.digitize(found_side_mm, SIZES_MM)
    figures = {}
    for group, name in enumerate(size_names()):
        matches = match(overlaps, also_ignored=truth_group != group)
        foreign = matches.false_positive & (found_group[matches.found_index] != group)
        curve = Curve.of(
            Ranking.of(matches, cohort),
            hit=matches.hit,
            ignored=matches.ignored | foreign,
            truths=cohort.per_patient(tables.truth.image[matches.counts]),
        )
        figures[name] = ap_of_curve(curve, cohort)
    return figures
