"""A logistic regression, cross-validated by patient: what a few numbers alone can tell apart."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

FOLDS = 5
RIDGE = 1.0
"""Penalty on the squared coefficients of standardised features, as scikit-learn's default C = 1."""

Values = NDArray[np.float64]


def out_of_fold_logits(
    features: ArrayLike, is_positive: NDArray[np.bool_], groups: ArrayLike
) -> Values:
    """Return (N,) log odds of each row from a regression that saw no row of its group.

    Groups go to the folds in turn, in sorted order; a fold whose training rows are of one class
    gets 0.

    Args:
        features: (N, F).
        is_positive: (N,).
        groups: (N,) whose rows stay together, as patients.
    """
    rows = np.asarray(features, dtype=np.float64)
    _, group_index = np.unique(np.asarray(groups), return_inverse=True)
    fold = group_index % FOLDS
    logits = np.zeros(len(rows))
    for number in range(FOLDS):
        held_out = fold == number
        train = ~held_out
        if held_out.any() and 0 < is_positive[train].sum() < train.sum():
            logits[held_out] = _fit(rows[train], is_positive[train])(rows[held_out])
    return logits


class _Model:
    """Coefficients for standardised features."""

    def __init__(self, mean: Values, spread: Values, weights: Values) -> None:
        self.mean, self.spread, self.weights = mean, spread, weights

    def __call__(self, rows: Values) -> Values:
        scaled = (rows - self.mean) / self.spread
        return np.asarray(scaled @ self.weights[:-1] + self.weights[-1])


def _fit(rows: Values, is_positive: NDArray[np.bool_]) -> _Model:
    """Return the regression of `rows`, penalised on all weights but the constant."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    design = np.column_stack([(rows - mean) / spread, np.ones(len(rows))])
    sign = np.where(is_positive, 1.0, -1.0)

    def loss(weights: Values) -> tuple[float, Values]:
        margin = sign * (design @ weights)
        value = np.logaddexp(0, -margin).sum() + RIDGE / 2 * (weights[:-1] ** 2).sum()
        slope = -(sign / (1 + np.exp(np.clip(margin, -700, 700)))) @ design
        slope[:-1] += RIDGE * weights[:-1]
        return float(value), slope

    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B")
    return _Model(mean, spread, np.asarray(found.x))
