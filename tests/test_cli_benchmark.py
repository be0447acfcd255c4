"""`lnmdetect benchmark` on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from lnmdetect.cli import app

Run = Callable[..., tuple[int, str, str]]
BLOWN = {"learning_rate": 1e30, "name": "sgd", "gradient_clip": None, "steps_an_epoch": 9}
RECIPE = {
    "name": "tiny",
    "title": "A tiny table",
    "source": "a test",
    "arm": "classifier",
    "overrides": {
        "input": {"slice_offsets_mm": [0.0], "windows_hu": [[-160, 240]]},
        "optimiser": {"steps_an_epoch": 2, "batch_size": 4},
        "validation_share": 0.34,
    },
    "split": {"test_share": 0.4},
    "rows": [
        {"name": "broken", "label": "Broken", "overrides": {"optimiser": BLOWN}},
        {"name": "sound", "label": "Sound", "published": {"auc": 0.9}},
    ],
}


@pytest.fixture
def run(toy_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs the tiny benchmark with more words; exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    small = ["--width=0.125", "--size=32", "--epochs=1", "--device=cpu", "--bootstrap=20"]

    def call(*words: str) -> tuple[int, str, str]:
        data = str(toy_data / "truth.json")
        fixed = ["benchmark", "tiny.yaml", "--data", data, "-o", "out", *small]
        found = CliRunner().invoke(app, [*fixed, *words])
        return found.exit_code, found.stdout, found.stderr

    return call


def test_a_table_is_printed_and_the_next_step_named(run: Run) -> None:
    code, out, err = run("--only", "sound")
    assert code == 0, err
    assert "A tiny table, phantom figures: 2 test patients, 12 images" in out
    assert "published" in out
    assert "data)" in out
    assert "AUC 0.900" in out
    assert "Phantom figures: all scans are synthetic." in out
    assert "sound (1 of 1): training" in err
    assert "out/table.md" in err
    assert "Next: lnmdetect classify boxes.json --model out/rows/sound/bundle" in err


def test_a_failed_row_leaves_code_6_and_its_sentence_and_the_others(run: Run) -> None:
    code, out, err = run("--json")
    assert code == 6
    assert "broken failed. training step" in err
    assert "Run the benchmark again once that is mended; finished rows are kept." in err
    data = json.loads(out)
    assert [row["status"] for row in data["rows"]] == ["failed", "done"]


def test_crops_too_small_for_a_row_are_refused_before_any_is_trained(run: Run) -> None:
    text = Path("tiny.yaml").read_text()
    Path("tiny.yaml").write_text(
        text.replace("label: Sound", "label: Sound\n  overrides: {model: {backbone: inceptionv3}}")
    )
    code, _, err = run("--json")
    assert code == 2
    assert "75 or more for inceptionv3" in err
    assert not Path("out/rows").exists()


def test_the_list_names_benchmarks_and_rows() -> None:
    found = CliRunner().invoke(app, ["benchmark", "--list", "--json"])
    assert found.exit_code == 0
    listed = json.loads(found.stdout)
    assert listed["wang2023-table4"] == ["resnet50", "a-resnet50", "resnet50-w", "a-resnet50-w"]
    shown = CliRunner().invoke(app, ["benchmark", "--list"]).stdout
    assert "Lee 2019, table 1" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "no RECIPE and no --data and no -o"),
        ("wang2023-table4 -o out", "no --data"),
        ("table7 --data t.json -o out", "lee2019-table1, wang2023-fig8"),
        ("wang2023-table4 --data t.json -o out --only vgg", "resnet50, a-resnet50"),
        ("wang2023-table4 --data t.json -o out --width 9", "--width"),
        ("wang2023-table4 --data t.json -o out --folds 1", "2 or more"),
    ],
)
def test_what_is_lacking_or_unknown_is_wrong_usage(words: str, told: str) -> None:
    found = CliRunner().invoke(app, ["benchmark", *words.split()])
    assert found.exit_code == 2
    assert told in found.stderr
