"""`lnmdetect nodes`: the boxes of nodes.json in, nodes in 3-D with their measures out."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from lnmdetect import __version__
from lnmdetect.core.linked_nodes import SIZE_RULE, LinkedNode, LinkedNodes
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import read_coco
from lnmdetect.io.json_files import refuse_existing, sha256_of_file
from lnmdetect.io.linked_nodes_file import write_linked_nodes, write_linked_nodes_csv
from lnmdetect.io.pixel_roots import relative_root, scan_root
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.metrics.linking import DEFAULT_RULE, LinkRule, ScanGrid, link_scan
from lnmdetect.metrics.node_measures import LATERALITY_RULE, PROBABILITY_RULE
from lnmdetect.stages.nodes_measure import (
    MeasuredSection,
    SectionBoxes,
    build_node,
    measure_slice,
)

LINKED = Path("linked_nodes.json")
_KEPT_INFO = (
    *("detector", "classifier", "operating_threshold_source", "classifier_threshold"),
    *("classifier_threshold_source", "pseudonymised_uids"),
)


@dataclass(frozen=True)
class NodesRequest:
    """Which boxes to link.

    Attributes:
        nodes: nodes.json, boxes.json or a truth.json.
        output: the JSON file; the CSV file of the same name goes beside it.
        scan: where the pixels are; None takes the file's `info.scan_root`.
        threshold: on the detector's score instead of the file's operating threshold.
    """

    nodes: Path
    output: Path = LINKED
    scan: Path | None = None
    threshold: float | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class NodesResult:
    """What was linked.

    Attributes:
        boxes: at or above the threshold; below: how many were left out.
        nodes: as they were written.
    """

    output: Path
    table: Path
    threshold: float
    scans: int
    boxes: int
    below: int
    nodes: tuple[LinkedNode, ...]
    phantom: bool
    seconds: float


@dataclass(frozen=True)
class _Node:
    """The cross-sections of a node, by rising slice, and the step between its scan's slices."""

    sections: tuple[SectionBoxes, ...]
    step_mm: float


def csv_path(output: Path) -> Path:
    """Return where the table of a linked_nodes.json goes: the same name with .csv."""
    return output.with_suffix(".csv")


def link_nodes(request: NodesRequest, progress: Progress = SILENT) -> NodesResult:
    """Return the nodes after writing them as JSON and CSV, with their run record.

    Raises:
        InputError: the file or its pixels are unsound.
        OutputError: an output exists and `overwrite` is not set.
    """
    table = csv_path(request.output)
    for path in (request.output, table):
        refuse_existing(path, overwrite=request.overwrite)
    record = RunRecord("nodes", {"threshold": request.threshold})
    record.inputs[request.nodes.name] = sha256_of_file(request.nodes)
    dataset = read_coco(request.nodes)
    root = scan_root(request.nodes, dataset, request.scan)
    threshold = request.threshold
    if threshold is None:
        threshold = float(dataset.info.get("operating_threshold") or 0)
    record.config = {"threshold": threshold}
    chosen = [box for box in dataset.annotations if box.score is None or box.score >= threshold]
    found = list(_linked(dataset, chosen))
    record.lap("link")
    store = PixelStore(root, png_folder=request.nodes.parent) if found else None
    nodes = _ranked(_measured_nodes(found, store, progress)) if store else ()
    record.lap("measure")
    info = _info(request, dataset, threshold, root)
    linked = LinkedNodes(info, nodes)
    write_linked_nodes(linked, request.output, overwrite=request.overwrite)
    write_linked_nodes_csv(linked, table, overwrite=request.overwrite)
    record.write(record_path(request.output))
    return NodesResult(
        output=request.output,
        table=table,
        threshold=threshold,
        scans=len({image.series for image in dataset.images}),
        boxes=len(chosen),
        below=len(dataset.annotations) - len(chosen),
        nodes=nodes,
        phantom=dataset.is_phantom,
        seconds=sum(record.timings_s.values()),
    )


def _linked(dataset: CocoDataset, chosen: Sequence[NodeAnnotation]) -> Iterator[_Node]:
    """Give the nodes of every scan."""
    scans: dict[tuple[str, str], list[ImageRecord]] = defaultdict(list)
    for image in dataset.images:
        scans[image.patient, image.series].append(image)
    by_image: dict[int, list[NodeAnnotation]] = defaultdict(list)
    for box in chosen:
        by_image[box.image_id].append(box)
    for images in scans.values():
        boxes = [(image, box) for image in images for box in by_image[image.image_id]]
        if boxes:
            step_mm = slice_step_mm(images, dataset)
            yield from _nodes_of_scan(boxes, ScanGrid(images[0].spacing_mm, step_mm))


def slice_step_mm(images: Sequence[ImageRecord], dataset: CocoDataset) -> float:
    """Return the step between a scan's slices; of chosen slices their thickness, else 1 mm."""
    steps = np.diff(np.unique([image.position_mm for image in images]))
    if dataset.coverage == "all_slices" and len(steps):
        return float(np.median(steps))
    return images[0].thickness_mm or 1.0


def _nodes_of_scan(
    boxes: Sequence[tuple[ImageRecord, NodeAnnotation]],
    grid: ScanGrid,
    rule: LinkRule = DEFAULT_RULE,
) -> Iterator[_Node]:
    linked = link_scan(
        np.array([box.box_xyxy for _, box in boxes]),
        np.array([_score(box) for _, box in boxes]),
        position_mm=np.array([image.position_mm for image, _ in boxes]),
        grid=grid,
        rule=rule,
    )
    members: list[list[int]] = [[] for _ in linked.sections.scores]
    for row, section in enumerate(linked.sections.group.tolist()):
        members[section].append(row)
    nodes: dict[int, list[SectionBoxes]] = defaultdict(list)
    for section, node in enumerate(linked.node.tolist()):
        rows = sorted(members[section], key=lambda row: -_score(boxes[row][1]))
        x1, y1, x2, y2 = (float(side) for side in linked.sections.boxes_xyxy[section])
        nodes[node].append(
            SectionBoxes(
                image=boxes[rows[0]][0],
                boxes=tuple(boxes[row][1] for row in rows),
                box_xyxy=(x1, y1, x2, y2),
                score=float(linked.sections.scores[section]),
            )
        )
    for sections in nodes.values():
        yield _Node(tuple(sorted(sections, key=_place)), grid.step_mm)


def _score(box: NodeAnnotation) -> float:
    """Return the detector's score; a truth box is certain."""
    return 1.0 if box.score is None else box.score


def _place(section: SectionBoxes) -> float:
    return section.image.position_mm


def _measured_nodes(
    found: Sequence[_Node], store: PixelStore, progress: Progress
) -> Iterator[LinkedNode]:
    """Give every node with its measures; each slice is read once."""
    flat = [(section, at) for at, node in enumerate(found) for section in node.sections]
    flat.sort(key=lambda entry: entry[0].image.image_id)
    slices = [list(part) for _, part in groupby(flat, key=lambda entry: entry[0].image.image_id)]
    parts: dict[int, list[MeasuredSection]] = defaultdict(list)
    for entries in progress.track(slices, description="measuring nodes", total=len(slices)):
        measured = measure_slice([section for section, _ in entries], store)
        for (_, at), part in zip(entries, measured, strict=True):
            parts[at].append(part)
    for at, node in enumerate(found):
        ordered = sorted(parts[at], key=lambda part: part.section.position_mm)
        yield build_node(ordered, node.sections[0].image, node.step_mm)


def _ranked(nodes: Iterator[LinkedNode]) -> tuple[LinkedNode, ...]:
    """Return the nodes scan by scan, the likeliest metastatic first, with their ids."""
    by_scan: dict[tuple[str, str], list[LinkedNode]] = defaultdict(list)
    for node in nodes:
        by_scan[node.patient, node.series].append(node)
    return tuple(
        replace(node, node_id=f"n{rank}")
        for scan in by_scan.values()
        for rank, node in enumerate(sorted(scan, key=_rank), start=1)
    )


def _rank(node: LinkedNode) -> tuple[float, float]:
    """Return what sorts the likeliest metastatic first; without classes, the surest node."""
    p = node.p_metastatic
    return -node.score * (1.0 if p is None else p), -node.volume_mm3


def _info(
    request: NodesRequest, dataset: CocoDataset, threshold: float, root: Path
) -> dict[str, Any]:
    hidden = bool(dataset.info.get("pseudonymised_uids"))
    kept: Mapping[str, Any] = {
        key: dataset.info[key] for key in _KEPT_INFO if dataset.info.get(key) is not None
    }
    if request.threshold is not None:
        kept = {**kept, "operating_threshold_source": "--threshold"}
    return {
        "description": "Cervical lymph nodes in 3-D. Research use only, not for diagnosis.",
        "lnmdetect_version": __version__,
        "linked_from": {"file": request.nodes.name, "sha256": sha256_of_file(request.nodes)},
        **({} if hidden else {"scan_root": relative_root(root, request.output)}),
        "phantom": dataset.is_phantom,
        "coverage": dataset.coverage,
        "operating_threshold": threshold,
        **kept,
        "probability_rule": PROBABILITY_RULE,
        "laterality_rule": LATERALITY_RULE,
        "size_rule": SIZE_RULE,
    }
