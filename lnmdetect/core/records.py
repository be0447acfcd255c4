"""The values that pass between modules; frozen, and valid once built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.geometry import Boxes, as_boxes

Coverage = Literal["all_slices", "key_images"]

CATEGORY_NAMES: Mapping[int, str] = {1: "benign", 2: "metastatic", 3: "lymph_node"}
"""COCO category ids of every file lnmdetect writes (design, section 5)."""
CATEGORY_IDS: Mapping[str, int] = {name: key for key, name in CATEGORY_NAMES.items()}
BENIGN, METASTATIC, LYMPH_NODE = 1, 2, 3
NOT_A_NODE = "not_a_node"
SUPERCATEGORY = "lymph_node"

MIN_TRUTH_SIDE_MM = 3.0
"""Cross-sections with a shorter box side are neither hit nor miss (design, section 5)."""
SPACING_TOLERANCE = 0.01
"""Share by which two spacings of one scan may differ: rounding in headers and files."""


def _require(condition: bool, where: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{where}: expected {expected}, got {got}")


def spacings_agree(first_mm: Sequence[float], second_mm: Sequence[float]) -> bool:
    """Return whether two spacings, axis by axis, are the same but for rounding."""
    return bool(np.allclose(first_mm, second_mm, rtol=SPACING_TOLERANCE, atol=0))


@dataclass(frozen=True)
class ImageRecord:
    """One axial slice, as the files between the stages describe it.

    Attributes:
        image_id: COCO id within its file, from 1.
        file_name: `<SOP instance uid>.dcm`, or a path relative to the JSON for PNG.
        width, height: px.
        patient: keyed pseudonym, never an identifier from the header.
        series: series instance uid, or any name shared by the images of one scan.
        sop_instance_uid: of the slice; for a frame of a multi-frame object `<uid>#<frame from 1>`.
        slice_index: place in the scan, from 0, in the order of `position_mm`.
        position_mm: position along the slice normal.
        spacing_mm: (row, column) pixel spacing.
        thickness_mm: nominal slice thickness, None where the file does not say.
    """

    image_id: int
    file_name: str
    width: int
    height: int
    patient: str
    series: str
    sop_instance_uid: str
    slice_index: int
    position_mm: float
    spacing_mm: tuple[float, float]
    thickness_mm: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = f"image {self.image_id}"
        _require(
            self.width > 0 and self.height > 0, name, "a positive size", (self.width, self.height)
        )
        _require(len(self.spacing_mm) == 2, name, "spacing_mm as [row, column]", self.spacing_mm)
        _require(
            all(0 < s < 100 for s in self.spacing_mm),
            name,
            "spacing in mm above 0",
            self.spacing_mm,
        )
        _require(
            bool(np.isfinite(self.position_mm)), name, "a finite position_mm", self.position_mm
        )

    def with_id(self, image_id: int) -> "ImageRecord":
        """Return the same slice under another COCO id."""
        return replace(self, image_id=image_id)

    @property
    def join_key(self) -> str:
        """The key by which files are joined: the SOP uid, else the file name (never the id)."""
        return self.sop_instance_uid or self.file_name


@dataclass(frozen=True)
class NodeAnnotation:
    """One node cross-section: truth, a detection, or a classified detection.

    Attributes:
        box_xyxy: (x1, y1, x2, y2) px, far edge exclusive.
        score: the detector's, in [0, 1]; None for truth.
        ignored: COCO's `iscrowd`: neither hit nor miss when scored.
        short_axis_mm: of the node in 3-D; slice_short_axis_mm: of this cross-section.
        segmentation: COCO RLE (`{"size": [height, width], "counts": str}`).
        probabilities: class name to probability, summing to 1.
        threshold: the classifier's operating threshold on P(metastatic) used for the category.
    """

    annotation_id: int
    image_id: int
    category_id: int
    box_xyxy: tuple[float, float, float, float]
    score: float | None = None
    ignored: bool = False
    node_id: str | None = None
    short_axis_mm: float | None = None
    slice_short_axis_mm: float | None = None
    level: str | None = None
    kind: str | None = None
    segmentation: Mapping[str, Any] | None = None
    probabilities: Mapping[str, float] | None = None
    threshold: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = f"annotation {self.annotation_id}"
        try:
            as_boxes([self.box_xyxy])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        _require(
            self.category_id in CATEGORY_NAMES,
            name,
            f"a category of {dict(CATEGORY_NAMES)}",
            self.category_id,
        )
        if self.score is not None:
            _require(0 <= self.score <= 1, name, "a score in [0, 1]", self.score)
        for axis_mm in (self.short_axis_mm, self.slice_short_axis_mm):
            if axis_mm is not None:
                _require(0 < axis_mm < np.inf, name, "a short axis in mm above 0", axis_mm)
        if self.threshold is not None:
            _require(0 <= self.threshold <= 1, name, "a threshold in [0, 1]", self.threshold)
        if self.probabilities is not None:
            values = list(self.probabilities.values())
            _require(all(0 <= p <= 1 for p in values), name, "probabilities in [0, 1]", values)
            total = sum(values)
            _require(abs(total - 1) < 1e-3, name, "probabilities that sum to 1", total)


@dataclass(frozen=True)
class CocoDataset:
    """A truth, boxes or nodes file in memory.

    Attributes:
        info: the file's `info` object (version, model, recipe, scan_root, phantom, coverage, ...).
        extra: other top-level fields (as `licenses`), written back as they were read.
    """

    info: Mapping[str, Any]
    images: tuple[ImageRecord, ...]
    annotations: tuple[NodeAnnotation, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids = [image.image_id for image in self.images]
        _require(len(set(ids)) == len(ids), "images", "distinct ids", "a repeated id")
        keys = [image.join_key for image in self.images]
        _require(
            len(set(keys)) == len(keys),
            "images",
            "distinct SOP uids or file names",
            "a repeated one",
        )
        numbers = [annotation.annotation_id for annotation in self.annotations]
        _require(len(set(numbers)) == len(numbers), "annotations", "distinct ids", "a repeated id")
        known = set(ids)
        for annotation in self.annotations:
            _require(
                annotation.image_id in known,
                f"annotation {annotation.annotation_id}",
                "an image_id listed in images",
                annotation.image_id,
            )

    @property
    def coverage(self) -> Coverage:
        """Whether every slice of a scan is listed, or only key images."""
        return "key_images" if self.info.get("coverage") == "key_images" else "all_slices"

    @property
    def is_phantom(self) -> bool:
        """Whether the pixels are synthetic."""
        return bool(self.info.get("phantom", False))

    def by_image(self) -> dict[int, list[NodeAnnotation]]:
        """Return the annotations of every image, an empty list for images without any."""
        grouped: dict[int, list[NodeAnnotation]] = {image.image_id: [] for image in self.images}
        for annotation in self.annotations:
            grouped[annotation.image_id].append(annotation)
        return grouped

    def patients(self) -> tuple[str, ...]:
        """Return the distinct patients in order of first appearance."""
        return tuple(dict.fromkeys(image.patient for image in self.images))

    def select_patients(self, patients: set[str]) -> "CocoDataset":
        """Return the part of the data set that belongs to `patients`."""
        images = tuple(image for image in self.images if image.patient in patients)
        kept = {image.image_id for image in images}
        annotations = tuple(a for a in self.annotations if a.image_id in kept)
        return replace(self, images=images, annotations=annotations)


@dataclass(frozen=True)
class Scan:
    """One series, slices ordered by position along their normal.

    Attributes:
        voxels_hu: (D, H, W) int16, Hounsfield units.
        spacing_mm: (z, row, column); z is the mean step between slices.
        images: D records, in the order of the voxels, of the same size and spacing.
    """

    voxels_hu: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]
    images: tuple[ImageRecord, ...]

    def __post_init__(self) -> None:
        _require(self.voxels_hu.ndim == 3, "scan", "voxels (D, H, W)", self.voxels_hu.shape)
        _require(self.voxels_hu.dtype == np.int16, "scan", "int16 HU", self.voxels_hu.dtype)
        _require(
            len(self.images) == len(self.voxels_hu), "scan", "one image a slice", len(self.images)
        )
        _require(
            all(s > 0 for s in self.spacing_mm), "scan", "spacing in mm above 0", self.spacing_mm
        )
        positions = [image.position_mm for image in self.images]
        _require(
            bool(np.all(np.diff(positions) > 0)), "scan", "rising positions", "unordered slices"
        )
        self._require_fitting_images()

    def _require_fitting_images(self) -> None:
        """Hold the voxels' size and spacing against what the images say."""
        rows, columns = self.voxels_hu.shape[1:]
        for image in self.images:
            size = (image.height, image.width)
            _require(size == (rows, columns), "scan", f"images of {rows} x {columns} px", size)
            _require(
                spacings_agree(image.spacing_mm, self.spacing_mm[1:]),
                "scan",
                f"images with a spacing of {self.spacing_mm[1:]} mm",
                image.spacing_mm,
            )
        if len(self.images) > 1:
            travel_mm = self.images[-1].position_mm - self.images[0].position_mm
            step_mm = travel_mm / (len(self.images) - 1)
            _require(
                spacings_agree([step_mm], self.spacing_mm[:1]),
                "scan",
                f"slices every {self.spacing_mm[0]} mm",
                step_mm,
            )


@dataclass(frozen=True)
class Detections:
    """Boxes found on one image, best first.

    Attributes:
        boxes_xyxy: (N, 4) px of the original image.
        scores: (N,) in [0, 1].
    """

    boxes_xyxy: Boxes
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        as_boxes(self.boxes_xyxy)
        _require(
            self.boxes_xyxy.shape == (len(self.scores), 4),
            "detections",
            "boxes (N, 4)",
            self.boxes_xyxy.shape,
        )
        _require(
            bool(np.all((self.scores >= 0) & (self.scores <= 1))),
            "detections",
            "scores in [0, 1]",
            "others",
        )

    def __len__(self) -> int:
        return len(self.scores)
