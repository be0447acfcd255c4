"""DICOM Segmentations read: frame by frame, with the place of each in the patient (PS3.3 A.51).

Read without highdicom, which refuses objects that others wrote loosely.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import iter_pixels

from lnmdetect.core.errors import InputError
from lnmdetect.core.patient_space import slice_plane
from lnmdetect.io.dicom_geometry import slice_normal
from lnmdetect.io.dicom_header import READ_ERRORS
from lnmdetect.io.dicom_values import item, number, numbers, text, whole
from lnmdetect.io.input_files import printable
from lnmdetect.io.quiet import quiet_dicom

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"  # PS3.6 table A-1, and the next
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
PRODUCT = "lnmdetect"
LYMPH_NODE_CODES = frozenset({"59441001", "94392001"})  # SCT: lymph node, metastasis in one
METASTASIS_CODE = "94392001"


@dataclass(frozen=True)
class Segment:
    """A segment of the object.

    Attributes:
        number: from 1; of a label map its value.
        label: free text; never shown, written or logged.
        codes: of what it is and where it lies, SNOMED CT.
    """

    number: int
    label: str = field(repr=False)
    codes: frozenset[str]

    @property
    def is_node(self) -> bool:
        """Whether its codes say so."""
        return bool(self.codes & LYMPH_NODE_CODES)

    @property
    def is_metastasis(self) -> bool:
        """Whether its codes say so."""
        return METASTASIS_CODE in self.codes


@dataclass(frozen=True)
class SegmentFrame:
    """One frame: what it shows, and where.

    Attributes:
        labels: (rows, columns), 0 the background, else numbers of segments.
        affine: (4, 4) from (column, row, 0) to mm along DICOM's axes; its third column is the
            unit normal.
        sources: SOP uids of the images it says it was made of; often of none.
    """

    labels: NDArray[np.uint16]
    affine: NDArray[np.float64]
    sources: frozenset[str]


@dataclass(frozen=True)
class SegmentationFile:
    """A segmentation whose header is read.

    Attributes:
        series: uids of the series it was made of.
        own_labels: it was made by lnmdetect, whose labels hold nothing of the patient.
    """

    name: str
    series: tuple[str, ...]
    segments: tuple[Segment, ...]
    own_labels: bool
    _stored: Dataset = field(repr=False)

    def frames(self) -> Iterator[SegmentFrame]:
        """Yield each frame.

        Raises:
            InputError: the pixels are damaged, a frame does not say where it lies, or it is of a
                segment that is not described.
        """
        described = np.array([0, *(one.number for one in self.segments)], dtype=np.int64)
        try:
            with quiet_dicom():
                for frame in _frames(self._stored):
                    if not np.isin(frame.labels, described).all():
                        raise _unreadable(self.name, "a frame of a segment it does not describe")
                    yield frame
        except READ_ERRORS as error:
            raise _unreadable(self.name, type(error).__name__) from None


def read_segmentation(path: Path) -> SegmentationFile:
    """Return a Segmentation; its pixels are read when they are asked for.

    Raises:
        InputError: the file is none, is damaged, or numbers two segments alike.
    """
    name = printable(path.name)
    try:
        with quiet_dicom(), path.open("rb") as stream:
            stored = dcmread(stream)
            if text(stored, "SOPClassUID") not in (SEGMENTATION, LABEL_MAP):
                raise _unreadable(name, "another kind of DICOM object")
            series = tuple(
                text(one, "SeriesInstanceUID") for one in stored.get("ReferencedSeriesSequence", ())
            )
            segments = tuple(_segment(one) for one in stored.get("SegmentSequence", ()))
            if len({one.number for one in segments}) != len(segments):
                raise _unreadable(name, "two segments of one number")
            own = text(stored, "Manufacturer") == PRODUCT
            return SegmentationFile(name, series, segments, own, stored)
    except READ_ERRORS as error:
        raise _unreadable(name, type(error).__name__) from None


def _segment(stored: Dataset) -> Segment:
    places = ("SegmentedPropertyTypeCodeSequence", "AnatomicRegionSequence")
    codes = frozenset(text(item(stored, place), "CodeValue") for place in places)
    return Segment(whole(stored, "SegmentNumber") or 0, text(stored, "SegmentLabel"), codes)


def _frames(stored: Dataset) -> Iterator[SegmentFrame]:
    shared = item(stored, "SharedFunctionalGroupsSequence")
    groups = stored.get("PerFrameFunctionalGroupsSequence") or ()
    is_map = text(stored, "SegmentationType") == "LABELMAP"
    fractional = text(stored, "SegmentationType") == "FRACTIONAL"
    # Half of the greatest value is where a probability turns to a yes (PS3.3 C.8.20.2).
    limit = (number(stored, "MaximumFractionalValue") or 255.0) / 2 if fractional else 0.5
    for own, pixels in zip(groups, iter_pixels(stored), strict=True):
        place = _affine(own, shared), _sources(own)
        if is_map:
            yield SegmentFrame(pixels.astype(np.uint16), *place)
        else:
            segment = whole(_group(own, shared, "SegmentIdentificationSequence"), _NUMBER)
            if segment is None or not 0 < segment < 65536:
                raise ValueError("a frame without its segment")
            yield SegmentFrame((pixels > limit).astype(np.uint16) * np.uint16(segment), *place)


_NUMBER = "ReferencedSegmentNumber"


def _group(own: Dataset, shared: Dataset, sequence: str) -> Dataset:
    """Return a functional group of a frame, its own or the shared one."""
    return item(own, sequence) if sequence in own else item(shared, sequence)


def _sources(own: Dataset) -> frozenset[str]:
    return frozenset(
        text(image, "ReferencedSOPInstanceUID")
        for derived in own.get("DerivationImageSequence") or ()
        for image in derived.get("SourceImageSequence") or ()
    )


def _affine(own: Dataset, shared: Dataset) -> NDArray[np.float64]:
    place = numbers(_group(own, shared, "PlanePositionSequence"), "ImagePositionPatient", 3)
    axes = numbers(_group(own, shared, "PlaneOrientationSequence"), "ImageOrientationPatient", 6)
    sides = numbers(_group(own, shared, "PixelMeasuresSequence"), "PixelSpacing", 2)
    if place is None or axes is None or sides is None or not np.cross(axes[:3], axes[3:]).any():
        raise ValueError("a frame without its place")
    return slice_plane(place, axes, (sides[0], sides[1]), slice_normal(axes))


def _unreadable(name: str, got: str) -> InputError:
    return InputError(
        name,
        expected="a DICOM Segmentation whose frames say where they lie",
        got=got,
        remedy="Give the segmentation's own file.",
    )
