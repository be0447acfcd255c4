"""A folder of `explain` within the report."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.errors import InputError
from lnmdetect.io.explain_folder import read_explained
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.evaluation_result import EvalInfo
from lnmdetect.stages.report import ReportRequest, report
from lnmdetect.stages.report_explained import explained_section

SPECS = Path(__file__).parents[2] / "data_specs"
REQUEST = EvalRequest(
    (SPECS / "truth.example.json",), nodes=(SPECS / "nodes.example.json",), bootstrap=20
)
OTHER_FILE = "The heat is of the boxes of another file than those scored on this page."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example of explain.json, with two pictures 2,000 px wide."""
    made = tmp_path / "explain"
    made.mkdir()
    shutil.copy(SPECS / "explain.example.json", made / "explain.json")
    rng = np.random.default_rng(0)
    for name in ("box-00111.png", "box-00147.png"):
        grey = rng.integers(0, 255, (800, 2000), dtype=np.uint8)
        Image.fromarray(grey).save(made / name)
    return made


@pytest.fixture(scope="module")
def info() -> EvalInfo:
    return evaluate(REQUEST).info


def change(folder: Path, **changes: object) -> None:
    path = folder / "explain.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, **changes}))


def test_the_section_has_both_checks_their_sentences_and_the_pictures(
    folder: Path, info: EvalInfo
) -> None:
    section = explained_section(folder, info)
    stored = json.loads((folder / "explain.json").read_text())
    rows = {row.name: row for row in section.figures[0].rows}
    assert rows["Share of the heat inside the node"].value == "0.425"
    assert rows["Share of the heat inside the node"].interval == "0.025 to 0.951"
    assert rows["Hottest above elsewhere"].n == "5"
    assert section.notes[: len(stored["findings"])] == tuple(stored["findings"])
    assert len(section.pictures) == 2
    assert all(picture.uri.startswith("data:image/webp;") for picture in section.pictures)


def test_wrong_and_right_calls_take_turns_the_surest_of_each_first(folder: Path) -> None:
    stored = json.loads((folder / "explain.json").read_text())
    for number, (answer, right) in enumerate(
        [(0.6, True), (0.7, True), (0.8, True), (0.9, False), (0.95, False)]
    ):
        stored["boxes"][number] |= {"answer": answer, "right": right, "picture": f"{number}.png"}
    change(folder, boxes=stored["boxes"])
    assert read_explained(folder).pictures == ("4.png", "2.png", "3.png", "1.png", "0.png")


def test_heat_of_another_file_is_told(folder: Path, info: EvalInfo) -> None:
    assert OTHER_FILE in explained_section(folder, info).notes
    stored = json.loads((folder / "explain.json").read_text())
    digest = sha256_of_file(SPECS / "nodes.example.json")
    change(folder, info={**stored["info"], "nodes": {"file": "nodes.json", "sha256": digest}})
    assert OTHER_FILE not in explained_section(folder, info).notes


def test_an_undefined_check_keeps_its_reason(folder: Path, info: EvalInfo) -> None:
    stored = json.loads((folder / "explain.json").read_text())
    none = {"value": None, "reason": "no box"}
    change(folder, checks={**stored["checks"], "share_inside": none})
    row = explained_section(folder, info).figures[0].rows[0]
    assert (row.value, row.reason) == ("undefined", "no box")


def test_what_cannot_be_used_is_named(folder: Path, info: EvalInfo) -> None:
    (folder / "box-00111.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"expected the picture box-00111\.png beside it"):
        explained_section(folder, info)
    change(folder, findings="one")
    with pytest.raises(InputError, match="findings: expected a list of sentences"):
        explained_section(folder, info)
    (folder / "explain.json").unlink()
    with pytest.raises(InputError, match=r"explain.json: expected a JSON file"):
        explained_section(folder, info)


def test_a_picture_outside_of_the_folder_is_not_read(folder: Path, info: EvalInfo) -> None:
    stored = json.loads((folder / "explain.json").read_text())
    change(folder, boxes=[{**stored["boxes"][0], "picture": "../secret.png"}])
    with pytest.raises(InputError, match="a path inside the file's own folder"):
        explained_section(folder, info)


def test_the_page_has_the_section_and_a_link_to_it(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    report(ReportRequest(REQUEST, explained=folder, output=output))
    page = output.read_text(encoding="utf-8")
    assert '<a href="#explained">Where the model looks</a>' in page
    assert page.count('<img class="wide" src="data:image/webp;base64,') == 2
    assert "The heat is not shown to lie inside the nodes" in page


def test_the_option_is_explain(folder: Path, tmp_path: Path) -> None:
    words = ["report", "--truth", *map(str, REQUEST.truth), "--nodes", *map(str, REQUEST.nodes)]
    options = ["--explain", str(folder), "--bootstrap", "0", "-o", str(tmp_path / "page.html")]
    done = CliRunner().invoke(app, [*words, *options])
    assert done.exit_code == 0, done.output
    assert 'id="explained"' in (tmp_path / "page.html").read_text(encoding="utf-8")
