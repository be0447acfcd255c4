"""`calibrate` as typed: the table, the next step, JSON, and what is refused."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.patient_digests import chosen_on
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.core.thresholds import Threshold
from lnmdetect.io.bundles import Bundle, read_bundle, write_bundle
from lnmdetect.io.coco import write_coco
from lnmdetect.io.recipes import read_recipe


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with truth.json, boxes.json and the detector they come from."""
    import torch

    monkeypatch.chdir(tmp_path)
    recipe = read_recipe("compact", "detector")
    assert isinstance(recipe, DetectorRecipe)
    model = Bundle("m", recipe, Threshold(0.5, "a rule", "nobody"), True, {}, "", tmp_path / "m")
    write_bundle(model, {"a": torch.zeros(1)}, "a card")
    image = ImageRecord(1, "1.2.dcm", 512, 512, "p1", "1", "1.2", 0, 0.0, (0.5, 0.5))
    nodes = tuple(
        NodeAnnotation(k, 1, 3, (40.0 * k, 10, 40.0 * k + 20 + k, 30), score=1 - 0.1 * k)
        for k in (1, 2, 3, 4)
    )
    truth = tuple(replace(node, score=None) for node in nodes[:3])
    write_coco(CocoDataset({"phantom": True}, (image,), truth), tmp_path / "truth.json")
    sha256 = read_bundle(str(tmp_path / "m"), "detector").sha256
    info = {"detector": {"name": "m", "sha256": sha256}}
    write_coco(CocoDataset(info, (image,), nodes), tmp_path / "boxes.json")
    return tmp_path


def run(line: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, shlex.split(line))
    return done.exit_code, done.stdout, done.stderr


def test_it_prints_before_and_after_and_what_comes_next(folder: Path) -> None:
    code, out, err = run("calibrate detector boxes.json --model m -o mine --rule sensitivity=0.6")
    assert code == 0, err
    assert "Calibrated detector, phantom figures" in out
    row = next(line for line in out.splitlines() if "operating threshold" in line)
    assert ("0.5000" in row, "0.8000" in row) == (True, True)
    assert "chosen on 1 patient, 1 image, 3 truth boxes" in out
    assert "measure other patients" in out
    assert "Note: 1 patient decided" in err
    assert "Next: lnmdetect detect scan/ --model mine" in err
    assert read_bundle("mine", "detector").threshold.value == 0.8


def test_with_json_stdout_holds_nothing_else(folder: Path) -> None:
    code, out, _ = run("calibrate detector boxes.json --model m -o mine --json")
    assert code == 0
    result = json.loads(out)
    assert (result["arm"], result["bundle"], result["phantom"]) == ("detector", "mine", True)
    assert result["rule"] == "box sensitivity 0.90 at IoU 0.5"
    first = {"name": "operating threshold", "before": 0.5, "after": pytest.approx(0.7)}
    assert result["changes"][0] == first


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            "detector boxes.json --model m -o mine --rule youden",
            2,
            "--rule: expected of a detector",
        ),
        ("detector boxes.json --model m -o mine --no-temperature", 2, "are of a classifier"),
        ("detector boxes.json --model m -o m", 5, "the folder of the model itself"),
        ("detector boxes.json --model m -o mine --rule fp-per-image=0", 0, ""),
        ("detector truth.json --model m -o mine", 3, "info.detector.sha256"),
        ("classifier boxes.json --model m -o mine", 4, "This is a detector's bundle"),
        ("detector absent.json --model m -o mine", 3, "absent.json"),
        ("detector boxes.json --model m", 2, "--output"),
    ],
)
def test_a_mistake_leaves_with_its_code_and_a_sentence(
    folder: Path, options: str, code: int, message: str
) -> None:
    found, _, err = run(f"calibrate {options}")
    assert found == code
    assert message in " ".join(err.replace("│", " ").split())


def test_eval_refuses_the_patients_the_threshold_was_chosen_on_and_says_so_where_it_may(
    folder: Path,
) -> None:
    run("calibrate detector boxes.json --model m -o mine -q")
    chosen = read_bundle("mine", "detector").threshold.patients
    assert chosen is not None
    boxes = json.loads(Path("boxes.json").read_text())
    boxes["info"] |= {"operating_threshold": 0.7, **chosen_on("operating_threshold", chosen)}
    Path("boxes.json").write_text(json.dumps(boxes))
    code, _, err = run("eval --bootstrap 0")
    assert code == 3
    assert "operating threshold was chosen on 1 patient it is evaluated on" in err
    for line in ("eval --bootstrap 0 --optimistic", "eval --bootstrap 0 --optimistic --json"):
        code, out, _ = run(line)
        assert code == 0
        assert "Optimistic: in boxes.json the operating threshold" in " ".join(out.split())
    code, _, err = run("report --bootstrap 0")
    assert code == 3
    assert "add --optimistic" in err


def test_eval_chooses_a_threshold_on_the_evaluated_file_only_with_optimistic(folder: Path) -> None:
    code, _, err = run("eval --bootstrap 0 --choose-threshold sensitivity=0.6")
    assert code == 2
    assert "--choose-threshold: expected --optimistic beside it" in err
    code, out, _ = run("eval --bootstrap 0 --choose-threshold sensitivity=0.6 --optimistic --json")
    assert code == 0
    assert json.loads(out)["thresholds"]["detector"]["value"] == 0.8
    assert "was chosen on the evaluated file itself" in out
