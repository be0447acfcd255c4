"""95 % intervals over patients: what belongs to one patient is drawn together, or not at all.

Every figure is computed once for the sample and once for each resample by the same code: it takes
how often each patient counts, and the sample is the row where each counts once.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.figure import OVER_PATIENTS, Figure, Interval, undefined
from lnmdetect.metrics.intervals import wilson_interval

RESAMPLES = 2000
"""Enough that the ends of a 95 % interval move in the third digit (Efron, Tibshirani 1993, 13)."""
SEED = 0
WILSON_OVER_PATIENTS = "Wilson, each patient counted once: no resample can differ"
ONE_PATIENT = "none: a single patient"
_SAME = "none: all resamples give the same value"
_HALF = "none: undefined in half of the resamples or more"
_NOT_ASKED = "none: no resamples asked for"

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Resamples:
    """Draws of P patients with replacement.

    Attributes:
        patients: P.
        count: B, how many draws.
        seed: of the draws.
    """

    patients: int
    count: int = RESAMPLES
    seed: int = SEED

    def __post_init__(self) -> None:
        if self.patients < 0 or self.count < 0:
            raise ValueError(f"resamples: expected counts >= 0, got {self.patients}, {self.count}")

    @cached_property
    def weights(self) -> Values:
        """(1 + B, P) how often each patient counts: once each in the first row, the sample."""
        rng = np.random.default_rng(self.seed)
        sample = np.ones((1, self.patients))
        if self.patients == 0 or self.count == 0:
            return np.repeat(sample, 1 + self.count, axis=0)
        equal = np.full(self.patients, 1 / self.patients)
        draws = rng.multinomial(self.patients, equal, size=self.count)
        return np.concatenate([sample, draws.astype(np.float64)])

    def totals(self, patient: NDArray[np.int64], amount: NDArray[np.generic]) -> Values:
        """Return (1 + B,) sums of (N,) amounts, each counted as often as its patient."""
        return self.weights @ np.bincount(patient, weights=amount, minlength=self.patients)

    def mean(self, patient: NDArray[np.int64], amount: NDArray[np.generic]) -> Values:
        """Return (1 + B,) means of (N,) amounts; NaN where no patient of theirs is drawn."""
        sums, counts = self.totals(patient, amount), self.totals(patient, np.ones(len(amount)))
        undrawn = np.full(len(counts), np.nan)
        return np.asarray(np.divide(sums, counts, out=undrawn, where=counts > 0))

    def share(self, successes: NDArray[np.bool_], patient: NDArray[np.int64], *, of: str) -> Figure:
        """Return the share of N cases that succeed; undefined where there is no `of`.

        Args:
            successes: (N,).
            patient: (N,) whose each case is, in [0, P).
            of: what the cases are, in the singular.
        """
        n = len(successes)
        if n == 0:
            return undefined(f"no {of}")
        count = int(successes.sum())
        shares = self.mean(patient, successes)
        found = self.figure(shares, n=n, patients=len(np.unique(patient)), is_share=True)
        return Figure(
            found.value,
            interval=found.interval,
            interval_method=found.interval_method,
            independent_interval=wilson_interval(count, n),
            independent_method="Wilson",
            n=n,
        )

    def figure(
        self,
        values: Values,
        *,
        n: int | None = None,
        reason: str | None = None,
        patients: int | None = None,
        is_share: bool = False,
    ) -> Figure:
        """Return the sample's value with the percentile interval of the resamples.

        Args:
            values: (1 + B,), the sample's first; NaN where a resample leaves it undefined.
            n: what the figure rests on.
            reason: why it is what it is; why it is undefined, where the sample's value is NaN.
            patients: how many of them have a say in it; None takes all.
            is_share: it is a share of cases: Wilson stands in where it is 0 or 1 in all resamples.
        """
        if not np.isfinite(values[0]):
            return undefined(reason or "undefined")
        told = self.patients if patients is None else patients
        interval, method = self._interval(values, told, is_share=is_share)
        return Figure(float(values[0]), reason, interval, method, n=n)

    def band(self, curves: Values, *, patients: int) -> tuple[tuple[Values, Values] | None, str]:
        """Return (G,) lower and upper percentiles at each of G places, and how they came about.

        None where there is no band; then the text says why.

        Args:
            curves: (1 + B, G), the sample's first; NaN where a resample leaves it undefined.
            patients: how many of them have a say in it.
        """
        drawn = curves[1:][np.isfinite(curves[1:]).all(axis=1)]
        lacking = self._too_little(len(drawn), patients)
        if lacking:
            return None, lacking
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        return (low, high), OVER_PATIENTS

    def _too_little(self, drawn: int, patients: int) -> str | None:
        """Return why `drawn` defined resamples of `patients` tell nothing, None where they do."""
        if self.count == 0:
            return _NOT_ASKED
        if patients < 2:
            return ONE_PATIENT
        return _HALF if drawn <= self.count / 2 else None

    def _interval(
        self, values: Values, patients: int, *, is_share: bool
    ) -> tuple[Interval | None, str]:
        drawn = values[1:][np.isfinite(values[1:])]
        lacking = self._too_little(len(drawn), patients)
        if lacking:
            return None, lacking
        if np.ptp(drawn) == 0:
            if is_share and values[0] in (0.0, 1.0):
                return wilson_interval(round(values[0] * patients), patients), WILSON_OVER_PATIENTS
            return None, _SAME
        low, high = np.quantile(drawn, [0.025, 0.975])
        return (float(low), float(high)), OVER_PATIENTS
