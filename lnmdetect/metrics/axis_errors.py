"""How far measured lengths lie from those of truth: bias and limits of agreement."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.intervals import Z_95
from lnmdetect.metrics.resampling import Resamples

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class AxisErrors:
    """Measured minus true, over nodes (Bland, Altman 1986, Lancet 1:307).

    Attributes:
        mean_mm: the bias; mean_px: the same in pixels.
        lower_limit_mm, upper_limit_mm: the bias less and plus 1.96 standard deviations: the 95 %
            limits of agreement.
        mean_absolute_mm: of the errors without their sign.
    """

    mean_mm: Figure
    lower_limit_mm: Figure
    upper_limit_mm: Figure
    mean_absolute_mm: Figure
    mean_px: Figure


def axis_errors(
    error_mm: Numbers, patient: NDArray[np.int64], pixel_mm: Numbers, resamples: Resamples
) -> AxisErrors:
    """Return the figures of (M,) errors, with intervals over patients.

    Args:
        error_mm: measured minus true; NaN where one of the two is not known: left out.
        patient: (M,) whose each node is.
        pixel_mm: (M,) size of a pixel there.
        resamples: of the patients.
    """
    known = np.isfinite(error_mm)
    error, owner, pixel = error_mm[known], patient[known], pixel_mm[known]
    n, told = len(error), len(np.unique(owner))
    mean, square = resamples.mean(owner, error), resamples.mean(owner, error**2)
    count = resamples.totals(owner, np.ones(n))
    freedom = np.where(count > 1, count - 1, np.nan)
    spread = np.sqrt(np.maximum(square - mean**2, 0) * count / freedom)

    def figure(values: Numbers, lacking: str) -> Figure:
        reason = lacking if not np.isfinite(values[0]) else None
        return resamples.figure(values, n=n, reason=reason, patients=told)

    none, lone = "no node with both axes", "fewer than two nodes with both axes"
    return AxisErrors(
        mean_mm=figure(mean, none),
        lower_limit_mm=figure(mean - Z_95 * spread, lone),
        upper_limit_mm=figure(mean + Z_95 * spread, lone),
        mean_absolute_mm=figure(resamples.mean(owner, np.abs(error)), none),
        mean_px=figure(resamples.mean(owner, error / pixel), none),
    )
