"""Patient by patient: is there any metastatic node?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.records import LYMPH_NODE, METASTATIC
from lnmdetect.metrics.classification import auc_over_patients
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.tables import BoxTables

NO_THRESHOLD = "no operating threshold of the detector is known"


@dataclass(frozen=True)
class PatientFigures:
    """A patient is positive with a metastatic truth box, called so with a box that is called so.

    Attributes:
        n: patients whose status truth tells.
        positives: those with a metastatic node, however small.
        unknown: patients left out: nodes of unknown status, none known to be metastatic.
        sensitivity, specificity: of the calls at both operating thresholds.
        auc: of the highest score x P(metastatic) of each patient's boxes, 0 without a box.
    """

    n: int
    positives: int
    unknown: int
    sensitivity: Figure
    specificity: Figure
    auc: Figure


def patient_figures(
    tables: BoxTables,
    p_metastatic: NDArray[np.float64],
    called_metastatic: NDArray[np.bool_],
    *,
    cohort: Cohort,
    chosen: NDArray[np.bool_] | None,
) -> PatientFigures:
    """Return the figures over patients.

    Args:
        tables: truth and detections.
        p_metastatic: (D,) of each detection, 0 where it was not classified.
        called_metastatic: (D,), at the classifier's threshold.
        cohort: whose the images are.
        chosen: (D,) the detections at or above the detector's threshold, None where unknown.
    """
    owner = cohort.patient_of_image[tables.truth.image]
    positive, unclear = np.zeros(cohort.patients, bool), np.zeros(cohort.patients, bool)
    positive[owner[tables.truth.classes == METASTATIC]] = True
    unclear[owner[tables.truth.classes == LYMPH_NODE]] = True
    known = positive | ~unclear
    found_owner = cohort.patient_of_image[tables.found.image]
    ranking = np.zeros(cohort.patients)
    np.maximum.at(ranking, found_owner, tables.found.scores * p_metastatic)
    places = np.arange(cohort.patients)

    def share(called_right: NDArray[np.bool_], among: NDArray[np.bool_], of: str) -> Figure:
        return cohort.resamples.share(called_right[among], places[among], of=of)

    if chosen is None:
        sensitivity = specificity = undefined(NO_THRESHOLD)
    else:
        called = np.zeros(cohort.patients, bool)
        called[found_owner[called_metastatic & chosen]] = True
        sensitivity = share(called, positive, "patient with a metastatic node")
        specificity = share(~called, known & ~positive, "patient without a metastatic node")
    return PatientFigures(
        n=int(known.sum()),
        positives=int(positive.sum()),
        unknown=int((~known).sum()),
        sensitivity=sensitivity,
        specificity=specificity,
        auc=_auc(positive[known], ranking[known], places[known], cohort),
    )


def _auc(
    positive: NDArray[np.bool_],
    ranking: NDArray[np.float64],
    patient: NDArray[np.int64],
    cohort: Cohort,
) -> Figure:
    if positive.all() or not positive.any():
        return undefined(f"no patient with{'out' if positive.any() else ''} a metastatic node")
    return auc_over_patients(positive, ranking, patient, cohort.resamples)
