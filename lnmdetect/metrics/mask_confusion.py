"""Pixels by label in truth and label answered, each as a share of its row and of its column."""

from dataclasses import dataclass

import numpy as np

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.mask_slices import LABELS, UNKNOWN, Counts

FigureRows = tuple[tuple[Figure, ...], ...]


@dataclass(frozen=True)
class PixelConfusion:
    """Pixels of all images that are not ignored; rows by label in truth, columns answered.

    Attributes:
        labels: of rows and columns; `unknown` only where some pixel is.
        pixels: how many.
        by_truth: share of the truth's pixels, each row sums to 1.
        by_answer: share of the answered pixels, each column sums to 1.
    """

    labels: tuple[str, ...]
    pixels: tuple[tuple[int, ...], ...]
    by_truth: FigureRows
    by_answer: FigureRows


def pixel_confusion(confusion: Counts, cohort: Cohort) -> PixelConfusion:
    """Return the confusion of (I, 5, 5) pixels of each image."""
    whole = confusion.sum(axis=0)
    size = len(LABELS) if whole[UNKNOWN].any() or whole[:, UNKNOWN].any() else UNKNOWN
    each = np.zeros((cohort.patients, size, size))
    np.add.at(each, cohort.patient_of_image, confusion[:, :size, :size])
    drawn = np.tensordot(cohort.resamples.weights, each, axes=1)
    return PixelConfusion(
        labels=LABELS[:size],
        pixels=tuple(tuple(row) for row in whole[:size, :size].tolist()),
        by_truth=_shares(drawn, each, cohort, axis=2),
        by_answer=_shares(drawn, each, cohort, axis=1),
    )


def _shares(
    drawn: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    each: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    cohort: Cohort,
    *,
    axis: int,
) -> FigureRows:
    """Return the share of each of (1 + B, K, K) counts in the sum over an axis of its own."""
    sums = np.broadcast_to(drawn.sum(axis=axis, keepdims=True), drawn.shape)
    shares = np.divide(drawn, sums, out=np.full(drawn.shape, np.nan), where=sums > 0)
    told = np.broadcast_to(each.sum(axis=axis, keepdims=True), each.shape)
    what = "in truth" if axis == 2 else "answered"
    size = drawn.shape[1]
    return tuple(
        tuple(
            cohort.resamples.figure(
                shares[:, row, column],
                n=int(sums[0, row, column]),
                reason=f"no such pixel {what}" if not sums[0, row, column] else None,
                patients=int((told[:, row, column] > 0).sum()),
            )
            for column in range(size)
        )
        for row in range(size)
    )
