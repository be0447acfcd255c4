"""linked_nodes.json: read, and refused where it cannot be used."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.linked_nodes import LinkedNodes
from lnmdetect.io.linked_nodes_file import (
    linked_to_json,
    node_to_json,
    read_linked_nodes,
    write_linked_nodes,
)

EXAMPLE = Path(__file__).parents[2] / "data_specs" / "linked_nodes.example.json"


def changed(tmp_path: Path, change: Any) -> Path:
    data = copy.deepcopy(json.loads(EXAMPLE.read_text(encoding="utf-8")))
    change(data)
    path = tmp_path / "linked.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_the_example_is_read_and_written_back_as_it_stands() -> None:
    example = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    assert linked_to_json(read_linked_nodes(EXAMPLE)) == example


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["nodes"][0].pop("volume_mm3"), r"nodes\[0\]\.volume_mm3: expected a finite"),
        (lambda d: d["nodes"][0].update(laterality="up"), r"one of right, left, midline"),
        (lambda d: d["nodes"][1].update(sections=[]), r"nodes\[1\]: expected measures that agree"),
        (lambda d: d["nodes"][0].update(short_axis_mm=900.0), "0 < short <= long axis"),
        (
            lambda d: d["nodes"][0]["sections"][0].update(box_xyxy=[5, 5, 4, 9]),
            r"sections\[0\]: expected measures that agree",
        ),
        (lambda d: d["nodes"][0].update(mean_hu=None), "three values in HU, or none"),
        (lambda d: d["nodes"][0]["sections"].reverse(), "rising slices"),
        (
            lambda d: d["nodes"][0]["sections"][0].update(annotation_ids=["x"]),
            r"annotation_ids: expected a list of ids",
        ),
        (lambda d: d.pop("nodes"), "expected linked nodes"),
    ],
)
def test_a_record_that_cannot_be_used_is_named(tmp_path: Path, change: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_linked_nodes(changed(tmp_path, change))


@pytest.mark.parametrize(
    ("short_mm", "suspicious"), [(9.9994, False), (9.9996, True), (10.0, True)]
)
def test_what_is_said_of_the_size_agrees_with_the_axis_that_is_written(
    short_mm: float, suspicious: bool
) -> None:
    node = replace(read_linked_nodes(EXAMPLE).nodes[0], short_axis_mm=short_mm, long_axis_mm=12.0)
    written = node_to_json(node)
    assert written["suspicious_by_size"] is suspicious
    assert (written["short_axis_mm"] >= 10) is suspicious


def test_the_tiniest_node_is_read_back(tmp_path: Path) -> None:
    example = read_linked_nodes(EXAMPLE)
    tiny: Any = {"long_axis_mm": 1e-4, "short_axis_mm": 1e-4, "box_short_axis_mm": 1e-4}
    section = replace(example.nodes[0].sections[0], area_mm2=1e-8, **tiny)
    node = replace(
        example.nodes[0], sections=(section,), volume_mm3=1e-8, extent_mm=(1e-4, 1e-4, 2.0), **tiny
    )
    write_linked_nodes(LinkedNodes({}, (node,)), tmp_path / "linked.json")
    assert read_linked_nodes(tmp_path / "linked.json").nodes[0].volume_mm3 == 0.001
