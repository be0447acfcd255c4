import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as reference_curve

from lnmdetect.metrics.ranked_nodes import RankedNodes, ranked_nodes
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.roc import (
    FPR_GRID,
    MAX_POINTS,
    areas_under_roc,
    roc_curve,
    thinned,
    tpr_on_grid,
)


def drawn_nodes(seed: int, n: int, patients: int, decimals: int = 1) -> RankedNodes:
    rng = np.random.default_rng(seed)
    truth, patient = rng.random(n) < 0.5, rng.integers(0, patients, n)
    return ranked_nodes(truth, np.round(rng.normal(truth * 1.0), decimals), patient)


def test_the_area_of_a_resample_is_that_of_scikit_learn_on_the_drawn_nodes() -> None:
    nodes, resamples = drawn_nodes(5, 50, 6), Resamples(6, count=50, seed=3)
    ranking = np.repeat(nodes.rankings, np.diff(np.append(nodes.starts, 50)))
    expected = []
    for counts in resamples.weights.astype(int):
        rows = np.repeat(np.arange(50), counts[nodes.patient])
        expected.append(roc_auc_score(nodes.is_positive[rows], ranking[rows]))
    assert areas_under_roc(nodes, resamples.weights) == pytest.approx(expected, abs=1e-12)


def test_a_resample_of_one_class_has_no_area_and_no_curve() -> None:
    nodes = ranked_nodes(np.array([True, False]), np.array([0.9, 0.1]), np.array([0, 1]))
    weights = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    assert np.isnan(areas_under_roc(nodes, weights)).tolist() == [False, True, True]
    curves = nodes.measured(weights, tpr_on_grid)[0]
    assert curves[0].tolist() == [1.0] * 101
    assert np.isnan(curves[1:]).all()


def test_a_step_that_stands_on_the_grid_is_read_at_its_top() -> None:
    # 29 of 100 benign nodes, then both metastatic ones; 0.29 x 100 is 28.999999999999996.
    truth = np.array([False] * 29 + [True] * 2 + [False] * 71)
    nodes = ranked_nodes(truth, -np.arange(102.0), np.zeros(102, dtype=np.int64))
    (curves,) = nodes.measured(np.ones((1, 1)), tpr_on_grid)
    assert curves[0].tolist() == [0.0] * 29 + [1.0] * 72


def test_the_curve_is_that_of_scikit_learn_from_corner_to_corner() -> None:
    nodes, resamples = drawn_nodes(1, 80, 5), Resamples(5)
    ranking = np.repeat(nodes.rankings, np.diff(np.append(nodes.starts, 80)))
    curve = roc_curve(nodes, nodes.measured(resamples.weights, tpr_on_grid)[0], resamples)
    fpr, tpr, thresholds = reference_curve(nodes.is_positive, ranking, drop_intermediate=False)
    assert curve.fpr == pytest.approx(fpr, abs=1e-12)
    assert curve.tpr == pytest.approx(tpr, abs=1e-12)
    assert curve.threshold[0] is None
    assert curve.threshold[1:] == pytest.approx(thresholds[1:], abs=1e-12)
    assert (curve.fpr[0], curve.tpr[0], curve.fpr[-1], curve.tpr[-1]) == (0, 0, 1, 1)


def test_the_band_is_the_percentiles_of_the_resampled_curves() -> None:
    nodes, resamples = drawn_nodes(2, 60, 8, decimals=6), Resamples(8, count=200, seed=1)
    curve = roc_curve(nodes, nodes.measured(resamples.weights, tpr_on_grid)[0], resamples)
    assert curve.band is not None
    curves = []
    for counts in resamples.weights[1:].astype(int):
        rows = np.repeat(np.arange(60), counts[nodes.patient])
        truth, place = nodes.is_positive[rows], rows  # rows lie by falling ranking
        fpr, tpr, _ = reference_curve(truth, -place, drop_intermediate=False)
        highest = [tpr[fpr <= at + 1e-12].max() for at in FPR_GRID]  # below the next step
        between = np.interp(FPR_GRID, fpr, tpr)
        curves.append(np.maximum(highest, between))
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    assert curve.band.fpr == pytest.approx(FPR_GRID)
    assert curve.band.low == pytest.approx(low, abs=1e-9)
    assert curve.band.high == pytest.approx(high, abs=1e-9)
    assert curve.band.method == "bootstrap over patients"


def test_one_patient_has_a_curve_without_a_band_and_the_reason() -> None:
    nodes, resamples = drawn_nodes(3, 30, 1), Resamples(1)
    curve = roc_curve(nodes, nodes.measured(resamples.weights, tpr_on_grid)[0], resamples)
    assert len(curve.fpr) > 2
    assert (curve.band, curve.reason) == (None, "none: a single patient")


def test_a_long_curve_keeps_its_corners_and_its_shape() -> None:
    nodes, resamples = drawn_nodes(4, 5000, 20, decimals=9), Resamples(20, count=100)
    curve = roc_curve(nodes, nodes.measured(resamples.weights, tpr_on_grid)[0], resamples)
    assert len(curve.fpr) == len(curve.tpr) == len(curve.threshold) <= MAX_POINTS
    assert (curve.fpr[0], curve.tpr[0], curve.fpr[-1], curve.tpr[-1]) == (0, 0, 1, 1)
    area = float(np.trapezoid(curve.tpr, curve.fpr))
    assert area == pytest.approx(areas_under_roc(nodes, np.ones((1, 20)))[0], abs=2e-3)


def test_points_are_thinned_evenly_along_the_curve() -> None:
    up = np.concatenate([np.linspace(0, 1, 900), np.ones(100)])
    across = np.concatenate([np.zeros(900), np.linspace(0, 1, 100)])
    kept = thinned(across, up)
    assert len(kept) <= MAX_POINTS
    assert (kept[0], kept[-1]) == (0, 999)
    assert (kept < 900).sum() == pytest.approx(100, abs=2)
    assert thinned(across[:3], up[:3]).tolist() == [0, 1, 2]
