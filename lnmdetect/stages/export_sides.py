"""On which side of the patient boxes lie, by the middle of the body and not by the scanner's.

Patients lie off the scanner's centre, by decimetres in some coordinate systems: x alone would call
both sides the same.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lnmdetect.core.findings import Finding, Region
from lnmdetect.core.linked_nodes import Laterality
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
        key: body_middle_px(store.read(image), sources[key].header.spacing_mm)
        for key, image in firsts.items()
    }
    usual = _usual(middles, firsts)
    return tuple(
        replace(f, laterality=_side(f.regions[0], sources, middles, usual)) for f in findings
    )


def _usual(
    middles: Mapping[str, float | None], images: Mapping[str, ImageRecord]
) -> dict[str, float]:
    """Return the median of the middles by series, px, of those that have one."""
    seen: dict[str, list[float]] = defaultdict(list)
    for key, middle in middles.items():
        if middle is not None:
            seen[images[key].series].append(middle)
    return {series: float(np.median(values)) for series, values in seen.items()}


def _side(
    region: Region,
    sources: Sources,
    middles: Mapping[str, float | None],
    usual: Mapping[str, float],
) -> Laterality:
    header = sources[region.image.join_key].header
    column, row = _centre(region)
    middle = middles[region.image.join_key] or usual.get(region.image.series)
    # In the box's own row: where rows are oblique to the patient, x changes down a column.
    middle_x_mm = 0.0 if middle is None else _x_mm((middle, row), header)
    return laterality(_x_mm((column, row), header), middle_x_mm)


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
