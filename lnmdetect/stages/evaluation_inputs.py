"""Truth and prediction files, joined slice by slice for scoring; no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.records import BENIGN, METASTATIC, CocoDataset, NodeAnnotation
from lnmdetect.io.coco import ImageJoin, dataset_from_json, join_images, results_from_json
from lnmdetect.io.json_files import read_json, sha256_of_file
from lnmdetect.metrics.end_to_end import BoxClasses
from lnmdetect.metrics.matching import ImageBoxes


@dataclass(frozen=True)
class FileStamp:
    """Which file was read: its name (without folder) and the SHA-256 of its bytes."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Threshold:
    """An operating threshold, None where it is not known, and where it came from."""

    value: float | None
    source: str


@dataclass(frozen=True)
class Predictions:
    """One prediction file beside its truth.

    Attributes:
        images: truth and detections of each truth image, by rising truth id.
        patient: (images,) the place of each image's patient among the patients.
        classes: what the classifier said about the detections of each image.
        on_truth_boxes: the boxes carry no score: truth boxes that were classified.
        classified: some box carries probabilities, or there is no box that could.
        detector_threshold, classifier_threshold: as the file gives them.
        unscored: detections on slices that truth, of key images, does not list.
        missing_images: truth images that the file does not list; no detection is counted there.
        failed_studies: how many studies the file says could not be read.
    """

    stamp: FileStamp
    images: tuple[ImageBoxes, ...]
    patient: NDArray[np.int64]
    classes: tuple[BoxClasses, ...]
    on_truth_boxes: bool
    classified: bool
    detector_threshold: Threshold
    classifier_threshold: Threshold
    unscored: int
    missing_images: int
    failed_studies: int


def read_truth(path: Path) -> tuple[CocoDataset, FileStamp]:
    """Return the truth and which file it came from."""
    data = read_json(path)
    return dataset_from_json(data, path.name), FileStamp(path.name, sha256_of_file(path))


def read_predictions(path: Path, truth: CocoDataset) -> Predictions:
    """Return the predictions of a boxes or nodes file, or of a bare COCO result list.

    Raises:
        InputError: a record cannot be used; the file shares no slice with truth; it has boxes on a
            slice that truth does not list although truth covers all slices; some boxes are scored
            and some are not.
    """
    data = read_json(path)
    if isinstance(data, list):
        found = results_from_json(data, path.name, truth.images)
    else:
        found = dataset_from_json(data, path.name)
    join = join_images(truth.images, found.images)
    _check_overlap(path.name, truth, found, join)
    scored = [a for a in found.annotations if a.image_id in join.first_ids]
    on_truth_boxes = _have_no_scores(path.name, found)
    if on_truth_boxes:
        # The poles of a node, ignored in truth, are classified too; they are no test of anything.
        scored = [a for a in scored if not a.ignored]
    by_truth_id: dict[int, list[NodeAnnotation]] = {i.image_id: [] for i in truth.images}
    for node in scored:
        by_truth_id[join.first_ids[node.image_id]].append(node)
    truth_nodes = truth.by_image()
    return Predictions(
        stamp=FileStamp(path.name, sha256_of_file(path)),
        patient=_patient_places(truth),
        images=tuple(_image_boxes(truth_nodes[k], by_truth_id[k]) for k in sorted(by_truth_id)),
        classes=tuple(_box_classes(by_truth_id[k]) for k in sorted(by_truth_id)),
        on_truth_boxes=on_truth_boxes,
        classified=not scored or any(node.probabilities is not None for node in scored),
        detector_threshold=_detector_threshold(path.name, found.info),
        classifier_threshold=_classifier_threshold(path.name, found.info, scored),
        unscored=sum(a.image_id not in join.first_ids for a in found.annotations),
        missing_images=len(join.only_first),
        failed_studies=int(found.info.get("failed_studies") or 0),
    )


def _patient_places(truth: CocoDataset) -> NDArray[np.int64]:
    """Return (images,), by rising id, the place of each image's patient."""
    places = {name: place for place, name in enumerate(truth.patients())}
    ordered = sorted(truth.images, key=lambda image: image.image_id)
    return np.array([places[image.patient] for image in ordered], dtype=np.int64)


def _detector_threshold(name: str, info: Mapping[str, Any]) -> Threshold:
    value, source = info.get("operating_threshold"), info.get("operating_threshold_source")
    if value is None:
        return Threshold(None, f"{name} gives no info.operating_threshold")
    return Threshold(float(value), f"{name}, from {source}" if source else name)


def _classifier_threshold(
    name: str, info: Mapping[str, Any], scored: Sequence[NodeAnnotation]
) -> Threshold:
    values = {node.threshold for node in scored if node.threshold is not None}
    if not values and info.get("classifier_threshold") is not None:
        values = {float(info["classifier_threshold"])}
    if len(values) == 1:
        source = info.get("classifier_threshold_source")
        return Threshold(values.pop(), f"{name}, from {source}" if source else name)
    got = f"{len(values)} different thresholds" if values else "no threshold of the classifier"
    return Threshold(None, f"{name} gives {got}; each box counts as the category it has")


def _check_overlap(name: str, truth: CocoDataset, found: CocoDataset, join: ImageJoin) -> None:
    if truth.images and not join.first_ids:
        raise InputError(
            f"{name}: images",
            expected="slices that the truth file lists",
            got="none of them, by SOP uid or file name",
            remedy="Evaluate truth and predictions of the same scans.",
        )
    if truth.coverage == "key_images":
        return
    unlisted = {image.image_id for image in join.only_second}
    for index, node in enumerate(found.annotations):
        if node.image_id in unlisted:
            place = [image.image_id for image in found.images].index(node.image_id)
            raise InputError(
                f"{name}: annotations[{index}].image_id",
                expected="a slice that the truth file, which covers all slices, lists",
                got=f"images[{place}] ({found.images[place].join_key}), which it does not list",
                remedy="Evaluate files of the same scans; where truth holds only chosen slices, "
                'let its info say "coverage": "key_images".',
            )


def _have_no_scores(name: str, found: CocoDataset) -> bool:
    """Return whether the boxes are truth boxes: there are some, and none has a score."""
    unscored = [index for index, node in enumerate(found.annotations) if node.score is None]
    if unscored and len(unscored) != len(found.annotations):
        raise InputError(
            f"{name}: annotations[{unscored[0]}].score",
            expected="a score on every box (detections) or on none (truth boxes)",
            got=f"none here, and {len(found.annotations) - len(unscored)} boxes with one",
            remedy="Evaluate detections and truth boxes as two files.",
        )
    return bool(unscored)


def _image_boxes(truth: Sequence[NodeAnnotation], found: Sequence[NodeAnnotation]) -> ImageBoxes:
    return ImageBoxes(
        truth_xyxy=as_boxes([node.box_xyxy for node in truth]),
        truth_ignored=np.array([node.ignored for node in truth], dtype=np.bool_),
        truth_classes=np.array([node.category_id for node in truth], dtype=np.int64),
        boxes_xyxy=as_boxes([node.box_xyxy for node in found]),
        scores=np.array([1.0 if n.score is None else n.score for n in found], dtype=np.float64),
    )


def _box_classes(found: Sequence[NodeAnnotation]) -> BoxClasses:
    said: list[Mapping[str, float]] = [node.probabilities or {} for node in found]
    called = np.array([node.category_id for node in found], dtype=np.int64)
    has_probabilities = np.array([bool(p) for p in said], dtype=np.bool_)
    return BoxClasses(
        classified=has_probabilities & np.isin(called, (BENIGN, METASTATIC)),
        p_benign=np.array([p.get("benign", 0.0) for p in said], dtype=np.float64),
        p_metastatic=np.array([p.get("metastatic", 0.0) for p in said], dtype=np.float64),
        called_metastatic=np.asarray(called == METASTATIC),
    )
