"""The `annotations[]` of a COCO file, or a bare result list, as columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnmdetect.core.columns import Flags, ImageColumns, NodeColumns, Numbers, Places, Values
from lnmdetect.core.geometry import Boxes, xywh_to_xyxy
from lnmdetect.core.records import NodeAnnotation
from lnmdetect.io.coco_columns_images import known_column, or_none
from lnmdetect.io.coco_records import ANNOTATION_FIELDS, BOX_STEP_PX, PROBABILITY_SUM_TOLERANCE
from lnmdetect.io.column_checks import (
    OtherFields,
    field,
    objects,
    optional,
    optional_texts,
    positive,
    require,
    required,
    rows,
    shared,
    shares,
    wholes,
)

_ROUNDING = 1e-9
"""Sums are added in another order than record by record: none this near the limit is judged."""
_NOT_COLUMNS = frozenset({"area", "segmentation"})


@dataclass(frozen=True)
class NodeFields:
    """What a file says of its boxes beside `NodeColumns`, by field name."""

    known: Mapping[str, Values]
    other: OtherFields

    def column(self, name: str) -> Values | None:
        """Return one value a row; None where no box has the field."""
        return known_column(self.known, name) or self.other.column(name)


def nodes_from_json(
    values: Any, *, images: ImageColumns, categories: Mapping[int, int], are_results: bool = False
) -> tuple[NodeColumns, NodeFields]:
    """Return the boxes of a parsed `annotations` list.

    Args:
        values: the list.
        images: the file's images, or truth's for a result list.
        categories: the file's category ids to lnmdetect's.
        are_results: a COCO result list, whose entries have a score and no id.

    Raises:
        UnusualError: a record has to be looked at by itself.
    """
    records = objects(values)
    image = _places(wholes(required(records, "image_id")), images.ids)
    sizes_px = images.sizes_px[image]
    score = field(records, "score")
    p_benign, p_metastatic = _probabilities(field(records, "probabilities"))
    optional(field(records, "area"), positive)
    nodes = NodeColumns(
        ids=np.arange(1, len(records) + 1) if are_results else _ids(records),
        image=image,
        category=_categories(records, categories),
        boxes_xyxy=_boxes(rows(required(records, "bbox"), 4), sizes_px),
        score=shares(score) if are_results else optional(score, shares),
        ignored=_flags([record.get("iscrowd", 0) for record in records]),
        node_ids=optional_texts(field(records, "node_id")),
        short_axis_mm=optional(field(records, "short_axis_mm"), positive),
        p_benign=p_benign,
        p_metastatic=p_metastatic,
        threshold=optional(field(records, "threshold"), shares),
        runs=_runs(field(records, "segmentation"), sizes_px),
    )
    other = OtherFields(len(records))
    for row, record in enumerate(records):
        if not record.keys() <= ANNOTATION_FIELDS:
            other.add(row, {k: v for k, v in record.items() if k not in ANNOTATION_FIELDS})
    return nodes, NodeFields(_known(nodes, _own_fields(records)), other)


def _places(image_ids: Places, known_ids: Places) -> Places:
    """Return where in the images each id stands; all are there."""
    order = np.argsort(known_ids)
    at = np.searchsorted(known_ids[order], image_ids)
    require(bool((at < len(order)).all()))
    places = order[at]
    require(bool((known_ids[places] == image_ids).all()))
    return np.asarray(places, dtype=np.int64)


def _ids(records: Sequence[Mapping[str, Any]]) -> Places:
    ids = wholes(required(records, "id"))
    require(len(np.unique(ids)) == len(ids))
    return ids


def _categories(records: Sequence[Mapping[str, Any]], categories: Mapping[int, int]) -> Places:
    ids = wholes(required(records, "category_id")).tolist()
    require(set(ids) <= categories.keys())
    return np.array([categories[category_id] for category_id in ids], dtype=np.int64)


def _flags(values: Sequence[Any]) -> Flags:
    require(set(map(type, values)) <= {int, bool} and set(values) <= {0, 1})
    return np.array(values, dtype=np.bool_)


def _boxes(boxes_xywh: Numbers, sizes_px: Places) -> Boxes:
    """Return xyxy boxes that are on their images, in the way `coco_records` says it."""
    sides = boxes_xywh[:, 2:]
    centres = boxes_xywh[:, :2] + sides / 2
    on_image = (sides >= BOX_STEP_PX) & (sides <= sizes_px) & (centres >= 0) & (centres <= sizes_px)
    require(bool(on_image.all()))
    return xywh_to_xyxy(boxes_xywh)


def _probabilities(values: Sequence[Any]) -> tuple[Numbers, Numbers]:
    """Return P(benign) and P(metastatic), NaN where there are none."""
    benign, metastatic = (np.full(len(values), np.nan) for _ in range(2))
    given = [index for index, value in enumerate(values) if value is not None]
    if not given:
        return benign, metastatic
    said = objects([values[index] for index in given])
    benign[given] = shares(required(said, "benign"))
    metastatic[given] = shares(required(said, "metastatic"))
    every = shares([p for probabilities in said for p in probabilities.values()])
    first = np.concatenate([[0], np.cumsum([len(probabilities) for probabilities in said])[:-1]])
    off = np.abs(np.add.reduceat(every, first) - 1)
    require(bool((off < PROBABILITY_SUM_TOLERANCE - _ROUNDING).all()))
    return benign, metastatic


def _runs(outlines: Sequence[Any], sizes_px: Places) -> Values:
    """Return the run lengths of masks, None for other outlines and where there is none."""
    runs: list[Any] = [None] * len(outlines)
    for row, outline in enumerate(outlines):
        if type(outline) is dict:
            width, height = sizes_px[row].tolist()
            require(outline.get("size") == [height, width])
            runs[row] = outline.get("counts")
            require(isinstance(runs[row], str | list))
    return runs


def _own_fields(records: Sequence[Mapping[str, Any]]) -> dict[str, Values]:
    thickness_mm = optional(field(records, "slice_short_axis_mm"), positive)
    return {
        "slice_short_axis_mm": or_none(thickness_mm),
        "level": optional_texts(field(records, "level")),
        "kind": optional_texts(field(records, "kind")),
    }


def _known(nodes: NodeColumns, own: Mapping[str, Values]) -> dict[str, Values]:
    return {"node_id": nodes.node_ids, **own}


def nodes_from_records(
    records: Sequence[NodeAnnotation], images: ImageColumns
) -> tuple[NodeColumns, NodeFields]:
    """Return the columns of boxes that the record reader has read, on the images of its file."""
    image_ids = np.array([node.image_id for node in records], dtype=np.int64)
    nodes = NodeColumns(
        ids=np.array([node.annotation_id for node in records], dtype=np.int64),
        image=_places(image_ids, images.ids),
        category=np.array([node.category_id for node in records], dtype=np.int64),
        boxes_xyxy=np.array([n.box_xyxy for n in records], dtype=np.float64).reshape(-1, 4),
        score=_or_nan([node.score for node in records]),
        ignored=np.array([node.ignored for node in records], dtype=np.bool_),
        node_ids=shared(node.node_id for node in records),
        short_axis_mm=_or_nan([node.short_axis_mm for node in records]),
        p_benign=_or_nan([(node.probabilities or {}).get("benign") for node in records]),
        p_metastatic=_or_nan([(node.probabilities or {}).get("metastatic") for node in records]),
        threshold=_or_nan([node.threshold for node in records]),
        runs=[None if (rle := node.segmentation) is None else rle["counts"] for node in records],
    )
    other = OtherFields(len(records))
    for row, node in enumerate(records):
        other.add(row, {key: v for key, v in node.extra.items() if key not in _NOT_COLUMNS})
    own = {
        "slice_short_axis_mm": [node.slice_short_axis_mm for node in records],
        "level": shared(node.level for node in records),
        "kind": shared(node.kind for node in records),
    }
    return nodes, NodeFields(_known(nodes, own), other)


def _or_nan(values: Sequence[float | None]) -> Numbers:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
