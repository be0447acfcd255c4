"""Truth, boxes and nodes files as columns: a million boxes checked in seconds.

What may stand in a file is said once, by the record reader (`coco`, `coco_records`). Here whole
columns are checked at once, and only so far that nothing wrong can pass; a file that is not plainly
sound goes to the record reader, which names the record, or finds the file sound after all.
"""

from pathlib import Path
from typing import Any

from lnmdetect.core.columns import CocoColumns, ImageColumns
from lnmdetect.core.records import CATEGORY_NAMES, CocoDataset, ImageRecord
from lnmdetect.io.coco import (
    categories_of,
    check_info,
    dataset_from_json,
    results_from_json,
)
from lnmdetect.io.coco_columns_images import images_from_json, images_from_records
from lnmdetect.io.coco_columns_nodes import nodes_from_json, nodes_from_records
from lnmdetect.io.column_checks import UnusualError
from lnmdetect.io.json_fields import JsonObject
from lnmdetect.io.json_files import read_json


def read_columns(path: Path, *, truth_images: ImageColumns | None = None) -> CocoColumns:
    """Return a truth, boxes or nodes file as columns.

    Args:
        path: the file.
        truth_images: where given, a bare COCO result list on these images is read too.

    Raises:
        InputError: the file is not JSON, or a record of it cannot be used; names the record.
    """
    data = read_json(path)
    if isinstance(data, list) and truth_images is not None:
        return result_columns(data, path.name, truth_images)
    return columns_from_json(data, path.name)


def columns_from_json(data: Any, name: str) -> CocoColumns:
    """Return the columns of a parsed data set; `name` is the file's, for messages.

    Raises:
        InputError: a record cannot be used.
    """
    try:
        return _plain_columns(data, name)
    except UnusualError:
        return columns_of(dataset_from_json(data, name))


def _plain_columns(data: Any, name: str) -> CocoColumns:
    if type(data) is not dict:
        raise UnusualError
    top = JsonObject(f"{name}:", data)
    info = top.child("info") if top.has("info") else JsonObject(f"{name}: info", {})
    check_info(info)
    images, image_fields = images_from_json(data.get("images"))
    nodes, node_fields = nodes_from_json(
        data.get("annotations"), images=images, categories=categories_of(top)
    )
    return CocoColumns(dict(info.values), images, nodes, image_fields.column, node_fields.column)


def columns_of(dataset: CocoDataset) -> CocoColumns:
    """Return the columns of a data set of records."""
    images, image_fields = images_from_records(dataset.images)
    nodes, node_fields = nodes_from_records(dataset.annotations, images)
    return CocoColumns(dict(dataset.info), images, nodes, image_fields.column, node_fields.column)


def result_columns(data: Any, name: str, images: ImageColumns) -> CocoColumns:
    """Return the boxes of a parsed COCO result list, on images it refers to by id.

    Raises:
        InputError: it is no list of results, or an entry cannot be used.
    """
    same_ids = {key: key for key in CATEGORY_NAMES}
    try:
        nodes, fields = nodes_from_json(data, images=images, categories=same_ids, are_results=True)
    except UnusualError:
        found = results_from_json(data, name, _as_records(images))
        nodes, fields = nodes_from_records(found.annotations, images)
    return CocoColumns({}, images, nodes, _no_column, fields.column)


def _no_column(name: str) -> None:
    """Return that a result list has no fields of its images."""


def _as_records(images: ImageColumns) -> list[ImageRecord]:
    return [
        ImageRecord(
            image_id=int(images.ids[row]),
            file_name=images.file_names[row],
            width=int(images.sizes_px[row, 0]),
            height=int(images.sizes_px[row, 1]),
            patient=images.patients[row],
            series=images.series[row],
            sop_instance_uid=images.sop_instance_uids[row],
            slice_index=0,
            position_mm=0.0,
            spacing_mm=(float(images.spacing_mm[row, 0]), float(images.spacing_mm[row, 1])),
        )
        for row in range(len(images))
    ]
