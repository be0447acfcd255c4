from collections.abc import Sequence

import numpy as np
import pytest

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.patients import PatientFigures, patient_figures
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.tables import BoxTables, FoundTable, TruthTable

BENIGN, METASTATIC, UNKNOWN = 1, 2, 3
BOX = [0.0, 0.0, 10.0, 10.0]


def figures(
    truth: Sequence[tuple[int, int]],
    found: Sequence[tuple[int, float, float]],
    *,
    patients: int,
    threshold: float | None = 0.5,
) -> PatientFigures:
    """Truth as (patient, class), boxes as (patient, score, P(metastatic)); an image a patient."""
    tables = BoxTables(
        patients,
        TruthTable(
            np.array([p for p, _ in truth], dtype=np.int64),
            np.array([BOX] * len(truth)).reshape(-1, 4),
            np.zeros(len(truth), dtype=bool),
            np.array([c for _, c in truth], dtype=np.int64),
        ),
        FoundTable(
            np.array([p for p, _, _ in found], dtype=np.int64),
            np.array([BOX] * len(found)).reshape(-1, 4),
            np.array([s for _, s, _ in found], dtype=np.float64),
        ),
    )
    p_metastatic = np.array([m for _, _, m in found], dtype=np.float64)
    return patient_figures(
        tables,
        p_metastatic,
        p_metastatic >= 0.5,
        cohort=Cohort(np.arange(patients), np.arange(patients), Resamples(patients, count=200)),
        chosen=None if threshold is None else tables.found.scores >= threshold,
    )


def test_one_box_called_metastatic_makes_a_patient_positive() -> None:
    truth = [(0, METASTATIC), (0, BENIGN), (1, METASTATIC), (2, BENIGN), (3, BENIGN)]
    found = [(0, 0.9, 0.8), (0, 0.9, 0.1), (1, 0.3, 0.9), (2, 0.6, 0.9), (3, 0.8, 0.2)]
    result = figures(truth, found, patients=4)
    # Patient 1's box is below the detector's threshold; patient 2 is called so wrongly.
    assert (result.n, result.positives, result.unknown) == (4, 2, 0)
    assert result.sensitivity.value == 0.5
    assert result.specificity.value == 0.5
    # Highest products: 0.72 and 0.27 of the positive, 0.54 and 0.16 of the others: 3 of 4 pairs.
    assert result.auc.value == pytest.approx(0.75)


def test_patients_without_boxes_rank_last_and_count() -> None:
    result = figures([(0, METASTATIC), (1, BENIGN)], [(1, 0.9, 0.4)], patients=3)
    assert result.n == 3
    assert result.auc.value == pytest.approx(0.25)  # tied with patient 2, at 0
    assert (result.sensitivity.value, result.specificity.value) == (0.0, 1.0)


def test_patients_whose_nodes_are_of_unknown_status_are_left_out() -> None:
    truth = [(0, UNKNOWN), (1, UNKNOWN), (1, METASTATIC), (2, BENIGN)]
    result = figures(truth, [], patients=3)
    assert (result.n, result.positives, result.unknown) == (2, 1, 1)
    found = [(0, 0.9, 0.9), (1, 0.8, 0.8), (2, 0.7, 0.2)]
    called = figures(truth, found, patients=3)
    # Patient 0, of unknown status, is called metastatic and has the highest score of all.
    assert (called.sensitivity.value, called.specificity.value) == (1.0, 1.0)
    assert (called.specificity.n, called.auc.value, called.auc.n) == (1, 1.0, 2)


def test_what_cannot_be_told_is_undefined_with_a_reason() -> None:
    all_positive = figures([(0, METASTATIC)], [(0, 0.9, 0.9)], patients=1)
    assert all_positive.specificity.reason == "no patient without a metastatic node"
    assert all_positive.auc.reason == "no patient without a metastatic node"
    none = figures([], [], patients=2, threshold=None)
    assert none.sensitivity.reason == "no operating threshold of the detector is known"
    assert none.auc.reason == "no patient with a metastatic node"
