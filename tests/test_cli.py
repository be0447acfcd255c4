"""The command line: what it prints where, and the code it leaves with."""

import errno
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.table import Table
from typer.testing import CliRunner

from lnmdetect import __version__
from lnmdetect.cli import app
from lnmdetect.cli_console import Talk, complain
from lnmdetect.core.errors import (
    InputError,
    LnmDetectError,
    ModelError,
    OutputError,
    PartialBatchError,
    UsageError,
)
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import write_coco

COMMANDS = (
    "doctor",
    "detect",
    "classify",
    "eval",
    "run",
    "cohort",
    "nodes",
    "overlay",
    "explain",
    "segment",
    "fuse",
    "export",
    "convert",
    "split",
    "train",
    "calibrate",
    "benchmark",
    "speed",
    "phantom",
    "anchors",
    "pacs",
    "baselines",
    "models",
)


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    image = ImageRecord(1, "1.2.3.dcm", 512, 512, "p1", "1.2", "1.2.3", 0, 0.0, (0.5, 0.5))
    nodes = tuple(
        NodeAnnotation(k, 1, 1 + k % 2, (100, 100, 110 + 4 * k, 112 + 4 * k), node_id=f"n{k}")
        for k in range(1, 6)
    )
    path = tmp_path / "truth.json"
    write_coco(CocoDataset({"phantom": True}, (image,), nodes), path)
    return path


def raising(error: BaseException) -> object:
    def stage(request: object, *_: object) -> None:
        raise error

    return stage


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_help_lists_every_command_and_the_exit_codes(runner: CliRunner) -> None:
    shown = one_line(runner.invoke(app, ["--help"]).stdout)
    for command in COMMANDS:
        assert f"│ {command} " in shown
    assert "3 bad input" in shown
    assert "130 interrupted" in shown
    assert "not a medical device" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(runner: CliRunner, command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"lnmdetect {command}" in result.stdout or "Usage" in result.stdout


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("detect", "[default: boxes.json]"),
        ("classify", "[default: nodes.json]"),
        ("segment", "[default: segments.json]"),
        ("fuse", "[default: fused.json]"),
        ("overlay", "by default contact_sheet.png, or rows.png"),
    ],
)
def test_help_says_where_the_output_goes(runner: CliRunner, command: str, output: str) -> None:
    shown = runner.invoke(app, [command, "--help"]).stdout
    assert output in one_line(shown.replace("│", " "))


def test_models_says_when_there_is_none(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lnmdetect.stages.models.installed_models", tuple)
    assert "No bundle is installed." in runner.invoke(app, ["models"]).stdout


def test_the_version_is_the_packages(runner: CliRunner) -> None:
    assert runner.invoke(app, ["--version"]).stdout == f"lnmdetect {__version__}\n"


@pytest.mark.parametrize("command", ["train detector --data t.json", "phantom ct"])
def test_a_negative_seed_is_wrong_usage(runner: CliRunner, command: str) -> None:
    result = runner.invoke(app, [*command.split(), "-o", "run", "--seed", "-1"])
    assert result.exit_code == 2
    assert "--seed" in result.stderr


def test_an_unknown_option_is_wrong_usage(runner: CliRunner) -> None:
    result = runner.invoke(app, ["eval", "--ap05"])
    assert result.exit_code == 2
    assert "ap05" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("kind", "code"),
    [(UsageError, 2), (InputError, 3), (ModelError, 4), (OutputError, 5), (PartialBatchError, 6)],
)
def test_an_error_of_ours_is_one_sentence_on_stderr_and_its_code(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, kind: type[LnmDetectError], code: int
) -> None:
    error = kind("x", expected="this", got="that", remedy="Do so.")
    monkeypatch.setattr("lnmdetect.stages.anchors.fit_anchors_stage", raising(error))
    result = runner.invoke(app, ["anchors", "truth.json"])
    assert result.exit_code == code
    assert result.stderr == "x: expected this, got that. Do so.\n"
    assert result.stdout == ""


def test_ctrl_c_leaves_with_130_and_a_sentence(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lnmdetect.stages.anchors.fit_anchors_stage", raising(KeyboardInterrupt()))
    result = runner.invoke(app, ["anchors", "truth.json"])
    assert result.exit_code == 130
    assert result.stderr.startswith("Interrupted")


def test_ctrl_c_while_phantoms_are_made_says_what_is_left(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lnmdetect.stages.phantom.make_ct_phantoms", raising(KeyboardInterrupt()))
    result = runner.invoke(app, ["phantom", "ct", "-o", "out"])
    assert result.exit_code == 130
    assert result.stderr == (
        "Interrupted: out is incomplete, scans without out/truth.json. "
        "Run again with --overwrite to replace it.\n"
    )


def test_a_full_disk_is_a_sentence_without_the_files_name(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/data/DOE^JANE/1.dcm")
    monkeypatch.setattr("lnmdetect.stages.anchors.fit_anchors_stage", raising(full))
    result = runner.invoke(app, ["anchors", "truth.json"])
    assert result.exit_code == 5
    assert result.stderr.startswith("The disk refused: No space left on device.")
    assert "DOE" not in result.stderr


@pytest.mark.parametrize("verbose", [False, True])
def test_a_bug_names_its_kind_and_place_but_never_its_text(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, verbose: bool
) -> None:
    monkeypatch.setattr(
        "lnmdetect.stages.anchors.fit_anchors_stage", raising(ValueError("DOE^JANE"))
    )
    result = runner.invoke(app, ["anchors", "truth.json", *(["-v"] if verbose else [])])
    assert result.exit_code == 1
    assert "internal error: an unexpected ValueError in cli_models.py:" in one_line(result.stderr)
    assert ("fit_anchors_stage(request)" in result.stderr) is verbose
    assert "DOE" not in result.stderr + result.stdout


def test_json_is_all_that_stdout_holds(runner: CliRunner, truth: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "anchors.json")
    result = runner.invoke(app, ["anchors", str(truth), "-o", output, "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["output"] == output
    assert "Next:" in result.stderr


def test_a_hint_is_quoted_for_the_shell(capsys: pytest.CaptureFixture[str]) -> None:
    Talk().hint("lnmdetect", "detect", Path("my scans"), "-o", "it's.json")
    line = capsys.readouterr().err.removeprefix("Next: ").strip()
    assert shlex.split(line) == ["lnmdetect", "detect", "my scans", "-o", "it's.json"]


def test_a_text_from_a_file_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\x1b[31mred\x1b[0m [/bold] :smile: \x9b2J"
    table = Table("group", title=text)
    table.add_row(text)
    Talk().table(table)
    Talk().result({}, text=text)
    Talk().note(text)
    complain(text)
    said = capsys.readouterr()
    shown = "\\x1b[31mred\\x1b[0m [/bold] :smile: \\x9b2J"
    assert said.out.count(shown) == 3
    assert said.err.count(shown) == 2
    assert "\x1b" not in said.out + said.err


def test_quiet_says_nothing(runner: CliRunner, truth: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["anchors", str(truth), "-o", str(tmp_path / "a.json"), "-q"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_quiet_still_says_what_went_wrong(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(app, ["anchors", str(tmp_path / "truth.json"), "-q"])
    assert result.exit_code == 3
    assert result.stderr.startswith("truth.json: expected")


def test_anchors_prints_table_recipe_and_files(
    runner: CliRunner, truth: Path, tmp_path: Path
) -> None:
    result = runner.invoke(app, ["anchors", str(truth), "-o", str(tmp_path / "a.json")])
    shown = one_line(result.stdout)
    assert "Best IoU with an anchor, 5 boxes" in shown
    assert "torchvision" in shown
    assert "anchor_areas_px2: [" in shown
    assert (tmp_path / "a.png").is_file()
    hint = result.stderr.split("Next: ")[1].strip()
    assert hint == (
        f"lnmdetect train detector --data {truth} --recipe {tmp_path / 'a.yaml'} -o runs/detector"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["detect", "nothing"], 3, "nothing: expected a folder, a file or a .zip"),
        (["detect", "nothing", "--pixel-spacing", "nan", "1"], 2, "two lengths in mm above 0"),
        (["detect", "nothing", "--pixel-spacing", "0.5", "0"], 2, "two lengths in mm above 0"),
        (["overlay", "nodes.json", "-o", "sheet.jpg"], 2, "a name that ends in .png"),
        (["classify", "boxes.json"], 3, "boxes.json: expected"),
        (["eval"], 3, "boxes.json: expected a file"),
        (["overlay", "nodes.json"], 3, "nodes.json: expected"),
        (["run", "nothing", "--model", "none"], 4, "--model: expected a bundle's folder"),
        (["train", "detector", "--data", "truth.json", "-o", "run"], 3, "truth.json: expected"),
        (
            ["train", "detector", "--data", "truth.json", "-o", "run", "--classes", "two"],
            2,
            "--classes: expected lnmdetect train segmenter",
        ),
        (["train", "fuser", "--data", "truth.json", "-o", "run"], 2, "fuser"),
        (
            ["train", "detector", "--data", "t.json", "-o", "run", "--modalities", "bmode"],
            2,
            "--modalities: expected lnmdetect train fusion",
        ),
        (
            ["train", "detector", "--data", "t.json", "-o", "run", "--backbone", "vgg11"],
            2,
            "--backbone: expected lnmdetect train fusion",
        ),
        (["phantom", "ct", "--patients", "0", "-o", "out"], 2, "patients"),
        (["anchors", "truth.json", "--recipe", "vast"], 3, "truth.json: expected"),
        (["detect", "nothing", "--threshold", "1.5"], 2, "threshold"),
    ],
)
def test_a_mistake_is_a_sentence_and_never_a_traceback(
    runner: CliRunner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, arguments)
    assert result.exit_code == code, result.stderr
    assert text in one_line(result.stderr)
    assert "Traceback" not in result.stderr


def test_help_comes_within_half_a_second() -> None:
    command = [sys.executable, "-m", "lnmdetect", "--help"]
    times = []
    for _ in range(5):
        started = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.monotonic() - started)
    assert min(times) < 0.5


def test_a_pipe_that_closes_early_is_no_error(truth: Path, tmp_path: Path) -> None:
    line = f"{sys.executable} -m lnmdetect anchors truth.json -o {tmp_path}/a.json --json | true"
    run = subprocess.run(
        ["bash", "-c", line], cwd=truth.parent, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in run.stderr
    assert "internal error" not in run.stderr


def test_the_resamples_that_help_names_are_those_of_the_bootstrap() -> None:
    from lnmdetect.cli_options import RESAMPLES as NAMED
    from lnmdetect.metrics.resampling import RESAMPLES

    assert NAMED == RESAMPLES
