"""The `images[]` of a COCO file as columns, checked a column at a time."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnmdetect.core.columns import ImageColumns, Values
from lnmdetect.core.records import ImageRecord
from lnmdetect.io.coco_records import BLOCK, BLOCK_FIELDS, IMAGE_FIELDS
from lnmdetect.io.column_checks import (
    OtherFields,
    field,
    numbers,
    objects,
    optional,
    optional_texts,
    positive,
    require,
    required,
    rows,
    shared,
    texts,
    wholes,
)
from lnmdetect.io.json_fields import stays_in_folder

_PLAIN_NAME = re.compile(r"(?:[\w-][\w.#-]*/)*[\w-][\w.#-]*", re.ASCII)
"""File names that need no closer look: no drive, no `..`, no other separator."""
_MAX_SIDE_PX = 1 << 31
"""Up to here a box has its far side beyond its near one also in 64-bit numbers."""
_MAX_SPACING_MM = 100


@dataclass(frozen=True)
class ImageFields:
    """What a file says of its images beside `ImageColumns`, by field name.

    Attributes:
        known: fields of lnmdetect, one value a row.
        other: fields it does not know, of the image or its block; the image's own go first.
    """

    known: Mapping[str, Values]
    other: OtherFields

    def column(self, name: str) -> Values | None:
        """Return one value a row; None where no image has the field."""
        return known_column(self.known, name) or self.other.column(name)


def known_column(known: Mapping[str, Values], name: str) -> Values | None:
    """Return the column of a field of lnmdetect; None where no row has a value."""
    column = known.get(name, ())
    return column if any(value is not None for value in column) else None


def images_from_json(values: Any) -> tuple[ImageColumns, ImageFields]:
    """Return the images of a parsed `images` list.

    Raises:
        UnusualError: a record has to be looked at by itself.
    """
    records = objects(values)
    blocks = objects(required(records, BLOCK))
    names = texts(required(records, "file_name"))
    require(all(_PLAIN_NAME.fullmatch(name) or stays_in_folder(name) for name in names))
    spacing_mm = rows(required(blocks, "spacing_mm"), 2)
    require(bool(((spacing_mm > 0) & (spacing_mm < _MAX_SPACING_MM)).all()))
    uids = [uid or "" for uid in optional_texts(field(blocks, "sop_instance_uid"))]
    series = optional_texts(field(blocks, "series"))
    images = _distinct(
        ImageColumns(
            ids=wholes(required(records, "id")),
            join_keys=_join_keys(uids, names),
            file_names=names,
            sop_instance_uids=uids,
            patients=texts(required(blocks, "patient")),
            series=[own or name for own, name in zip(series, names, strict=True)],
            sizes_px=_sizes(records),
            spacing_mm=spacing_mm,
        )
    )
    other = OtherFields(len(records))
    for row, (record, block) in enumerate(zip(records, blocks, strict=True)):
        if not (record.keys() <= IMAGE_FIELDS and block.keys() <= BLOCK_FIELDS):
            other.add(row, _others(record, block))
    return images, ImageFields(_known(images, _block_fields(blocks)), other)


def _sizes(records: Sequence[Mapping[str, Any]]) -> Any:
    sides = [wholes(required(records, key), at_least=1) for key in ("width", "height")]
    require(all(bool((side < _MAX_SIDE_PX).all()) for side in sides))
    return np.stack(sides, axis=1)


def _join_keys(uids: Sequence[str], names: Sequence[str]) -> list[str]:
    return [uid or name for uid, name in zip(uids, names, strict=True)]


def _distinct(images: ImageColumns) -> ImageColumns:
    require(len(np.unique(images.ids)) == len(images) == len(set(images.join_keys)))
    return images


def _block_fields(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Values]:
    index = optional(field(blocks, "slice_index"), lambda values: wholes(values).astype(float))
    position_mm = optional(field(blocks, "position_mm"), numbers)
    thickness_mm = optional(field(blocks, "thickness_mm"), positive)
    return {
        "slice_index": np.nan_to_num(index).astype(np.int64).tolist(),
        "position_mm": np.nan_to_num(position_mm).tolist(),
        "thickness_mm": or_none(thickness_mm),
    }


def or_none(column: Any) -> Values:
    """Return an array's numbers as a list, None for NaN."""
    return shared(None if value != value else value for value in column.tolist())


def _others(record: Mapping[str, Any], block: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are not lnmdetect's; the image's own before its block's."""
    own = {key: value for key, value in record.items() if key not in IMAGE_FIELDS}
    return {key: value for key, value in block.items() if key not in BLOCK_FIELDS} | own


def _known(images: ImageColumns, block: Mapping[str, Values]) -> dict[str, Values]:
    named: dict[str, Values] = {
        "patient": images.patients,
        "series": images.series,
        "file_name": images.file_names,
        "sop_instance_uid": [uid or None for uid in images.sop_instance_uids],
        "width": images.sizes_px[:, 0].tolist(),
        "height": images.sizes_px[:, 1].tolist(),
    }
    return named | dict(block)


def images_from_records(records: Sequence[ImageRecord]) -> tuple[ImageColumns, ImageFields]:
    """Return the columns of images that the record reader has read."""
    uids = shared(image.sop_instance_uid for image in records)
    names = shared(image.file_name for image in records)
    images = ImageColumns(
        ids=np.array([image.image_id for image in records], dtype=np.int64),
        join_keys=_join_keys(uids, names),
        file_names=names,
        sop_instance_uids=uids,
        patients=shared(image.patient for image in records),
        series=shared(image.series for image in records),
        sizes_px=np.array([(i.width, i.height) for i in records], dtype=np.int64).reshape(-1, 2),
        spacing_mm=np.array([i.spacing_mm for i in records], dtype=np.float64).reshape(-1, 2),
    )
    other = OtherFields(len(records))
    for row, image in enumerate(records):
        other.add(row, _others(image.extra, image.extra.get(BLOCK, {})))
    block: dict[str, Values] = {
        "slice_index": [image.slice_index for image in records],
        "position_mm": [image.position_mm for image in records],
        "thickness_mm": [image.thickness_mm for image in records],
    }
    return images, ImageFields(_known(images, block), other)
