"""The 3-D part of an evaluation: linked nodes of a file, or of the boxes themselves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.geometry import box_areas
from lnmdetect.io.json_fields import is_number
from lnmdetect.io.linked_nodes_file import read_linked_nodes
from lnmdetect.metrics.linked_evaluation import (
    LinkedFigures,
    TruthNodes,
    linked_figures,
)
from lnmdetect.metrics.nodes import NO_NODE
from lnmdetect.stages.evaluation_inputs import Predictions
from lnmdetect.stages.evaluation_truth import FileStamp, Truth, node_numbers
from lnmdetect.stages.linked_tables import linked_of_boxes, linked_of_files, positions_mm

Numbers = NDArray[np.float64]
_SAME_THRESHOLD = 1e-6
_REMEDY = "Give with --linked-nodes what `lnmdetect nodes` writes for the scans of truth."


@dataclass(frozen=True)
class Nodes3d:
    """The figures of linked nodes and what they rest on.

    Attributes:
        files: of --linked-nodes; empty where the boxes were linked for the evaluation, without
            pixels: then only the plain boxes' axes are known, and those of masks. Boxes that name
            their node (`segment` does) are of that node.
        true_axis: what the axes are compared with: of the largest cross-section, or the smallest
            diameter in 3-D where truth says no other.
        linked, truth: how many nodes there are.
    """

    files: tuple[FileStamp, ...]
    true_axis: Literal["slice_short_axis_mm", "short_axis_mm"] | None
    linked: int
    truth: int
    figures: LinkedFigures

    @property
    def outlined(self) -> bool:
        """Whether outlines were measured, of linked nodes or of masks."""
        return bool(self.files) or self.figures.short_axis.mean_mm.value is not None


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
    lacking = lacking_for_nodes(truth)
    if lacking is not None and paths:
        raise InputError(
            ", ".join(stamp.file for stamp in truth.stamps),
            expected="whole scans, boxes with node_id, and slices with position_mm each",
            got=lacking,
            remedy="Leave out --linked-nodes; nodes in 3-D cannot be scored here.",
        )
    if lacking is not None:
        return None
    if paths:
        table = linked_of_files(paths, truth)
    elif found is not None and found.above is not None:
        table = linked_of_boxes(found, truth)
    else:
        return None
    true_nodes, axis = truth_nodes(truth)
    figures = linked_figures(table, true_nodes, truth.cohort, rates=rates)
    stamps = tuple(FileStamp.of(path) for path in paths)
    return Nodes3d(stamps, axis, len(table.scores), len(true_nodes.short_axis_mm), figures)


def lacking_for_nodes(truth: Truth) -> str | None:
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
    lacking = lacking_for_nodes(truth)
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


def truth_nodes(
    truth: Truth,
) -> tuple[TruthNodes, Literal["slice_short_axis_mm", "short_axis_mm"] | None]:
    """Return the nodes, and which of truth's axes theirs are."""
    node = node_numbers(truth)
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
