"""The slices that a DICOM header describes, or the reason why it describes none."""

import math
from collections.abc import Iterator

from pydicom import DataElement, Dataset
from pydicom.tag import Tag

from lnmdetect.io.dicom_header import (
    CT_CLASSES,
    MULTI_FRAME_CLASSES,
    SECONDARY_CAPTURE_ROOT,
    LeftOut,
    Reason,
    SliceHeader,
)
from lnmdetect.io.dicom_values import item, number, numbers, text, texts, whole

NOT_TISSUE_TYPES = frozenset({"LOCALIZER", "SCREEN SAVE"})  # ImageType value 3, PS3.3 C.8.2.1.1.1
HU_RESCALE_TYPES = frozenset({"", "HU", "US"})  # PS3.3 C.11.1.1.2; US is "unspecified"
SAMPLE_BITS = frozenset({8, 16, 32})
MAX_SIDE_PX = 8192
MAX_POSITION_MM = 1e5
MAX_SPACING_MM = 100.0
_UNIT_TOLERANCE = 1e-2  # direction cosines are often written with three digits
_IMAGE_TYPE = Tag("ImageType")
_FRAME_GROUPS = (  # PS3.3 C.7.6.16.2 and C.8.15.3
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTImageFrameTypeSequence",
)


def slices_of(dataset: Dataset, file: str) -> tuple[SliceHeader | LeftOut, ...]:
    """Return one entry a slice of the file, in file order; what cannot be used says why."""
    reason, got = _class_of(dataset)
    if reason is not None:
        return (_left_out(dataset, file, reason, "a CT image", got),)
    if text(dataset, "SOPClassUID") not in MULTI_FRAME_CLASSES:
        return (_slice(dataset, file, None),)
    return tuple(_slice(flat, file, frame) for frame, flat in enumerate(_frames(dataset)))


def pixel_bytes(dataset: Dataset) -> int:
    """Return how many bytes the file's uncompressed pixels take."""
    samples = (whole(dataset, "Rows") or 0) * (whole(dataset, "Columns") or 0)
    samples *= (whole(dataset, "SamplesPerPixel") or 1) * (whole(dataset, "NumberOfFrames") or 1)
    return samples * (whole(dataset, "BitsAllocated") or 0) // 8


def faulty(dataset: Dataset, file: str, expected: str, got: str) -> LeftOut:
    """Return the entry of a CT file that cannot be used because of a fault."""
    return _left_out(dataset, file, "faulty", expected, got)


def _class_of(dataset: Dataset) -> tuple[Reason | None, str]:
    """Return why the object is no CT slice and what it is instead, or None."""
    sop_class, modality = text(dataset, "SOPClassUID"), text(dataset, "Modality").upper()
    if sop_class.startswith(SECONDARY_CAPTURE_ROOT):
        return "secondary capture", "a secondary capture"
    if sop_class not in CT_CLASSES and (sop_class or modality != "CT"):
        known = modality if modality.isalpha() and len(modality) <= 8 else "unnamed"
        return "not CT", f"modality {known}"
    if modality not in ("", "CT"):
        return "not CT", "another modality in a CT object"
    if (whole(dataset, "SamplesPerPixel") or 1) != 1:
        return "colour", "a colour image"
    photometric = text(dataset, "PhotometricInterpretation")
    # MONOCHROME1 only turns the display round; stored values mean the same HU (C.7.6.3.1.2).
    if photometric not in ("", "MONOCHROME1", "MONOCHROME2"):
        return "colour", "a colour image"
    return None, ""


def _frames(dataset: Dataset) -> Iterator[Dataset]:
    """Yield a flat header for every frame, as if each were a single-frame CT image."""
    shared = item(dataset, "SharedFunctionalGroupsSequence")
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or [Dataset()]
    for groups in per_frame:
        flat = Dataset()
        flat.update({element.tag: element for element in dataset if element.VR != "SQ"})
        for name in _FRAME_GROUPS:
            for source in (shared, groups):
                flat.update(item(source, name))
        if "FrameType" in flat:
            # A new element: the flat headers share the others with the data set and one another.
            flat[_IMAGE_TYPE] = DataElement(_IMAGE_TYPE, "CS", flat.FrameType)
        flat.file_meta = dataset.file_meta
        yield flat


def _slice(dataset: Dataset, file: str, frame: int | None) -> SliceHeader | LeftOut:
    if NOT_TISSUE_TYPES & set(texts(dataset, "ImageType")):
        return _left_out(dataset, file, "localiser", "a CT slice", "a localiser")
    if fault := _first_fault(dataset, frame):
        return faulty(dataset, file, *fault)
    sop_uid = text(dataset, "SOPInstanceUID")
    row_mm, column_mm = numbers(dataset, "PixelSpacing", 2) or (math.nan, math.nan)
    series_uid = text(dataset, "SeriesInstanceUID")
    thickness = number(dataset, "SliceThickness")
    return SliceHeader(
        file=file,
        frame=frame,
        sop_uid=sop_uid if frame is None else f"{sop_uid}#{frame + 1}",
        series_uid=series_uid,
        study_uid=text(dataset, "StudyInstanceUID") or series_uid,
        patient_id=text(dataset, "PatientID"),
        rows=whole(dataset, "Rows") or 0,
        columns=whole(dataset, "Columns") or 0,
        position=numbers(dataset, "ImagePositionPatient", 3) or (),
        orientation=numbers(dataset, "ImageOrientationPatient", 6) or (),
        spacing_mm=(row_mm, column_mm),
        thickness_mm=thickness if thickness is not None and thickness > 0 else None,
        slope=number(dataset, "RescaleSlope") or math.nan,
        intercept=_intercept(dataset),
        padding=_padding(dataset),
        transfer_syntax=transfer_syntax(dataset),
    )


def transfer_syntax(dataset: Dataset) -> str:
    """Return the transfer syntax UID."""
    return text(dataset.file_meta, "TransferSyntaxUID")


def _intercept(dataset: Dataset) -> float:
    intercept = number(dataset, "RescaleIntercept")
    return math.nan if intercept is None else intercept


def _first_fault(dataset: Dataset, frame: int | None) -> tuple[str, str] | None:
    """Return (expected, got) of the first element that a slice cannot be used without."""
    checks = (
        ("a SOPInstanceUID", bool(text(dataset, "SOPInstanceUID"))),
        ("a SeriesInstanceUID", bool(text(dataset, "SeriesInstanceUID"))),
        (f"Rows and Columns of 1 to {MAX_SIDE_PX}", _sound_size(dataset)),
        ("8, 16 or 32 bits allocated", (whole(dataset, "BitsAllocated") or 0) in SAMPLE_BITS),
        ("one position a frame", frame is not None or (whole(dataset, "NumberOfFrames") or 1) == 1),
        ("ImagePositionPatient with three finite mm values", _sound_position(dataset)),
        ("ImageOrientationPatient with two perpendicular unit vectors", _sound_axes(dataset)),
        (f"PixelSpacing above 0 and below {MAX_SPACING_MM:.0f} mm", _sound_spacing(dataset)),
        ("RescaleSlope and RescaleIntercept", _sound_rescale(dataset)),
        ("Hounsfield units", text(dataset, "RescaleType").upper() in HU_RESCALE_TYPES),
    )
    failed = next((expected for expected, sound in checks if not sound), None)
    return None if failed is None else (failed, "a header with none or unusable ones")


def _sound_size(dataset: Dataset) -> bool:
    sides = (whole(dataset, "Rows") or 0, whole(dataset, "Columns") or 0)
    return all(0 < side <= MAX_SIDE_PX for side in sides)


def _sound_position(dataset: Dataset) -> bool:
    position = numbers(dataset, "ImagePositionPatient", 3)
    return position is not None and max(map(abs, position)) <= MAX_POSITION_MM


def _sound_axes(dataset: Dataset) -> bool:
    axes = numbers(dataset, "ImageOrientationPatient", 6)
    if axes is None:
        return False
    row, column = axes[:3], axes[3:]
    lengths = (math.hypot(*row), math.hypot(*column))
    across = sum(a * b for a, b in zip(row, column, strict=True))
    return all(abs(n - 1) < _UNIT_TOLERANCE for n in lengths) and abs(across) < _UNIT_TOLERANCE


def _sound_spacing(dataset: Dataset) -> bool:
    spacing = numbers(dataset, "PixelSpacing", 2)
    return spacing is not None and all(0 < side < MAX_SPACING_MM for side in spacing)


def _sound_rescale(dataset: Dataset) -> bool:
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    return bool(slope) and intercept is not None


def _padding(dataset: Dataset) -> tuple[int, int] | None:
    """Return the padding's stored values as the pixels hold them (PS3.3 C.7.5.1.1.2)."""
    value = whole(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = whole(dataset, "PixelPaddingRangeLimit")
    # Bits above BitsStored are dropped from the pixels when they are read.
    bits = whole(dataset, "BitsStored") or 16
    signed = whole(dataset, "PixelRepresentation") == 1
    values = (value, value if limit is None else limit)
    ends = sorted(_as_stored(end, bits, signed) for end in values)
    return ends[0], ends[1]


def _as_stored(value: int, bits: int, signed: bool) -> int:
    """Return `value` as a sample of this kind; writers mix up signed and unsigned ones."""
    wrapped = value % (1 << bits)
    return wrapped - (1 << bits) if signed and wrapped >= 1 << (bits - 1) else wrapped


def _left_out(dataset: Dataset, file: str, reason: Reason, expected: str, got: str) -> LeftOut:
    series_uid = text(dataset, "SeriesInstanceUID")
    study_uid = text(dataset, "StudyInstanceUID") or series_uid
    return LeftOut(file, study_uid, series_uid, reason, expected, got)
