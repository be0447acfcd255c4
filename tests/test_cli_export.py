"""`lnmdetect export` as it is typed."""

import json
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
    record = json.loads((folder / "sr.run.json").read_text())
    assert (record["command"], record["model"]) == (
        "export sr",
        {"tiny": "d" * 64, "small": "c" * 64},
    )


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["sr", "absent.json"], 3, "absent.json: expected a file"),
        (["sr", "nodes.json", "--sr", "basic"], 2, "basic"),
        (["sr", "nodes.json", "--scan", "absent"], 3, "--scan: expected"),
        (["seg", "nodes.json"], 3, "with a segmentation"),
        (["coco", "nodes.json", "-o", "back.json"], 3, "expected a DICOM structured report"),
        (["csv", "nodes.json", "-o", "nodes.json"], 5, "nodes.json: expected a new file"),
    ],
)
def test_a_mistake_is_a_sentence(folder: Path, arguments: list[str], code: int, text: str) -> None:
    shown = CliRunner().invoke(app, ["export", *arguments])
    assert shown.exit_code == code, shown.stderr
    assert text in " ".join(shown.stderr.split())
    assert "Traceback" not in shown.stderr
