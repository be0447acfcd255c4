"""The part of the page on nodes in 3-D, and the option that names their files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.records import BENIGN, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import write_coco
from lnmdetect.stages.evaluate import full_evaluation
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.nodes import NodesRequest, link_nodes
from lnmdetect.stages.report import ReportRequest, report
from lnmdetect.stages.report_nodes import nodes_section

BOX = (10.0, 10.0, 22.0, 20.0)
IMAGES = tuple(
    ImageRecord(z + 1, f"{z}.dcm", 64, 64, "p", "s", f"1.{z}", z, 2.0 * z, (0.5, 0.5))
    for z in range(4)
)
QUICK = EvalRequest(bootstrap=20)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to a folder with truth.json (a node, 4.5 mm), nodes.json and linked_nodes.json."""
    monkeypatch.chdir(tmp_path)
    plain = [NodeAnnotation(z + 1, z + 1, BENIGN, BOX) for z in range(4)]
    truth = [replace(box, node_id="a", slice_short_axis_mm=4.5) for box in plain]
    found = [replace(box, score=0.9) for box in plain]
    write_coco(CocoDataset({}, IMAGES, tuple(truth)), Path("truth.json"))
    write_coco(CocoDataset({"operating_threshold": 0.5}, IMAGES, tuple(found)), Path("nodes.json"))
    link_nodes(NodesRequest(Path("nodes.json"), boxes_only=True))


def test_the_section_has_the_figures_of_eval() -> None:
    nodes = full_evaluation(QUICK).result.nodes_3d
    assert nodes is not None
    section = nodes_section(nodes)
    assert "without pixels: 1 linked, 1 in truth" in section.text
    linking, axes = section.figures
    assert [row.value for row in linking.rows] == ["1.000", "0.000", "0.000"]
    assert [row.n for row in linking.rows] == ["1", "1", "1"]
    # Sides of 6 and 5 mm.
    assert (axes.rows[0].name, axes.rows[0].value) == ("Plain box: mean error, mm", "0.500")
    assert axes.caption.endswith("of the truth node's largest cross-section")
    assert section.tables[0].rows[-1][0] == "mean"


def test_the_page_names_the_linked_nodes_and_so_does_its_record() -> None:
    asked = replace(QUICK, linked_nodes=(Path("linked_nodes.json"),))
    page = report(ReportRequest(asked)).output.read_text(encoding="utf-8")
    assert page.count("Nodes in 3-D") >= 2
    assert "linked_nodes.json, SHA-256" in page
    assert "Outline: mean error, mm" in page
    inputs = json.loads(Path("report.run.json").read_text())["inputs"]
    assert set(inputs) == {"truth.json", "nodes.json", "linked_nodes.json"}


def test_truth_without_nodes_has_no_such_part() -> None:
    data = json.loads(Path("truth.json").read_text())
    for box in data["annotations"]:
        del box["node_id"]
    Path("truth.json").write_text(json.dumps(data))
    page = report(ReportRequest(QUICK)).output.read_text(encoding="utf-8")
    assert "nodes-3d" not in page


def test_eval_hands_the_option_on_to_report() -> None:
    line = "eval --linked-nodes linked_nodes.json --bootstrap 20"
    told = CliRunner().invoke(app, line.split())
    assert "lnmdetect report --linked-nodes linked_nodes.json" in told.stderr
    line = "report --linked-nodes linked_nodes.json --bootstrap 20"
    assert CliRunner().invoke(app, line.split()).exit_code == 0
