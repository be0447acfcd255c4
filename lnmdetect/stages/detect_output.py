"""boxes.json as `lnmdetect detect` writes it."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lnmdetect import __version__
from lnmdetect.core.config import STORED_SCORE_MIN
from lnmdetect.core.patient_digests import calibrated_on, chosen_on, trained_on
from lnmdetect.core.precision import InferenceForm
from lnmdetect.core.records import (
    LYMPH_NODE,
    CocoDataset,
    Detections,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.io.bundles import Bundle
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.key_images import lists_images
from lnmdetect.io.pixel_roots import relative_root, scan_root
from lnmdetect.io.pseudonym import load_key, pseudonymise_image
from lnmdetect.io.scan_handle import ScanSource
from lnmdetect.stages.detect_request import DetectRequest


def write_boxes(
    request: DetectRequest,
    source: ScanSource,
    bundle: Bundle,
    pairs: list[tuple[ImageRecord, Detections]],
    *,
    form: InferenceForm,
    failed: int,
) -> CocoDataset:
    """Return what was written to the output of a request.

    Args:
        request: what was asked for.
        source: what was searched.
        bundle: with what.
        pairs: every slice of every sound scan, with what was found on it.
        form: in which the detector answered.
        failed: studies that could not be read.

    Raises:
        OutputError: it exists and `overwrite` is not set, or the disk refuses.
    """
    info = {
        **_info(request, bundle, threshold_of(request, bundle), form),
        "coverage": source.coverage,
        **({} if source.fold is None else {"split": source.fold}),
        "failed_studies": failed,
        "phantom": source.is_phantom,
    }
    dataset = _dataset(info, pairs)
    if request.pseudonymise_uids:
        dataset = with_pseudonymous_uids(dataset)
    write_coco(dataset, request.output, overwrite=request.overwrite)
    return dataset


def threshold_of(request: DetectRequest, bundle: Bundle) -> float:
    """Return the score from which on a box is meant for people."""
    return bundle.threshold.value if request.threshold is None else request.threshold


def _dataset(info: dict[str, Any], pairs: list[tuple[ImageRecord, Detections]]) -> CocoDataset:
    annotations: list[NodeAnnotation] = []
    for image, found in pairs:
        for box, score in zip(found.boxes_xyxy, found.scores, strict=True):
            if score >= STORED_SCORE_MIN:
                x1, y1, x2, y2 = (float(v) for v in box)
                annotations.append(
                    NodeAnnotation(
                        annotation_id=len(annotations) + 1,
                        image_id=image.image_id,
                        category_id=LYMPH_NODE,
                        box_xyxy=(x1, y1, x2, y2),
                        score=float(score),
                    )
                )
    images = tuple(image for image, _ in pairs)
    return CocoDataset(info, images, tuple(annotations))


def _info(
    request: DetectRequest, bundle: Bundle, threshold: float, form: InferenceForm
) -> dict[str, Any]:
    chosen = bundle.threshold if request.threshold is None else None
    quantised = bundle.quantised if form.precision == "int8" else None
    if request.pseudonymise_uids:
        place: dict[str, Any] = {"pseudonymised_uids": True}
    else:
        root = request.named_root or pixel_place(request.scan)
        place = {"scan_root": relative_root(root, request.output)}
    return {
        "description": "Boxes of cervical lymph nodes. Research use only.",
        "lnmdetect_version": __version__,
        "detector": {
            "name": bundle.name,
            "sha256": bundle.sha256,
            "trained_on_phantoms": bundle.is_phantom,
            **asdict(form),
            **({} if quantised is None else {"int8_sha256": dict(quantised.sha256)}),
        },
        "recipe": bundle.recipe.name,
        **place,
        "operating_threshold": threshold,
        "operating_threshold_source": (
            f"bundle {bundle.name}: {chosen.described}" if chosen else "--threshold"
        ),
        **trained_on("detector", bundle.trained_on),
        **chosen_on("operating_threshold", chosen.patients if chosen else None),
        **calibrated_on("detector", quantised.patients if quantised else None),
    }


def pixel_place(scan: Path) -> Path:
    """Return where the pixels of what is searched lie: of a JSON list, what the list names.

    Raises:
        InputError: nothing is there.
    """
    return scan_root(scan, read_coco(scan), None) if lists_images(scan) else scan


def with_pseudonymous_uids(dataset: CocoDataset) -> CocoDataset:
    """Return the data set with keyed uids in place of the scanner's."""
    key = load_key()
    return replace(dataset, images=tuple(pseudonymise_image(i, key) for i in dataset.images))
