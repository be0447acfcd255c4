"""The COCO files between the stages: truth.json, boxes.json, nodes.json and bare result lists."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lnmdetect.core.errors import InputError
from lnmdetect.core.patient_digests import SEEN, digests_from_json
from lnmdetect.core.records import (
    CATEGORY_IDS,
    CATEGORY_NAMES,
    SUPERCATEGORY,
    CocoDataset,
    ImageRecord,
)
from lnmdetect.io.coco_records import (
    annotation_from_json,
    annotation_to_json,
    image_from_json,
    image_to_json,
)
from lnmdetect.io.file_kinds import CT_SLICES, require_kind
from lnmdetect.io.json_fields import JsonObject, describe
from lnmdetect.io.json_files import read_json, write_json

_TOP_FIELDS = frozenset({"info", "images", "categories", "annotations"})


def read_coco(path: Path) -> CocoDataset:
    """Return the COCO data set of a truth, boxes or nodes file.

    Categories are known by name: a file that numbers benign, metastatic and lymph_node otherwise
    is read with lnmdetect's ids.

    Raises:
        InputError: the file is not JSON, or a record of it cannot be used; names the record.
    """
    return dataset_from_json(read_json(path), path.name)


def dataset_from_json(data: Any, name: str) -> CocoDataset:
    """Return the data set of parsed JSON; `name` is the file's, for messages."""
    if not isinstance(data, dict):
        raise InputError(
            name,
            expected="a COCO data set (an object with images, categories and annotations)",
            got=describe(data),
            remedy="Give a file written by lnmdetect or laid out as data_specs/ shows.",
        )
    require_kind(data, CT_SLICES, name)
    top = JsonObject(f"{name}:", data)
    info = top.child("info") if top.has("info") else JsonObject(f"{name}: info", {})
    check_info(info)
    images = tuple(image_from_json(record) for record in top.children("images"))
    _check_distinct(top, "images", [image.image_id for image in images], "id")
    _check_distinct(top, "images", [image.join_key for image in images], "slice")
    by_id = {image.image_id: image for image in images}
    categories = categories_of(top)
    annotations = tuple(
        annotation_from_json(record, images=by_id, categories=categories)
        for record in top.children("annotations")
    )
    _check_distinct(top, "annotations", [a.annotation_id for a in annotations], "id")
    return CocoDataset(dict(info.values), images, annotations, top.without(_TOP_FIELDS))


def check_digests(info: JsonObject) -> None:
    """Return nothing where the patients that a model has seen are told soundly; else InputError."""
    for key in SEEN:
        try:
            digests_from_json(info.values.get(key))
        except ValueError as error:
            info.refuse(key, str(error).removeprefix("expected "))


def check_info(info: JsonObject) -> None:
    """Return nothing where the known fields of a file's `info` are sound; else InputError."""
    if info.has("coverage") and info.values["coverage"] not in ("all_slices", "key_images"):
        info.refuse("coverage", "all_slices or key_images")
    if info.has("phantom") and not isinstance(info.values["phantom"], bool):
        info.refuse("phantom", "true or false")
    for key in ("operating_threshold", "classifier_threshold"):
        info.optional(key, info.share)
    info.optional("failed_studies", info.integer)
    for key in ("detector", "classifier"):
        if info.has(key):
            model = info.child(key)
            model.text("name")
            model.optional("temperature", model.positive)
    check_digests(info)
    for key in ("scan_root", "operating_threshold_source", "classifier_threshold_source"):
        info.optional(key, info.text)


def _check_distinct(top: JsonObject, key: str, values: Sequence[object], what: str) -> None:
    first_at: dict[object, int] = {}
    for index, value in enumerate(values):
        first = first_at.setdefault(value, index)
        if first != index:
            raise InputError(
                top.place(f"{key}[{index}]"),
                expected=f"another {what} than {key}[{first}]",
                got="the same",
                remedy=f"Give every entry of {key} its own; one slice is listed once.",
            )


def categories_of(top: JsonObject) -> dict[int, int]:
    """Return the file's category ids to lnmdetect's, by name; InputError for others."""
    ids: dict[int, int] = {}
    for record in top.children("categories"):
        category_id, name = record.integer("id"), record.text("name")
        if name not in CATEGORY_IDS:
            record.refuse("name", f"one of {', '.join(CATEGORY_IDS)}", got="another name")
        if category_id in ids or CATEGORY_IDS[name] in ids.values():
            record.refuse("id", "every category once", got="a repeated one")
        ids[category_id] = CATEGORY_IDS[name]
    return ids


def dataset_to_json(dataset: CocoDataset) -> dict[str, Any]:
    """Return the data set as COCO's JSON object, ready for pycocotools."""
    return {
        "info": dict(dataset.info),
        **dataset.extra,
        "categories": [
            {"id": key, "name": name, "supercategory": SUPERCATEGORY}
            for key, name in CATEGORY_NAMES.items()
        ],
        "images": [image_to_json(image) for image in dataset.images],
        "annotations": [annotation_to_json(node) for node in dataset.annotations],
    }


def write_coco(dataset: CocoDataset, path: Path, *, overwrite: bool = False) -> None:
    """Write the data set; the same data set gives the same bytes.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    write_json(dataset_to_json(dataset), path, overwrite=overwrite)


def read_result_list(path: Path, images: Sequence[ImageRecord]) -> CocoDataset:
    """Return the boxes of a bare COCO result list on the images it refers to by id.

    Raises:
        InputError: the file is no list of results, or an entry cannot be used.
    """
    return results_from_json(read_json(path), path.name, images)


def results_from_json(data: Any, name: str, images: Sequence[ImageRecord]) -> CocoDataset:
    """Return the data set of a parsed result list; `name` is the file's, for messages."""
    if not isinstance(data, list):
        raise InputError(
            name,
            expected="a list of results with image_id, category_id, bbox and score",
            got=describe(data),
            remedy="Give the list that COCO evaluation tools write.",
        )
    by_id = {image.image_id: image for image in images}
    same_ids = {key: key for key in CATEGORY_NAMES}
    records = [JsonObject.at(f"{name}: [{index}]", item) for index, item in enumerate(data)]
    for record in records:
        record.share("score")
    annotations = tuple(
        annotation_from_json(record, images=by_id, categories=same_ids, annotation_id=index)
        for index, record in enumerate(records, start=1)
    )
    return CocoDataset({}, tuple(images), annotations)
