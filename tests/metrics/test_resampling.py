"""Intervals over patients."""

import numpy as np
import pytest
from scipy.stats import binomtest

from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.intervals import wilson_interval
from lnmdetect.metrics.resampling import Resamples


def test_the_first_row_is_the_sample_and_each_draw_holds_as_many_patients() -> None:
    weights = Resamples(7, count=100).weights
    assert weights.shape == (101, 7)
    assert weights[0].tolist() == [1.0] * 7
    assert set(weights.sum(axis=1)) == {7.0}
    assert np.array_equal(weights, Resamples(7, count=100).weights)
    assert not np.array_equal(weights, Resamples(7, count=100, seed=1).weights)


def test_patients_are_drawn_as_often_as_by_chance() -> None:
    drawn = Resamples(50).weights[1:]
    assert drawn.mean() == pytest.approx(1.0)
    # Left out of a draw with chance (1 - 1/50)^50 = 0.364.
    assert (drawn == 0).mean() == pytest.approx(0.98**50, abs=0.005)


def test_the_share_is_that_of_the_drawn_patients_nodes() -> None:
    # A loop over drawn patients, written out.
    rng = np.random.default_rng(4)
    patient, successes = rng.integers(0, 8, 60), rng.random(60) < 0.7
    resamples = Resamples(8, count=300, seed=9)
    shares = []
    for counts in resamples.weights[1:].astype(int):
        drawn = np.concatenate([successes[patient == p] for p in np.repeat(range(8), counts)])
        shares.append(drawn.mean())
    found = resamples.share(successes, patient, of="node")
    assert found.value == pytest.approx(successes.mean(), abs=1e-12)
    assert found.interval == pytest.approx(np.quantile(shares, [0.025, 0.975]), abs=1e-12)
    assert found.interval_method == "bootstrap over patients"
    wilson = binomtest(int(successes.sum()), 60).proportion_ci(method="wilson")
    assert found.independent_interval == pytest.approx(tuple(wilson), abs=1e-9)
    assert (found.independent_method, found.n) == ("Wilson", 60)


def test_totals_count_each_amount_as_often_as_its_patient() -> None:
    resamples = Resamples(3, count=5)
    found = resamples.totals(np.array([0, 2, 2]), np.array([1.0, 10.0, 5.0]))
    assert found == pytest.approx(resamples.weights @ [1.0, 0.0, 15.0])


def test_a_mean_is_undefined_where_none_of_its_patients_is_drawn() -> None:
    resamples = Resamples(3, count=200)
    found = resamples.mean(np.array([0, 0, 1]), np.array([1.0, 2.0, 6.0]))
    weights = resamples.weights
    with np.errstate(invalid="ignore"):
        expected = weights @ [3.0, 6.0, 0.0] / (weights @ [2.0, 1.0, 0.0])
    assert found == pytest.approx(expected, nan_ok=True)
    assert np.isnan(found).any()


def test_nodes_that_go_together_give_a_wider_interval_than_wilsons() -> None:
    patient = np.repeat(np.arange(10), 10)
    found = Resamples(10).share(patient < 6, patient, of="node")
    low, high = found.interval or (0.0, 0.0)
    narrow = found.independent_interval or (0.0, 0.0)
    assert low < narrow[0] - 0.1
    assert high > narrow[1] + 0.1


def test_where_all_succeed_each_patient_counts_once() -> None:
    patient = np.repeat(np.arange(4), 5)
    for all_right in (True, False):
        found = Resamples(4).share(np.full(20, all_right), patient, of="node")
        assert found.interval == wilson_interval(4 * all_right, 4)
        assert found.interval_method == "Wilson, each patient counted once: no resample can differ"
    # Six more patients without a node have no say.
    among_ten = Resamples(10).share(np.ones(20, dtype=bool), patient, of="node")
    assert among_ten.interval == wilson_interval(4, 4)


def test_where_there_is_no_interval_the_method_says_why() -> None:
    truth, one = np.array([True, False]), np.zeros(2, dtype=np.int64)
    single = Resamples(1).share(truth, one, of="node")
    assert (single.interval, single.interval_method) == (None, "none: a single patient")
    # Ten patients, but all nodes are of one.
    lone = Resamples(10).share(truth, one, of="node")
    assert lone.interval_method == "none: a single patient"
    unasked = Resamples(2, count=0).share(truth, np.arange(2), of="node")
    assert unasked.interval_method == "none: no resamples asked for"
    same = Resamples(3, count=10).figure(np.full(11, 0.4))
    assert same.interval_method == "none: all resamples give the same value"
    half = Resamples(3, count=4).figure(np.array([0.5, 0.1, 0.2, np.nan, np.nan]))
    assert half.interval_method == "none: undefined in half of the resamples or more"


def test_a_sample_without_a_value_is_undefined_for_the_reason_given() -> None:
    values = np.array([np.nan, 0.5, 0.5])
    assert Resamples(3, count=2).figure(values, reason="no node") == Figure(None, "no node")
    assert Resamples(3).share(np.zeros(0, bool), np.zeros(0, int), of="node").reason == "no node"


def test_a_band_leaves_out_undefined_resamples_and_takes_each_place_alone() -> None:
    curves = np.array([[0.5, 0.5], [0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [np.nan, np.nan]])
    ends, method = Resamples(3, count=4).band(curves, patients=3)
    assert ends is not None
    assert ends[0] == pytest.approx(np.quantile([0, 0.5, 1], [0.025] * 2))
    assert ends[1] == pytest.approx(np.quantile([0, 0.5, 1], [0.975] * 2))
    assert method == "bootstrap over patients"
    assert Resamples(3, count=4).band(curves, patients=1) == (None, "none: a single patient")
    lost = np.full((5, 2), np.nan)
    nothing, reason = Resamples(3, count=4).band(lost, patients=3)
    assert (nothing, reason) == (None, "none: undefined in half of the resamples or more")


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="expected counts >= 0"):
        Resamples(-1)
