"""cases.json: read back as it was written, and what is wrong with it named."""

import json
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.core.cases import Case, CaseNode, CaseSet, case_name
from lnmdetect.core.errors import InputError
from lnmdetect.core.node_classes import TWO
from lnmdetect.io.case_file import cases_to_json, read_cases, write_cases

NODES = {2: CaseNode("n2", 2, "cystic", "IIA", 8.25), 7: CaseNode(None, 3)}
CASES = CaseSet(
    "nndetection",
    "instances",
    TWO,
    (Case(case_name(1), "p-1", "1.2.3", 90, "train", NODES), Case("case_0002", "p-2", "1.2.4", 5)),
    True,
)


def test_cases_come_back_as_they_were(tmp_path: Path) -> None:
    write_cases(CASES, tmp_path / "cases.json")
    assert read_cases(tmp_path / "cases.json") == CASES


def test_a_hand_written_file_needs_no_nodes_and_no_part(tmp_path: Path) -> None:
    case = {"case": "mine", "patient": "p", "series": "1.2", "slices": 3}
    info = {"layout": "nifti", "values": "classes", "classes": ["node"]}
    (tmp_path / "cases.json").write_text(json.dumps({"info": info, "cases": [case]}))
    assert read_cases(tmp_path / "cases.json").cases == (Case("mine", "p", "1.2", 3),)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("info", "layout"), "other", "layout"),
        (("info", "classes"), [], "a list of names"),
        (("cases", 0, "part"), "validate", "part"),
        (("cases", 1, "case"), "case_0001", "distinct names"),
        (("cases", 0, "nodes", 0, "value"), 0, "value"),
        (("cases", 0, "nodes", 1, "value"), 2, "a number of its own"),
        (("cases", 0, "nodes", 0, "category"), "odd", "category"),
        (("cases", 0, "nodes", 0, "short_axis_mm"), -1, "short_axis_mm"),
    ],
)
def test_a_wrong_field_is_named(
    tmp_path: Path, place: tuple[Any, ...], value: Any, message: str
) -> None:
    data = json.loads(json.dumps(cases_to_json(CASES)))
    inner = data
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    (tmp_path / "cases.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        read_cases(tmp_path / "cases.json")
