"""Intervals over patients."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lnmdetect.metrics.bootstrap import auc_interval, patient_weights, share_interval
from lnmdetect.metrics.intervals import wilson_interval


def test_each_resample_holds_as_many_patients_as_there_are() -> None:
    weights = patient_weights(7)
    assert weights.shape == (1000, 7)
    assert set(weights.sum(axis=1)) == {7}
    assert np.array_equal(weights, patient_weights(7))


def test_the_share_is_that_of_the_drawn_patients_boxes() -> None:
    # A loop over drawn patients, written out.
    rng = np.random.default_rng(4)
    patient, successes = rng.integers(10, 18, 60), rng.random(60) < 0.7
    shares = []
    for counts in patient_weights(8):
        drawn = np.concatenate([successes[patient == 10 + p] for p in np.repeat(range(8), counts)])
        shares.append(drawn.mean())
    found = share_interval(successes, patient)
    assert found == pytest.approx(np.quantile(shares, [0.025, 0.975]), abs=1e-12)


def test_the_area_is_that_of_scikit_learn_on_the_drawn_boxes() -> None:
    rng = np.random.default_rng(5)
    patient, positive = rng.integers(0, 6, 50), rng.random(50) < 0.5
    ranking = np.round(rng.normal(positive * 1.0), 1)  # with ties
    areas = []
    for counts in patient_weights(6):
        rows = np.concatenate([np.flatnonzero(patient == p) for p in np.repeat(range(6), counts)])
        areas.append(roc_auc_score(positive[rows], ranking[rows]))
    found = auc_interval(positive, ranking, patient)
    assert found == pytest.approx(np.quantile(areas, [0.025, 0.975]), abs=1e-12)


def test_boxes_that_go_together_give_a_wider_interval_than_wilsons() -> None:
    patient = np.repeat(np.arange(10), 10)
    low, high = share_interval(patient < 6, patient) or (0.0, 0.0)
    narrow = wilson_interval(60, 100)
    assert low < narrow[0] - 0.1
    assert high > narrow[1] + 0.1


def test_where_all_succeed_each_patient_counts_once() -> None:
    patient = np.repeat(np.arange(4), 5)
    assert share_interval(np.ones(20, dtype=bool), patient) == wilson_interval(4, 4)
    assert share_interval(np.zeros(20, dtype=bool), patient) == wilson_interval(0, 4)


def test_one_patient_or_an_area_that_cannot_vary_has_no_interval() -> None:
    one = np.zeros(4, dtype=np.int64)
    truth, ranking = np.array([True, True, False, False]), np.array([0.9, 0.8, 0.2, 0.1])
    assert share_interval(truth, one) is None
    assert auc_interval(truth, ranking, one) is None
    assert auc_interval(truth, ranking, np.array([0, 1, 0, 1])) is None
    assert auc_interval(truth[:0], ranking[:0], one[:0]) is None
