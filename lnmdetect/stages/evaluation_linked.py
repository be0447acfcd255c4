"""The 3-D part of an evaluation: linked nodes of a file, or of the boxes themselves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.geometry import box_areas, box_centres, box_sizes
from lnmdetect.core.linked_nodes import LinkedNode
from lnmdetect.core.wording import counted
from lnmdetect.io.json_fields import is_number
from lnmdetect.io.linked_nodes_file import read_linked_nodes
from lnmdetect.metrics.linked_evaluation import (
    LinkedFigures,
    LinkedTable,
    TruthNodes,
    linked_figures,
)
from lnmdetect.metrics.linking import ScanGrid, link_scan
from lnmdetect.metrics.nodes import NO_NODE
from lnmdetect.metrics.tables import FoundTable
from lnmdetect.stages.evaluation_inputs import Predictions
from lnmdetect.stages.evaluation_truth import FileStamp, Truth, node_numbers

Numbers = NDArray[np.float64]
_SAME_THRESHOLD = 1e-6
_REMEDY = "Give with --linked-nodes what `lnmdetect nodes` writes for the scans of truth."


@dataclass(frozen=True)
class Nodes3d:
    """The figures of linked nodes and what they rest on.

    Attributes:
        files: of --linked-nodes; empty where the boxes were linked for the evaluation, without
            pixels: then only the plain boxes' axes are known.
        true_axis: what the axes are compared with: of the largest cross-section, or the smallest
            diameter in 3-D where truth says no other.
        linked, truth: how many nodes there are.
    """

    files: tuple[FileStamp, ...]
    true_axis: Literal["slice_short_axis_mm", "short_axis_mm"] | None
    linked: int
    truth: int
    figures: LinkedFigures


def nodes_3d(
    paths: Sequence[Path], found: Predictions | None, truth: Truth, *, rates: Sequence[float]
) -> Nodes3d | None:
    """Return the figures in 3-D, None where truth or the files do not allow any.

    Args:
        paths: linked_nodes.json files; without them the boxes of `found` are linked.
        found: detections, None where there are none.
        truth: what there is to be found.
        rates: false positives a scan.

    Raises:
        InputError: linked nodes were given that cannot be used with this truth.
    """
    node = node_numbers(truth)
    positions = positions_mm(truth)
    lacking = _lacking(truth)
    if lacking is not None and paths:
        raise InputError(
            ", ".join(stamp.file for stamp in truth.stamps),
            expected="whole scans, boxes with node_id, and slices with position_mm each",
            got=lacking,
            remedy="Leave out --linked-nodes; nodes in 3-D cannot be scored here.",
        )
    if lacking is not None or positions is None:
        return None
    if paths:
        table = _of_files(paths, truth)
    elif found is not None and found.above is not None:
        table = _of_boxes(found, np.flatnonzero(found.above), truth, positions)
    else:
        return None
    true_nodes, axis = _truth_nodes(truth, node)
    figures = linked_figures(table, true_nodes, truth.cohort, rates=rates)
    stamps = tuple(FileStamp.of(path) for path in paths)
    return Nodes3d(stamps, axis, len(table.scores), len(true_nodes.short_axis_mm), figures)


def _lacking(truth: Truth) -> str | None:
    """Return why truth allows no figures in 3-D, None where it does."""
    if truth.columns.coverage != "all_slices":
        return "truth of key images"
    if not (node_numbers(truth) != NO_NODE).any():
        return "truth that names no node (node_id)"
    if positions_mm(truth) is None:
        return "slices of one scan at one place, or without a place (position_mm)"
    return None


def no_nodes_note(found: Predictions | None, truth: Truth) -> Iterator[str]:
    """Give why there are no figures in 3-D where there are boxes to be linked."""
    if found is None:
        return
    lacking = _lacking(truth)
    if lacking is None and found.above is None:
        lacking = "no operating threshold (--threshold)"
    if lacking is not None:
        yield f"No nodes in 3-D: {lacking}."


def linked_notes(
    paths: Sequence[Path], boxes: Sequence[FileStamp], threshold: float | None
) -> Iterator[str]:
    """Give what a reader must know where linked nodes are of other boxes than the other figures.

    Args:
        paths: linked_nodes.json files.
        boxes: the files of boxes that are scored beside them.
        threshold: on these boxes' scores; None where there is none.
    """
    scored = {stamp.sha256 for stamp in boxes}
    for path in paths:
        info = read_linked_nodes(path).info
        source = info.get("linked_from")
        known = source.get("sha256") if isinstance(source, Mapping) else None
        if known not in scored:
            yield (
                f"{path.name} was not linked from the boxes that are scored beside it: the "
                "figures in 3-D are of other boxes."
            )
        own: Any = info.get("operating_threshold")
        if is_number(own) and threshold is not None and abs(own - threshold) > _SAME_THRESHOLD:
            yield (
                f"{path.name} was linked from boxes scored {own:.2f} or more; the other figures "
                f"are at {threshold:.2f}."
            )


def positions_mm(truth: Truth) -> Numbers | None:
    """Return (I,) where each slice lies; None where two of one scan lie at one place."""
    values = truth.columns.image_column("position_mm")
    positions = np.array([0.0 if v is None else v for v in values or ()], dtype=np.float64)
    places = np.stack([truth.cohort.scan_of_image, positions]) if len(positions) else positions
    distinct = len(positions) and len(np.unique(places, axis=1).T) == len(positions)
    return positions if distinct else None


def _truth_nodes(
    truth: Truth, node: NDArray[np.int64]
) -> tuple[TruthNodes, Literal["slice_short_axis_mm", "short_axis_mm"] | None]:
    """Return the nodes, and which of truth's axes theirs are."""
    count = int(node.max()) + 1
    rows = np.flatnonzero(node != NO_NODE)
    by_area = rows[np.argsort(box_areas(truth.table.boxes_xyxy[rows]), kind="stable")]
    largest = np.zeros(count, dtype=np.int64)
    largest[node[by_area]] = by_area
    column = truth.columns.node_column("slice_short_axis_mm") or [None] * len(truth.table)
    name: Literal["slice_short_axis_mm", "short_axis_mm"] | None = "slice_short_axis_mm"
    axis = np.array([np.nan if v is None else float(v) for v in column])[largest]
    if not np.isfinite(axis).any():
        axis, name = truth.columns.nodes.short_axis_mm[largest], "short_axis_mm"
    pixel = truth.columns.images.spacing_mm[truth.table.image[largest]].mean(axis=1)
    known = np.isfinite(axis).any()
    return TruthNodes(truth.table, node, axis, pixel), name if known else None


def _of_boxes(
    found: Predictions, chosen: NDArray[np.int64], truth: Truth, positions: Numbers
) -> LinkedTable:
    """Return the nodes of the chosen boxes, scan by scan."""
    table, scans = found.tables.found, truth.cohort.scan_of_image
    spacing = truth.columns.images.spacing_mm
    parts: list[_Part] = []
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
            parts.append(_Part(sections.boxes_xyxy[own], sections.scores[own], image[own]))
    return _table(parts, positions, spacing)


@dataclass(frozen=True)
class _Part:
    """One linked node: its boxes, their scores and images; what a file tells beside them."""

    boxes_xyxy: Numbers
    scores: Numbers
    image: NDArray[np.int64]
    centre_px: tuple[float, float] | None = None
    short_axis_mm: float = np.nan


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
        sections=sections,
        node_of_section=np.repeat(np.arange(len(parts)), [len(part.image) for part in parts]),
    )


def _of_files(paths: Sequence[Path], truth: Truth) -> LinkedTable:
    """Return the nodes of linked_nodes.json files on the slices of truth."""
    images = truth.columns.images
    place = {key: row for row, key in enumerate(images.file_names)}
    place |= {uid: row for row, uid in enumerate(images.sop_instance_uids) if uid}
    parts: list[_Part] = []
    scored: set[int] = set()
    for path in paths:
        own = [_part(node, place, path) for node in read_linked_nodes(path).nodes]
        scans = {int(truth.cohort.scan_of_image[part.image[0]]) for part in own}
        if scans & scored:
            raise InputError(
                path.name,
                expected="scans that no other file of --linked-nodes holds",
                got=f"{counted(len(scans & scored), 'scan')} that one before it holds too",
                remedy="Give the nodes of each scan once.",
            )
        scored |= scans
        parts += own
    positions = positions_mm(truth)
    assert positions is not None
    return _table(parts, positions, images.spacing_mm)


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
    )
