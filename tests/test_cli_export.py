"""`lnmdetect export` as it is typed."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lnmdetect.cli import app
from tests.dicom_results import write_nodes

KINDS = ("sr", "seg", "gsps", "sc", "csv", "coco")


@pytest.fixture
def folder(toy_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_nodes(toy_data, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_explains_itself(kind: str) -> None:
    shown = CliRunner().invoke(app, ["export", kind, "--help"])
    assert shown.exit_code == 0
    assert "--output" in shown.stdout
    assert "--json" in shown.stdout


def test_what_was_written_is_said_and_can_be_read_back(folder: Path) -> None:
    runner = CliRunner()
    shown = runner.invoke(app, ["export", "sr", "nodes.json"])
    assert (shown.exit_code, shown.stdout) == (0, "sr.dcm: 6 findings scored 0.40 or more\n")
    shown = runner.invoke(app, ["export", "coco", "sr.dcm", "-o", "back.json"])
    assert (shown.exit_code, shown.stdout) == (0, "back.json: 6 boxes on 3 slices\n")
    shown = runner.invoke(app, ["export", "csv", "nodes.json", "--json"])
    assert json.loads(shown.stdout)["boxes"] == 6
    assert (folder / "findings.csv").exists()
    record = json.loads((folder / "sr.run.json").read_text())
    assert (record["command"], record["model"]) == (
        "export sr",
        {"tiny": "d" * 64, "small": "c" * 64},
    )


def test_the_next_step_is_the_pacs(folder: Path) -> None:
    shown = CliRunner().invoke(app, ["export", "sr", "nodes.json"])
    said = " ".join(shown.stderr.split())
    assert "Next: lnmdetect pacs push sr.dcm --to HOST:PORT --ae PACS" in said


def test_truth_has_no_threshold_to_tell_of(folder: Path, toy_data: Path) -> None:
    shown = CliRunner().invoke(app, ["export", "csv", str(toy_data / "truth.json")])
    assert re.fullmatch(r"findings.csv: \d+ boxes\n", shown.stdout)


def test_the_record_of_the_file_that_is_read_stays(folder: Path) -> None:
    (folder / "nodes.run.json").write_text("of classify")
    shown = CliRunner().invoke(app, ["export", "csv", "nodes.json", "-o", "nodes.csv"])
    assert shown.exit_code == 0
    assert (folder / "nodes.run.json").read_text() == "of classify"
    record = json.loads((folder / "nodes.csv.run.json").read_text())
    assert record["command"] == "export csv"


def test_objects_of_an_earlier_export_are_told_of(folder: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["export", "sc", "nodes.json"]).exit_code == 0
    (folder / "key_image_7.dcm").touch()
    (folder / "key_image_notes.dcm").touch()
    again = ["export", "sc", "nodes.json", "--slices", "2", "--overwrite"]
    said = " ".join(runner.invoke(app, again).stderr.split())
    assert "2 files of an earlier export beside these: key_image_3.dcm, key_image_7.dcm" in said
    assert "2 of 3 slices with findings shown" in said


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["sr", "absent.json"], 3, "absent.json: expected a file"),
        (["sr", "nodes.json", "--sr", "basic"], 2, "basic"),
        (["sr", "nodes.json", "--scan", "absent"], 3, "--scan: expected"),
        (["seg", "nodes.json"], 3, "with a segmentation"),
        (["coco", "nodes.json", "-o", "back.json"], 3, "expected a DICOM structured report"),
        (["csv", "nodes.json", "-o", "nodes.json"], 2, "--output: expected another file"),
        (["sr", "nodes.json", "-o", "nodes.json", "--overwrite"], 2, "got nodes.json"),
        (["coco", "nodes.json", "-o", "./nodes.json", "--overwrite"], 2, "got nodes.json"),
    ],
)
def test_a_mistake_is_a_sentence(folder: Path, arguments: list[str], code: int, text: str) -> None:
    shown = CliRunner().invoke(app, ["export", *arguments])
    assert shown.exit_code == code, shown.stderr
    assert text in " ".join(shown.stderr.split())
    assert "Traceback" not in shown.stderr
