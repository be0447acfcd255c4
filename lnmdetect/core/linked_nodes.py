"""Lymph nodes in 3-D: the boxes of one node on its slices, and what they measure together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lnmdetect.core.geometry import as_boxes

Laterality = Literal["right", "left", "midline"]
OutlineSource = Literal["mask", "hu", "box"]
BoxXyxy = tuple[float, float, float, float]
Mm3 = tuple[float, float, float]

SUSPICIOUS_SHORT_AXIS_MM = 10.0
"""Short axis from which a cervical node is suspicious by size (van den Brekel et al. 1990,
Radiology 177:379; their 11 mm for level II needs the level, which is not known here)."""
SIZE_RULE = f"short axis {SUSPICIOUS_SHORT_AXIS_MM:g} mm or more on the largest cross-section"


def _require(condition: bool, where: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{where}: expected {expected}, got {got}")


@dataclass(frozen=True)
class NodeSection:
    """One node on one slice.

    Attributes:
        sop_instance_uid: of the slice; empty for a PNG, which `file_name` names.
        slice_index: place in the scan, from 0.
        position_mm: along the slice normal.
        box_xyxy: px, far edge exclusive; of several boxes on one slice their weighted mean.
        score: the detector's, the highest of the boxes on the slice.
        annotation_ids: of these boxes in the file that was linked.
        p_metastatic: None where the boxes were not classified.
        outline: what was measured: a `mask` of the file, the outline found in the `hu`, or the
            `box` itself as an ellipse, where no outline stands out from its surroundings.
        long_axis_mm, short_axis_mm: axes of the ellipse with the outline's second moments.
        box_short_axis_mm: the box's shorter side.
        segmentation: the outline as COCO RLE; None where it is the box.
    """

    sop_instance_uid: str
    file_name: str
    slice_index: int
    position_mm: float
    box_xyxy: BoxXyxy
    score: float
    annotation_ids: tuple[int, ...]
    p_metastatic: float | None
    outline: OutlineSource
    long_axis_mm: float
    short_axis_mm: float
    area_mm2: float
    box_short_axis_mm: float
    segmentation: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        name = f"section on slice {self.slice_index}"
        as_boxes([self.box_xyxy])
        _require(0 <= self.score <= 1, name, "a score in [0, 1]", self.score)
        p = self.p_metastatic
        _require(p is None or 0 <= p <= 1, name, "P(metastatic) in [0, 1]", p)
        axes = (self.short_axis_mm, self.long_axis_mm)
        _require(0 < axes[0] <= axes[1] < np.inf, name, "0 < short <= long axis in mm", axes)
        _require(0 < self.area_mm2 < np.inf, name, "an area in mm2 above 0", self.area_mm2)
        side = self.box_short_axis_mm
        _require(0 < side < np.inf, name, "a box side in mm above 0", side)


@dataclass(frozen=True)
class LinkedNode:
    """One lymph node in 3-D.

    Attributes:
        node_id: `n1` on within its patient, series by series, the likeliest metastatic first.
        patient, series: as the images of its slices have them.
        sections: its cross-sections, by rising slice.
        centre_mm: (x, y, z) of the patient (PS3.3 C.7.6.2.1.1: x to the left, y to the back, z
            up), the outlines' centre of mass; None where the slices are no DICOM, or not read.
        centre_px: (column, row) of the same point, px, (0, 0) the corner of the first pixel;
            `centre_slice` is the slice it lies on, from 0, between slices a fraction.
        long_axis_mm, short_axis_mm: of the largest cross-section, in its plane.
        box_short_axis_mm: the shortest side of that section's box, which overstates an oblique one.
        extent_mm: along the rows (x), down the columns (y) and across the slices (z).
        volume_mm3: of the outlines, each as thick as the way to its neighbours.
        mean_hu, max_hu: inside the outlines, whose outermost pixels are left out where there are
            enough; heterogeneity_hu: standard deviation of the same pixels; None where the slices
            were not read.
        laterality: the patient's side; None where centre_mm is.
        score: the detector's, the highest of the sections. Of 32 phantom patients (seeds 8000, 500
            and 900) it ranks nodes as well as any: mean FROC sensitivity 0.778; with nodes of one
            slice halved 0.779, mean of the best two 0.770, sum over half a slice more 0.726.
        p_metastatic: over its sections, by the file's `probability_rule`; None where not
            classified.
        suspicious_by_size: by `SIZE_RULE`, whatever the classifier says.
    """

    node_id: str
    patient: str
    series: str
    sections: tuple[NodeSection, ...]
    centre_mm: Mm3 | None
    centre_px: tuple[float, float]
    centre_slice: float
    long_axis_mm: float
    short_axis_mm: float
    box_short_axis_mm: float
    extent_mm: Mm3
    volume_mm3: float
    mean_hu: float | None
    max_hu: float | None
    heterogeneity_hu: float | None
    laterality: Laterality | None
    score: float
    p_metastatic: float | None

    def __post_init__(self) -> None:
        name = f"node {self.node_id}"
        positions = [section.position_mm for section in self.sections]
        _require(len(positions) > 0, name, "a cross-section", "none")
        _require(bool(np.all(np.diff(positions) > 0)), name, "rising slices, one each", positions)
        axes = (self.short_axis_mm, self.long_axis_mm)
        _require(0 < axes[0] <= axes[1] < np.inf, name, "0 < short <= long axis in mm", axes)
        lengths = (*self.extent_mm, self.volume_mm3, self.box_short_axis_mm)
        _require(all(0 < v < np.inf for v in lengths), name, "sizes above 0", lengths)
        centre = (*(self.centre_mm or ()), *self.centre_px, self.centre_slice)
        _require(bool(np.isfinite(centre).all()), name, "a finite centre", centre)
        hu = (self.mean_hu, self.max_hu, self.heterogeneity_hu)
        known = [value for value in hu if value is not None]
        _require(len(known) in (0, 3), name, "three values in HU, or none", hu)
        _require(bool(np.isfinite(known).all()), name, "finite HU", hu)
        _require(0 <= self.score <= 1, name, "a score in [0, 1]", self.score)
        p = self.p_metastatic
        _require(p is None or 0 <= p <= 1, name, "P(metastatic) in [0, 1]", p)

    @property
    def is_of_boxes_alone(self) -> bool:
        """Whether its axes are those of a box, since its slices were not read."""
        return self.mean_hu is None and self.largest_section.outline == "box"

    @property
    def slice_range(self) -> tuple[int, int]:
        """The first and the last slice, from 0."""
        return self.sections[0].slice_index, self.sections[-1].slice_index

    @property
    def boxes(self) -> tuple[tuple[str, int, BoxXyxy], ...]:
        """Of each section the SOP uid, the slice from 0 and the xyxy box, px."""
        return tuple((s.sop_instance_uid, s.slice_index, s.box_xyxy) for s in self.sections)

    @property
    def suspicious_by_size(self) -> bool:
        """Whether the node is suspicious by `SIZE_RULE`; of the axis as it is written, in 0.001."""
        return round(self.short_axis_mm, 3) >= SUSPICIOUS_SHORT_AXIS_MM

    @property
    def largest_section(self) -> NodeSection:
        """The cross-section of the largest area."""
        return max(self.sections, key=lambda section: section.area_mm2)


@dataclass(frozen=True)
class LinkedNodes:
    """A linked_nodes.json in memory.

    Attributes:
        info: what the file is of: `linked_from` (file and sha256), models, thresholds, rules.
    """

    info: Mapping[str, Any]
    nodes: tuple[LinkedNode, ...]
