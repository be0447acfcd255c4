"""Bias and limits of agreement by hand."""

import numpy as np
import pytest

from lnmdetect.metrics.axis_errors import axis_errors
from lnmdetect.metrics.resampling import Resamples

ERRORS = np.array([1.0, -1.0, 2.0, 0.0])
TWO = np.array([0, 0, 1, 1])


def test_bias_and_limits_are_the_mean_and_196_deviations_about_it() -> None:
    found = axis_errors(ERRORS, TWO, np.full(4, 0.5), Resamples(2, count=0))
    # Mean 0.5; squares about it 0.25 + 2.25 + 2.25 + 0.25 = 5, over 3: sd 1.29099.
    assert found.mean_mm.value == pytest.approx(0.5)
    assert found.lower_limit_mm.value == pytest.approx(0.5 - 2.53030, abs=1e-4)
    assert found.upper_limit_mm.value == pytest.approx(0.5 + 2.53030, abs=1e-4)
    assert found.mean_absolute_mm.value == 1.0
    assert found.mean_px.value == 1.0
    assert found.mean_mm.n == 4


def test_intervals_draw_whole_patients() -> None:
    found = axis_errors(ERRORS, TWO, np.ones(4), Resamples(2, count=400))
    # Patient 0 alone has a bias of 0, patient 1 alone of 1.
    assert found.mean_mm.interval == (0.0, 1.0)


def test_nodes_without_one_of_the_axes_are_left_out() -> None:
    errors = np.array([np.nan, 3.0, np.nan])
    found = axis_errors(errors, np.array([0, 1, 1]), np.ones(3), Resamples(2, count=0))
    assert found.mean_mm.value == 3.0
    assert found.mean_mm.n == 1
    assert found.lower_limit_mm.value is None
    assert found.lower_limit_mm.reason == "fewer than two nodes with both axes"


def test_no_node_has_no_bias() -> None:
    found = axis_errors(np.zeros(0), np.zeros(0, np.int64), np.zeros(0), Resamples(2))
    assert found.mean_mm.value is None
    assert found.mean_mm.reason == "no node with both axes"
