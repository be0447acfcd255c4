"""The cross-sections of linked nodes, measured on their slices, and the nodes built from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from lnmdetect.core.geometry import box_areas
from lnmdetect.core.linked_nodes import LinkedNode, NodeSection
from lnmdetect.core.patient_space import Point, patient_point_mm
from lnmdetect.core.records import ImageRecord, NodeAnnotation
from lnmdetect.io.dicom_header import SliceHeader
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.metrics.node_measures import laterality, node_probability, section_depths_mm
from lnmdetect.stages.baselines import node_mask
from lnmdetect.stages.nodes_link import SectionBoxes
from lnmdetect.transforms.outline import Outline, box_outline, mask_outline, outline_in_box
from lnmdetect.transforms.outline_hu import body_middle_px, hu_inside


@dataclass(frozen=True)
class MeasuredSection:
    """One cross-section and what only its pixels tell.

    Attributes:
        centre_px: (column, row) of the outline.
        bounds_px: (x1, y1, x2, y2) of the outline's pixels.
        hu: (K,) of the pixels inside; none where the slice was not read.
        centre_mm: in the patient; None where the slice is no DICOM, or was not read.
        middle_x_mm: x of the body's middle; None where it is cut off or not known.
        spacing_mm: (row, column).
    """

    section: NodeSection
    centre_px: tuple[float, float]
    bounds_px: tuple[float, float, float, float]
    hu: NDArray[np.int16]
    centre_mm: Point | None
    middle_x_mm: float | None
    spacing_mm: tuple[float, float]


def measure_slice(
    sections: Sequence[SectionBoxes], store: PixelStore | None
) -> list[MeasuredSection]:
    """Return the measured cross-sections of one slice, which is read once.

    Args:
        sections: of the slice.
        store: its pixels; without them masks and boxes are measured, and no HU.

    Raises:
        InputError: the slice is not there, or is damaged.
    """
    image = sections[0].image
    if store is None:
        return [_measured(section, _outline(section, None), None) for section in sections]
    hu = store.read(image)
    middle_px = body_middle_px(hu, image.spacing_mm)
    header = store.header_of(image)
    measured = []
    for section in sections:
        outline = _outline(section, hu)
        part = _measured(section, outline, header, middle_px=middle_px)
        measured.append(replace(part, hu=hu_inside(hu, outline)))
    return measured


def _measured(
    boxes: SectionBoxes,
    outline: Outline,
    header: SliceHeader | None,
    *,
    middle_px: float | None = None,
) -> MeasuredSection:
    """Return the cross-section without its HU."""

    def in_patient(point_px: tuple[float, float]) -> Point | None:
        if header is None:
            return None
        return patient_point_mm(
            point_px,
            position=header.position,
            orientation=header.orientation,
            spacing_mm=header.spacing_mm,
        )

    middle = None if middle_px is None else in_patient((middle_px, outline.centre_px[1]))
    row, column = outline.corner
    height, width = outline.inside.shape
    return MeasuredSection(
        section=_section(boxes, outline),
        centre_px=outline.centre_px,
        bounds_px=(column, row, column + width, row + height),
        hu=np.zeros(0, dtype=np.int16),
        centre_mm=in_patient(outline.centre_px),
        middle_x_mm=None if middle is None else middle[0],
        spacing_mm=boxes.image.spacing_mm,
    )


def _outline(boxes: SectionBoxes, hu: NDArray[np.int16] | None) -> Outline:
    image = boxes.image
    shape = (image.height, image.width)
    for box in boxes.boxes:
        if box.segmentation is not None:
            parts = [b for b in boxes.boxes if b is box or _is_part_of_same(box, b)]
            inside = np.any([node_mask(part, shape) for part in parts], axis=0)
            found = mask_outline(inside, image.spacing_mm)
            if found is not None:
                return found
    box_xyxy = np.array(boxes.box_xyxy)
    if hu is None:
        return box_outline(box_xyxy, image.spacing_mm, shape)
    return outline_in_box(hu, box_xyxy, image.spacing_mm)


def _is_part_of_same(box: NodeAnnotation, other: NodeAnnotation) -> bool:
    """Return whether two masks of a slice are named as parts of one node."""
    return (
        box.node_id is not None and box.node_id == other.node_id and other.segmentation is not None
    )


def _section(boxes: SectionBoxes, outline: Outline) -> NodeSection:
    image = boxes.image
    row_mm, column_mm = image.spacing_mm
    x1, y1, x2, y2 = boxes.box_xyxy
    sides = [
        (box, float(np.prod(np.subtract(box.box_xyxy[2:], box.box_xyxy[:2]))))
        for box in boxes.boxes
    ]
    probabilities = [(box.probabilities or {}).get("metastatic") for box, _ in sides]
    return NodeSection(
        sop_instance_uid=image.sop_instance_uid,
        file_name=image.file_name,
        slice_index=image.slice_index,
        position_mm=image.position_mm,
        box_xyxy=boxes.box_xyxy,
        score=boxes.score,
        annotation_ids=tuple(box.annotation_id for box in boxes.boxes),
        p_metastatic=node_probability(probabilities, np.array([area for _, area in sides])),
        outline=outline.source,
        long_axis_mm=outline.axes_mm[1],
        short_axis_mm=outline.axes_mm[0],
        area_mm2=outline.area_mm2,
        box_short_axis_mm=min((x2 - x1) * column_mm, (y2 - y1) * row_mm),
        segmentation=None if outline.source == "box" else _encoded(outline, image),
    )


def _encoded(outline: Outline, image: ImageRecord) -> dict[str, Any]:
    mask = np.zeros((image.height, image.width), dtype=np.uint8, order="F")
    row, column = outline.corner
    height, width = outline.inside.shape
    mask[row : row + height, column : column + width] = outline.inside
    encoded = coco_mask.encode(mask)
    return {"size": [image.height, image.width], "counts": encoded["counts"].decode("ascii")}


def build_node(
    parts: Sequence[MeasuredSection], image: ImageRecord, step_mm: float, name: str
) -> LinkedNode:
    """Return the node of its measured cross-sections.

    Args:
        parts: by rising slice.
        image: of any of them.
        step_mm: between the scan's slices.
        name: its id so far.
    """
    sections = tuple(part.section for part in parts)
    areas = np.array([section.area_mm2 for section in sections])
    positions = np.array([section.position_mm for section in sections])
    volumes = areas * section_depths_mm(positions, step_mm)
    largest = sections[int(areas.argmax())]
    hu = np.concatenate([part.hu for part in parts]).astype(np.float64)
    centre_mm = _mean_point(parts, volumes)
    boxes = np.array([section.box_xyxy for section in sections])
    return LinkedNode(
        node_id=name,
        patient=image.patient,
        series=image.series,
        sections=sections,
        centre_mm=centre_mm,
        centre_px=_pair(np.average([part.centre_px for part in parts], axis=0, weights=volumes)),
        centre_slice=float(np.average([s.slice_index for s in sections], weights=volumes)),
        long_axis_mm=largest.long_axis_mm,
        short_axis_mm=largest.short_axis_mm,
        box_short_axis_mm=largest.box_short_axis_mm,
        extent_mm=(*_extent_mm(parts), float(np.ptp(positions)) + step_mm),
        volume_mm3=float(volumes.sum()),
        mean_hu=float(hu.mean()) if len(hu) else None,
        max_hu=float(hu.max()) if len(hu) else None,
        heterogeneity_hu=float(hu.std()) if len(hu) else None,
        laterality=None if centre_mm is None else laterality(centre_mm[0], _middle_x_mm(parts)),
        score=max(section.score for section in sections),
        p_metastatic=node_probability([s.p_metastatic for s in sections], box_areas(boxes)),
    )


def _pair(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _mean_point(parts: Sequence[MeasuredSection], weights: NDArray[np.float64]) -> Point | None:
    points = [part.centre_mm for part in parts if part.centre_mm is not None]
    if len(points) < len(parts):
        return None
    x, y, z = np.average(points, axis=0, weights=weights)
    return float(x), float(y), float(z)


def _extent_mm(parts: Sequence[MeasuredSection]) -> tuple[float, float]:
    bounds = np.array([part.bounds_px for part in parts])
    row_mm, column_mm = parts[0].spacing_mm
    width, height = bounds[:, 2:].max(axis=0) - bounds[:, :2].min(axis=0)
    return float(width * column_mm), float(height * row_mm)


def _middle_x_mm(parts: Sequence[MeasuredSection]) -> float:
    """Return the x of the body's middle on the node's slices, 0 where none shows it whole."""
    seen = [part.middle_x_mm for part in parts if part.middle_x_mm is not None]
    return float(np.mean(seen)) if seen else 0.0
