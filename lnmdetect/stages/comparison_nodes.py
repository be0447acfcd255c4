"""The compared files as nodes in 3-D, by whatever route they came: boxes, linked nodes or masks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lnmdetect.core.wording import counted
from lnmdetect.io.json_files import read_json
from lnmdetect.io.linked_nodes_file import read_linked_nodes
from lnmdetect.metrics.linked_evaluation import LinkedTable
from lnmdetect.metrics.node_comparison import NodeComparison, compare_nodes
from lnmdetect.stages.class_source import class_source
from lnmdetect.stages.evaluation_inputs import Predictions, read_predictions
from lnmdetect.stages.evaluation_linked import lacking_for_nodes, truth_nodes
from lnmdetect.stages.evaluation_masks import MADE_OF_MASKS
from lnmdetect.stages.evaluation_truth import FileStamp, Truth
from lnmdetect.stages.linked_tables import linked_of_boxes, linked_of_files

Route = Literal["linked nodes", "nodes of the masks", "boxes linked across slices"]
Axis = Literal["outline", "box"]
HIT_RULES = (
    "Nodes, by one rule for boxes and masks alike: a node of truth is found where the centre of an "
    "answered node (its boxes', weighted by their area; of linked nodes their outlines') lies in "
    "its box on the nearest slice; by the second rule, where a box of an answered node, a mask's "
    "that of its pixels, meets one of its boxes."
)


@dataclass(frozen=True)
class Side:
    """One of the compared files.

    Attributes:
        name: A, B, C...
        found: None of linked nodes.
        info: of the file.
    """

    name: str
    path: Path
    stamp: FileStamp
    found: Predictions | None
    info: Mapping[str, Any]

    @property
    def route(self) -> Route:
        """How its nodes come about."""
        if self.found is None:
            return "linked nodes"
        names = self.found.columns.nodes.node_ids
        named = any(names[row] is not None for row in self.found.rows.tolist())
        of_masks = named or not MADE_OF_MASKS.isdisjoint(self.info)
        return "nodes of the masks" if of_masks else "boxes linked across slices"


@dataclass(frozen=True)
class NodesFile:
    """One of the files as nodes.

    Attributes:
        nodes_are: how they came about.
        nodes: how many there are at the operating threshold.
        classes_of: who called them; None where they have no class.
        axes_of: what their short axes are of: of an outline or a mask, else of the box.
    """

    stamp: FileStamp
    nodes_are: Route
    nodes: int
    classes_of: str | None
    axes_of: Axis


@dataclass(frozen=True)
class NodesCompared:
    """The files beside each other, node by node.

    Attributes:
        files: by name, A first.
        true_axis: the axis of truth that theirs are compared with, None without one.
        comparison: in the order of `files`.
    """

    files: Mapping[str, NodesFile]
    true_axis: Literal["slice_short_axis_mm", "short_axis_mm"] | None
    comparison: NodeComparison


def read_side(name: str, path: Path, truth: Truth, *, threshold: float | None) -> Side:
    """Return a file of boxes, masks or linked nodes.

    Raises:
        InputError: it cannot be read, or is not about these slices.
    """
    data = read_json(path)
    if isinstance(data, Mapping) and "nodes" in data and "annotations" not in data:
        info = read_linked_nodes(path).info
        return Side(name, path, FileStamp.of(path), None, info)
    found = read_predictions([path], truth, threshold=threshold)
    return Side(name, path, found.stamps[0], found, found.columns.info)


def nodes_compared(sides: Sequence[Side], truth: Truth) -> NodesCompared | None:
    """Return the comparison; None where truth or a file allows none (`nodes_notes` says why).

    Raises:
        InputError: linked nodes lie on other slices, or a mask cannot be decoded.
    """
    if lacking_for_nodes(truth) is not None or any(_lacking(side) for side in sides):
        return None
    tables = [_table(side, truth) for side in sides]
    nodes, axis = truth_nodes(truth)
    return NodesCompared(
        files={side.name: _file(side, table) for side, table in zip(sides, tables, strict=True)},
        true_axis=axis,
        comparison=compare_nodes(tables, nodes, truth.cohort),
    )


def nodes_notes(
    sides: Sequence[Side], truth: Truth, compared: NodesCompared | None
) -> Iterator[str]:
    """Give what a reader of the comparison of nodes must know, or why there is none."""
    if compared is None:
        lacking = lacking_for_nodes(truth)
        whys = [lacking] if lacking else [why for why in map(_lacking, sides) if why]
        yield f"No nodes are compared: {whys[0]}."
        return
    yield HIT_RULES
    for side in sides:
        if side.found is None:
            yield (
                f"{side.name} ({side.stamp.file}) holds nodes alone: it counts as of all slices "
                "of truth, and whether its models were trained or tuned on these patients is not "
                "checked."
            )
    nodes = counted(compared.comparison.classified_found_by_all, "node")
    yield (
        f"The AUC of nodes is of {nodes} that each file with P(metastatic) found and called, the "
        f"errors of the short axis of {compared.comparison.found_by_all} that all found."
    )


def _lacking(side: Side) -> str | None:
    if side.found is None:
        return None
    if side.found.on_truth_boxes:
        return f"{side.name} ({side.stamp.file}) holds truth boxes"
    if side.found.above is None:
        return f"{side.name} ({side.stamp.file}) gives no operating threshold (--threshold)"
    return None


def _table(side: Side, truth: Truth) -> LinkedTable:
    if side.found is None:
        return linked_of_files([side.path], truth)
    return linked_of_boxes(side.found, truth)


def _file(side: Side, table: LinkedTable) -> NodesFile:
    classed = bool(np.isfinite(table.p_metastatic).any())
    outlined = bool(np.isfinite(table.short_axis_mm).any())
    return NodesFile(
        stamp=side.stamp,
        nodes_are=side.route,
        nodes=len(table.scores),
        classes_of=class_source(side.info) if classed else None,
        axes_of="outline" if outlined else "box",
    )
