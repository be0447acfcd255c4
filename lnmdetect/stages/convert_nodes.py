"""Nodes of another tool's masks as COCO annotations, as truth or as a tool's answer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as rle

from lnmdetect.core.node_classes import NEGATIVE
from lnmdetect.core.records import MIN_TRUTH_SIDE_MM, ImageRecord, NodeAnnotation
from lnmdetect.transforms.label_nodes import CrossSection
from lnmdetect.transforms.outline import mask_outline

CERTAIN = 1.0
"""Score of a node of a tool's answer that tells none: masks alone carry no score."""


@dataclass(frozen=True)
class FoundNode:
    """A node on the slices of one scan.

    Attributes:
        node_id: unique in its scan.
        category_id, kind, level: as `NodeAnnotation` has them.
        sections: at most one a slice, rising.
        short_axis_mm: where the source knows it; else it is measured on the mask.
        score: in [0, 1], None where the source tells none.
        class_probabilities: class of `core.node_classes` to its share, summing to 1.
    """

    node_id: str
    category_id: int
    sections: tuple[CrossSection, ...]
    kind: str | None = None
    level: str | None = None
    short_axis_mm: float | None = None
    score: float | None = None
    class_probabilities: Mapping[str, float] | None = None


def voxels_of(node: FoundNode) -> int:
    """Return how many voxels a node has."""
    return sum(int(np.count_nonzero(section.inside)) for section in node.sections)


def found_annotations(
    nodes: Iterable[FoundNode], images: Sequence[ImageRecord], *, first: int, as_result: bool
) -> Iterator[NodeAnnotation]:
    """Yield the cross-sections of all nodes, slice by slice, ids rising from `first`.

    Args:
        nodes: of one scan.
        images: of that scan, in the order of its slices.
        first: id of the first annotation.
        as_result: a tool's answer, each with a score; else truth, whose thin cross-sections are
            ignored when scored.
    """
    measured = [(node, _short_axis_mm(node, images)) for node in nodes]
    placed = sorted(
        (
            (section.index, place, section)
            for place, (node, _) in enumerate(measured)
            for section in node.sections
        ),
        key=lambda entry: entry[:2],
    )
    for number, (index, place, section) in enumerate(placed, start=first):
        node, axis_mm = measured[place]
        yield _annotation(number, images[index], (node, axis_mm, section), as_result=as_result)


def _annotation(
    number: int,
    image: ImageRecord,
    found: tuple[FoundNode, float, CrossSection],
    *,
    as_result: bool,
) -> NodeAnnotation:
    node, axis_mm, section = found
    x1, y1, x2, y2 = section.box_xyxy
    shorter_mm = min((x2 - x1) * image.spacing_mm[1], (y2 - y1) * image.spacing_mm[0])
    return NodeAnnotation(
        annotation_id=number,
        image_id=image.image_id,
        category_id=node.category_id,
        box_xyxy=section.box_xyxy,
        score=(CERTAIN if node.score is None else node.score) if as_result else None,
        ignored=not as_result and shorter_mm < MIN_TRUTH_SIDE_MM,
        node_id=node.node_id,
        short_axis_mm=round(axis_mm, 3),
        slice_short_axis_mm=round(_section_axis_mm(section, image), 3),
        level=node.level,
        kind=node.kind,
        segmentation=encoded(section, image),
        **(_probabilities(node.class_probabilities) if as_result else {}),
    )


def _probabilities(shares: Mapping[str, float] | None) -> dict[str, Any]:
    if shares is None:
        return {}
    benign = round(shares.get(NEGATIVE, 0.0), 6)
    return {
        "probabilities": {"benign": benign, "metastatic": round(1 - benign, 6)},
        "extra": {"class_probabilities": {name: round(p, 6) for name, p in shares.items()}},
    }


def _short_axis_mm(node: FoundNode, images: Sequence[ImageRecord]) -> float:
    """Return the short axis of the largest cross-section, where the source does not tell."""
    if node.short_axis_mm is not None:
        return node.short_axis_mm
    largest = max(node.sections, key=lambda section: np.count_nonzero(section.inside))
    return _section_axis_mm(largest, images[largest.index])


def _section_axis_mm(section: CrossSection, image: ImageRecord) -> float:
    outline = mask_outline(section.inside, image.spacing_mm)
    assert outline is not None, "a cross-section has pixels"
    return outline.axes_mm[0]


def encoded(section: CrossSection, image: ImageRecord) -> Mapping[str, Any]:
    """Return a cross-section's mask as COCO RLE of its slice's size."""
    plane = np.asfortranarray(section.plane((image.height, image.width)), dtype=np.uint8)
    coded = rle.encode(plane)
    return {"size": [image.height, image.width], "counts": coded["counts"].decode("ascii")}
