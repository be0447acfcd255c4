"""Two results on the same patients: each figure of A and of B, and their difference A - B.

Both are drawn together: a resample holds the same patients for A and for B.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.answers import Answers
from lnmdetect.metrics.average_precision import (
    COCO_IOUS,
    NO_DETECTION,
    NO_TRUTH,
    precision_reading,
)
from lnmdetect.metrics.classification import auc_over_patients
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.delong import compare_delong
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.froc import FROC_RATES, froc_reading
from lnmdetect.metrics.matching import find_overlaps, match
from lnmdetect.metrics.paired_tests import (
    McNemar,
    PairedTest,
    difference_figure,
    mcnemar,
    permutation_test,
)
from lnmdetect.metrics.ranked_nodes import missing_class, ranked_nodes
from lnmdetect.metrics.ranking import Curve, Ranking, read_resamples
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.roc import areas_under_roc
from lnmdetect.metrics.tables import BoxTables

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Compared:
    """One figure of A and of B, and A minus B with its interval over patients."""

    a: Figure
    b: Figure
    difference: Figure


@dataclass(frozen=True)
class ClassComparison:
    """Benign against metastatic by two, on the nodes that both answered.

    Attributes:
        n: nodes that both answered; patients: whose they are.
        metastatic: how many of the nodes are.
        auc: areas under the ROC curve.
        accuracy, sensitivity, specificity: of the calls.
        delong: of the areas; takes nodes as independent.
        permutation: of the areas, the answers of whole patients swapped.
        mcnemar: of the calls, of "all" nodes, the "metastatic" and the "benign" ones.
    """

    n: int
    patients: int
    metastatic: int
    auc: Compared
    accuracy: Compared
    sensitivity: Compared
    specificity: Compared
    delong: PairedTest
    permutation: PairedTest
    mcnemar: Mapping[str, McNemar]


def compare_detections(a: BoxTables, b: BoxTables, cohort: Cohort) -> Mapping[str, Compared]:
    """Return AP50, AP, mean of the FROC points and sensitivity at 1 false positive an image.

    Args:
        a: truth and the boxes of A.
        b: the same truth and the boxes of B.
        cohort: whose the images are.
    """
    of_a, of_b = _detection_values(a, cohort), _detection_values(b, cohort)
    owners = cohort.patient_of_image[a.truth.image[~a.truth.ignored]]
    n, patients = len(owners), len(np.unique(owners))

    def figure(values: Values, tables: BoxTables) -> Figure:
        reason = NO_TRUTH if n == 0 else None if len(tables.found) else NO_DETECTION
        return cohort.resamples.figure(values, n=n, reason=reason, patients=patients)

    return {
        name: Compared(
            figure(of_a[name], a),
            figure(of_b[name], b),
            difference_figure(
                cohort.resamples,
                of_a[name],
                of_b[name],
                n=n,
                reason=NO_TRUTH if n == 0 else None,
                patients=patients,
            ),
        )
        for name in of_a
    }


def _detection_values(tables: BoxTables, cohort: Cohort) -> Mapping[str, Values]:
    """Return (1 + B,) values of each figure."""
    overlaps = find_overlaps(tables)
    all_matches = [match(overlaps, iou=iou) for iou in COCO_IOUS]
    ranking = Ranking.of(all_matches[0], cohort)
    curves = [Curve.of_matches(matches, cohort, ranking=ranking) for matches in all_matches]
    readings = [precision_reading(curve) for curve in curves]
    readings.append(froc_reading(curves[0], cohort.images_each, FROC_RATES))
    *precisions, sensitivities = read_resamples(ranking, readings, cohort.resamples)
    return {
        "ap50": precisions[0][:, 0],
        "ap": np.mean([values[:, 0] for values in precisions], axis=0),
        "froc_mean_per_image": sensitivities.mean(axis=1),
        "sensitivity_at_1_fp_per_image": sensitivities[:, FROC_RATES.index(1.0)],
    }


def compare_classes(
    is_positive: Flags, a: Answers, b: Answers, *, patient: Places, resamples: Resamples
) -> ClassComparison:
    """Return how two differ on the truth boxes that both answered.

    Args:
        is_positive: (G,) metastatic in truth.
        a: answers of A on the G truth boxes.
        b: answers of B.
        patient: (G,) whose each box is, in [0, P).
        resamples: of the P patients.
    """
    both = a.given & b.given
    truth, owner = is_positive[both], patient[both]
    rankings, calls = (a.ranking[both], b.ranking[both]), (a.called[both], b.called[both])
    right = (np.asarray(calls[0] == truth), np.asarray(calls[1] == truth))
    pair = _Pair(owner, resamples)
    return ClassComparison(
        n=len(truth),
        patients=len(np.unique(owner)),
        metastatic=int(truth.sum()),
        auc=pair.areas(truth, rankings),
        accuracy=pair.shares(right, np.ones(len(truth), dtype=bool), "node"),
        sensitivity=pair.shares(right, truth, "metastatic node"),
        specificity=pair.shares(right, ~truth, "benign node"),
        delong=compare_delong(truth, *rankings),
        permutation=permutation_test(truth, rankings, owner, resamples),
        mcnemar={
            "all": mcnemar(*right),
            "metastatic": mcnemar(right[0][truth], right[1][truth]),
            "benign": mcnemar(right[0][~truth], right[1][~truth]),
        },
    )


@dataclass(frozen=True)
class _Pair:
    """Whose the N nodes are that both answered, and the resamples."""

    owner: Places
    resamples: Resamples

    def areas(self, truth: Flags, rankings: tuple[Values, Values]) -> Compared:
        a, b = (auc_over_patients(truth, r, self.owner, self.resamples) for r in rankings)
        if missing_class(truth):
            return Compared(a, b, a)
        values = [
            areas_under_roc(ranked_nodes(truth, ranking, self.owner), self.resamples.weights)
            for ranking in rankings
        ]
        return Compared(a, b, self._difference(values[0], values[1], self.owner))

    def shares(self, right: tuple[Flags, Flags], among: Flags, of: str) -> Compared:
        owner = self.owner[among]
        a, b = (self.resamples.share(calls[among], owner, of=of) for calls in right)
        if a.value is None:
            return Compared(a, b, a)
        gained = right[0][among].astype(np.float64) - right[1][among]
        values = self.resamples.mean(owner, gained)
        return Compared(a, b, self._difference(values, np.zeros(len(values)), owner))

    def _difference(self, a: Values, b: Values, owner: Places) -> Figure:
        return difference_figure(self.resamples, a, b, n=len(owner), patients=len(np.unique(owner)))
