"""How well benign and metastatic nodes are told apart."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.bootstrap import auc_interval, share_interval
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
    *,
    patient: NDArray[np.int64] | None = None,
) -> Classification:
    """Return the figures of N nodes.

    Args:
        is_positive: (N,) metastatic in truth.
        p_metastatic: (N,) in [0, 1].
        called: (N,) called metastatic at the classifier's threshold.
        patient: (N,) whose each node is, for intervals over patients; without it shares have
            Wilson's, which take nodes as independent, and the AUC has none.
    """

    def rate(right: NDArray[np.bool_], among: NDArray[np.bool_], of: str) -> Figure:
        figure = share(int(right[among].sum()), int(among.sum()), of=of)
        if patient is None or figure.value is None:
            return figure
        return replace(figure, interval=share_interval(right[among], patient[among]))

    counts = count_confusion(is_positive, called)
    all_nodes = np.ones(counts.total, dtype=bool)
    commoner = np.asarray(is_positive == (counts.positives >= counts.negatives))
    tpr = rate(called, is_positive, "metastatic node")
    tnr = rate(~called, ~is_positive, "benign node")
    ppv = rate(is_positive, called, "node called metastatic")
    npv = rate(~is_positive, ~called, "node called benign")
    auc = auc_by_ranks(is_positive, p_metastatic)
    if patient is not None and auc.value is not None:
        auc = replace(auc, interval=auc_interval(is_positive, p_metastatic, patient))
    return Classification(
        n=counts.total,
        auc=auc,
        accuracy=rate(np.asarray(is_positive == called), all_nodes, "node"),
        majority_accuracy=rate(commoner, all_nodes, "node"),
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
