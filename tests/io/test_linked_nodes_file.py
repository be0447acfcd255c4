"""linked_nodes.json: read, and refused where it cannot be used."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.io.linked_nodes_file import linked_to_json, read_linked_nodes

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
