"""The boxes of a file as the cross-sections of nodes, before anything is measured; no pixels."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import (
    CocoDataset,
    Coverage,
    ImageRecord,
    NodeAnnotation,
    spacings_agree,
)
from lnmdetect.metrics.linking import DEFAULT_RULE, LinkRule, ScanGrid, link_scan


@dataclass(frozen=True)
class SectionBoxes:
    """One cross-section before it is measured.

    Attributes:
        boxes: of the slice that were fused into it, best first; or the node's parts on it.
        box_xyxy: their weighted mean, px; of parts what holds them all.
        score: the highest of theirs.
    """

    image: ImageRecord
    boxes: tuple[NodeAnnotation, ...]
    box_xyxy: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class NodeSections:
    """The cross-sections of a node, by rising slice.

    Attributes:
        step_mm: between its scan's slices.
        name: that its masks give it; None where it was linked.
    """

    sections: tuple[SectionBoxes, ...]
    step_mm: float
    name: str | None = None


def scans_of(dataset: CocoDataset, name: str) -> list[list[ImageRecord]]:
    """Return the slices of each scan; key images that make no scan together stand alone.

    Raises:
        InputError: two slices of a whole scan lie at one place, or differ in pixel spacing.
    """
    series: dict[tuple[str, str], list[ImageRecord]] = defaultdict(list)
    for image in dataset.images:
        series[image.patient, image.series].append(image)
    scans: list[list[ImageRecord]] = []
    for images in series.values():
        fault = _fault(images)
        if fault is None:
            scans.append(images)
        elif dataset.coverage == "key_images":
            scans += [[image] for image in images]
        else:
            raise InputError(
                f"{name}: images of one series",
                expected="a position_mm for each slice of a scan, each another, and one spacing_mm",
                got=f"among {len(images)} slices {fault}",
                remedy="Give every image its position_mm, and one series to each acquisition.",
            )
    return scans


def _fault(images: Sequence[ImageRecord]) -> str | None:
    """Return why slices cannot be of one scan, None where they can."""
    if len({image.position_mm for image in images}) < len(images):
        return "two at one place, or without a place"
    spacings = {image.spacing_mm for image in images}
    if not all(spacings_agree(images[0].spacing_mm, spacing_mm) for spacing_mm in spacings):
        return "two of different spacing"
    return None


def are_masks_of_nodes(chosen: Sequence[NodeAnnotation]) -> bool:
    """Return whether every box has a mask and says of which node: nothing is left to link."""
    return all(box.segmentation is not None and box.node_id is not None for box in chosen)


def nodes_of(
    scans: Sequence[Sequence[ImageRecord]], chosen: Sequence[NodeAnnotation], coverage: Coverage
) -> Iterator[NodeSections]:
    """Give the nodes of every scan: those that masks name, else what boxes are linked to.

    Args:
        scans: the slices of each.
        chosen: the boxes to be linked.
        coverage: whether the slices are all of their scans.
    """
    named = are_masks_of_nodes(chosen)
    by_image: dict[int, list[NodeAnnotation]] = defaultdict(list)
    for box in chosen:
        by_image[box.image_id].append(box)
    for images in scans:
        boxes = [(image, box) for image in images for box in by_image[image.image_id]]
        if boxes:
            grid = ScanGrid(images[0].spacing_mm, slice_step_mm(images, coverage))
            yield from _named_nodes(boxes, grid) if named else _nodes_of_scan(boxes, grid)


def slice_step_mm(images: Sequence[ImageRecord], coverage: Coverage) -> float:
    """Return the step between a scan's slices; of chosen slices their thickness, else 1 mm."""
    steps = np.diff(np.unique([image.position_mm for image in images]))
    if coverage == "all_slices" and len(steps):
        return float(np.median(steps))
    return images[0].thickness_mm or 1.0


def _named_nodes(
    boxes: Sequence[tuple[ImageRecord, NodeAnnotation]], grid: ScanGrid
) -> Iterator[NodeSections]:
    """Give the nodes by their `node_id`; the parts of one on a slice are one cross-section."""
    nodes: dict[str | None, dict[int, list[NodeAnnotation]]] = {}
    images = {image.image_id: image for image, _ in boxes}
    for image, box in boxes:
        nodes.setdefault(box.node_id, {}).setdefault(image.image_id, []).append(box)
    for name, slices in nodes.items():
        sections = [_section_of_parts(images[key], parts) for key, parts in slices.items()]
        yield NodeSections(tuple(sorted(sections, key=_place)), grid.step_mm, name)


def _section_of_parts(image: ImageRecord, parts: Sequence[NodeAnnotation]) -> SectionBoxes:
    corners = np.array([part.box_xyxy for part in parts])
    x1, y1 = (float(side) for side in corners[:, :2].min(axis=0))
    x2, y2 = (float(side) for side in corners[:, 2:].max(axis=0))
    best_first = tuple(sorted(parts, key=lambda part: -_score(part)))
    return SectionBoxes(image, best_first, (x1, y1, x2, y2), _score(best_first[0]))


def _nodes_of_scan(
    boxes: Sequence[tuple[ImageRecord, NodeAnnotation]],
    grid: ScanGrid,
    rule: LinkRule = DEFAULT_RULE,
) -> Iterator[NodeSections]:
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
        yield NodeSections(tuple(sorted(sections, key=_place)), grid.step_mm)


def _score(box: NodeAnnotation) -> float:
    """Return the detector's score; a truth box is certain."""
    return 1.0 if box.score is None else box.score


def _place(section: SectionBoxes) -> float:
    return section.image.position_mm
