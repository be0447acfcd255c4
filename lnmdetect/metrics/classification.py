"""How well benign and metastatic nodes are told apart."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.intervals import share


@dataclass(frozen=True)
class Confusion:
    """Counts with metastatic as the positive class."""

    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int

    @property
    def positives(self) -> int:
        """Metastatic nodes."""
        return self.true_positive + self.false_negative

    @property
    def negatives(self) -> int:
        """Benign nodes."""
        return self.true_negative + self.false_positive

    @property
    def total(self) -> int:
        """All nodes."""
        return self.positives + self.negatives


@dataclass(frozen=True)
class ClassFigures:
    """One class: how many there are, how many are called so, how many calls are right."""

    n: int
    recall: Figure
    precision: Figure


@dataclass(frozen=True)
class Classification:
    """Benign against metastatic; metastatic is the positive class.

    Attributes:
        auc: area under the ROC curve of P(metastatic).
        tpr, tnr, ppv, npv: sensitivity, specificity and predictive values of the calls.
        majority_accuracy: accuracy of calling all nodes what most of them are.
    """

    n: int
    auc: Figure
    accuracy: Figure
    majority_accuracy: Figure
    tpr: Figure
    tnr: Figure
    ppv: Figure
    npv: Figure
    confusion: Confusion
    per_class: Mapping[str, ClassFigures]


def auc_by_ranks(is_positive: NDArray[np.bool_], ranking: NDArray[np.float64]) -> Figure:
    """Return the area under the ROC curve: the share of pairs in order, ties counted half.

    Args:
        is_positive: (N,).
        ranking: (N,) finite; higher means more likely positive.
    """
    positives = int(is_positive.sum())
    negatives = len(is_positive) - positives
    if not positives or not negatives:
        missing = "metastatic" if not positives else "benign"
        return undefined(f"no {missing} node" if len(is_positive) else "no node")
    _, place, counts = np.unique(ranking, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mean_ranks[place][is_positive].sum())
    in_order = rank_sum - positives * (positives + 1) / 2
    return Figure(in_order / (positives * negatives), n=positives + negatives)


def count_confusion(is_positive: NDArray[np.bool_], called: NDArray[np.bool_]) -> Confusion:
    """Return the four counts of (N,) truth against (N,) calls."""
    return Confusion(
        true_positive=int((is_positive & called).sum()),
        false_negative=int((is_positive & ~called).sum()),
        false_positive=int((~is_positive & called).sum()),
        true_negative=int((~is_positive & ~called).sum()),
    )


def classification(
    is_positive: NDArray[np.bool_],
    p_metastatic: NDArray[np.float64],
    called: NDArray[np.bool_],
) -> Classification:
    """Return the figures of N nodes.

    Args:
        is_positive: (N,) metastatic in truth.
        p_metastatic: (N,) in [0, 1].
        called: (N,) called metastatic at the classifier's threshold.
    """
    counts = count_confusion(is_positive, called)
    right = counts.true_positive + counts.true_negative
    called_positive = counts.true_positive + counts.false_positive
    called_negative = counts.true_negative + counts.false_negative
    tpr = share(counts.true_positive, counts.positives, of="metastatic node")
    tnr = share(counts.true_negative, counts.negatives, of="benign node")
    ppv = share(counts.true_positive, called_positive, of="node called metastatic")
    npv = share(counts.true_negative, called_negative, of="node called benign")
    majority = max(counts.positives, counts.negatives)
    return Classification(
        n=counts.total,
        auc=auc_by_ranks(is_positive, p_metastatic),
        accuracy=share(right, counts.total, of="node"),
        majority_accuracy=share(majority, counts.total, of="node"),
        tpr=tpr,
        tnr=tnr,
        ppv=ppv,
        npv=npv,
        confusion=counts,
        per_class={
            "benign": ClassFigures(counts.negatives, tnr, npv),
            "metastatic": ClassFigures(counts.positives, tpr, ppv),
        },
    )
