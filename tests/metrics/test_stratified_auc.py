import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.stratified_auc import areas_within

RNG = np.random.default_rng(8)
TRUTH = RNG.random(50) < 0.4
RANKING = np.round(RNG.normal(TRUTH * 1.0), 1)
PATIENT = np.arange(50) // 2
RESAMPLES = Resamples(25, count=60, seed=2)


def by_pairs(weights: np.ndarray, stratum: np.ndarray) -> float:
    in_order = pairs = 0.0
    for p in np.flatnonzero(TRUTH):
        for n in np.flatnonzero(~TRUTH & (stratum == stratum[p])):
            weight = weights[PATIENT[p]] * weights[PATIENT[n]]
            pairs += weight
            in_order += weight * ((RANKING[p] > RANKING[n]) + 0.5 * (RANKING[p] == RANKING[n]))
    return in_order / pairs


def test_only_pairs_of_one_stratum_count_in_the_sample_and_in_each_resample() -> None:
    stratum = PATIENT % 3
    found = areas_within(TRUTH, RANKING, stratum, patient=PATIENT, resamples=RESAMPLES)
    assert found == pytest.approx([by_pairs(row, stratum) for row in RESAMPLES.weights])


def test_a_single_stratum_gives_the_plain_area() -> None:
    one = np.zeros(50, dtype=np.int64)
    found = areas_within(TRUTH, RANKING, one, patient=PATIENT, resamples=RESAMPLES)
    assert found[0] == pytest.approx(roc_auc_score(TRUTH, RANKING))


def test_models_that_rank_well_apart_are_not_blamed_for_different_scales() -> None:
    truth, stratum = np.array([0, 1, 0, 1], dtype=bool), np.array([0, 0, 1, 1])
    ranking, patient = np.array([0.1, 0.2, 0.8, 0.9]), np.arange(4)
    found = areas_within(truth, ranking, stratum, patient=patient, resamples=Resamples(4, 0))
    assert found[0] == 1.0
    assert roc_auc_score(truth, ranking) == 0.75


def test_strata_of_one_class_each_have_no_pair() -> None:
    truth = np.array([0, 0, 1], dtype=bool)
    found = areas_within(
        truth, np.zeros(3), truth.astype(np.int64), patient=np.arange(3), resamples=Resamples(3, 5)
    )
    assert np.isnan(found).all()
