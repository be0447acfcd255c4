"""Answered nodes in 3-D on the slices of truth: of a file of linked nodes, of masks, of boxes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.geometry import box_areas, box_centres, box_sizes
from lnmdetect.core.linked_nodes import LinkedNode
from lnmdetect.core.run_lengths import cut_mask_of_runs
from lnmdetect.core.wording import counted
from lnmdetect.io.linked_nodes_file import read_linked_nodes
from lnmdetect.metrics.linked_evaluation import LinkedTable
from lnmdetect.metrics.linking import ScanGrid, link_scan
from lnmdetect.metrics.node_measures import node_probability
from lnmdetect.metrics.tables import FoundTable
from lnmdetect.stages.evaluation_inputs import Predictions
from lnmdetect.stages.evaluation_mask_sections import mask_fault
from lnmdetect.stages.evaluation_truth import Truth
from lnmdetect.transforms.outline import mask_outline

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]
_REMEDY = "Give what `lnmdetect nodes` writes for the scans of truth."


def positions_mm(truth: Truth) -> Numbers | None:
    """Return (I,) where each slice lies; None where two of one scan lie at one place."""
    values = truth.columns.image_column("position_mm")
    positions = np.array([0.0 if v is None else v for v in values or ()], dtype=np.float64)
    places = np.stack([truth.cohort.scan_of_image, positions]) if len(positions) else positions
    distinct = len(positions) and len(np.unique(places, axis=1).T) == len(positions)
    return positions if distinct else None


def linked_of_boxes(found: Predictions, truth: Truth) -> LinkedTable:
    """Return the nodes of the boxes at or above the operating threshold.

    Boxes that name their node (`segment` does) are of that node; others are linked across slices,
    scan by scan.

    Raises:
        InputError: a mask cannot be decoded.
    """
    assert found.above is not None
    positions = positions_mm(truth)
    assert positions is not None
    chosen = np.flatnonzero(found.above)
    names = found.columns.nodes.node_ids
    if any(names[row] is not None for row in found.rows[chosen].tolist()):
        parts = list(_named(found, chosen, truth))
    else:
        parts = list(_linked(found, chosen, truth, positions))
    return _table(parts, positions, truth.columns.images.spacing_mm)


def _named(found: Predictions, chosen: Places, truth: Truth) -> Iterator["_Part"]:
    """Give the nodes that the boxes name, each name a node's within its scan."""
    names, scans = found.columns.nodes.node_ids, truth.cohort.scan_of_image
    table = found.tables.found
    image = table.image
    nodes: dict[object, list[int]] = {}
    for place in chosen.tolist():
        row = int(found.rows[place])
        name = row if names[row] is None else (int(scans[image[place]]), names[row])
        nodes.setdefault(name, []).append(place)
    for places in nodes.values():
        own = np.array(places, dtype=np.int64)
        sections = FoundTable(image[own], table.boxes_xyxy[own], table.scores[own])
        yield _part_of(found, own, np.arange(len(own)), sections, truth)


def _linked(
    found: Predictions, chosen: Places, truth: Truth, positions: Numbers
) -> Iterator["_Part"]:
    """Give the nodes of boxes linked across slices, scan by scan."""
    table, scans = found.tables.found, truth.cohort.scan_of_image
    spacing = truth.columns.images.spacing_mm
    for scan in np.unique(scans[table.image[chosen]]):
        rows = chosen[scans[table.image[chosen]] == scan]
        slices = np.flatnonzero(scans == scan)
        steps = np.diff(np.sort(positions[slices]))
        grid_mm = (float(spacing[slices[0], 0]), float(spacing[slices[0], 1]))
        linked = link_scan(
            table.boxes_xyxy[rows],
            table.scores[rows],
            position_mm=positions[table.image[rows]],
            grid=ScanGrid(grid_mm, float(np.median(steps)) if len(steps) else 1.0),
        )
        sections = linked.sections
        image = np.zeros(len(sections.scores), dtype=np.int64)
        image[sections.group] = table.image[rows]
        for node in range(int(linked.node.max(initial=-1)) + 1):
            own = linked.node == node
            members = own[sections.group]
            section_of = np.cumsum(own)[sections.group[members]] - 1
            boxes = FoundTable(image[own], sections.boxes_xyxy[own], sections.scores[own])
            yield _part_of(found, rows[members], section_of, boxes, truth)


def _part_of(
    found: Predictions, members: Places, section_of: Places, sections: FoundTable, truth: Truth
) -> "_Part":
    """Return a node of boxes of the predictions.

    Args:
        found: the predictions.
        members: (M,) which of their boxes.
        section_of: (M,) the cross-section each is of.
        sections: the S cross-sections.
        truth: whose images they are on.
    """
    said, areas = found.said, box_areas(found.tables.found.boxes_xyxy[members])
    p_metastatic = np.where(said.classified, said.p_metastatic, np.nan)[members]
    of_sections = [
        node_probability(_told(p_metastatic[own]), areas[own])
        for own in (section_of == section for section in range(len(sections)))
    ]
    p_node = node_probability(of_sections, box_areas(sections.boxes_xyxy))
    return _Part(
        sections.boxes_xyxy,
        sections.scores,
        sections.image,
        short_axis_mm=_mask_axis_mm(found, members, truth),
        p_metastatic=np.nan if p_node is None else p_node,
    )


def _told(values: Numbers) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _mask_axis_mm(found: Predictions, members: Places, truth: Truth) -> float:
    """Return the short axis of the largest of a node's masks, NaN where it has none."""
    images = truth.columns.images
    axis_mm, largest_mm2 = np.nan, 0.0
    for place in members.tolist():
        row = int(found.rows[place])
        runs, image = found.columns.nodes.runs[row], found.tables.found.image[place]
        if runs is None:
            continue
        width, height = images.sizes_px[image].tolist()
        try:
            _, inside = cut_mask_of_runs(runs, (height, width))
        except ValueError as error:
            raise mask_fault(found.files, row, error) from None
        row_mm, column_mm = images.spacing_mm[image].tolist()
        outline = mask_outline(inside, (row_mm, column_mm))
        if outline is not None and outline.area_mm2 > largest_mm2:
            axis_mm, largest_mm2 = outline.axes_mm[0], outline.area_mm2
    return axis_mm


@dataclass(frozen=True)
class _Part:
    """One linked node: its boxes, their scores and images; what a file tells beside them."""

    boxes_xyxy: Numbers
    scores: Numbers
    image: NDArray[np.int64]
    centre_px: tuple[float, float] | None = None
    short_axis_mm: float = np.nan
    p_metastatic: float = np.nan


def _table(parts: Sequence[_Part], positions: Numbers, spacing: Numbers) -> LinkedTable:
    """Return the table of linked nodes; centres are weighted by the area of the boxes."""
    centres, images, sides = [], [], []
    for part in parts:
        areas = box_areas(part.boxes_xyxy)
        place_mm = np.average(positions[part.image], weights=areas)
        images.append(part.image[np.abs(positions[part.image] - place_mm).argmin()])
        own = np.average(box_centres(part.boxes_xyxy), axis=0, weights=areas)
        centres.append(own if part.centre_px is None else part.centre_px)
        row_mm, column_mm = spacing[part.image[0]]
        sides.append((box_sizes(part.boxes_xyxy)[areas.argmax()] * (column_mm, row_mm)).min())
    sections = FoundTable(
        np.concatenate([np.zeros(0, np.int64), *(part.image for part in parts)]),
        np.concatenate([np.zeros((0, 4)), *(part.boxes_xyxy for part in parts)]),
        np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
    )
    return LinkedTable(
        scores=np.array([part.scores.max() for part in parts], dtype=np.float64),
        centre_image=np.array(images, dtype=np.int64),
        centre_px=np.array(centres, dtype=np.float64).reshape(-1, 2),
        short_axis_mm=np.array([part.short_axis_mm for part in parts], dtype=np.float64),
        box_short_axis_mm=np.array(sides, dtype=np.float64),
        p_metastatic=np.array([part.p_metastatic for part in parts], dtype=np.float64),
        sections=sections,
        node_of_section=np.repeat(np.arange(len(parts)), [len(part.image) for part in parts]),
    )


def linked_of_files(paths: Sequence[Path], truth: Truth) -> LinkedTable:
    """Return the nodes of linked_nodes.json files on the slices of truth.

    Raises:
        InputError: a file cannot be used, lies on other slices, or holds a scan that another holds.
    """
    images = truth.columns.images
    place = {key: row for row, key in enumerate(images.file_names)}
    place |= {uid: row for row, uid in enumerate(images.sop_instance_uids) if uid}
    parts: list[_Part] = []
    scored: set[int] = set()
    for path in paths:
        own = [_part(node, place, path) for node in read_linked_nodes(path).nodes]
        scans = {_scan_of(part, truth, path) for part in own}
        if scans & scored:
            raise InputError(
                path.name,
                expected="scans that no other file of linked nodes holds",
                got=f"{counted(len(scans & scored), 'scan')} that one before it holds too",
                remedy="Give the nodes of each scan once.",
            )
        scored |= scans
        parts += own
    positions = positions_mm(truth)
    assert positions is not None
    return _table(parts, positions, images.spacing_mm)


def _scan_of(part: _Part, truth: Truth, path: Path) -> int:
    scans = np.unique(truth.cohort.scan_of_image[part.image])
    if len(scans) > 1:
        raise InputError(
            path.name,
            expected="nodes whose cross-sections are of one scan each",
            got=f"one on slices of {len(scans)} scans",
            remedy=_REMEDY,
        )
    return int(scans[0])


def _part(node: LinkedNode, place: dict[str, int], path: Path) -> _Part:
    keys = [section.sop_instance_uid or section.file_name for section in node.sections]
    strange = [key for key in keys if key not in place]
    if strange:
        raise InputError(
            f"{path.name}: {node.node_id}",
            expected="slices that the truth file, which covers all slices, lists",
            got=f"one that it does not list ({strange[0]})",
            remedy=_REMEDY,
        )
    return _Part(
        np.array([section.box_xyxy for section in node.sections]),
        np.array([section.score for section in node.sections]),
        np.array([place[key] for key in keys], dtype=np.int64),
        node.centre_px,
        np.nan if node.is_of_boxes_alone else node.short_axis_mm,
        np.nan if node.p_metastatic is None else node.p_metastatic,
    )
