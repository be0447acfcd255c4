"""The slices that a DICOM header describes, or the reason why it describes none."""

import math
from collections.abc import Iterator

from pydicom import DataElement, Dataset
from pydicom.tag import Tag

from lnmdetect.io.dicom_acquisition import acquisition_of
from lnmdetect.io.dicom_faults import first_fault
from lnmdetect.io.dicom_header import (
    CT_CLASSES,
    MULTI_FRAME_CLASSES,
    PHANTOM_MAKER,
    SECONDARY_CAPTURE_ROOT,
    LeftOut,
    Reason,
    SliceHeader,
)
from lnmdetect.io.dicom_values import item, number, numbers, text, texts, whole

MODALITIES = {  # PS3.3 C.7.3.1.1.1; another text may be a name
    *("CR", "CT", "DX", "MG", "MR", "NM", "OT", "PR", "PT", "PX", "REG", "RF", "RTDOSE", "RTIMAGE"),
    *("RTPLAN", "RTSTRUCT", "SC", "SEG", "SR", "US", "XA"),
}
NOT_TISSUE_TYPES = frozenset({"LOCALIZER", "SCREEN SAVE"})  # ImageType value 3, PS3.3 C.8.2.1.1.1
_IMAGE_TYPE = Tag("ImageType")
_FRAME_GROUPS = (  # PS3.3 C.7.6.16.2 and C.8.15.3
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTImageFrameTypeSequence",
    "CTReconstructionSequence",
)


def slices_of(dataset: Dataset, file: str) -> tuple[SliceHeader | LeftOut, ...]:
    """Return one entry a slice of the file, in file order; what cannot be used says why."""
    reason, got = _class_of(dataset)
    if reason is not None:
        return (_left_out(dataset, file, reason, "a CT image", got),)
    if text(dataset, "SOPClassUID") not in MULTI_FRAME_CLASSES:
        return (_slice(dataset, file, None),)
    frames = tuple(_slice(flat, file, frame) for frame, flat in enumerate(_frames(dataset)))
    said = whole(dataset, "NumberOfFrames") or 1
    if said != len(frames):
        got = f"{len(frames)} of {said}"
        return (faulty(dataset, file, "a functional group for every frame", got),)
    return frames


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
        known = modality if modality in MODALITIES else "unnamed"
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
    if fault := first_fault(dataset, frame):
        return faulty(dataset, file, *fault)
    sop_uid = text(dataset, "SOPInstanceUID")
    row_mm, column_mm = numbers(dataset, "PixelSpacing", 2) or (math.nan, math.nan)
    series_uid = text(dataset, "SeriesInstanceUID")
    thickness = number(dataset, "SliceThickness")
    maker = (text(dataset, "Manufacturer"), text(dataset, "ManufacturerModelName"))
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
        is_phantom=maker == PHANTOM_MAKER,
        acquisition=acquisition_of(dataset),
    )


def transfer_syntax(dataset: Dataset) -> str:
    """Return the transfer syntax UID."""
    return text(dataset.file_meta, "TransferSyntaxUID")


def _intercept(dataset: Dataset) -> float:
    intercept = number(dataset, "RescaleIntercept")
    return math.nan if intercept is None else intercept


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
