"""What is needed from a DICOM file's header, one record a slice; pixels are not read here."""

import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lnmdetect.io.deflated import refuse_bomb

Reason = Literal["not CT", "secondary capture", "localiser", "colour", "unreadable", "faulty"]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"  # PS3.6 table A-1, this and the following
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.2"
SECONDARY_CAPTURE_ROOT = "1.2.840.10008.5.1.4.1.1.7"
CT_CLASSES = frozenset({CT_IMAGE, ENHANCED_CT, LEGACY_ENHANCED_CT})
MULTI_FRAME_CLASSES = frozenset({ENHANCED_CT, LEGACY_ENHANCED_CT})

READ_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    StopIteration,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    MemoryError,
)
"""What pydicom and its codecs raise on damaged files; its messages can quote a patient's name."""

PHANTOM_MAKER = ("lnmdetect", "phantom")
"""Manufacturer and model that `lnmdetect phantom` writes."""

HEADER_TAGS = tuple(
    Tag(name)
    for name in (
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "PatientID",
        "Modality",
        "Manufacturer",
        "ManufacturerModelName",
        "ImageType",
        "Rows",
        "Columns",
        "NumberOfFrames",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "BitsAllocated",
        "BitsStored",
        "PixelRepresentation",
        "PixelSpacing",
        "SliceThickness",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "RescaleSlope",
        "RescaleIntercept",
        "RescaleType",
        "PixelPaddingValue",
        "PixelPaddingRangeLimit",
        "AcquisitionNumber",
        "ConvolutionKernel",
        "ContrastBolusAgent",
        "ProtocolName",
        "SeriesDescription",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
    )
)


@dataclass(frozen=True)
class Acquisition:
    """How a slice was taken, in words of ours; a header's own text may hold anything.

    Attributes:
        number: AcquisitionNumber, None where not given.
        kernel: a known reconstruction kernel's name, `other` for one that is not, empty for none.
        contrast: whether contrast was given; None where the header does not say.
        phase: native, arterial, venous, delayed, or empty where the header does not say.
    """

    number: int | None = None
    kernel: str = ""
    contrast: bool | None = None
    phase: str = ""


@dataclass(frozen=True)
class SliceHeader:
    """One CT slice: a file, or one frame of a multi-frame file.

    Attributes:
        file: path relative to the input.
        frame: from 0; None in a single-frame file.
        sop_uid: of the slice; `<uid>#<frame from 1>` for a frame.
        patient_id: as in the header; never shown, written or logged.
        position: ImagePositionPatient, mm.
        orientation: ImageOrientationPatient, six direction cosines.
        spacing_mm: (row, column).
        padding: lowest and highest stored value that stand for no image, or None.
        is_phantom: made by `lnmdetect phantom`.
        acquisition: how the slice was taken.
    """

    file: str
    frame: int | None
    sop_uid: str
    series_uid: str
    study_uid: str
    patient_id: str = field(repr=False)
    rows: int
    columns: int
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, float]
    thickness_mm: float | None
    slope: float
    intercept: float
    padding: tuple[int, int] | None
    transfer_syntax: str
    is_phantom: bool = False
    acquisition: Acquisition = Acquisition()


@dataclass(frozen=True)
class LeftOut:
    """A DICOM file, or frame, that cannot be a slice of a CT scan, and why.

    Attributes:
        study_uid, series_uid: empty where the header ends before them.
        reason: "faulty" is a CT slice that cannot be used; "unreadable" may be anything.
        expected: what was needed, where the reason is a fault.
        got: what was found; free of anything about the patient.
    """

    file: str
    study_uid: str
    series_uid: str
    reason: Reason
    expected: str
    got: str


def names_ct(head: bytes) -> bool:
    """Return whether a file that starts with `head` says that it is a CT image."""
    # UIDs of odd length are padded with a zero byte (PS3.5 6.2), which ends the match.
    return any(uid.encode() + b"\0" in head for uid in CT_CLASSES)


HEAD_BYTES = 1024
"""Enough for the preamble, the magic word and the meta header (PS3.10 7.1)."""


def looks_like_dicom(head: bytes) -> bool:
    """Return whether a file that starts with `head` may be DICOM, with or without a preamble."""
    if head[128:132] == b"DICM":
        # The first group; a file of zeros would be read element by element for minutes.
        return head[132:134] in (b"\x02\x00", b"\x08\x00")
    # A bare data set starts in group 0008 (or 0002) with a low, even or length element.
    return head[:2] in (b"\x08\x00", b"\x02\x00") and head[3:4] == b"\x00" and head[2:3] < b"\x20"


def read_dataset(stream: BinaryIO, *, pixels: bool = False) -> Dataset:
    """Return the needed header elements of an open file, or all of it with `pixels`.

    Raises:
        READ_ERRORS: the file is damaged.
    """
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    refuse_bomb(stream, head)
    bare = head[128:132] != b"DICM"
    if pixels:
        dataset = dcmread(stream, force=bare)
    else:
        dataset = dcmread(
            stream, force=bare, stop_before_pixels=True, specific_tags=list(HEADER_TAGS)
        )
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, _ = dataset.original_encoding
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset
