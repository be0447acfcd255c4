"""How well benign and metastatic nodes are told apart."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.calibration import Calibration, calibration
from lnmdetect.metrics.decision_curve import DecisionPoint, decision_curve
from lnmdetect.metrics.delong import auc_with_delong
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.precision_recall import (
    PrecisionRecallCurve,
    average_precision,
    precision_recall_curve,
)
from lnmdetect.metrics.ranked_nodes import midranks, missing_class, ranked_nodes
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.roc import RocCurve, area_under_roc, areas_under_roc, roc_curve, tpr_on_grid

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]
Values = NDArray[np.float64]


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
        n: nodes; patients: whose they are.
        auc: area under the ROC curve of P(metastatic).
        pr_auc: area under the steps of precision over recall.
        accuracy, balanced_accuracy: of the calls; balanced: mean of `tpr` and `tnr`.
        majority_accuracy: accuracy of calling all nodes what most of them are, in every resample
            what most of the sample are.
        tpr, tnr, ppv, npv: sensitivity, specificity and predictive values of the calls.
        decision_curve: net benefit by threshold probability; empty without a node.
    """

    n: int
    patients: int
    auc: Figure
    pr_auc: Figure
    accuracy: Figure
    balanced_accuracy: Figure
    majority_accuracy: Figure
    tpr: Figure
    tnr: Figure
    ppv: Figure
    npv: Figure
    confusion: Confusion
    per_class: Mapping[str, ClassFigures]
    calibration: Calibration
    decision_curve: tuple[DecisionPoint, ...]
    roc: RocCurve
    precision_recall: PrecisionRecallCurve


def auc_by_ranks(is_positive: Flags, ranking: Values) -> Figure:
    """Return the area under the ROC curve: the share of pairs in order, ties counted half.

    Args:
        is_positive: (N,).
        ranking: (N,) finite; higher means more likely positive.
    """
    lacking = missing_class(is_positive)
    if lacking:
        return undefined(lacking)
    positives = int(is_positive.sum())
    negatives = len(is_positive) - positives
    in_order = midranks(ranking)[is_positive].sum() - positives * (positives + 1) / 2
    return Figure(float(in_order) / (positives * negatives), n=len(is_positive))


def auc_over_patients(
    is_positive: Flags, ranking: Values, patient: Places, resamples: Resamples
) -> Figure:
    """Return the area under the ROC curve with its interval over patients and DeLong's.

    Args:
        is_positive: (N,) metastatic in truth.
        ranking: (N,) finite; higher means more likely metastatic.
        patient: (N,) whose each node is, in [0, P).
        resamples: of the P patients.
    """
    independent = auc_with_delong(is_positive, ranking)
    if independent.value is None:
        return independent
    nodes = ranked_nodes(is_positive, ranking, patient)
    return _auc(independent, areas_under_roc(nodes, resamples.weights), patient, resamples)


def count_confusion(is_positive: Flags, called: Flags) -> Confusion:
    """Return the four counts of (N,) truth against (N,) calls."""
    return Confusion(
        true_positive=int((is_positive & called).sum()),
        false_negative=int((is_positive & ~called).sum()),
        false_positive=int((~is_positive & called).sum()),
        true_negative=int((~is_positive & ~called).sum()),
    )


def classification(
    is_positive: Flags,
    p_metastatic: Values,
    called: Flags,
    *,
    patient: Places,
    resamples: Resamples,
    of: str = "node",
) -> Classification:
    """Return the figures of N nodes.

    Args:
        is_positive: (N,) metastatic in truth.
        p_metastatic: (N,) in [0, 1].
        called: (N,) called metastatic at the classifier's threshold.
        patient: (N,) whose each node is, in [0, P).
        resamples: of the P patients.
        of: what the nodes are called, in the singular.

    Raises:
        ValueError: the lengths differ, or a probability is not in [0, 1].
    """
    if not ((p_metastatic >= 0) & (p_metastatic <= 1)).all():
        raise ValueError("p_metastatic: expected probabilities in [0, 1], got others")
    counts = count_confusion(is_positive, called)
    calls = _Calls(is_positive, called, patient, resamples, of)
    ranked = _ranked(is_positive, p_metastatic, patient, resamples, of)
    tpr = calls.share(called, is_positive, f"metastatic {of}")
    tnr = calls.share(~called, ~is_positive, f"benign {of}")
    ppv = calls.share(is_positive, called, f"{of} called metastatic")
    npv = calls.share(~is_positive, ~called, f"{of} called benign")
    all_nodes = np.ones(counts.total, dtype=bool)
    commoner = np.asarray(is_positive == (counts.positives >= counts.negatives))
    return Classification(
        n=counts.total,
        patients=len(np.unique(patient)),
        auc=ranked.auc,
        pr_auc=ranked.pr_auc,
        accuracy=calls.share(np.asarray(is_positive == called), all_nodes, of),
        balanced_accuracy=calls.balanced_accuracy(),
        majority_accuracy=calls.share(commoner, all_nodes, of),
        tpr=tpr,
        tnr=tnr,
        ppv=ppv,
        npv=npv,
        confusion=counts,
        per_class={
            "benign": ClassFigures(counts.negatives, tnr, npv),
            "metastatic": ClassFigures(counts.positives, tpr, ppv),
        },
        calibration=calibration(is_positive, p_metastatic, patient, resamples, of),
        decision_curve=decision_curve(is_positive, p_metastatic, patient, resamples),
        roc=ranked.roc,
        precision_recall=ranked.precision_recall,
    )


@dataclass(frozen=True)
class _Calls:
    """Truth and calls of the N nodes, and the resamples of their patients."""

    is_positive: Flags
    called: Flags
    patient: Places
    resamples: Resamples
    of: str

    def share(self, right: Flags, among: Flags, of: str) -> Figure:
        return self.resamples.share(right[among], self.patient[among], of=of)

    def balanced_accuracy(self) -> Figure:
        lacking = missing_class(self.is_positive, self.of)
        if lacking:
            return undefined(lacking)
        right = np.asarray(self.is_positive == self.called)
        tpr, tnr = (
            self.resamples.mean(self.patient[among], right[among])
            for among in (self.is_positive, ~self.is_positive)
        )
        return self.resamples.figure(
            (tpr + tnr) / 2, n=len(right), patients=len(np.unique(self.patient))
        )


@dataclass(frozen=True)
class _Ranked:
    """What only the order of the nodes decides."""

    auc: Figure
    pr_auc: Figure
    roc: RocCurve
    precision_recall: PrecisionRecallCurve


def _ranked(
    is_positive: Flags, ranking: Values, patient: Places, resamples: Resamples, of: str
) -> _Ranked:
    lacking = missing_class(is_positive, of)
    if lacking:
        nothing = undefined(lacking)
        return _Ranked(
            nothing, nothing, RocCurve(reason=lacking), PrecisionRecallCurve(reason=lacking)
        )
    nodes = ranked_nodes(is_positive, ranking, patient)
    areas, precisions, tprs = nodes.measured(
        resamples.weights, area_under_roc, average_precision, tpr_on_grid
    )
    return _Ranked(
        auc=_auc(auc_with_delong(is_positive, ranking), areas, patient, resamples),
        pr_auc=resamples.figure(precisions, n=len(patient), patients=len(np.unique(patient))),
        roc=roc_curve(nodes, tprs, resamples),
        precision_recall=precision_recall_curve(nodes),
    )


def _auc(independent: Figure, areas: Values, patient: Places, resamples: Resamples) -> Figure:
    """Return the area of `independent` with the interval that (1 + B,) `areas` give."""
    told = resamples.figure(areas, n=independent.n, patients=len(np.unique(patient)))
    return replace(independent, interval=told.interval, interval_method=told.interval_method)
