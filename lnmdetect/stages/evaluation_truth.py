"""The truth of an evaluation: one file or several, whose each slice is, and its boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.column_pool import pooled
from lnmdetect.core.columns import CocoColumns
from lnmdetect.core.errors import InputError
from lnmdetect.core.geometry import box_sizes
from lnmdetect.io.coco_columns import read_columns
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.nodes import NO_NODE
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.tables import TruthTable


@dataclass(frozen=True)
class FileStamp:
    """Which file was read: its name (without folder) and the SHA-256 of its bytes."""

    file: str
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "FileStamp":
        """Return the stamp of a file."""
        return cls(path.name, sha256_of_file(path))


@dataclass(frozen=True)
class Truth:
    """What there is to be found.

    Attributes:
        stamps: the files, in the order given.
        columns: all their records; the boxes of `table` stand in the same order.
        table: every truth box, those that do not count too.
        patient_names: pseudonyms; a patient's place is that in `cohort`.
        cohort: whose the images are, and which scan's.
    """

    stamps: tuple[FileStamp, ...]
    columns: CocoColumns
    table: TruthTable
    patient_names: tuple[str, ...]
    cohort: Cohort


def read_truth(paths: Sequence[Path], *, bootstrap: int, seed: int) -> Truth:
    """Return the truth of all files, with so many resamples of its patients.

    Raises:
        InputError: a record cannot be used, or the files do not go together.
    """
    parts = [read_columns(path) for path in paths]
    _check_disjoint(paths, parts)
    _check_alike(paths, parts)
    columns = pooled(parts)
    names, patient = _places(columns.images.patients)
    scan_keys = list(zip(columns.images.patients, columns.images.series, strict=True))
    _, scan = _places(scan_keys)
    nodes = columns.nodes
    return Truth(
        stamps=tuple(FileStamp.of(path) for path in paths),
        columns=columns,
        table=TruthTable(nodes.image, nodes.boxes_xyxy, nodes.ignored, nodes.category),
        patient_names=tuple(str(name) for name in names),
        cohort=Cohort(patient, scan, Resamples(len(names), count=bootstrap, seed=seed)),
    )


def _places(names: Sequence[object]) -> tuple[list[object], NDArray[np.int64]]:
    """Return the distinct names by first appearance, and (N,) the place of each."""
    known: dict[object, int] = {}
    places = [known.setdefault(name, len(known)) for name in names]
    return list(known), np.array(places, dtype=np.int64)


def _check_disjoint(paths: Sequence[Path], parts: Sequence[CocoColumns]) -> None:
    first: dict[str, int] = {}
    for place, part in enumerate(parts):
        for row, key in enumerate(part.images.join_keys):
            if first.setdefault(key, place) != place:
                raise InputError(
                    f"{paths[place].name}: images[{row}]",
                    expected="slices that no other truth file lists",
                    got=f"one that {paths[first[key]].name} lists too",
                    remedy="Pool files of disjoint slices, as the folds of a cross-validation.",
                )


def _check_alike(paths: Sequence[Path], parts: Sequence[CocoColumns]) -> None:
    for what, values in (
        ("coverage", [part.coverage for part in parts]),
        ("phantom", [part.is_phantom for part in parts]),
    ):
        for path, value in zip(paths, values, strict=True):
            if value != values[0]:
                raise InputError(
                    f"{path.name}: info.{what}",
                    expected=f"{values[0]}, as in {paths[0].name}",
                    got=f"{value}",
                    remedy="Evaluate the two kinds apart.",
                )


def node_numbers(truth: Truth) -> NDArray[np.int64]:
    """Return (G,) the number of each truth box's node; a name is a node's within its scan."""
    nodes, scans = truth.columns.nodes, truth.cohort.scan_of_image
    known: dict[tuple[int, object], int] = {}
    numbers = [
        NO_NODE if name is None else known.setdefault((int(scans[image]), name), len(known))
        for image, name in zip(nodes.image, nodes.node_ids, strict=True)
    ]
    return np.array(numbers, dtype=np.int64)


def shorter_sides_mm(
    boxes_xyxy: NDArray[np.float64], spacing_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (N,) the shorter side of each box; (N, 2) row and column spacing of its image."""
    return np.asarray((box_sizes(boxes_xyxy) * spacing_mm[:, ::-1]).min(axis=1, initial=np.inf))
