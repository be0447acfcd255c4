"""The masks of a COCO file as label maps on the grid of their scan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.cases import CaseNode, Values
from lnmdetect.core.errors import InputError
from lnmdetect.core.mask_errors import unfit_mask
from lnmdetect.core.node_classes import NodeClasses, label_of
from lnmdetect.core.records import ImageRecord, NodeAnnotation
from lnmdetect.core.run_lengths import mask_of_runs
from lnmdetect.transforms.label_nodes import LabelNode, Labels, numbered_nodes, touching_nodes

LARGEST_LABEL = 65535


@dataclass(frozen=True)
class LabelVolume:
    """A label map and what its numbers stand for.

    Attributes:
        labels: (slices, rows, columns), uint8 of classes, uint16 of instances; 0 the background.
        nodes, class_of: each node and its class' label, by number; empty of a map of classes.
        overlapping_px: pixels that two masks claim; the later annotation has them.
        lost: nodes that do not come back as they are: from a map of classes those that touch
            another of their class or lie in parts, from one of instances those covered whole.
        mixed: nodes whose annotations are of several classes.
    """

    labels: NDArray[np.uint8] | NDArray[np.uint16]
    nodes: Mapping[int, CaseNode]
    class_of: Mapping[int, int]
    overlapping_px: int
    lost: int
    mixed: int = 0


ByImage = Mapping[int, Sequence[NodeAnnotation]]


def label_volume(
    images: Sequence[ImageRecord], by_image: ByImage, classes: NodeClasses, values: Values
) -> LabelVolume:
    """Return the label map of one scan.

    Args:
        images: of the scan, in the order of its slices.
        by_image: annotations by image id, each with a mask.
        classes: their labels are their places plus 1.
        values: what the numbers stand for; instances are numbered from 1 in the order of slices.

    Raises:
        InputError: an annotation has no mask, one that cannot be read, or no class of `classes`;
            or there are more nodes than numbers.
    """
    numbers = _node_numbers(images, by_image)
    shape = (len(images), images[0].height, images[0].width)
    instances = np.zeros(shape, dtype=np.uint16)
    labels = np.zeros(shape, dtype=np.uint8)
    nodes: dict[int, CaseNode] = {}
    class_of: dict[int, int] = {}
    mixed: set[int] = set()
    overlapping = 0
    for own, plane, image in zip(instances, labels, images, strict=True):
        for annotation in by_image[image.image_id]:
            mask = annotation_mask(annotation, image)
            label = class_label(annotation, classes)
            number = numbers[_key(annotation)]
            overlapping += int(np.count_nonzero(own[mask]))
            own[mask], plane[mask] = number, label
            nodes.setdefault(number, _case_node(annotation))
            if class_of.setdefault(number, label) != label:
                mixed.add(number)
    if values == "instances":
        whole = LabelVolume(instances, nodes, class_of, overlapping, 0, len(mixed))
        return _counted(_without_covered(whole))
    lost = _lost(instances, labels.astype(np.uint16), len(classes))
    return LabelVolume(labels, {}, {}, overlapping, len(lost - mixed), len(mixed))


def _lost(instances: Labels, labels: Labels, classes: int) -> set[int]:
    """Return the numbers of the nodes that are no piece of a map of classes."""
    pieces = {_places(node) for node in touching_nodes(labels, range(1, classes + 1), joined=False)}
    return {node.value for node in numbered_nodes(instances) if _places(node) not in pieces}


def _places(node: LabelNode) -> frozenset[tuple[int, tuple[float, ...], int]]:
    """Return what tells a node's cross-sections from others: slice, box, number of pixels."""
    return frozenset(
        (section.index, section.box_xyxy, int(np.count_nonzero(section.inside)))
        for section in node.sections
    )


def annotation_mask(annotation: NodeAnnotation, image: ImageRecord) -> NDArray[np.bool_]:
    """Return the mask (H, W) of an annotation.

    Raises:
        InputError: it has none, or one that is no RLE of the slice's size.
    """
    where = f"annotation {annotation.annotation_id}"
    if annotation.segmentation is None:
        raise InputError(
            where,
            expected="a mask (segmentation as COCO RLE)",
            got="a box alone",
            remedy="Draw masks; boxes have no label map.",
        )
    shape = image.height, image.width
    try:
        mask = mask_of_runs(annotation.segmentation, shape)
        if not mask.any():
            raise ValueError("one without a pixel")
        return mask
    except ValueError as error:
        raise unfit_mask(where, shape, error) from None


def class_label(annotation: NodeAnnotation, classes: NodeClasses) -> int:
    """Return the label of an annotation's class.

    Raises:
        InputError: `classes` do not hold it.
    """
    label = label_of(annotation, classes)
    if label is None:
        raise InputError(
            f"annotation {annotation.annotation_id}",
            expected="the category benign or metastatic",
            got="lymph_node, whose status is not known",
            remedy="Give it a status, or merge all classes with --classes one.",
        )
    return label


def _without_covered(volume: LabelVolume) -> LabelVolume:
    """Return the instances numbered without a gap, those that others cover whole left out."""
    present = [int(value) for value in np.unique(volume.labels) if value]
    if len(present) == len(volume.nodes):
        return volume
    number_of = np.zeros(LARGEST_LABEL + 1, dtype=np.uint16)
    number_of[present] = np.arange(1, len(present) + 1)
    return replace(
        volume,
        labels=number_of[volume.labels],
        nodes={number: volume.nodes[value] for number, value in enumerate(present, start=1)},
        class_of={number: volume.class_of[value] for number, value in enumerate(present, start=1)},
        lost=len(volume.nodes) - len(present),
    )


def _counted(volume: LabelVolume) -> LabelVolume:
    """Return the instances, each with the number of its voxels."""
    voxels = np.bincount(volume.labels.ravel(), minlength=len(volume.nodes) + 1)
    nodes = {n: replace(node, voxels=int(voxels[n])) for n, node in volume.nodes.items()}
    return replace(volume, nodes=nodes)


_Key = tuple[bool, str]


def _key(annotation: NodeAnnotation) -> _Key:
    """Return what the annotations of a node share; one without a node_id stands alone."""
    if annotation.node_id is None:
        return False, str(annotation.annotation_id)
    return True, annotation.node_id


def _node_numbers(images: Sequence[ImageRecord], by_image: ByImage) -> dict[_Key, int]:
    keys = dict.fromkeys(_key(node) for image in images for node in by_image[image.image_id])
    if len(keys) > LARGEST_LABEL:
        raise InputError(
            f"series {images[0].series}",
            expected=f"at most {LARGEST_LABEL} nodes, as many as a label map has numbers",
            got=str(len(keys)),
            remedy="Give the sections of a node one node_id.",
        )
    return {key: number for number, key in enumerate(keys, start=1)}


def _case_node(annotation: NodeAnnotation) -> CaseNode:
    return CaseNode(
        annotation.node_id,
        annotation.category_id,
        annotation.kind,
        annotation.level,
        annotation.short_axis_mm,
    )
