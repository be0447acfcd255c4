"""The masks of a COCO file as label maps on the grid of their scan."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.cases import CaseNode, Values
from lnmdetect.core.errors import InputError
from lnmdetect.core.node_classes import NodeClasses, label_of
from lnmdetect.core.records import ImageRecord, NodeAnnotation
from lnmdetect.core.run_lengths import mask_of_runs
from lnmdetect.transforms.label_nodes import touching_nodes

LARGEST_LABEL = 65535


@dataclass(frozen=True)
class LabelVolume:
    """A label map and what its numbers stand for.

    Attributes:
        labels: (slices, rows, columns), uint8 of classes, uint16 of instances; 0 the background.
        nodes: by number; of a map of classes empty.
        overlapping_px: pixels that two masks claim; the later annotation has them.
        merged: nodes of a map of classes that touch another of their class, and so are one with it.
    """

    labels: NDArray[np.uint8] | NDArray[np.uint16]
    nodes: Mapping[int, CaseNode]
    classes: Mapping[int, int]
    """Number of a node to the label of its class, of a map of instances."""
    overlapping_px: int
    merged: int


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
    if values == "instances" and len(numbers) > LARGEST_LABEL:
        raise ValueError(f"instances: expected at most {LARGEST_LABEL}, got {len(numbers)}")
    shape = (len(images), images[0].height, images[0].width)
    labels = np.zeros(shape, dtype=np.uint8 if values == "classes" else np.uint16)
    nodes: dict[int, CaseNode] = {}
    class_of: dict[int, int] = {}
    overlapping = 0
    for plane, image in zip(labels, images, strict=True):
        for annotation in by_image[image.image_id]:
            mask = annotation_mask(annotation, image)
            label = class_label(annotation, classes)
            number = numbers[_key(annotation)]
            overlapping += int(np.count_nonzero(plane[mask]))
            plane[mask] = label if values == "classes" else number
            nodes.setdefault(number, _case_node(annotation))
            class_of.setdefault(number, label)
    if values == "instances":
        return LabelVolume(labels, nodes, class_of, overlapping, 0)
    found = touching_nodes(labels.astype(np.uint16), range(1, len(classes) + 1), joined=False)
    return LabelVolume(labels, {}, {}, overlapping, max(0, len(numbers) - len(found)))


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
    try:
        return mask_of_runs(annotation.segmentation, (image.height, image.width))
    except ValueError as error:
        raise InputError(
            where,
            expected=f"a mask of {image.height} x {image.width} px as COCO RLE",
            got=str(error),
            remedy="Write the masks again.",
        ) from None


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


_Key = tuple[bool, str]


def _key(annotation: NodeAnnotation) -> _Key:
    """Return what the annotations of a node share; one without a node_id stands alone."""
    if annotation.node_id is None:
        return False, str(annotation.annotation_id)
    return True, annotation.node_id


def _node_numbers(images: Iterable[ImageRecord], by_image: ByImage) -> dict[_Key, int]:
    keys = dict.fromkeys(_key(node) for image in images for node in by_image[image.image_id])
    return {key: number for number, key in enumerate(keys, start=1)}


def _case_node(annotation: NodeAnnotation) -> CaseNode:
    return CaseNode(
        annotation.node_id,
        annotation.category_id,
        annotation.kind,
        annotation.level,
        annotation.short_axis_mm,
    )
