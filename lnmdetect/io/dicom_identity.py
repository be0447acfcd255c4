"""Of a slice's header what objects made from it must carry: identity, references, geometry.

Everything else stays behind: free text, device, institution, private elements (PS3.3 C.7.1.1 and
C.7.2.1 require just these, type 1 and 2).
"""

import re
from datetime import datetime

from pydicom import Dataset, dcmread
from pydicom.tag import Tag
from pydicom.valuerep import format_number_as_ds

from lnmdetect.core.errors import InputError
from lnmdetect.io.dicom_header import READ_ERRORS, SliceHeader
from lnmdetect.io.dicom_values import text, whole
from lnmdetect.io.input_files import InputFiles, printable
from lnmdetect.io.quiet import quiet_dicom

UTF8 = "ISO_IR 192"
"""Specific Character Set of text beyond ASCII, PS3.3 C.12.1.1.2."""
SEXES = frozenset({"M", "F", "O"})
MAX_LENGTH = {  # PS3.5 6.2: LO and a group of PN 64, SH 16 characters
    "PatientName": 64,
    "PatientID": 64,
    "ReferringPhysicianName": 64,
    "StudyID": 16,
    "AccessionNumber": 16,
}
_DATES = ("PatientBirthDate", "StudyDate")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
_UID = re.compile(r"[0-9.]{1,64}")
_FRAME = "FrameOfReferenceUID"
_FRAMES = "NumberOfFrames"
_READ = (
    *MAX_LENGTH,
    _FRAMES,
    *_DATES,
    "StudyTime",
    "PatientSex",
    *_UIDS,
    _FRAME,
    "SpecificCharacterSet",
)
_TAGS = [Tag(keyword) for keyword in _READ]


def read_identity(files: InputFiles, header: SliceHeader) -> Dataset:
    """Return a new data set with the identity, references and geometry of one slice.

    Values that their representation does not allow are left empty, as type 2 elements may be.

    Raises:
        InputError: the file can no longer be read, lacks a uid that a reference needs, or has a
            patient id that no object may carry.
    """
    stored = _stored(files, header)
    made = Dataset()
    _add_identity(made, stored)
    if made.PatientID != text(stored, "PatientID"):
        # Left empty or shortened, the object would be filed under another patient.
        expected = "PatientID of at most 64 characters, none of them a control character"
        raise _no_element(header, expected, "another")
    for keyword in _UIDS:
        uid = text(stored, keyword)
        if not _UID.fullmatch(uid):
            expected = f"{keyword} of digits and dots, at most 64 characters"
            raise _no_element(header, expected, "another" if uid else "none")
        setattr(made, keyword, uid)
    if _UID.fullmatch(text(stored, _FRAME)):
        made.FrameOfReferenceUID = text(stored, _FRAME)
        made.PositionReferenceIndicator = ""
    if header.frame is not None:
        made.NumberOfFrames = whole(stored, _FRAMES) or header.frame + 1
    _add_geometry(made, header)
    return made


def _stored(files: InputFiles, header: SliceHeader) -> Dataset:
    try:
        with quiet_dicom(), files.open(header.file) as stream:
            head = stream.read(132)
            stream.seek(0)
            bare = head[128:132] != b"DICM"
            found = dcmread(stream, force=bare, stop_before_pixels=True, specific_tags=_TAGS)
            found.decode()
            return found
    except READ_ERRORS as error:
        raise InputError(
            printable(header.file),
            expected="the header that was read before",
            got=f"one that cannot be read ({type(error).__name__})",
            remedy="Leave the scan in its place while it is read.",
        ) from None


def _add_identity(made: Dataset, stored: Dataset) -> None:
    values = {keyword: _fitting(text(stored, keyword), keyword) for keyword in MAX_LENGTH}
    values |= {keyword: _date(text(stored, keyword)) for keyword in _DATES}
    study_time, sex = text(stored, "StudyTime"), text(stored, "PatientSex").upper()
    values["StudyTime"] = study_time if _TIME.fullmatch(study_time) else ""
    values["PatientSex"] = sex if sex in SEXES else ""
    if not all(value.isascii() for value in values.values()):
        made.SpecificCharacterSet = UTF8
    for keyword, value in values.items():
        setattr(made, keyword, value)


def _fitting(value: str, keyword: str) -> str:
    """Return the text without control characters; empty where it is longer than allowed."""
    clean = "".join(c for c in value if c.isprintable() and c != "\\").strip()
    groups = clean.split("=") if keyword.endswith("Name") else [clean]
    return clean if max(map(len, groups)) <= MAX_LENGTH[keyword] else ""


def _date(value: str) -> str:
    try:
        return datetime.strptime(value, "%Y%m%d").strftime("%Y%m%d")
    except ValueError:
        return ""


def _add_geometry(made: Dataset, header: SliceHeader) -> None:
    made.Modality = "CT"
    made.Rows, made.Columns = header.rows, header.columns
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.PixelSpacing = [format_number_as_ds(side) for side in header.spacing_mm]
    made.ImagePositionPatient = [format_number_as_ds(value) for value in header.position]
    made.ImageOrientationPatient = [format_number_as_ds(value) for value in header.orientation]
    # Type 2 in CT (PS3.3 C.8.2.1): empty where it is not known.
    thickness = header.thickness_mm
    made.SliceThickness = None if thickness is None else format_number_as_ds(thickness)
    made.RescaleSlope = format_number_as_ds(header.slope)
    made.RescaleIntercept = format_number_as_ds(header.intercept)
    made.RescaleType = "HU"


def _no_element(header: SliceHeader, expected: str, got: str) -> InputError:
    return InputError(
        printable(header.file),
        expected=f"a {expected}",
        got=got,
        remedy="Export the series again; its anonymisation removed what results refer to.",
    )
