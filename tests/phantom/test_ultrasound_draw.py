"""What is drawn for each patient: the finding's operating point, what each modality can tell."""

from dataclasses import astuple

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from lnmdetect.phantom.ultrasound_draw import UltrasoundPatient, draw_patient

PATIENTS = 3000
Numbers = NDArray[np.float64]


@pytest.fixture(scope="module")
def cohort() -> list[UltrasoundPatient]:
    return [draw_patient(3, index) for index in range(PATIENTS)]


@pytest.fixture(scope="module")
def metastatic(cohort: list[UltrasoundPatient]) -> NDArray[np.bool_]:
    return np.array([patient.label == "metastatic" for patient in cohort])


def told(cohort: list[UltrasoundPatient], metastatic: NDArray[np.bool_], *of: str) -> float:
    """AUC on one half of a logistic regression on the other half, on some of what was drawn."""
    columns: dict[str, Numbers] = {
        "growth": np.array([[p.hidden.growth] for p in cohort]),
        "perfusion": np.array([[p.hidden.perfusion] for p in cohort]),
        "bmode": np.array([astuple(p.bmode) for p in cohort]),
        "ceus": np.array([astuple(p.ceus) for p in cohort]),
        "finding": np.array([[p.finding == "present"] for p in cohort], dtype=np.float64),
        "size": np.array([[np.log(p.max_size_mm)] for p in cohort]),
        "age": np.array([[p.age_years] for p in cohort]),
    }
    seen = np.column_stack([columns[name] for name in of])
    half = len(seen) // 2
    fitted = LogisticRegression(max_iter=3000).fit(seen[:half], metastatic[:half])
    scores = fitted.predict_proba(seen[half:])[:, 1]
    return float(roc_auc_score(metastatic[half:], scores))


def test_a_patient_is_the_same_for_the_same_seed_and_index() -> None:
    assert draw_patient(1, 7) == draw_patient(1, 7)
    assert len({draw_patient(seed, index) for seed in (1, 2) for index in (7, 8)}) == 4


def test_the_finding_has_the_published_operating_point(
    cohort: list[UltrasoundPatient], metastatic: NDArray[np.bool_]
) -> None:
    present = np.array([patient.finding == "present" for patient in cohort])
    assert present[metastatic].mean() == pytest.approx(0.386, abs=0.04)
    assert (~present)[~metastatic].mean() == pytest.approx(0.90, abs=0.025)


@pytest.mark.parametrize(
    ("of", "low", "high"),
    [
        (("growth",), 0.81, 0.87),
        (("perfusion",), 0.81, 0.87),
        (("finding",), 0.61, 0.68),
        (("growth", "perfusion"), 0.87, 0.93),
        (("growth", "perfusion", "finding"), 0.88, 0.94),
        (("bmode",), 0.78, 0.86),
        (("ceus",), 0.78, 0.86),
        (("bmode", "ceus", "finding", "size"), 0.87, 0.94),
        (("size",), 0.55, 0.65),
        (("age",), 0.58, 0.70),
    ],
)
def test_each_modality_tells_a_part(
    cohort: list[UltrasoundPatient],
    metastatic: NDArray[np.bool_],
    of: tuple[str, ...],
    low: float,
    high: float,
) -> None:
    assert low <= told(cohort, metastatic, *of) <= high


def test_the_hidden_signs_hang_together_little_within_a_class(
    cohort: list[UltrasoundPatient], metastatic: NDArray[np.bool_]
) -> None:
    hidden = np.array([astuple(patient.hidden) for patient in cohort])
    for members in (metastatic, ~metastatic):
        assert abs(np.corrcoef(hidden[members].T)[0, 1]) < 0.2


def test_a_table_1_shows_younger_more_male_and_larger_metastatic_cases(
    cohort: list[UltrasoundPatient], metastatic: NDArray[np.bool_]
) -> None:
    ages = np.array([patient.age_years for patient in cohort])
    male = np.array([patient.sex == "M" for patient in cohort])
    size = np.array([patient.max_size_mm for patient in cohort])
    upper = np.array(["upper" in patient.location for patient in cohort])
    assert 4 < ages[~metastatic].mean() - ages[metastatic].mean() < 8
    assert 0.05 < male[metastatic].mean() - male[~metastatic].mean() < 0.17
    assert 1.05 < np.median(size[metastatic]) / np.median(size[~metastatic]) < 1.16
    assert 0.06 < upper[metastatic].mean() - upper[~metastatic].mean() < 0.18
    assert 0.40 < metastatic.mean() < 0.50
