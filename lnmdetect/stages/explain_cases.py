"""The boxes that are explained, each with the truth it lies on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.records import (
    BENIGN,
    CATEGORY_NAMES,
    METASTATIC,
    CocoDataset,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.io.slice_join import shared_ids
from lnmdetect.metrics.matching import NO_TRUTH, match_images
from lnmdetect.metrics.tables import ImageBoxes
from lnmdetect.stages.baselines import node_mask
from lnmdetect.transforms.heat import Heat, box_map, crop_map

NO_NODE = "no node"
"""What truth says of a box that lies on none."""
NOT_KNOWN = "not known"
"""What truth says of a node whose status it does not give."""

Nodes = list[NodeAnnotation]


@dataclass(frozen=True)
class Case:
    """One box to explain.

    Attributes:
        image, box: which.
        node: the truth it hits; None where there is none, or no truth of its slice.
        has_truth: whether the truth lists the slice.
    """

    image: ImageRecord
    box: NodeAnnotation
    node: NodeAnnotation | None = None
    has_truth: bool = False

    @property
    def truth(self) -> str | None:
        """What truth says: benign, metastatic, `NOT_KNOWN`, `NO_NODE`; None: nothing."""
        if self.node is None:
            return NO_NODE if self.has_truth else None
        known = self.node.category_id in (BENIGN, METASTATIC)
        return CATEGORY_NAMES[self.node.category_id] if known else NOT_KNOWN

    @property
    def mask_px(self) -> NDArray[np.bool_] | None:
        """(H, W) the node's mask in truth; None where there is none.

        Raises:
            InputError: it is unsound.
        """
        if self.node is None or self.node.segmentation is None:
            return None
        return node_mask(self.node, (self.image.height, self.image.width))

    def inside(self, *, margin: float, size_px: int) -> tuple[Heat, str]:
        """Return (P, P) the share of each pixel of the crop in the node, and where that is from.

        The node is its mask in truth, else truth's box, else the box itself.

        Args:
            margin: with which the crop around the box is cut.
            size_px: P.
        """
        box, mask = self.box.box_xyxy, self.mask_px
        spacing_mm = self.image.spacing_mm
        if mask is not None:
            cut = crop_map(mask, box, spacing_mm=spacing_mm, margin=margin, size_px=size_px)
            return cut, "mask"
        inner = box if self.node is None else self.node.box_xyxy
        marked = box_map(inner, box, spacing_mm=spacing_mm, margin=margin, size_px=size_px)
        return marked, "box"


def cases_of(dataset: CocoDataset, truth: CocoDataset | None) -> list[Case]:
    """Return the boxes meant for people, image by image, each with the truth it hits.

    Those are the boxes at or above the file's operating threshold; a box hits truth as `eval` has
    it, at IoU 0.5.

    Raises:
        InputError: the two files have a slice of different sizes, or a mask is unsound.
    """
    limit = float(dataset.info.get("operating_threshold") or 0)
    truth_on = _truth_by_image(dataset, truth)
    grouped = dataset.by_image()
    found = {
        image.image_id: [
            box
            for box in grouped[image.image_id]
            if not box.ignored and (box.score is None or box.score >= limit)
        ]
        for image in dataset.images
    }
    nodes = [node for image in dataset.images for node in truth_on.get(image.image_id, [])]
    boxes = [(image, box) for image in dataset.images for box in found[image.image_id]]
    matches = match_images(
        [
            _image_boxes(truth_on.get(image.image_id, []), found[image.image_id])
            for image in dataset.images
        ]
    )
    hit = dict(zip(matches.found_index.tolist(), matches.truth_index.tolist(), strict=True))
    cases = []
    for place, (image, box) in enumerate(boxes):
        at = hit.get(place, NO_TRUTH)
        node = None if at == NO_TRUTH else nodes[at]
        cases.append(Case(image, box, node, image.image_id in truth_on))
    _check_masks(cases)
    return cases


def _check_masks(cases: Sequence[Case]) -> None:
    """Raise for the first unsound mask, before a model has worked on the boxes before it."""
    for case in cases:
        case.mask_px  # noqa: B018


def _truth_by_image(dataset: CocoDataset, truth: CocoDataset | None) -> Mapping[int, Nodes]:
    """Return the truth of each slice it lists, by the image ids of `dataset`."""
    if truth is None:
        return {}
    nodes = truth.by_image()
    same = shared_ids(dataset.images, truth.images)
    return {image_id: nodes[truth_id] for truth_id, image_id in same.items()}


def _image_boxes(truth: Nodes, found: Nodes) -> ImageBoxes:
    return ImageBoxes(
        truth_xyxy=as_boxes([node.box_xyxy for node in truth]),
        truth_ignored=np.array([node.ignored for node in truth], dtype=bool),
        truth_classes=np.array([node.category_id for node in truth], dtype=np.int64),
        boxes_xyxy=as_boxes([box.box_xyxy for box in found]),
        scores=np.array([1.0 if box.score is None else box.score for box in found]),
    )
