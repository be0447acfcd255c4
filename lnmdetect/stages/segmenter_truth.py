"""What a truth file must be for a segmenter to learn from it, and what is said of it."""

from collections.abc import Iterator, Sequence

import numpy as np

from lnmdetect.core.errors import InputError
from lnmdetect.core.geometry import pairwise_iou
from lnmdetect.core.node_classes import NodeClasses
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.core.wording import counted
from lnmdetect.datasets.label_cache import label_in, mask_in
from lnmdetect.datasets.volume_cache import group_series
from lnmdetect.io.dicom_geometry import STEP_TOLERANCE


def require_labelled_volumes(truth: CocoDataset, classes: NodeClasses) -> tuple[str, ...]:
    """Return what must be known of a truth file that can be trained on, as sentences.

    Raises:
        InputError: it lists key images, single slices or scans with gaps, or a node has no mask,
            an empty one, or no class of `classes`.
    """
    if truth.coverage == "key_images":
        raise InputError(
            "truth",
            expected="whole scans, each slice listed",
            got="key images, whose neighbours are not known",
            remedy="Train a detector on key images; a segmenter needs volumes.",
        )
    for images in group_series(truth.images):
        _require_even_steps(images)
    by_image = truth.by_image()
    shared = 0
    for image in truth.images:
        nodes = by_image[image.image_id]
        for node in nodes:
            label_in(node, classes)
        shared += sum(_shared_px(nodes, image))
    if not shared:
        return ()
    return (f"{counted(shared, 'pixel')} claimed by two masks: the later annotation has them",)


def require_nodes(part: CocoDataset, side: str) -> None:
    """Do nothing for one side of the split, of which a scan or more holds a node.

    Raises:
        InputError: none does.
    """
    if not part.annotations:
        scans = counted(len(group_series(part.images)), f"{side} scan")
        raise InputError(
            "truth",
            expected="nodes on both sides of the split by patient",
            got=f"none in {scans}",
            remedy="Add annotated patients, or choose another --seed.",
        )


def _require_even_steps(images: Sequence[ImageRecord]) -> None:
    name = f"series {images[0].series}"
    if len(images) < 2:
        raise InputError(
            name,
            expected="two slices or more of one size and spacing",
            got="one",
            remedy="List every slice of the scan, or leave the scan out.",
        )
    places = np.array([image.position_mm for image in images])
    steps = np.diff(places)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    odd = np.abs(steps - usual) > STEP_TOLERANCE * usual
    if usual > 0 and not odd.any():
        return
    at = int(np.abs(steps - usual).argmax())
    raise InputError(
        name,
        expected=f"a slice every {usual:.2f} mm" if usual > 0 else "each slice at its own place",
        got=f"{steps[at]:.2f} mm between those at {places[at]:.2f} and {places[at + 1]:.2f} mm",
        remedy="List every slice of the scan once, or leave the scan out.",
    )


def _shared_px(nodes: Sequence[NodeAnnotation], image: ImageRecord) -> Iterator[int]:
    """Yield the pixels that two masks or more of a slice claim, where their boxes meet."""
    boxes = np.array([node.box_xyxy for node in nodes]).reshape(-1, 4)
    meet = pairwise_iou(boxes, boxes) > 0
    involved = [node for node, row in zip(nodes, meet, strict=True) if row.sum() > 1]  # and itself
    if involved:
        yield int((np.sum([mask_in(node, image) for node in involved], axis=0) > 1).sum())
