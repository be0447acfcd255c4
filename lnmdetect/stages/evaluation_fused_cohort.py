"""Table 1 of an evaluation of fused cases: who they are, benign beside metastatic."""

from collections.abc import Sequence

import numpy as np

from lnmdetect.core.ultrasound import UltrasoundCase
from lnmdetect.metrics.cohort_table import level_row, number_row
from lnmdetect.stages.evaluation_fused_result import CohortTable

FEWEST_CASES = 5
"""Of a location with a row of its own; fewer would neither be told apart nor tested."""


def cohort_table(cases: Sequence[UltrasoundCase]) -> CohortTable:
    """Return table 1 of cases of known status."""
    is_positive = np.array([case.label == "metastatic" for case in cases], dtype=bool)
    numbers = {
        name: np.array([getattr(case, name) for case in cases], dtype=np.float64)  # None: NaN
        for name in ("age_years", "max_size_mm")
    }
    findings = [None if case.finding == "unknown" else case.finding for case in cases]
    locations = [_words(case.location) for case in cases]
    levels = {
        "sex": level_row([case.sex for case in cases], is_positive),
        "location": level_row(locations, is_positive, fewest=FEWEST_CASES),
        "finding": level_row(findings, is_positive),
    }
    return CohortTable(
        benign=int((~is_positive).sum()),
        metastatic=int(is_positive.sum()),
        patients=len({case.patient for case in cases}),
        numbers={name: number_row(values, is_positive) for name, values in numbers.items()},
        levels=levels,
    )


def _words(location: str | None) -> str | None:
    """Return a location as others may have written it: in small letters, with single spaces."""
    return " ".join((location or "").lower().split()) or None
