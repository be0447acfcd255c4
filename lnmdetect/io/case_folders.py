"""The folders of nnU-Net, of nnDetection and of plain NIfTI: where a case's files lie."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lnmdetect.core.cases import Layout, Part
from lnmdetect.core.errors import OutputError
from lnmdetect.io.case_file import CASES
from lnmdetect.io.json_files import remove_output, require_folder
from lnmdetect.io.run_record import RUN

ENDING = ".nii.gz"
DATASET = "dataset.json"
SPLITS = "splits_final.json"
_TABLES = (CASES, DATASET, SPLITS, RUN)
_OURS = re.compile(r"case_\d{4,}(_0000)?(\.nii\.gz|\.json)")


@dataclass(frozen=True)
class CaseFolders:
    """Folder names of a layout, relative to the data set's.

    Attributes:
        images, labels: by part.
        channel: what follows a case's name in that of its image.
    """

    images: dict[Part, str]
    labels: dict[Part, str]
    channel: str


FOLDERS: dict[Layout, CaseFolders] = {
    "nifti": CaseFolders(
        dict.fromkeys(("train", "test"), "images"), dict.fromkeys(("train", "test"), "labels"), ""
    ),
    # nnU-Net v2, documentation/dataset_format.md
    "nnunet": CaseFolders(
        {"train": "imagesTr", "test": "imagesTs"},
        {"train": "labelsTr", "test": "labelsTs"},
        "_0000",
    ),
    # nnDetection 0.1, README.md, "Adding New Data sets"
    "nndetection": CaseFolders(
        {"train": "raw_splitted/imagesTr", "test": "raw_splitted/imagesTs"},
        {"train": "raw_splitted/labelsTr", "test": "raw_splitted/labelsTs"},
        "_0000",
    ),
}


def image_path(folder: Path, layout: Layout, case: str, part: Part) -> Path:
    """Return where the image of a case goes."""
    folders = FOLDERS[layout]
    return folder / folders.images[part] / f"{case}{folders.channel}{ENDING}"


def label_path(folder: Path, layout: Layout, case: str, part: Part) -> Path:
    """Return where the label map of a case goes."""
    return folder / FOLDERS[layout].labels[part] / f"{case}{ENDING}"


def refuse_occupied(folder: Path, *, overwrite: bool) -> None:
    """Return nothing when a data set may be written into `folder`; nothing in it is changed.

    Raises:
        OutputError: it holds files and `overwrite` is false, or files that no run left; or it
            cannot be written.
    """
    require_folder(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise _occupied(folder, "one that holds files", "replace what is there with --overwrite")
    if not (folder / CASES).is_file() and any(_foreign(folder)):
        raise _occupied(folder, f"one without {CASES}, so of another making", "empty it")


def take_folder(folder: Path, layout: Layout, *, overwrite: bool) -> None:
    """Do nothing for a new or empty folder; with `overwrite` delete an earlier run's cases in it.

    Raises:
        OutputError: as `refuse_occupied`.
    """
    refuse_occupied(folder, overwrite=overwrite)
    folders = FOLDERS[layout]
    for name in {*folders.images.values(), *folders.labels.values()}:
        for path in (folder / name).glob("*"):
            if _OURS.fullmatch(path.name):
                remove_output(path)
    for name in _TABLES:
        remove_output(folder / name)


def _foreign(folder: Path) -> Iterator[Path]:
    """Yield the files that no run left, not even one that did not end."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in _TABLES and not _OURS.fullmatch(path.name):
            yield path


def _occupied(folder: Path, got: str, remedy: str) -> OutputError:
    return OutputError(
        folder.name,
        expected="a new or empty folder",
        got=got,
        remedy=f"Choose another --output, or {remedy}.",
    )
