"""Which scans a model was trained on: pixel spacing, slice step and field of view."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from lnmdetect.core.records import ImageRecord

SCANS_SEEN = "scans trained on"
"""Under which a bundle's `data` hold the ranges."""
Range = tuple[float, float]
"""Lowest and highest."""


@dataclass(frozen=True)
class ScanRanges:
    """Lowest and highest of each length over scans, mm.

    Attributes:
        pixel_mm: pixel spacing, rows and columns alike.
        field_mm: side of the slices.
        step_mm: from slice to slice; None where only single slices were seen.
    """

    pixel_mm: Range
    field_mm: Range
    step_mm: Range | None

    def __post_init__(self) -> None:
        for low, high in filter(None, (self.pixel_mm, self.field_mm, self.step_mm)):
            if not 0 < low <= high:
                raise ValueError(f"range: expected 0 < low <= high, got {low} and {high}")

    def to_json(self) -> dict[str, Any]:
        """Return the ranges as a bundle's config.json holds them."""
        return {
            "pixel_mm": list(self.pixel_mm),
            "field_mm": list(self.field_mm),
            "step_mm": list(self.step_mm) if self.step_mm else None,
        }


def ranges_from_json(data: Mapping[str, Any]) -> ScanRanges:
    """Return what `to_json` wrote.

    Raises:
        ValueError, KeyError, TypeError: it is something else.
    """

    def pair(values: Any) -> Range:
        low, high = values
        return float(low), float(high)

    step = data["step_mm"]
    return ScanRanges(
        pair(data["pixel_mm"]), pair(data["field_mm"]), None if step is None else pair(step)
    )


def ranges_of(images: Iterable[ImageRecord]) -> ScanRanges | None:
    """Return the ranges over the images' scans, None of no image."""
    pixels: list[float] = []
    fields: list[float] = []
    places: dict[str, list[float]] = {}
    for image in images:
        pixels += image.spacing_mm
        fields += (image.height * image.spacing_mm[0], image.width * image.spacing_mm[1])
        places.setdefault(image.series, []).append(image.position_mm)
    if not pixels:
        return None
    steps = [
        (max(at) - min(at)) / (len(at) - 1)
        for at in places.values()
        if len(at) > 1 and max(at) > min(at)
    ]
    return ScanRanges(_ends(pixels), _ends(fields), _ends(steps) if steps else None)


def joined(ranges: Iterable[ScanRanges]) -> ScanRanges | None:
    """Return the ranges that span all of them, None of none."""
    return reduce(_join, ranges, None)


def _join(first: ScanRanges | None, second: ScanRanges) -> ScanRanges:
    if first is None:
        return second
    steps = [*(first.step_mm or ()), *(second.step_mm or ())]
    return ScanRanges(
        _ends([*first.pixel_mm, *second.pixel_mm]),
        _ends([*first.field_mm, *second.field_mm]),
        _ends(steps) if steps else None,
    )


def _ends(values: list[float]) -> Range:
    return round(min(values), 4), round(max(values), 4)
