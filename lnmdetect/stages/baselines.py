"""`lnmdetect baselines`: what methods without learning reach on a truth file and its scan.

A data set on which they do well is too easy to say anything about a model; the limits are those
that the phantoms are built to (design, section 7).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.mask_errors import unreadable_mask
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import METASTATIC, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.core.run_lengths import mask_of_runs
from lnmdetect.io.coco import read_coco
from lnmdetect.io.pixel_roots import scan_root
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.metrics.average_precision import ap50
from lnmdetect.metrics.classification import auc_by_ranks
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.logistic import out_of_fold_logits
from lnmdetect.metrics.tables import ImageBoxes
from lnmdetect.models.blobs import Found, blob_boxes, threshold_boxes
from lnmdetect.transforms.body import body_mask

WINDOW_HU = (-100.0, 240.0)
"""From fat up, so that air is no darker than fat and the skin no blob."""
RANGES_HU = ((50.0, 130.0), (80.0, 160.0), (100.0, 200.0), (130.0, 260.0))
"""HU ranges that enhancing nodes may fill; the best of them is reported."""
MEAN_HU, HU_STATISTICS = "mean HU", "mean, sd, min, max HU"
SHORT_AXIS, SHORT_AXIS_SECTIONS = "short axis, node by node", "short axis, box by box"
BLOBS, THRESHOLDS = "bright blobs", "HU threshold, the best of four"
LIMITS = {MEAN_HU: 0.80, HU_STATISTICS: 0.88, SHORT_AXIS: 0.75, BLOBS: 0.30, THRESHOLDS: 0.30}
"""Highest figure allowed on evaluation phantoms (design, section 7).

The short axis belongs to the node, so its limit is held node by node; box by box, large nodes count
once for each of their many slices.
"""


@dataclass(frozen=True)
class BaselineRequest:
    """What to measure on; `scan` None takes the truth's `info.scan_root`."""

    truth: Path
    scan: Path | None = None


@dataclass(frozen=True)
class BaselineResult:
    """AUC of each feature (metastatic against benign) and AP50 of each way to box.

    Attributes:
        cross_sections: that count; `auc` is over them, ranked by the better direction.
    """

    phantom: bool
    slices: int
    cross_sections: int
    auc: Mapping[str, Figure]
    ap50: Mapping[str, Figure]


@dataclass
class _Gathered:
    """Features of the cross-sections and boxes of the slices, collected in one pass."""

    features: list[list[float]] = field(default_factory=list)
    nodes: list[NodeAnnotation] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)
    boxes: dict[str, list[ImageBoxes]] = field(default_factory=dict)


def baselines(request: BaselineRequest, progress: Progress = SILENT) -> BaselineResult:
    """Return what the simple methods reach.

    Raises:
        InputError: the truth or its pixels cannot be used.
    """
    truth = read_coco(request.truth)
    root = scan_root(request.truth, truth, request.scan)
    store = PixelStore(root, png_folder=request.truth.parent)
    gathered = _Gathered()
    for image, nodes in progress.track(
        _slices(truth), description="measuring", total=len(truth.images)
    ):
        _look_at(image, nodes, store.read(image), gathered)
    ranges = [ap50(gathered.boxes[name]) for name in map(_range_name, RANGES_HU)]
    return BaselineResult(
        phantom=truth.is_phantom,
        slices=len(truth.images),
        cross_sections=len(gathered.nodes),
        auc=_aucs(gathered),
        ap50={
            BLOBS: ap50(gathered.boxes[BLOBS]),
            THRESHOLDS: max(ranges, key=lambda figure: figure.value or 0),
        },
    )


def _slices(truth: CocoDataset) -> Iterator[tuple[ImageRecord, list[NodeAnnotation]]]:
    by_image = truth.by_image()
    return ((image, by_image[image.image_id]) for image in truth.images)


def _range_name(range_hu: tuple[float, float]) -> str:
    return f"{range_hu[0]:g} to {range_hu[1]:g} HU"


def _look_at(
    image: ImageRecord, nodes: list[NodeAnnotation], hu: NDArray[np.int16], gathered: _Gathered
) -> None:
    body = body_mask(hu, image.spacing_mm)
    found = {BLOBS: blob_boxes(hu, image.spacing_mm, window_hu=WINDOW_HU, body=body)}
    for range_hu in RANGES_HU:
        found[_range_name(range_hu)] = threshold_boxes(
            hu, image.spacing_mm, range_hu=range_hu, body=body
        )
    for name, boxes in found.items():
        gathered.boxes.setdefault(name, []).append(_against(nodes, boxes))
    for node in nodes:
        if not node.ignored:
            values = hu[node_mask(node, hu.shape)].astype(np.float64)
            statistics = (values.mean(), values.std(), values.min(), values.max())
            gathered.features.append([float(value) for value in statistics])
            gathered.nodes.append(node)
            gathered.patients.append(image.patient)


def node_mask(node: NodeAnnotation, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return (H, W) the pixels of a node: its mask in truth, else the ellipse in its box.

    Raises:
        InputError: the mask's run lengths make none.
    """
    if node.segmentation is not None:
        try:
            return mask_of_runs(node.segmentation, shape)
        except ValueError as error:
            raise unreadable_mask(f"annotation {node.annotation_id}: segmentation", error) from None
    x1, y1, x2, y2 = node.box_xyxy
    y, x = np.ogrid[: shape[0], : shape[1]]
    across = (x + 0.5 - (x1 + x2) / 2) / (x2 - x1)
    down = (y + 0.5 - (y1 + y2) / 2) / (y2 - y1)
    return np.asarray(across**2 + down**2 <= 0.25)


def _against(nodes: list[NodeAnnotation], found: Found) -> ImageBoxes:
    return ImageBoxes(
        truth_xyxy=as_boxes([node.box_xyxy for node in nodes]),
        truth_ignored=np.array([node.ignored for node in nodes], dtype=bool),
        truth_classes=np.array([node.category_id for node in nodes], dtype=np.int64),
        boxes_xyxy=found[0],
        scores=found[1],
    )


def _aucs(gathered: _Gathered) -> dict[str, Figure]:
    metastatic = np.array([node.category_id == METASTATIC for node in gathered.nodes], dtype=bool)
    features = np.asarray(gathered.features, dtype=np.float64).reshape(-1, 4)
    logits = out_of_fold_logits(features, metastatic, gathered.patients)
    return {
        MEAN_HU: _better_way(metastatic, features[:, 0]),
        HU_STATISTICS: auc_by_ranks(metastatic, logits),
        SHORT_AXIS: _short_axis_auc(_one_a_node(gathered)),
        SHORT_AXIS_SECTIONS: _short_axis_auc(gathered.nodes),
    }


def _one_a_node(gathered: _Gathered) -> list[NodeAnnotation]:
    """Return the first cross-section of every node; one without a node id stands for itself."""
    first: dict[object, NodeAnnotation] = {}
    for patient, node in zip(gathered.patients, gathered.nodes, strict=True):
        key = (patient, node.node_id) if node.node_id else node.annotation_id
        first.setdefault(key, node)
    return list(first.values())


def _short_axis_auc(nodes: list[NodeAnnotation]) -> Figure:
    if any(node.short_axis_mm is None for node in nodes):
        return undefined("the truth does not give every node's short axis")
    metastatic = np.array([node.category_id == METASTATIC for node in nodes], dtype=bool)
    return _better_way(metastatic, np.array([node.short_axis_mm for node in nodes], dtype=float))


def _better_way(is_positive: NDArray[np.bool_], ranking: NDArray[np.float64]) -> Figure:
    """Return the AUC of a feature or of its negative, whichever is higher."""
    figures = [auc_by_ranks(is_positive, ranking), auc_by_ranks(is_positive, -ranking)]
    return max(figures, key=lambda figure: figure.value or 0)
