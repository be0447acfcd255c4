"""COCO images and annotations as records, and back (design, section 5); xywh stays in here.

Fields that lnmdetect does not know are kept in `extra` and written back unchanged. Written boxes
are rounded to 0.001 px, scores and probabilities to 1e-6, lengths in mm to 1e-6.
"""

from collections.abc import Mapping
from typing import Any

from lnmdetect.core.geometry import xywh_to_xyxy, xyxy_to_xywh
from lnmdetect.core.records import ImageRecord, NodeAnnotation
from lnmdetect.io.json_fields import JsonObject, is_number

BLOCK = "lnmdetect"
"""The field of an image that holds what COCO has no name for."""

BOX_STEP_PX = 0.001
"""Boxes are written on this grid; thinner ones are refused."""
PROBABILITY_SUM_TOLERANCE = 1e-3
"""Probabilities are written with six digits, or with the four that other tools write."""
IMAGE_FIELDS = frozenset({"id", "file_name", "width", "height", BLOCK})
BLOCK_FIELDS = frozenset(
    {
        "patient",
        "series",
        "sop_instance_uid",
        "slice_index",
        "position_mm",
        "spacing_mm",
        "thickness_mm",
    }
)
ANNOTATION_FIELDS = frozenset(
    {
        "id",
        "image_id",
        "category_id",
        "bbox",
        "area",
        "iscrowd",
        "score",
        "node_id",
        "short_axis_mm",
        "slice_short_axis_mm",
        "level",
        "kind",
        "segmentation",
        "probabilities",
        "threshold",
    }
)


def image_from_json(record: JsonObject) -> ImageRecord:
    """Return the image of one `images[]` object.

    An image without series (PNG key images) is a scan of its own: the series is its file name,
    slice_index and position_mm are 0.

    Raises:
        InputError: a field is missing, of the wrong type or out of range.
    """
    block = record.child(BLOCK)
    file_name = record.relative_path("file_name")
    row_mm, column_mm = block.numbers("spacing_mm", 2)
    if not (0 < row_mm < 100 and 0 < column_mm < 100):
        block.refuse("spacing_mm", "two lengths in mm, above 0 and below 100")
    extra = record.without(IMAGE_FIELDS)
    if block_extra := block.without(BLOCK_FIELDS):
        extra[BLOCK] = block_extra
    return ImageRecord(
        image_id=record.integer("id"),
        file_name=file_name,
        width=record.integer("width", at_least=1),
        height=record.integer("height", at_least=1),
        patient=block.text("patient"),
        series=block.optional("series", block.text) or file_name,
        sop_instance_uid=block.optional("sop_instance_uid", block.text) or "",
        slice_index=block.optional("slice_index", block.integer) or 0,
        position_mm=block.optional("position_mm", block.number) or 0.0,
        spacing_mm=(row_mm, column_mm),
        thickness_mm=block.optional("thickness_mm", block.positive),
        extra=extra,
    )


def image_to_json(image: ImageRecord) -> dict[str, Any]:
    """Return the `images[]` object of an image."""
    block: dict[str, Any] = {
        "patient": image.patient,
        "series": image.series,
        "sop_instance_uid": image.sop_instance_uid or None,
        "slice_index": image.slice_index,
        "position_mm": round(float(image.position_mm), 6),
        "spacing_mm": [round(float(side), 6) for side in image.spacing_mm],
        "thickness_mm": _rounded(image.thickness_mm),
    }
    extra = dict(image.extra)
    return {
        "id": image.image_id,
        "file_name": image.file_name,
        "width": image.width,
        "height": image.height,
        BLOCK: {**block, **extra.pop(BLOCK, {})},
        **extra,
    }


def annotation_from_json(
    record: JsonObject,
    *,
    images: Mapping[int, ImageRecord],
    categories: Mapping[int, int],
    annotation_id: int | None = None,
) -> NodeAnnotation:
    """Return the node of one `annotations[]` object, or of one entry of a COCO result list.

    Args:
        record: the object.
        images: the file's images by id.
        categories: the file's category ids to lnmdetect's.
        annotation_id: for a result list, whose entries have no id of their own.

    Raises:
        InputError: a field is missing, of the wrong type or out of range.
    """
    image = _image_of(record, images)
    category_id = record.integer("category_id")
    if category_id not in categories:
        record.refuse("category_id", f"one of {sorted(categories)}")
    box_xyxy = _box(record, image)
    extra = record.without(ANNOTATION_FIELDS)
    extra |= _area_and_outline(record, image, box_xyxy)
    return NodeAnnotation(
        annotation_id=record.integer("id") if annotation_id is None else annotation_id,
        image_id=image.image_id,
        category_id=categories[category_id],
        box_xyxy=box_xyxy,
        score=record.optional("score", record.share),
        ignored=record.flag("iscrowd"),
        node_id=record.optional("node_id", record.text),
        short_axis_mm=record.optional("short_axis_mm", record.positive),
        slice_short_axis_mm=record.optional("slice_short_axis_mm", record.positive),
        level=record.optional("level", record.text),
        kind=record.optional("kind", record.text),
        segmentation=None if "segmentation" in extra else record.values.get("segmentation"),
        probabilities=record.optional(
            "probabilities", lambda key: class_probabilities(record, key)
        ),
        threshold=record.optional("threshold", record.share),
        extra=extra,
    )


def _image_of(record: JsonObject, images: Mapping[int, ImageRecord]) -> ImageRecord:
    image_id = record.integer("image_id")
    if image_id not in images:
        record.refuse("image_id", "the id of an image in the file")
    return images[image_id]


def _box(record: JsonObject, image: ImageRecord) -> tuple[float, float, float, float]:
    x, y, width, height = record.numbers("bbox", 4)
    if not (width >= BOX_STEP_PX and height >= BOX_STEP_PX):
        record.refuse(
            "bbox",
            f"[x, y, width, height] with a width and height of {BOX_STEP_PX:g} px or more",
            got=f"width {width:g}, height {height:g}",
        )
    centre_x, centre_y = x + width / 2, y + height / 2
    on_image = 0 <= centre_x <= image.width and 0 <= centre_y <= image.height
    if not (on_image and width <= image.width and height <= image.height):
        record.refuse(
            "bbox",
            f"a box on the {image.width} x {image.height} image",
            got="one larger than it, or with its centre outside it",
        )
    x1, y1, x2, y2 = (float(side) for side in xywh_to_xyxy([(x, y, width, height)])[0])
    if not (x2 > x1 and y2 > y1):
        record.refuse(
            "bbox",
            "a box whose sides differ in 64-bit numbers",
            got="one too far from the corner of the image for its size",
        )
    return x1, y1, x2, y2


def _area_and_outline(
    record: JsonObject, image: ImageRecord, box_xyxy: tuple[float, float, float, float]
) -> dict[str, Any]:
    """Return `area` where it is not the box's, and `segmentation` where it is no RLE."""
    kept: dict[str, Any] = {}
    x1, y1, x2, y2 = box_xyxy
    if record.has("area") and abs(record.positive("area") - (x2 - x1) * (y2 - y1)) > 0.01:
        kept["area"] = record.values["area"]
    outline = record.values.get("segmentation")
    if not isinstance(outline, Mapping):
        if outline is not None:
            kept["segmentation"] = outline
    else:
        size = [image.height, image.width]
        if outline.get("size") != size or not isinstance(outline.get("counts"), str | list):
            record.refuse(
                "segmentation",
                f"an RLE with counts and size {size}, the image's [height, width]",
                got="one of another size, or without counts",
            )
    return kept


def class_probabilities(record: JsonObject, key: str) -> dict[str, float]:
    """Return the probabilities under `key` by class, which sum to 1; InputError for others."""
    inner = record.child(key)
    values = {name: inner.share(name) for name in inner.values}
    if not {"benign", "metastatic"} <= set(values):
        record.refuse(key, "probabilities with benign and metastatic")
    total = sum(values.values())
    if abs(total - 1) >= PROBABILITY_SUM_TOLERANCE:
        record.refuse(key, "probabilities that sum to 1", got=f"a sum of {total:g}")
    return values


def annotation_to_json(annotation: NodeAnnotation) -> dict[str, Any]:
    """Return the `annotations[]` object of a node; fields that are None are left out."""
    x, y, width, height = _rounded_box_xywh(annotation)
    optional: dict[str, Any] = {
        "score": _rounded(annotation.score),
        "node_id": annotation.node_id,
        "short_axis_mm": _rounded(annotation.short_axis_mm),
        "slice_short_axis_mm": _rounded(annotation.slice_short_axis_mm),
        "level": annotation.level,
        "kind": annotation.kind,
        "probabilities": annotation.probabilities
        and {name: round(float(p), 6) for name, p in annotation.probabilities.items()},
        "threshold": _rounded(annotation.threshold),
        "segmentation": annotation.segmentation and dict(annotation.segmentation),
    }
    return {
        "id": annotation.annotation_id,
        "image_id": annotation.image_id,
        "category_id": annotation.category_id,
        "bbox": [x, y, width, height],
        "area": round(width * height, 3),
        "iscrowd": int(annotation.ignored),
        **{key: value for key, value in optional.items() if value is not None},
        **annotation.extra,
    }


def _rounded_box_xywh(annotation: NodeAnnotation) -> tuple[float, float, float, float]:
    """Return the box on the 0.001 px grid; one thinner than a step is made one step thick."""
    x, y, width, height = (float(v) for v in xyxy_to_xywh([annotation.box_xyxy])[0])
    return (
        round(x, 3),
        round(y, 3),
        max(round(width, 3), BOX_STEP_PX),
        max(round(height, 3), BOX_STEP_PX),
    )


def _rounded(value: float | None) -> float | None:
    return round(float(value), 6) if is_number(value) and value is not None else None
