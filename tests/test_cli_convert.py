"""`lnmdetect convert` as it is typed."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.io.coco import read_coco
from tests.masked_scans import SLICES, sections, write_truth

pytest.importorskip("nibabel")

SUB_COMMANDS = (
    *("to-nnunet", "to-nndetection", "to-nifti"),
    *("from-nifti", "from-nnunet", "from-nndetection", "from-seg", "from-rtstruct"),
)


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    write_truth(tmp_path)
    return CliRunner()


def test_help_lists_the_ways_there_and_back(runner: CliRunner) -> None:
    shown = runner.invoke(app, ["convert", "--help"]).stdout
    for name in SUB_COMMANDS:
        assert f"│ {name} " in shown
        assert runner.invoke(app, ["convert", name, "--help"]).exit_code == 0


@pytest.mark.parametrize(
    ("there", "way_back", "folder"),
    [
        ("to-nnunet", "from-nnunet", "out/Dataset501_LymphNodes"),
        ("to-nndetection", "from-nndetection", "out/Task501_LymphNodes"),
        ("to-nifti", "from-nifti", "out"),
    ],
)
def test_there_and_back(runner: CliRunner, there: str, way_back: str, folder: str) -> None:
    result = runner.invoke(app, ["convert", there, "truth.json", "-o", "out"])
    assert result.exit_code == 0, result.output
    assert f"{folder}: 1 case (0 for testing), 3 nodes" in result.stdout
    line = ["convert", way_back, folder, "--scan", "scan", "-o", "back.json"]
    result = runner.invoke(app, line)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("back.json: 3 nodes in ")
    assert sections(read_coco(Path("back.json"))) == sections(read_coco(Path("truth.json")))
    assert runner.invoke(app, line).exit_code == 5


def test_a_result_goes_to_segments_json_and_json_tells_of_it(runner: CliRunner) -> None:
    runner.invoke(app, ["convert", "to-nifti", "truth.json", "-o", "out", "--no-images"])
    assert not Path("out/images").exists()
    line = ["convert", "from-nifti", "out", "--scan", "truth.json", "--result", "--json"]
    result = runner.invoke(app, line)
    told = json.loads(result.stdout)
    assert (told["output"], told["scans"], told["nodes"]) == ("segments.json", 1, 3)
    assert "lnmdetect eval --nodes segments.json" in result.stderr
    assert {a.score for a in read_coco(Path("segments.json")).annotations} == {1.0}


def test_a_file_or_rule_that_names_the_patient_leaves_no_trace(runner: CliRunner) -> None:
    """The names of the files and rules themselves, beside what stands in headers."""
    runner.invoke(app, ["convert", "to-nifti", "truth.json", "-o", "out"])
    maps = Path("DOE_JANE_1950")
    maps.mkdir()
    Path("out/labels/case_0001.nii.gz").rename(maps / "Doe^Jane.nii.gz")
    Path("scan").rename("scans")
    shutil.make_archive("Doe Jane", "zip", "scans")
    line = ["convert", "from-nifti", str(maps), "--scan", "Doe Jane.zip", "-o", "back.json"]
    rules = ["--class", "doe*=ignore", "--class", "3=metastatic"]
    result = runner.invoke(app, [*line, *rules, "--overwrite", "-v"])
    assert result.exit_code == 0, result.output
    record = json.loads(Path("back.run.json").read_text())
    assert record["config"]["rules"] == [["a name", "ignore"], ["3", "metastatic"]]
    digest = hashlib.sha256((maps / "Doe^Jane.nii.gz").read_bytes()).hexdigest()
    uids = sorted(image.sop_instance_uid for image in read_coco(Path("back.json")).images)
    lines = "".join(f"{uid}\n" for uid in uids)
    assert len(uids) == SLICES
    assert record["inputs"] == {
        "label map": digest,
        "scan": hashlib.sha256(lines.encode()).hexdigest(),
    }
    said = (
        result.output
        + Path("back.run.json").read_text()
        + json.dumps({**json.loads(Path("back.json").read_text()), "info": {}})
    )
    assert "doe" not in said.lower()


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("to-nnunet truth.json -o out --name Lymph_Nodes", 2, "letters and digits only"),
        ("to-nnunet truth.json -o out --id 1000", 2, "--id"),
        ("from-nifti scan --scan scan --class 1=good", 2, "expected NAME=CLASS"),
        ("from-nifti scan --scan scan", 5, "Give --overwrite"),
        ("from-nifti scan --scan scan -o new.json", 3, "expected a label map"),
        ("from-seg truth.json --scan scan -o new.json", 3, "a DICOM Segmentation"),
        ("from-rtstruct truth.json --scan scan -o new.json", 3, "a DICOM RT Structure Set"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    runner: CliRunner, line: str, code: int, said: str
) -> None:
    result = runner.invoke(app, ["convert", *line.split()])
    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())
    assert not Path("new.json").exists()
