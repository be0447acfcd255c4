"""What has to be spread evenly over folds: patients, and boxes or images by the values of a column.

A column is `class`, `level` or `kind` of the truth boxes, or any field that the file's images (or
their `lnmdetect` block) or annotations carry beside the known ones, as `scanner`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.records import CATEGORY_NAMES, CocoDataset, ImageRecord, NodeAnnotation

Numbers = NDArray[np.float64]
NOT_GIVEN = "not given"
MAX_VALUES = 50
"""A column of more values (an age, a name) is no stratum: most would stand for one patient."""
_BLOCK = "lnmdetect"


@dataclass(frozen=True)
class Amount:
    """One thing that is counted a patient; `column` and `value` are empty for the total."""

    of: Literal["patients", "images", "boxes"]
    column: str = ""
    value: str = ""


@dataclass(frozen=True)
class PatientAmounts:
    """What each patient brings.

    Attributes:
        patients: sorted.
        names: C amounts.
        values: (P, C) counts.
        weights: (C,) how much each counts; patients and every column have 1 in all.
    """

    patients: tuple[str, ...]
    names: tuple[Amount, ...]
    values: Numbers
    weights: Numbers


def patient_amounts(truth: CocoDataset, columns: Sequence[str]) -> PatientAmounts:
    """Return the amounts of each patient; ignored boxes are not counted.

    Raises:
        UsageError: no record has the column, or it has too many values to be balanced.
    """
    patients = tuple(sorted(set(truth.patients())))
    names, weights = [Amount("patients")], [1.0]
    values = [np.ones(len(patients))]
    rows = {patient: row for row, patient in enumerate(patients)}
    for column in dict.fromkeys(columns):
        of, entries = _entries(truth, column)
        kinds = sorted({value for _, value in entries})
        if len(kinds) > MAX_VALUES:
            raise UsageError(
                f"--stratify {column}",
                expected=f"a column of at most {MAX_VALUES} values",
                got=f"{len(kinds)}",
                remedy="Group the values in truth.json first, as 0-49, 50-69, 70 and above.",
            )
        for kind in kinds:
            count = np.zeros(len(patients))
            np.add.at(count, [rows[patient] for patient, value in entries if value == kind], 1)
            names += [Amount(of, column, kind), Amount("patients", column, kind)]
            values += [count, (count > 0).astype(np.float64)]
            weights += [1 / (2 * len(kinds))] * 2
    return PatientAmounts(patients, tuple(names), np.stack(values, axis=1), np.array(weights))


def _entries(
    truth: CocoDataset, column: str
) -> tuple[Literal["images", "boxes"], list[tuple[str, str]]]:
    """Return what the column belongs to, and (patient, value) of each box or image."""
    patient_of = {image.image_id: image.patient for image in truth.images}
    boxes = [
        (patient_of[n.image_id], _box_value(n, column)) for n in truth.annotations if not n.ignored
    ]
    if any(value is not None for _, value in boxes):
        return "boxes", [(patient, _text(value, column)) for patient, value in boxes]
    values = [(image.patient, image_value(image, column)) for image in truth.images]
    if column == "class":  # there is no box at all: nothing to balance
        return "boxes", []
    if all(value is None for _, value in values):
        known = _image_columns(truth) | _box_columns(truth)
        raise unknown_column("--stratify", column, known)
    return "images", [(patient, _text(value, column)) for patient, value in values]


def _box_value(node: NodeAnnotation, column: str) -> Any:
    if column == "class":
        return CATEGORY_NAMES[node.category_id]
    if column in ("level", "kind"):
        return getattr(node, column)
    return node.extra.get(column)


def image_value(image: ImageRecord, column: str) -> Any:
    """Return a field of an image or of its `lnmdetect` block, None where it has none."""
    block = image.extra.get(_BLOCK, {})
    return block[column] if column in block else image.extra.get(column)


def _text(value: Any, column: str) -> str:
    if value is None:
        return NOT_GIVEN
    if isinstance(value, list | dict):
        raise InputError(
            f"column {column}",
            expected="text, a number or true and false in each record",
            got="a list or an object",
            remedy="Choose another column, or write one value a record.",
        )
    return str(value)


def unknown_column(option: str, column: str, known: Iterable[str]) -> UsageError:
    """Return the refusal of a column that no record has; it lists those there are."""
    names = ", ".join(sorted(set(known)))
    return UsageError(
        f"{option} {column}",
        expected=f"one of {names}" if names else "a field of the images",
        got="a name that no record of the file has",
        remedy="Add the field to the images' lnmdetect block in truth.json, or to the cases of "
        "ultrasound.json, or name another.",
    )


def _image_columns(truth: CocoDataset) -> set[str]:
    own = {key for image in truth.images for key in image.extra if key != _BLOCK}
    return own | {key for image in truth.images for key in image.extra.get(_BLOCK, {})}


def _box_columns(truth: CocoDataset) -> set[str]:
    own = {key for node in truth.annotations for key in node.extra}
    return own | {"class", "level", "kind"}


def site_groups(truth: CocoDataset, patients: Sequence[str], column: str) -> list[int]:
    """Return the group of each patient, from 0.

    Patients of one site are in one group; sites that share a patient are joined.

    Raises:
        UsageError: no image has the column.
        InputError: a patient has no site.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    with_site: set[str] = set()
    for image in truth.images:
        value = image_value(image, column)
        if value is not None:
            with_site.add(image.patient)
            parent[root(f"site {_text(value, column)}")] = root(f"patient {image.patient}")
    if not with_site:
        raise unknown_column("--site", column, _image_columns(truth))
    if lost := len(set(patients) - with_site):
        raise InputError(
            f"--site {column}",
            expected="a site for each patient",
            got=f"{lost} of {len(patients)} without one",
            remedy="Fill the field in truth.json: a patient without a site could be of any.",
        )
    numbers: dict[str, int] = {}
    return [numbers.setdefault(root(f"patient {name}"), len(numbers)) for name in patients]
