"""What nnU-Net and nnDetection want to be told of a data set."""

from typing import Any

from lnmdetect.core.cases import CaseSet
from lnmdetect.core.folds import TEST, TRAIN, FoldSet

RESEARCH_ONLY = "Cervical lymph nodes on CT, converted by lnmdetect. Research use only."
PHANTOM = "Synthetic lymph nodes (lnmdetect phantom), not a person. Research use only."
BACKGROUND = "background"


def nnunet_info(cases: CaseSet, name: str, ending: str) -> dict[str, Any]:
    """Return dataset.json of nnU-Net v2 (its documentation/dataset_format.md)."""
    return {
        # SimpleITK, its default, refuses or straightens the grid of a tilted gantry.
        "overwrite_image_reader_writer": "NibabelIO",
        "channel_names": {"0": "CT"},
        "labels": {BACKGROUND: 0}
        | {label: value for value, label in enumerate(cases.classes, start=1)},
        "numTraining": sum(case.part == "train" for case in cases.cases),
        "file_ending": ending,
        "name": name,
        "description": PHANTOM if cases.is_phantom else RESEARCH_ONLY,
    }


def nndetection_info(cases: CaseSet, name: str, ending: str) -> dict[str, Any]:
    """Return dataset.json of nnDetection 0.1 (its README.md, "Data set Info"); classes from 0."""
    return {
        "task": name,
        "name": name.partition("_")[2] or name,
        "dim": 3,
        "test_labels": any(case.part == "test" for case in cases.cases),
        "labels": {str(value): label for value, label in enumerate(cases.classes)},
        "modalities": {"0": "CT"},
    }


def nnunet_splits(cases: CaseSet, folds: FoldSet) -> list[dict[str, list[str]]]:
    """Return splits_final.json of nnU-Net v2: for each numbered fold who trains and who validates.

    Without it nnU-Net deals cases, so that two scans of a patient may part.
    """
    fold_of = {patient: fold.name for fold in folds.folds for patient in fold.patients}
    numbered = [name for name in folds.names if name not in (TEST, TRAIN)]
    if len(numbered) < 2:
        return []
    training = [(case.name, fold_of[case.patient]) for case in cases.cases if case.part == "train"]
    return [
        {
            "train": [case for case, fold in training if fold != name],
            "val": [case for case, fold in training if fold == name],
        }
        for name in numbered
    ]
