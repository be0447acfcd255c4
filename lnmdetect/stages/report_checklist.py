"""TRIPOD+AI and CLAIM, item by item: what an evaluation's files tell, and what they leave open.

Numbers of TRIPOD+AI: Collins et al. 2024, BMJ 385:e078378; of CLAIM: Mongan, Moy, Kahn 2020, Radiol
Artif Intell 2:e200029. The wording is ours.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from lnmdetect.core.records import BENIGN, METASTATIC
from lnmdetect.io.report_view import ChecklistItem
from lnmdetect.stages.evaluate import Evaluation
from lnmdetect.stages.report_facts import intervals_text, model_facts, threshold_facts
from lnmdetect.stages.report_tables import column_name

_ITEMS: Final = (
    ("1", "1", "Title: what is predicted, for whom, with which kind of AI"),
    ("2", "2", "Structured abstract"),
    ("3a", "3", "Clinical background, and what the model is for"),
    ("3b", "3", "Patients, users and place in care that it is meant for"),
    ("3c", "", "Known health inequalities between groups of people"),
    ("4", "4", "Aims: development, evaluation or both"),
    ("", "5", "Prospective or retrospective"),
    ("", "6", "Kind of study"),
    ("5a", "7", "Sources of the data"),
    ("5b", "", "Dates of the data"),
    ("6a", "7", "Setting and centres"),
    ("6b", "8", "Who was eligible"),
    ("6c", "", "Treatments before the scan"),
    ("7", "9", "Preparation of the data"),
    ("", "10", "Parts of the data that were chosen"),
    ("", "11", "Definitions of data elements"),
    ("", "12", "De-identification"),
    ("8a", "14", "Reference standard"),
    ("", "15", "Why this reference standard"),
    ("8b", "16", "Who annotated, and how they were trained"),
    ("8c", "", "Blinding of those who annotated"),
    ("", "17", "Tools of annotation"),
    ("", "18", "Agreement between and within readers"),
    ("9a, 9b", "", "What the model sees"),
    ("9c", "", "Predictors that depend on a reader"),
    ("10", "19", "Sample size, and why"),
    ("11", "13", "Missing data"),
    ("12a", "20", "How data were divided for training, validation and testing"),
    ("", "21", "Level at which these parts are disjoint"),
    ("12b, 12c", "22", "Models"),
    ("", "23", "Software"),
    ("", "24", "Where the weights started"),
    ("12c", "25", "Training"),
    ("", "26", "How the final model was chosen"),
    ("", "27", "Ensembles"),
    ("12d", "", "Differences between centres or other clusters: methods"),
    ("12e", "28", "Measures of performance"),
    ("12e", "29", "Uncertainty"),
    ("12f", "", "Recalibration or other updating"),
    ("12g", "", "How predictions were computed"),
    ("13", "", "Class imbalance"),
    ("14", "", "Fairness: what was done"),
    ("15", "", "Output and thresholds"),
    ("16", "", "How evaluation data differ from training data"),
    ("", "30", "Robustness"),
    ("", "31", "Explainability"),
    ("", "32", "Evaluation on external data"),
    ("17", "", "Ethical approval"),
    ("18a", "42", "Funding"),
    ("18b", "", "Conflicts of interest"),
    ("18c", "41", "Study protocol"),
    ("18d", "40", "Registration"),
    ("18e", "41", "Access to the data"),
    ("18f", "41", "Access to the code"),
    ("19", "", "Involvement of patients and the public"),
    ("20a", "33", "Flow of participants"),
    ("20b", "34", "Characteristics of participants"),
    ("20c", "34", "Comparison with the development data"),
    ("21", "", "Participants and events of each analysis"),
    ("22", "", "The full model, so that others can use it"),
    ("23a", "35, 36", "Performance with intervals, also in groups"),
    ("", "37", "Where it fails"),
    ("23b", "", "Differences between clusters: results"),
    ("24", "", "Results of updating"),
    ("25", "", "Interpretation"),
    ("26", "38", "Limitations"),
    ("27a", "", "Poor or missing input in use"),
    ("27b", "", "What users must do and know"),
    ("27c", "39", "Next steps, and what it means for practice"),
)
Told = Mapping[str, tuple[str, bool]]
"""What is asked, to what the files tell and whether that is all."""


def checklist(evaluation: Evaluation) -> tuple[ChecklistItem, ...]:
    """Return every item with what the files tell."""
    told = dict(_known(evaluation))
    unknown = set(told) - {asks for _, _, asks in _ITEMS}
    assert not unknown, unknown
    return tuple(
        ChecklistItem(tripod, claim, asks, *told.get(asks, ("", False)))
        for tripod, claim, asks in _ITEMS
    )


def _known(evaluation: Evaluation) -> Iterator[tuple[str, tuple[str, bool]]]:
    yield from ((asks, (text, True)) for asks, text in _whole(evaluation))
    yield from ((asks, (text, False)) for asks, text in _in_part(evaluation) if text)
    if evaluation.result.info.phantom:
        yield from ((asks, (text, True)) for asks, text in _of_phantoms())


def _whole(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """Give what the files tell in full."""
    info = evaluation.result.info
    key_images = info.coverage == "key_images"
    yield (
        "Parts of the data that were chosen",
        "Key images that a reader chose; other slices are not scored."
        if key_images
        else "All slices of each scan.",
    )
    yield (
        "Definitions of data elements",
        "COCO data sets: boxes in pixels, lengths in mm; metastatic is the positive class.",
    )
    yield "Predictors that depend on a reader", "Which slices are seen." if key_images else "None."
    yield "Software", f"lnmdetect {info.lnmdetect_version}."
    yield (
        "Measures of performance",
        f"AP at IoU {info.iou_of_a_hit:g} and above, FROC, AUC, sensitivity, specificity, "
        "predictive values, calibration, decision curve; see above.",
    )
    yield "Uncertainty", f"{intervals_text(info)}."
    yield (
        "Output and thresholds",
        " ".join(f"{f.name}: {f.value}." for f in threshold_facts(evaluation)),
    )
    yield "Participants and events of each analysis", "The column n of each table above."
    yield "Performance with intervals, also in groups", "Tables and curves above."
    yield "Where it fails", "Errors and slices above."


def _in_part(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """Give what the files tell in part; empty where they tell nothing."""
    info = evaluation.result.info
    names = ", ".join(stamp.file for stamp in info.truth)
    counts = (
        f"{info.patients} patients, {info.scans} scans, {info.images} slices, "
        f"{info.truth_boxes} truth boxes."
    )
    models = " ".join(f"{fact.name}: {fact.value}." for fact in model_facts(evaluation))
    yield "Aims: development, evaluation or both", "Evaluation of stored predictions against truth."
    yield "Sources of the data", f"Read from {names}."
    yield "De-identification", "Pseudonyms in place of patients; DICOM instance uids are kept."
    yield (
        "Reference standard",
        (
            f"Boxes and classes of {names}; {info.ignored_truth_boxes} boxes marked as ignored are "
            "neither hit nor miss."
        ),
    )
    yield "What the model sees", "Pixels of CT slices; no clinical data."
    yield "Sample size, and why", counts
    yield (
        "Missing data",
        (
            f"{info.images_without_predictions} slices that no prediction file lists, where "
            f"nothing counts as found; {info.unscored_detections} predictions on slices that truth "
            "does not list, not scored."
        ),
    )
    yield "Models", models
    yield "The full model, so that others can use it", models
    yield "How predictions were computed", "One score a box, then P(metastatic) of each box."
    yield "Class imbalance", _imbalance(evaluation)
    yield "Flow of participants", counts
    columns = " and by ".join(map(column_name, evaluation.result.groups))
    yield "Differences between clusters: results", f"Groups by {columns}." if columns else ""
    yield "Access to the code", "lnmdetect is open source, Apache-2.0."


def _imbalance(evaluation: Evaluation) -> str:
    nodes = evaluation.truth.columns.nodes
    counts = {
        key: int(np.sum((nodes.category == key) & ~nodes.ignored)) for key in (BENIGN, METASTATIC)
    }
    return (
        f"{counts[BENIGN]} benign and {counts[METASTATIC]} metastatic truth boxes; the accuracy of "
        "always calling the commoner class stands beside the accuracy."
    )


def _of_phantoms() -> Iterator[tuple[str, str]]:
    """Give what holds for any synthetic scan."""
    yield "Sources of the data", "Synthetic scans of the phantom generator."
    yield "Reference standard", "Known by construction."
    yield "Who annotated, and how they were trained", "Nobody: known by construction."
    yield "Blinding of those who annotated", "Nobody annotated."
    yield "De-identification", "No patients: synthetic scans."
    yield "Treatments before the scan", "No patients: synthetic scans."
    yield "Ethical approval", "No patients: synthetic scans."
