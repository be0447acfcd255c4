"""linked_nodes.json, what `nodes` writes and `export` and `eval` read; and the same as CSV."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lnmdetect.core.errors import InputError
from lnmdetect.core.linked_nodes import (
    Laterality,
    LinkedNode,
    LinkedNodes,
    NodeSection,
    OutlineSource,
)
from lnmdetect.io.json_fields import JsonObject, describe
from lnmdetect.io.json_files import atomic_output, read_json, write_json

_SOURCES = ("mask", "hu", "box")
_SIDES = ("right", "left", "midline")
CSV_COLUMNS = (
    *("patient", "series", "node_id", "first_slice", "last_slice", "slices"),
    *("x_mm", "y_mm", "z_mm", "laterality", "short_axis_mm", "long_axis_mm", "box_short_axis_mm"),
    *("extent_x_mm", "extent_y_mm", "extent_z_mm", "volume_mm3"),
    *("mean_hu", "max_hu", "heterogeneity_hu", "score", "p_metastatic", "suspicious_by_size"),
)


def write_linked_nodes(linked: LinkedNodes, path: Path, *, overwrite: bool = False) -> None:
    """Write the nodes as JSON; the same nodes give the same bytes.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    write_json(linked_to_json(linked), path, overwrite=overwrite)


def write_linked_nodes_csv(linked: LinkedNodes, path: Path, *, overwrite: bool = False) -> None:
    """Write the nodes as CSV in UTF-8, a row each; what is not known stays empty.

    Raises:
        OutputError: as `write_linked_nodes`.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(csv_row(node) for node in linked.nodes)
    with atomic_output(path, overwrite=overwrite) as stream:
        stream.write(text.getvalue().encode("utf-8"))


def csv_row(node: LinkedNode) -> dict[str, Any]:
    """Return the row of a node, a value a column."""
    data = node_to_json(node)
    centre = data["centre_mm"] or ("", "", "")
    row = {
        name: "" if data.get(name) is None else data[name] for name in CSV_COLUMNS if name in data
    }
    first, last = node.slice_range
    row |= {"first_slice": first, "last_slice": last, "slices": len(node.sections)}
    row |= dict(zip(("x_mm", "y_mm", "z_mm"), centre, strict=True))
    extents = ("extent_x_mm", "extent_y_mm", "extent_z_mm")
    row |= dict(zip(extents, data["extent_mm"], strict=True))
    return {**row, "suspicious_by_size": int(node.suspicious_by_size)}


def linked_to_json(linked: LinkedNodes) -> dict[str, Any]:
    """Return the nodes as data_specs/linked_nodes.schema.json has them."""
    return {"info": dict(linked.info), "nodes": [node_to_json(node) for node in linked.nodes]}


def node_to_json(node: LinkedNode) -> dict[str, Any]:
    """Return the `nodes[]` object of a node."""
    centre = node.centre_mm
    return {
        "node_id": node.node_id,
        "patient": node.patient,
        "series": node.series,
        "slice_range": list(node.slice_range),
        "centre_mm": None if centre is None else [round(side, 3) for side in centre],
        "centre_px": [round(side, 3) for side in node.centre_px],
        "centre_slice": round(node.centre_slice, 3),
        "laterality": node.laterality,
        "long_axis_mm": _size(node.long_axis_mm),
        "short_axis_mm": _size(node.short_axis_mm),
        "box_short_axis_mm": _size(node.box_short_axis_mm),
        "extent_mm": [_size(side) for side in node.extent_mm],
        "volume_mm3": _size(node.volume_mm3),
        "mean_hu": _rounded(node.mean_hu),
        "max_hu": _rounded(node.max_hu),
        "heterogeneity_hu": _rounded(node.heterogeneity_hu),
        "score": round(node.score, 6),
        "p_metastatic": None if node.p_metastatic is None else round(node.p_metastatic, 6),
        "suspicious_by_size": node.suspicious_by_size,
        "sections": [_section_to_json(section) for section in node.sections],
    }


def _size(value: float) -> float:
    """Return a length, area or volume as it is written: rounded, but never to 0."""
    return max(round(value, 3), 0.001)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _section_to_json(section: NodeSection) -> dict[str, Any]:
    outlined = {} if section.segmentation is None else {"segmentation": dict(section.segmentation)}
    return {
        "sop_instance_uid": section.sop_instance_uid or None,
        "file_name": section.file_name,
        "slice_index": section.slice_index,
        "position_mm": round(section.position_mm, 6),
        "box_xyxy": [round(side, 3) for side in section.box_xyxy],
        "score": round(section.score, 6),
        "annotation_ids": list(section.annotation_ids),
        "p_metastatic": None if section.p_metastatic is None else round(section.p_metastatic, 6),
        "outline": section.outline,
        "long_axis_mm": _size(section.long_axis_mm),
        "short_axis_mm": _size(section.short_axis_mm),
        "area_mm2": _size(section.area_mm2),
        "box_short_axis_mm": _size(section.box_short_axis_mm),
        **outlined,
    }


def read_linked_nodes(path: Path) -> LinkedNodes:
    """Return the nodes of a linked_nodes.json.

    Raises:
        InputError: the file is not JSON, or a record of it cannot be used; names the record.
    """
    data = read_json(path)
    if not isinstance(data, Mapping) or not isinstance(data.get("nodes"), list):
        raise InputError(
            path.name,
            expected="linked nodes (an object with info and nodes)",
            got=describe(data),
            remedy="Give what `lnmdetect nodes` writes.",
        )
    top = JsonObject(f"{path.name}:", data)
    nodes = tuple(_built(record, _node_from_json) for record in top.children("nodes"))
    return LinkedNodes(dict(top.child("info").values), nodes)


def _built(record: JsonObject, build: Any) -> Any:
    """Return `build(record)`, its ValueError as an InputError that names the record."""
    try:
        return build(record)
    except ValueError as error:
        raise InputError(
            record.where,
            expected="measures that agree with each other",
            got=str(error),
            remedy="Link the boxes again with `lnmdetect nodes`.",
        ) from None


def _node_from_json(record: JsonObject) -> LinkedNode:
    centre = record.optional("centre_mm", lambda key: record.numbers(key, 3))
    sections = tuple(_built(part, _section_from_json) for part in record.children("sections"))
    return LinkedNode(
        node_id=record.text("node_id"),
        patient=record.text("patient"),
        series=record.text("series"),
        sections=sections,
        centre_mm=None if centre is None else (centre[0], centre[1], centre[2]),
        centre_px=cast(tuple[float, float], record.numbers("centre_px", 2)),
        centre_slice=record.number("centre_slice"),
        long_axis_mm=record.positive("long_axis_mm"),
        short_axis_mm=record.positive("short_axis_mm"),
        box_short_axis_mm=record.positive("box_short_axis_mm"),
        extent_mm=cast(tuple[float, float, float], record.numbers("extent_mm", 3)),
        volume_mm3=record.positive("volume_mm3"),
        mean_hu=record.optional("mean_hu", record.number),
        max_hu=record.optional("max_hu", record.number),
        heterogeneity_hu=record.optional("heterogeneity_hu", record.number),
        laterality=cast(Laterality | None, record.optional("laterality", _one_of(record, _SIDES))),
        score=record.share("score"),
        p_metastatic=record.optional("p_metastatic", record.share),
    )


def _section_from_json(record: JsonObject) -> NodeSection:
    ids = record.values.get("annotation_ids")
    if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
        record.refuse("annotation_ids", "a list of ids")
    outline = record.child("segmentation").values if record.has("segmentation") else None
    return NodeSection(
        sop_instance_uid=record.optional("sop_instance_uid", record.text) or "",
        file_name=record.relative_path("file_name"),
        slice_index=record.integer("slice_index"),
        position_mm=record.number("position_mm"),
        box_xyxy=cast(tuple[float, float, float, float], record.numbers("box_xyxy", 4)),
        score=record.share("score"),
        annotation_ids=tuple(ids),
        p_metastatic=record.optional("p_metastatic", record.share),
        outline=cast(OutlineSource, _one_of(record, _SOURCES)("outline")),
        long_axis_mm=record.positive("long_axis_mm"),
        short_axis_mm=record.positive("short_axis_mm"),
        area_mm2=record.positive("area_mm2"),
        box_short_axis_mm=record.positive("box_short_axis_mm"),
        segmentation=outline,
    )


def _one_of(record: JsonObject, known: tuple[str, ...]) -> Any:
    def read(key: str) -> str:
        value = record.text(key)
        if value not in known:
            record.refuse(key, f"one of {', '.join(known)}", got="other text")
        return value

    return read
