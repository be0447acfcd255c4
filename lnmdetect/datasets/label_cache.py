"""The masks of a cached series as one label volume on its grid, written once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.mask_errors import unfit_mask
from lnmdetect.core.node_classes import NodeClasses, label_of
from lnmdetect.core.records import ImageRecord, NodeAnnotation
from lnmdetect.core.run_lengths import mask_of_runs
from lnmdetect.datasets.volume_cache import CachedSeries
from lnmdetect.io.run_files import open_array, save_array
from lnmdetect.transforms.grid import ModelGrid

FORMAT = 1
"""Raised when the drawing of labels changes."""


@dataclass(frozen=True)
class NodePlace:
    """A node of a series: its label, and its middle as (slice, row, column) on the grid."""

    label: int
    centre: tuple[float, float, float]


@dataclass(frozen=True)
class LabelledSeries:
    """A cached series with its truth.

    Attributes:
        series: D slices.
        path: `.npy` file of (D, h, w) uint8 labels, 0 the background.
        nodes: of the series.
        coarse: `.npy` file of (D, h, w) int16 P(node) of a first stage, in thousandths; or None.
    """

    series: CachedSeries
    path: Path
    nodes: tuple[NodePlace, ...]
    coarse: Path | None = None

    def labels(self) -> NDArray[np.uint8]:
        """Return the labels (D, h, w), memory-mapped."""
        return open_array(self.path)

    def coarse_volume(self) -> NDArray[np.int16]:
        """Return P(node) of the first stage (D, h, w), in thousandths, memory-mapped."""
        assert self.coarse is not None
        return open_array(self.coarse)

    @property
    def positions_mm(self) -> NDArray[np.float64]:
        """Positions of the slices, rising."""
        return np.array([image.position_mm for image in self.series.images])


def label_series(
    series: CachedSeries,
    by_image: Mapping[int, Sequence[NodeAnnotation]],
    classes: NodeClasses,
) -> LabelledSeries:
    """Return the series with its label volume, written beside its pixels unless it is there.

    Where two masks overlap the later annotation keeps the pixel.

    Raises:
        InputError: an annotation has no mask, a mask that cannot be read, or no class of `classes`.
    """
    annotations = [by_image[image.image_id] for image in series.images]
    path = series.path.with_suffix(f".{_key(annotations, classes)}.labels.npy")
    if not path.is_file():
        planes = [
            _plane(image, nodes, series.grid, classes)
            for image, nodes in zip(series.images, annotations, strict=True)
        ]
        save_array(path, np.stack(planes))
    return LabelledSeries(series, path, _nodes(annotations, series.grid, classes))


def _key(annotations: Sequence[Sequence[NodeAnnotation]], classes: NodeClasses) -> str:
    text = repr(
        (
            FORMAT,
            classes,
            [[(a.kind, a.category_id, a.segmentation) for a in nodes] for nodes in annotations],
        )
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plane(
    image: ImageRecord,
    nodes: Sequence[NodeAnnotation],
    grid: ModelGrid,
    classes: NodeClasses,
) -> NDArray[np.uint8]:
    """Return the labels (h, w) of one slice: a pixel belongs to a node that covers half of it."""
    plane = np.zeros(grid.size, dtype=np.uint8)
    x1, y1, x2, y2 = grid.crop
    for node in nodes:
        mask = mask_in(node, image)[y1:y2, x1:x2]
        covered = cv2.resize(
            mask.astype(np.float32),
            (grid.size[1], grid.size[0]),
            interpolation=cv2.INTER_AREA if grid.scale[0] < 1 else cv2.INTER_LINEAR,
        )
        plane[covered >= 0.5] = label_in(node, classes)
    return plane


def mask_in(node: NodeAnnotation, image: ImageRecord) -> NDArray[np.bool_]:
    """Return the mask (H, W) of an annotation.

    Raises:
        InputError: it has none, or one that cannot be read or holds no pixel.
    """
    where = f"annotation {node.annotation_id}"
    if node.segmentation is None:
        raise _without_mask(where)
    shape = image.height, image.width
    try:
        mask = mask_of_runs(node.segmentation, shape)
    except ValueError as error:
        raise unfit_mask(where, shape, error) from None
    if not mask.any():
        raise InputError(
            where,
            expected="a mask with a pixel or more",
            got="an empty one",
            remedy="Draw it, or take the annotation out.",
        )
    return mask


def label_in(node: NodeAnnotation, classes: NodeClasses) -> int:
    """Return the label from 1 of an annotation with a mask.

    Raises:
        InputError: it has no mask, or no class of `classes`.
    """
    where = f"annotation {node.annotation_id}"
    if node.segmentation is None:
        raise _without_mask(where)
    label = label_of(node, classes)
    if label is None:
        raise InputError(
            where,
            expected="the category benign or metastatic",
            got="lymph_node, whose status is not known",
            remedy="Give it a status, or train with --classes one, which asks for none.",
        )
    return label


def _without_mask(where: str) -> InputError:
    return InputError(
        where,
        expected="a mask (segmentation as COCO RLE) for training a segmenter",
        got="a box alone",
        remedy="Draw masks, or train a detector on the boxes.",
    )


def _nodes(
    annotations: Sequence[Sequence[NodeAnnotation]], grid: ModelGrid, classes: NodeClasses
) -> tuple[NodePlace, ...]:
    """Return each node once, by node_id, or each cross-section where there is none."""
    places: dict[object, list[tuple[float, float, float]]] = {}
    labels: dict[object, int] = {}
    for index, nodes in enumerate(annotations):
        boxes = grid.to_model(np.array([n.box_xyxy for n in nodes]).reshape(-1, 4))
        for node, box in zip(nodes, boxes, strict=True):
            key = node.node_id or ("annotation", node.annotation_id)
            centre = (float(index), float(box[1] + box[3]) / 2, float(box[0] + box[2]) / 2)
            places.setdefault(key, []).append(centre)
            labels[key] = label_in(node, classes)
    means = {key: np.mean(points, axis=0) for key, points in places.items()}
    return tuple(
        NodePlace(labels[key], (float(m[0]), float(m[1]), float(m[2]))) for key, m in means.items()
    )
