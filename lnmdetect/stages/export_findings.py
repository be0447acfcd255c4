"""What `lnmdetect export` reports: boxes of a file at its operating threshold, or linked nodes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnmdetect import __version__
from lnmdetect.core.errors import InputError
from lnmdetect.core.findings import ROLES, Algorithm, Finding, Maker, Region
from lnmdetect.core.linked_nodes import LinkedNode, LinkedNodes, NodeSection
from lnmdetect.core.records import (
    BENIGN,
    LYMPH_NODE,
    METASTATIC,
    CocoDataset,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.io.coco import read_coco
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.linked_nodes_file import read_linked_nodes


@dataclass(frozen=True)
class Chosen:
    """What is reported of a file.

    Attributes:
        info: of the file, over it that of the linked nodes: which models made them.
        threshold: on the detector's score, 0 where there is none.
        notes: what the reader of the result must know.
    """

    findings: tuple[Finding, ...]
    info: Mapping[str, Any]
    threshold: float
    notes: tuple[str, ...] = ()


def chosen_findings(
    nodes: Path, linked: Path | None, threshold: float | None, *, by_node: bool = False
) -> tuple[CocoDataset, Chosen]:
    """Return the file and its findings at the threshold: a box each, or a node each.

    Args:
        nodes: boxes, nodes or truth.
        linked: linked nodes of the same boxes.
        threshold: instead of the files' operating threshold.
        by_node: without `linked`, join the boxes that share a `node_id`.

    Raises:
        InputError: a file cannot be used, or a linked node lies on a slice that `nodes` lacks.
    """
    dataset = read_coco(nodes)
    if linked is None:
        limit = operating_threshold(dataset.info) if threshold is None else threshold
        boxes = chosen_boxes(dataset, threshold)
        found = (node_findings if by_node else box_findings)(dataset, boxes)
        return dataset, Chosen(tuple(found), dataset.info, limit)
    file = read_linked_nodes(linked)
    info = {**dataset.info, **file.info}
    limit = operating_threshold(info) if threshold is None else threshold
    made_of = info.get("linked_from")
    sha256 = made_of.get("sha256") if isinstance(made_of, Mapping) else None
    is_other = sha256 is not None and sha256 != sha256_of_file(nodes)
    note = f"{linked.name} was linked from another file than this {nodes.name}"
    found = linked_findings(file, dataset, threshold)
    return dataset, Chosen(tuple(found), info, limit, (note,) if is_other else ())


def maker_of(
    info: Mapping[str, Any], threshold: float, *, phantom: bool, linked: bool = False
) -> Maker:
    """Return who made the boxes, by the file's `info`; `threshold` is the detector's in use."""
    limits = {
        "detector": threshold,
        "segmenter": info.get("voxel_threshold"),
        "classifier": info.get("classifier_threshold"),
    }
    models = [(role, info[role]) for role in ROLES if isinstance(info.get(role), Mapping)]
    named = [
        Algorithm(role, str(model["name"]), str(model.get("sha256", "not known")), limits[role])
        for role, model in models
    ]
    rule = "of the outline on the largest cross-section" if linked else Maker.axis_rule
    return Maker(__version__, tuple(named), rule, phantom)


def chosen_boxes(dataset: CocoDataset, threshold: float | None) -> list[NodeAnnotation]:
    """Return the boxes that are meant for people, image by image, the surest first.

    Args:
        dataset: boxes, nodes or truth, whose boxes carry no score.
        threshold: on the detector's score instead of the file's operating threshold.
    """
    limit = operating_threshold(dataset.info) if threshold is None else threshold
    boxes = [
        box
        for box in dataset.annotations
        if not box.ignored and (box.score is None or box.score >= limit)
    ]
    return sorted(boxes, key=lambda box: (box.image_id, -(box.score or 0), box.annotation_id))


def operating_threshold(info: Mapping[str, Any]) -> float:
    """Return the score from which a box is meant for people; 0 where the file has none."""
    return float(info.get("operating_threshold") or 0)


def box_findings(dataset: CocoDataset, boxes: Iterable[NodeAnnotation]) -> list[Finding]:
    """Return a finding a box."""
    images = {image.image_id: image for image in dataset.images}
    return [_finding(f"box {box.annotation_id}", [box], images) for box in boxes]


def node_findings(dataset: CocoDataset, boxes: Iterable[NodeAnnotation]) -> list[Finding]:
    """Return a finding a node (`node_id`), as truth has them; a box without one stands alone."""
    images = {image.image_id: image for image in dataset.images}
    nodes: dict[tuple[str, str], list[NodeAnnotation]] = {}
    for box in boxes:
        label = box.node_id or f"box {box.annotation_id}"
        nodes.setdefault((images[box.image_id].series, label), []).append(box)
    return [_finding(label, nodes[key], images) for key in nodes for label in key[1:]]


def linked_findings(
    linked: LinkedNodes, dataset: CocoDataset, threshold: float | None
) -> list[Finding]:
    """Return a finding a linked node, in the file's order: the likeliest metastatic first.

    Args:
        linked: nodes made of the boxes of `dataset`.
        dataset: lists the slices.
        threshold: on the nodes' scores; None takes all.

    Raises:
        InputError: a node lies on a slice that `dataset` does not list.
    """
    images = {image.join_key: image for image in dataset.images}
    limit = linked.info.get("classifier_threshold", dataset.info.get("classifier_threshold"))
    return [
        _linked_finding(node, images, 0.5 if limit is None else float(limit))
        for node in linked.nodes
        if threshold is None or node.score >= threshold
    ]


def _linked_finding(
    node: LinkedNode, images: Mapping[str, ImageRecord], call_from: float
) -> Finding:
    p = node.p_metastatic
    return Finding(
        label=_name(node.node_id),
        regions=tuple(_section(node, section, images) for section in node.sections),
        laterality=node.laterality,
        category_id=LYMPH_NODE if p is None else METASTATIC if p >= call_from else BENIGN,
        score=node.score,
        p_metastatic=p,
        short_axis_mm=node.short_axis_mm,
        long_axis_mm=node.long_axis_mm,
        volume_mm3=node.volume_mm3,
        mean_hu=node.mean_hu,
        max_hu=node.max_hu,
    )


def _name(label: str) -> str:
    """Return what DICOM text can hold: no control characters, no backslash (PS3.5 6.2)."""
    return "".join(c for c in label if c.isprintable() and c != "\\").strip() or "node"


def _section(node: LinkedNode, section: NodeSection, images: Mapping[str, ImageRecord]) -> Region:
    image = images.get(section.sop_instance_uid or section.file_name)
    if image is None:
        raise InputError(
            f"--linked: node {node.node_id}",
            expected="slices that the boxes file lists",
            got=f"another, slice {section.slice_index + 1} of its scan",
            remedy="Link the nodes again: lnmdetect nodes.",
        )
    return Region(image, section.box_xyxy, section.segmentation)


def _finding(
    label: str,
    boxes: list[NodeAnnotation],
    images: Mapping[int, ImageRecord],
) -> Finding:
    best = max(boxes, key=lambda box: box.score or 0)
    regions = tuple(Region(images[b.image_id], b.box_xyxy, b.segmentation) for b in boxes)
    return Finding(
        label=_name(label),
        regions=regions,
        category_id=best.category_id,
        score=best.score,
        p_metastatic=None if best.probabilities is None else best.probabilities["metastatic"],
        short_axis_mm=max(short_axis_mm(box, images[box.image_id]) for box in boxes),
    )


def short_axis_mm(box: NodeAnnotation, image: ImageRecord) -> float:
    """Return the cross-section's short axis where the file has it, else the box's shorter side."""
    x1, y1, x2, y2 = box.box_xyxy
    row_mm, column_mm = image.spacing_mm
    return box.slice_short_axis_mm or min((x2 - x1) * column_mm, (y2 - y1) * row_mm)
