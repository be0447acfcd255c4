"""Label maps in a folder, one a case, and what their numbers stand for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lnmdetect.core.cases import CaseSet, Layout
from lnmdetect.core.errors import InputError
from lnmdetect.io.case_file import CASES, read_cases
from lnmdetect.io.case_folders import DATASET, FOLDERS
from lnmdetect.io.input_files import printable
from lnmdetect.io.json_fields import JsonObject
from lnmdetect.io.json_files import read_json
from lnmdetect.io.nifti import is_nifti, nifti_stem

NO_CLASSES = frozenset({"background", "ignore"})
"""Names of nnU-Net's own: "ignore" is what nobody looked at (its documentation/ignore_label.md)."""


@dataclass(frozen=True)
class LabelFile:
    """The label map of one case.

    Attributes:
        case: the file's name without its ending.
        instances: number of a node to that of its class, where the tool tells it a case.
    """

    case: str
    path: Path
    instances: Mapping[int, int] | None = None


@dataclass(frozen=True)
class LabelSet:
    """The label maps found.

    Attributes:
        names: number of a class to its name; empty where the folder does not tell.
        cases: of cases.json, None where there is none.
    """

    files: tuple[LabelFile, ...]
    names: Mapping[int, str] = field(default_factory=dict)
    cases: CaseSet | None = None


def read_label_set(place: Path, layout: Layout, cases: Path | None = None) -> LabelSet:
    """Return the label maps at a file or folder.

    Args:
        place: one label map; a folder of them (predictions); or a data set's folder, of which those
            of all parts are taken.
        layout: of the folder.
        cases: cases.json where it does not lie in the folder.

    Raises:
        InputError: there is no label map, or a table beside them cannot be read.
    """
    paths = _label_paths(place, layout)
    if not paths:
        raise InputError(
            printable(place.name),
            expected="a label map (.nii or .nii.gz), or a folder of them",
            got="none there",
            remedy="Give the folder that the tool wrote.",
        )
    folder = place if place.is_dir() else place.parent
    with_classes = layout == "nndetection"
    files = tuple(
        LabelFile(nifti_stem(path), path, _instances(path) if with_classes else None)
        for path in paths
    )
    found = cases or (folder / CASES if (folder / CASES).is_file() else None)
    known = None if found is None else read_cases(found)
    return LabelSet(files, _class_names(folder, layout), known)


def _label_paths(place: Path, layout: Layout) -> list[Path]:
    if not place.is_dir():
        return [place] if place.is_file() else []
    named = sorted(set(FOLDERS[layout].labels.values()))
    folders = [place / name for name in named if (place / name).is_dir()] or [place]
    found = [path for folder in folders for path in sorted(folder.iterdir()) if is_nifti(path)]
    # macOS lays a ._case.nii.gz that is no NIfTI beside what it copies to other disks.
    return [path for path in found if not path.name.startswith(".")]


def _instances(path: Path) -> dict[int, int]:
    """Return the class of each instance, as nnDetection keeps it beside the label map.

    Raises:
        InputError: the table is missing or cannot be read.
    """
    table = path.with_name(f"{nifti_stem(path)}.json")
    top = JsonObject.at(f"{printable(table.name)}:", read_json(table)).child("instances")
    return {_number(top, key): top.integer(key) for key in top.values}


def _number(top: JsonObject, key: str) -> int:
    if not (key.isascii() and key.isdecimal() and len(key) < 6 and int(key) > 0):
        top.refuse(key, "the number of an instance, 1 or more", got="another field")
    return int(key)


def _class_names(folder: Path, layout: Layout) -> dict[int, str]:
    """Return the names that dataset.json gives, by number; none where there is no such file."""
    if layout == "nifti" or not (folder / DATASET).is_file():
        return {}
    labels = JsonObject.at(f"{DATASET}:", read_json(folder / DATASET)).child("labels")
    if layout == "nndetection":
        return {_class(labels, key): labels.text(key) for key in labels.values}
    named = {labels.integer(key): key for key in labels.values}
    return {value: key for value, key in named.items() if key not in NO_CLASSES}


def _class(labels: JsonObject, key: str) -> int:
    if not (key.isascii() and key.isdecimal() and len(key) < 6):
        labels.refuse(key, "the number of a class", got="another field")
    return int(key)
