"""cases.json: which scan each case of a converted data set is, joined by series uid."""

from pathlib import Path
from typing import Any, cast, get_args

from lnmdetect import __version__
from lnmdetect.core.cases import Case, CaseNode, CaseSet, Layout, Part, Values
from lnmdetect.core.records import CATEGORY_IDS, CATEGORY_NAMES
from lnmdetect.io.json_fields import JsonObject
from lnmdetect.io.json_files import read_json, write_json

CASES = "cases.json"
_LARGEST_LABEL = 65535


def write_cases(cases: CaseSet, path: Path, *, overwrite: bool = False) -> None:
    """Write cases.json.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    write_json(cases_to_json(cases), path, overwrite=overwrite)


def cases_to_json(cases: CaseSet) -> dict[str, Any]:
    """Return the cases as data_specs/cases.schema.json has them."""
    return {
        "info": {
            "description": "Which scan each case is. Research use only.",
            "lnmdetect_version": __version__,
            "layout": cases.layout,
            "values": cases.values,
            "classes": list(cases.classes),
            "phantom": cases.is_phantom,
        },
        "cases": [_case_to_json(case) for case in cases.cases],
    }


def _case_to_json(case: Case) -> dict[str, Any]:
    return {
        "case": case.name,
        "patient": case.patient,
        "series": case.series,
        "slices": case.slices,
        "part": case.part,
        "nodes": [_node_to_json(value, node) for value, node in sorted(case.nodes.items())],
    }


def _node_to_json(value: int, node: CaseNode) -> dict[str, Any]:
    return {
        "value": value,
        "node_id": node.node_id,
        "category": CATEGORY_NAMES[node.category_id],
        "kind": node.kind,
        "level": node.level,
        "short_axis_mm": node.short_axis_mm,
        "voxels": node.voxels,
    }


def read_cases(path: Path) -> CaseSet:
    """Return what cases.json says.

    Raises:
        InputError: the file cannot be read, or a record of it cannot be used.
    """
    top = JsonObject.at(f"{path.name}:", read_json(path))
    info = top.child("info")
    cases = tuple(_case(record) for record in top.children("cases"))
    if len({case.name for case in cases}) != len(cases):
        top.refuse("cases", "distinct names", got="a repeated one")
    return CaseSet(
        layout=cast(Layout, _one_of(info, "layout", get_args(Layout))),
        values=cast(Values, _one_of(info, "values", get_args(Values))),
        classes=_classes(info),
        cases=cases,
        is_phantom=info.flag("phantom"),
    )


def _one_of(record: JsonObject, key: str, known: tuple[str, ...]) -> str:
    value = record.text(key)
    if value not in known:
        record.refuse(key, f"one of {', '.join(known)}")
    return value


def _classes(info: JsonObject) -> tuple[str, ...]:
    names = info.values.get("classes")
    if not (isinstance(names, list) and names and all(isinstance(n, str) for n in names)):
        info.refuse("classes", "a list of names")
    return tuple(names)


def _case(record: JsonObject) -> Case:
    nodes = {}
    for one in record.children("nodes") if record.has("nodes") else ():
        value = one.integer("value", at_least=1)
        if value > _LARGEST_LABEL or value in nodes:
            one.refuse("value", f"a number of its own, at most {_LARGEST_LABEL}")
        nodes[value] = _node(one)
    part = _one_of(record, "part", get_args(Part)) if record.has("part") else "train"
    return Case(
        name=record.text("case"),
        patient=record.text("patient"),
        series=record.text("series"),
        slices=record.integer("slices", at_least=1),
        part=cast(Part, part),
        nodes=nodes,
    )


def _node(record: JsonObject) -> CaseNode:
    return CaseNode(
        node_id=record.optional("node_id", record.text),
        category_id=CATEGORY_IDS[_one_of(record, "category", tuple(CATEGORY_IDS))],
        kind=record.optional("kind", record.text),
        level=record.optional("level", record.text),
        short_axis_mm=record.optional("short_axis_mm", record.positive),
        voxels=record.optional("voxels", record.integer),
    )
