"""How two rows of a benchmark differ on the same test patients."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lnmdetect.core.records import METASTATIC
from lnmdetect.metrics.comparison import compare_classes, compare_detections
from lnmdetect.metrics.figure import Figure
from lnmdetect.stages.evaluation_inputs import read_predictions
from lnmdetect.stages.evaluation_truth import Truth
from lnmdetect.stages.truth_answers import truth_answers

Files = Sequence[Path]


def detection_difference(truth: Truth, a: Files, b: Files) -> Mapping[str, Figure]:
    """Return A minus B of each figure of boxes, with its interval over patients."""
    of_a, of_b = (read_predictions(files, truth) for files in (a, b))
    compared = compare_detections(of_a.tables, of_b.tables, truth.cohort)
    return {name: figures.difference for name, figures in compared.items()}


def class_difference(truth: Truth, a: Files, b: Files) -> Mapping[str, Figure]:
    """Return A minus B of each figure of classified truth boxes, with its interval over patients.

    The p values of `eval --compare` are left out: many rows are compared with one.
    """
    of_a, of_b = (truth_answers(read_predictions(files, truth)) for files in (a, b))
    table, cohort = truth.table, truth.cohort
    compared = compare_classes(
        table.classes == METASTATIC,
        of_a,
        of_b,
        patient=cohort.patient_of_image[table.image],
        resamples=cohort.resamples,
    )
    return {
        "auc": compared.auc.difference,
        "accuracy": compared.accuracy.difference,
        "tpr": compared.sensitivity.difference,
        "tnr": compared.specificity.difference,
    }


DIFFERENCES = {"detector": detection_difference, "classifier": class_difference}
