"""Human readers beside a model, on the same nodes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.answers import Answers
from lnmdetect.metrics.classification import auc_over_patients
from lnmdetect.metrics.comparison import ClassComparison, Compared, compare_classes
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.paired_tests import McNemar, PairedTest
from lnmdetect.metrics.ranked_nodes import missing_class, ranked_nodes
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.roc import RocCurve, roc_curve, tpr_on_grid

NO_CALLS = "the reader gives ratings and no calls"

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Nodes:
    """G truth boxes.

    Attributes:
        is_positive: (G,) metastatic.
        known: (G,) count, and are benign or metastatic; answers on others are left out.
        patient: (G,) whose each is, in [0, P).
        resamples: of the P patients.
    """

    is_positive: Flags
    known: Flags
    patient: Places
    resamples: Resamples


@dataclass(frozen=True)
class ReaderAnswers:
    """One reader's answers on the G truth boxes.

    Attributes:
        answers: the rankings are ratings, or 1 and 0 for calls where there are none.
        has_calls, has_ratings: what the reader gives.
    """

    reader: str
    answers: Answers
    has_calls: bool
    has_ratings: bool


@dataclass(frozen=True)
class AgainstModel:
    """The model (a) against the reader (b), on the nodes that both answered.

    Attributes:
        sensitivity, specificity, mcnemar: of the calls; None where the reader gives none.
    """

    n: int
    patients: int
    auc: Compared
    delong: PairedTest
    permutation: PairedTest
    sensitivity: Compared | None
    specificity: Compared | None
    mcnemar: McNemar | None


@dataclass(frozen=True)
class ReaderFigures:
    """What a reader's answers are worth, on all nodes that the reader answered.

    Attributes:
        unanswered: known nodes without an answer.
        auc_of: where the AUC comes from; of calls it is the mean of sensitivity and specificity.
        against_model: None where the model answered none of the nodes.
    """

    reader: str
    n: int
    patients: int
    unanswered: int
    auc: Figure
    auc_of: Literal["ratings", "calls"]
    sensitivity: Figure
    specificity: Figure
    against_model: AgainstModel | None


@dataclass(frozen=True)
class ModelFigures:
    """What the model's answers are worth, on all known nodes that it answered."""

    n: int
    patients: int
    unanswered: int
    auc: Figure
    sensitivity: Figure
    specificity: Figure
    roc: RocCurve


def reader_figures(reader: ReaderAnswers, model: Answers, nodes: Nodes) -> ReaderFigures:
    """Return the figures of one reader, alone and against the model."""
    given = reader.answers.given & nodes.known
    none = undefined(NO_CALLS)
    sensitivity, specificity = (
        _rates(reader.answers, given, nodes) if reader.has_calls else (none, none)
    )
    return ReaderFigures(
        reader=reader.reader,
        n=int(given.sum()),
        patients=len(np.unique(nodes.patient[given])),
        unanswered=int((nodes.known & ~given).sum()),
        auc=_auc(reader.answers, given, nodes),
        auc_of="ratings" if reader.has_ratings else "calls",
        sensitivity=sensitivity,
        specificity=specificity,
        against_model=_against_model(reader, model, nodes),
    )


def model_figures(model: Answers, nodes: Nodes) -> ModelFigures:
    """Return the figures of the model with its ROC curve."""
    given = model.given & nodes.known
    sensitivity, specificity = _rates(model, given, nodes)
    return ModelFigures(
        n=int(given.sum()),
        patients=len(np.unique(nodes.patient[given])),
        unanswered=int((nodes.known & ~given).sum()),
        auc=_auc(model, given, nodes),
        sensitivity=sensitivity,
        specificity=specificity,
        roc=_roc(model, given, nodes),
    )


def _auc(answers: Answers, given: Flags, nodes: Nodes) -> Figure:
    return auc_over_patients(
        nodes.is_positive[given], answers.ranking[given], nodes.patient[given], nodes.resamples
    )


def _rates(answers: Answers, given: Flags, nodes: Nodes) -> tuple[Figure, Figure]:
    """Return sensitivity and specificity of the calls."""
    metastatic, benign = given & nodes.is_positive, given & ~nodes.is_positive
    share = nodes.resamples.share
    return (
        share(answers.called[metastatic], nodes.patient[metastatic], of="metastatic node"),
        share(~answers.called[benign], nodes.patient[benign], of="benign node"),
    )


def _roc(model: Answers, given: Flags, nodes: Nodes) -> RocCurve:
    truth = nodes.is_positive[given]
    lacking = missing_class(truth)
    if lacking:
        return RocCurve(reason=lacking)
    ranked = ranked_nodes(truth, model.ranking[given], nodes.patient[given])
    (curves,) = ranked.measured(nodes.resamples.weights, tpr_on_grid)
    return roc_curve(ranked, curves, nodes.resamples)


def _against_model(reader: ReaderAnswers, model: Answers, nodes: Nodes) -> AgainstModel | None:
    known = Answers(model.given & nodes.known, model.ranking, model.called)
    found: ClassComparison = compare_classes(
        nodes.is_positive,
        known,
        reader.answers,
        patient=nodes.patient,
        resamples=nodes.resamples,
    )
    if not found.n:
        return None
    return AgainstModel(
        n=found.n,
        patients=found.patients,
        auc=found.auc,
        delong=found.delong,
        permutation=found.permutation,
        sensitivity=found.sensitivity if reader.has_calls else None,
        specificity=found.specificity if reader.has_calls else None,
        mcnemar=found.mcnemar["all"] if reader.has_calls else None,
    )
