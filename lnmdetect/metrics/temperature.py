"""Temperature scaling: one number that takes the over-confidence out of probabilities.

Guo et al. 2017 (ICML, PMLR 70:1321), section 4.2: logits are divided by T. A probability is known
up to a constant of its logits, so dividing log-probabilities does the same.
"""

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.figure import Figure, undefined

LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures looked at; beyond them probabilities are 0 and 1, or all alike."""
_STEPS = 60  # halvings of log T, until float64 has no finer step

Probabilities = NDArray[np.float64]


def at_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return (N, C) probabilities, rows summing to 1, with logits divided by `temperature`.

    Args:
        probabilities: (N, C) in [0, 1], rows summing to 1.
        temperature: above 0; 1 gives back what came in.
    """
    if temperature == 1:
        return probabilities
    scaled = _logits(probabilities) / temperature
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def negative_log_likelihood(probabilities: Probabilities, label: NDArray[np.int64]) -> float:
    """Return the mean of -log P(label): (N, C) probabilities, (N,) places in C, N above 0."""
    return float(-_logits(probabilities)[np.arange(len(label)), label].mean())


def fit_temperature(probabilities: Probabilities, label: NDArray[np.int64]) -> Figure:
    """Return the temperature with the least negative log-likelihood, n = N.

    The likelihood is concave in 1 / T, so its slope is halved in on; there is one answer. Undefined
    without cases, and where the likelihood grows on to either end.

    Args:
        probabilities: (N, C), rows summing to 1.
        label: (N,) places in C.
    """
    if not len(label):
        return undefined("no node")
    logits = _logits(probabilities)
    of_label = logits[np.arange(len(label)), label].mean()

    def too_sharp(temperature: float) -> bool:
        """Whether a higher temperature is likelier: the slope in 1 / T is below 0."""
        expected = (at_temperature(probabilities, temperature) * logits).sum(axis=1).mean()
        return bool(expected > of_label)

    if not too_sharp(LOWEST):
        return undefined(
            f"{LOWEST:g} is not low enough: the likeliest class is the true one of every node, or "
            "the probabilities hardly differ"
        )
    if too_sharp(HIGHEST):
        return undefined(
            f"{HIGHEST:g} is not high enough: classes called unlikely are the true ones more often"
        )
    low, high = np.log(LOWEST), np.log(HIGHEST)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if too_sharp(float(np.exp(middle))) else (low, middle)
    return Figure(float(np.exp((low + high) / 2)), n=len(label))


def _logits(probabilities: Probabilities) -> Probabilities:
    """Return (N, C) log-probabilities: logits up to a constant a row; finite also for 0."""
    return np.asarray(np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)))
