"""On which side of the patient boxes lie, by the middle of the body and not by the scanner's.

Patients lie off the scanner's centre, by decimetres in some coordinate systems: x alone would call
both sides the same.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lnmdetect.core.findings import Finding, Region
from lnmdetect.core.patient_space import patient_point_mm
from lnmdetect.core.records import ImageRecord
from lnmdetect.io.dicom_derived import Sources
from lnmdetect.io.dicom_header import SliceHeader
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.metrics.node_measures import laterality
from lnmdetect.transforms.outline_hu import body_middle_px


def with_sides(
    findings: Sequence[Finding], sources: Sources, store: PixelStore
) -> tuple[Finding, ...]:
    """Return the findings with the side of their first box, by `LATERALITY_RULE` of linked nodes.

    Where the body is cut off on a slice, its middle is that on the series' other slices with
    findings (median), else x = 0.

    Raises:
        InputError: a slice is damaged.
    """
    firsts = {f.regions[0].image.join_key: f.regions[0].image for f in findings}
    middles = {
        key: _middle_x_mm(image, sources[key].header, store) for key, image in firsts.items()
    }
    usual = _usual(middles, firsts)
    return tuple(_with_side(finding, sources, middles, usual) for finding in findings)


def _middle_x_mm(image: ImageRecord, header: SliceHeader, store: PixelStore) -> float | None:
    column = body_middle_px(store.read(image), header.spacing_mm)
    return None if column is None else _x_mm((column, header.rows / 2), header)


def _usual(
    middles: Mapping[str, float | None], images: Mapping[str, ImageRecord]
) -> dict[str, float]:
    """Return the median of the middles by series, of those that have one."""
    seen: dict[str, list[float]] = defaultdict(list)
    for key, middle in middles.items():
        if middle is not None:
            seen[images[key].series].append(middle)
    return {series: float(np.median(values)) for series, values in seen.items()}


def _with_side(
    finding: Finding,
    sources: Sources,
    middles: Mapping[str, float | None],
    usual: Mapping[str, float],
) -> Finding:
    region = finding.regions[0]
    key = region.image.join_key
    middle = middles[key]
    if middle is None:
        middle = usual.get(region.image.series, 0.0)
    x_mm = _x_mm(_centre(region), sources[key].header)
    return replace(finding, laterality=laterality(x_mm, middle))


def _centre(region: Region) -> tuple[float, float]:
    x1, y1, x2, y2 = region.box_xyxy
    return (x1 + x2) / 2, (y1 + y2) / 2


def _x_mm(point_px: tuple[float, float], header: SliceHeader) -> float:
    return patient_point_mm(
        point_px,
        position=header.position,
        orientation=header.orientation,
        spacing_mm=header.spacing_mm,
    )[0]
