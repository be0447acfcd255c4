"""Temperature scaling by hand, against scipy and scikit-learn."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss, roc_auc_score

from lnmdetect.metrics.temperature import (
    HIGHEST,
    LOWEST,
    Probabilities,
    at_temperature,
    fit_temperature,
    negative_log_likelihood,
)


def rows(*p_second: float) -> Probabilities:
    """Two classes, the second's probability given."""
    return np.array([[1 - p, p] for p in p_second])


def drawn(seed: int, classes: int, sharpness: float) -> tuple[Probabilities, np.ndarray]:
    """Logits, and labels drawn at their probabilities once logits are divided by `sharpness`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (500, classes))
    chances = softmax(logits / sharpness, axis=1)
    labels = (rng.random((500, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    return logits, np.minimum(labels, classes - 1)


def test_odds_of_9_to_1_are_3_to_1_at_temperature_2() -> None:
    assert at_temperature(rows(0.9, 0.1), 2) == pytest.approx(rows(0.75, 0.25))
    assert at_temperature(rows(0.75), 0.5) == pytest.approx(rows(0.9))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7, 6.0])
def test_dividing_log_probabilities_is_dividing_logits(classes: int, temperature: float) -> None:
    logits = np.random.default_rng(3).normal(0, 4, (200, classes))
    found = at_temperature(softmax(logits, axis=1), temperature)
    assert found == pytest.approx(softmax(logits / temperature, axis=1), abs=1e-12)


def test_one_temperature_after_another_is_their_product() -> None:
    probabilities = softmax(np.random.default_rng(4).normal(0, 3, (50, 3)), axis=1)
    twice = at_temperature(at_temperature(probabilities, 1.5), 0.8)
    assert twice == pytest.approx(at_temperature(probabilities, 1.2), abs=1e-12)


def test_temperature_1_gives_back_the_very_numbers() -> None:
    probabilities = rows(0.3, 0.0, 1.0)
    assert np.array_equal(at_temperature(probabilities, 1), probabilities)


def test_certain_answers_stay_finite() -> None:
    found = at_temperature(rows(0.0, 1.0), 4)
    assert np.isfinite(found).all()
    assert found == pytest.approx(rows(0.0, 1.0))


def test_the_order_of_two_classes_and_so_the_auc_stay() -> None:
    logits, labels = drawn(5, 2, 2.5)
    before = softmax(logits, axis=1)
    after = at_temperature(before, 2.5)
    auc = roc_auc_score(labels, before[:, 1])
    assert roc_auc_score(labels, after[:, 1]) == pytest.approx(auc, abs=1e-12)
    assert not np.allclose(before, after, atol=0.05)


def test_the_likelihood_is_scikit_learns_log_loss() -> None:
    logits, labels = drawn(6, 3, 1)
    probabilities = softmax(logits, axis=1)
    assert negative_log_likelihood(probabilities, labels) == pytest.approx(
        log_loss(labels, probabilities, labels=[0, 1, 2])
    )
    assert negative_log_likelihood(rows(0.25), np.array([1])) == pytest.approx(np.log(4))


def test_probabilities_that_come_true_have_temperature_1() -> None:
    # of ten cases at 0.8 eight are positive, of ten at 0.3 three
    probabilities = rows(*[0.8] * 10, *[0.3] * 10)
    labels = np.array([1] * 8 + [0] * 2 + [1] * 3 + [0] * 7)
    assert fit_temperature(probabilities, labels).value == pytest.approx(1, abs=1e-9)


def test_claims_of_9_to_1_that_come_true_3_to_1_have_temperature_2() -> None:
    probabilities, labels = rows(*[0.9] * 4), np.array([1, 1, 1, 0])
    found = fit_temperature(probabilities, labels)
    assert found.value == pytest.approx(2, abs=1e-9)
    assert found.n == 4


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_scipys_minimum(seed: int, sharpness: float, classes: int) -> None:
    logits, labels = drawn(seed, classes, sharpness)

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-scaled[np.arange(len(labels)), labels].mean())

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    expected = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    found = fit_temperature(softmax(logits, axis=1), labels).value
    assert found == pytest.approx(float(np.exp(expected.x)), rel=1e-6)
    assert found == pytest.approx(sharpness, rel=0.3)


def test_nodes_that_are_all_called_right_have_no_best_temperature() -> None:
    found = fit_temperature(rows(0.9, 0.2, 0.7), np.array([1, 0, 1]))
    assert found.value is None
    assert found.reason is not None
    assert "the likeliest class is the true one of every node" in found.reason


def test_probabilities_that_hardly_differ_have_no_temperature_in_reach() -> None:
    # at 0.5001 three of four are right: T = 4e-4 / log 3
    found = fit_temperature(rows(*[0.5001] * 4), np.array([1, 1, 1, 0]))
    assert found.reason is not None
    assert found.reason.startswith("0.05 is not low enough")


def test_answers_that_are_mostly_wrong_have_no_best_temperature() -> None:
    found = fit_temperature(rows(0.9, 0.2, 0.7), np.array([0, 1, 1]))
    assert found.value is None
    assert found.reason is not None
    assert "true ones more often" in found.reason


def test_no_node_has_no_temperature() -> None:
    assert fit_temperature(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)).reason == "no node"
