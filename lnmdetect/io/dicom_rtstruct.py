"""RT Structure Sets read: the closed planar contours of each structure (PS3.3 C.8.8.5, C.8.8.6)."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from lnmdetect.core.errors import InputError
from lnmdetect.io.dicom_header import READ_ERRORS
from lnmdetect.io.dicom_values import numbers, text, whole
from lnmdetect.io.input_files import printable
from lnmdetect.io.quiet import quiet_dicom

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"  # PS3.6 table A-1
CLOSED, EXCLUSIVE = "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"
MAX_POINTS = 1_000_000


@dataclass(frozen=True)
class PlanarContour:
    """A closed contour.

    Attributes:
        points_mm: (N, 3) along DICOM's axes, N of 3 or more.
        excludes: what it shares with another such contour of the structure is outside (PS3.3
            C.8.8.6.3).
    """

    points_mm: NDArray[np.float64]
    excludes: bool


@dataclass(frozen=True)
class Structure:
    """A structure of the set.

    Attributes:
        number: its ROI number.
        name: free text; never shown, written or logged.
        unread: contours that are open, points, or damaged.
    """

    number: int
    name: str = field(repr=False)
    contours: tuple[PlanarContour, ...]
    unread: int


@dataclass(frozen=True)
class StructureSet:
    """A structure set in memory; `series` are the uids of those it was drawn on."""

    series: tuple[str, ...]
    structures: tuple[Structure, ...]


def read_structures(path: Path) -> StructureSet:
    """Return the structures of an RT Structure Set, by number.

    Raises:
        InputError: the file is none, is damaged, or numbers two structures alike.
    """
    try:
        with quiet_dicom(), path.open("rb") as stream:
            stored = dcmread(stream)
            if text(stored, "SOPClassUID") != RT_STRUCTURE_SET:
                raise _unreadable(path, "another kind of DICOM object")
            structures = _structures(stored)
            if len({one.number for one in structures}) != len(structures):
                raise _unreadable(path, "two structures of one number")
            return StructureSet(_series(stored), structures)
    except READ_ERRORS as error:
        raise _unreadable(path, type(error).__name__) from None


def _series(stored: Dataset) -> tuple[str, ...]:
    return tuple(
        text(series, "SeriesInstanceUID")
        for frame in stored.get("ReferencedFrameOfReferenceSequence") or ()
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
    )


def _structures(stored: Dataset) -> tuple[Structure, ...]:
    drawn: dict[int, list[Dataset]] = {}
    for one in stored.get("ROIContourSequence") or ():
        number = whole(one, "ReferencedROINumber")
        if number is not None:
            drawn.setdefault(number, []).extend(one.get("ContourSequence") or ())
    found = []
    for roi in stored.get("StructureSetROISequence") or ():
        number = whole(roi, "ROINumber")
        if number is not None:
            contours = [_contour(one) for one in drawn.get(number, [])]
            closed = tuple(contour for contour in contours if contour is not None)
            unread = len(contours) - len(closed)
            found.append(Structure(number, text(roi, "ROIName"), closed, unread))
    return tuple(sorted(found, key=lambda one: one.number))


def _contour(stored: Dataset) -> PlanarContour | None:
    """Return a closed contour; None of any other."""
    kind = text(stored, "ContourGeometricType")
    values = stored.get("ContourData") or ()
    count = len(values) if hasattr(values, "__len__") else 0
    if kind not in (CLOSED, EXCLUSIVE) or not 9 <= count <= 3 * MAX_POINTS:
        return None
    points = numbers(stored, "ContourData", count) if count % 3 == 0 else None
    if points is None:
        return None
    return PlanarContour(np.array(points, dtype=np.float64).reshape(-1, 3), kind == EXCLUSIVE)


def _unreadable(path: Path, got: str) -> InputError:
    return InputError(
        printable(path.name),
        expected="a DICOM RT Structure Set",
        got=got,
        remedy="Give the structure set's own file.",
    )
