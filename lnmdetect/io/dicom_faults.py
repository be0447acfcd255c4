"""What a CT slice's header must hold before the slice can be used."""

import math

from pydicom import Dataset

from lnmdetect.io.dicom_values import number, numbers, text, whole

HU_RESCALE_TYPES = frozenset({"", "HU", "US"})  # PS3.3 C.11.1.1.2; US is "unspecified"
SAMPLE_BITS = frozenset({8, 16, 32})
MAX_SIDE_PX = 8192
MAX_POSITION_MM = 1e5
MIN_SPACING_MM, MAX_SPACING_MM = 0.01, 99.0
MAX_SLOPE = 1e3
MAX_INTERCEPT_HU = 1e5
_UNIT_TOLERANCE = 1e-2  # direction cosines are often written with three digits


def first_fault(dataset: Dataset, frame: int | None) -> tuple[str, str] | None:
    """Return (expected, got) of the first element that a slice cannot be used without."""
    one = not text(dataset, "NumberOfFrames") or whole(dataset, "NumberOfFrames") in (0, 1)
    frames = frame is not None or one
    hu = text(dataset, "RescaleType").upper() in HU_RESCALE_TYPES
    bits = whole(dataset, "BitsAllocated") in SAMPLE_BITS
    signed = whole(dataset, "PixelRepresentation") in (0, 1)
    spacing = f"of {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm"
    checks: tuple[tuple[str, str, bool], ...] = (
        ("SOPInstanceUID", "", bool(text(dataset, "SOPInstanceUID"))),
        ("SeriesInstanceUID", "", bool(text(dataset, "SeriesInstanceUID"))),
        ("Rows", f"of 1 to {MAX_SIDE_PX}", _sound_side(dataset, "Rows")),
        ("Columns", f"of 1 to {MAX_SIDE_PX}", _sound_side(dataset, "Columns")),
        ("BitsAllocated", "of 8, 16 or 32", bits),
        ("BitsStored", "of 1 to BitsAllocated", _sound_bits_stored(dataset)),
        ("PixelRepresentation", "of 0 or 1", signed),
        ("SamplesPerPixel", "", bool(text(dataset, "SamplesPerPixel"))),
        ("PhotometricInterpretation", "", bool(text(dataset, "PhotometricInterpretation"))),
        ("NumberOfFrames", "of 1 without a position for every frame", frames),
        ("ImagePositionPatient", "with three finite mm values", _sound_position(dataset)),
        ("ImageOrientationPatient", "with two perpendicular unit vectors", _sound_axes(dataset)),
        ("PixelSpacing", spacing, _sound_spacing(dataset)),
        ("RescaleSlope", f"other than 0, at most {MAX_SLOPE:g}", _sound_slope(dataset)),
        ("RescaleIntercept", f"of at most {MAX_INTERCEPT_HU:g}", _sound_intercept(dataset)),
        ("RescaleType", "of Hounsfield units", hu),
    )
    for keyword, kind, sound in checks:
        if not sound:
            got = "an unusable value" if text(dataset, keyword) else "none"
            return f"{keyword} {kind}".strip(), got
    return None


def _sound_side(dataset: Dataset, keyword: str) -> bool:
    return 0 < (whole(dataset, keyword) or 0) <= MAX_SIDE_PX


def _sound_bits_stored(dataset: Dataset) -> bool:
    allocated = whole(dataset, "BitsAllocated") or 0
    return 0 < (whole(dataset, "BitsStored") or 0) <= allocated


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
    return spacing is not None and all(MIN_SPACING_MM <= side <= MAX_SPACING_MM for side in spacing)


def _sound_slope(dataset: Dataset) -> bool:
    return 0 < abs(number(dataset, "RescaleSlope") or 0) <= MAX_SLOPE


def _sound_intercept(dataset: Dataset) -> bool:
    intercept = number(dataset, "RescaleIntercept")
    return intercept is not None and abs(intercept) <= MAX_INTERCEPT_HU
