"""`make weights`: the commands it gives, what it takes up again, where the bundles go."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.errors import LnmDetectError
from lnmdetect.core.precision import HeldFigure
from lnmdetect.core.records import BENIGN, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.stages import models_check, weights
from lnmdetect.stages.models_check import CheckResult


def truth_of(setting: str) -> CocoDataset:
    image = ImageRecord(1, f"{setting}.dcm", 8, 8, setting, setting, setting, 0, 0.0, (1.0, 1.0))
    node = NodeAnnotation(1, 1, BENIGN, (1.0, 1.0, 5.0, 5.0), node_id="n1")
    return CocoDataset({"phantom": True, "scan_root": "scan"}, (image,), (node,))


class Ended:
    """A process that has done its work."""

    def __init__(self, code: int, said: bytes = b"") -> None:
        self.returncode = code
        self.said = said

    def wait(self) -> int:
        return self.returncode

    def communicate(self) -> tuple[bytes, None]:
        return self.said, None


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands started; each leaves the files that the real one leaves."""
    started: list[str] = []

    def start(arguments: str, threads: int | None = None, stdout: int | None = None) -> Any:
        started.append(arguments)
        words = arguments.split()
        folder = Path(words[words.index("-o") + 1])
        if words[0] == "phantom":
            folder.mkdir(parents=True)
            if words[1] == "ultrasound":
                (folder / "ultrasound.json").touch()
                return Ended(0)
            write_coco(truth_of(folder.name), folder / "truth.json")
        elif words[0] == "models":
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "card.md").write_text(f"{words[2]} in bf16")
            assert stdout == subprocess.PIPE
            return Ended(0, b'{"held": true}')
        else:
            assert threads is not None
            (folder / "bundle").mkdir(parents=True)
            (folder / "bundle" / "card.md").write_text(words[1])
        return Ended(0)

    monkeypatch.setattr(weights, "_start", start)
    return started


def test_phantoms_are_made_all_arms_trained_and_the_bundles_installed(
    commands: list[str], tmp_path: Path
) -> None:
    work, installed = tmp_path / "work", tmp_path / "installed"
    weights.make_weights(work, installed)
    kinds = [" ".join(command.split()[:2]) for command in commands]
    boxes = ["phantom ct", "phantom ct", "train detector", "train classifier"]
    masks = ["phantom ct", "phantom ct", "train segmenter"]
    checks = ["phantom ct", "models check", "models check"]
    assert kinds == [*boxes, *checks, *masks, "phantom ultrasound", "train fusion"]
    assert f"--data {work / 'ultrasound' / 'ultrasound.json'} " in commands[-1]
    for name, seeds in (("boxes", [1000, 2000]), ("masks", [3000, 3100])):
        truth = read_coco(work / name / "truth.json")
        assert truth.patients() == ("training", "lifelike")
        assert truth.info["scan_root"] == "."
        assert [part["seed"] for part in truth.info["phantoms"]] == seeds
    for arm in ("detector", "classifier"):
        assert (installed / f"{arm}-compact" / "card.md").read_text() == f"{arm} in bf16"
    for arm in ("segmenter", "fusion"):
        assert (installed / f"{arm}-compact" / "card.md").read_text() == arm
    assert sum("--seed 9300 " in command for command in commands) == 1


def let_checks_end(monkeypatch: pytest.MonkeyPatch, code: int, said: bytes) -> None:
    start = weights._start

    def checked(arguments: str, *options: Any, **named: Any) -> Any:
        is_check = arguments.startswith("models")
        return Ended(code, said) if is_check else start(arguments, *options, **named)

    monkeypatch.setattr(weights, "_start", checked)


def test_a_model_that_moves_in_bf16_is_installed_as_it_is(
    commands: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_checks_end(monkeypatch, 4, b'{"held": false}')
    weights.make_weights(tmp_path / "work", tmp_path / "installed")
    assert (tmp_path / "installed" / "detector-compact" / "card.md").read_text() == "detector"


@pytest.mark.parametrize(("code", "said"), [(3, b""), (4, b""), (5, b'{"held": true}')])
def test_a_check_that_comes_to_no_end_stops_the_rest(
    commands: list[str], code: int, said: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_checks_end(monkeypatch, code, said)
    with pytest.raises(LnmDetectError, match=rf"got statuses \[{code}\]"):
        weights.make_weights(tmp_path / "work", tmp_path / "installed")
    assert not (tmp_path / "installed").exists()


def test_what_a_check_says_of_a_moved_figure_is_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for figure in (HeldFigure("AP50", 0.8, 0.7), HeldFigure("AP50", 0.8, 0.8)):
        result = CheckResult(
            "detector", "m", "bf16 on torch", (figure,), 0.005, figure.held, 1, 1, 40, 9, True
        )
        monkeypatch.setattr(models_check, "check_model", lambda *_, told=result: told)
        ended = CliRunner().invoke(app, ["models", "check", "detector", "truth.json", "--json"])
        assert ended.exit_code == (0 if figure.held else 4)
        assert weights._says_moved(ended.stdout_bytes) is not figure.held
    assert not weights._says_moved(b"")


def test_no_seed_of_training_is_one_of_evaluation() -> None:
    parts = [part for group in weights.SETS for part in group.parts]
    assert all(part.seed + part.patients < 9000 for part in parts)
    assert len({part.seed for part in parts}) == len(parts)


def test_finished_phantoms_and_begun_trainings_are_taken_up(
    commands: list[str], tmp_path: Path
) -> None:
    work = tmp_path / "work"
    weights.make_weights(work, tmp_path / "installed")
    commands.clear()
    for run in ("boxes/detector", "boxes/classifier", "masks/segmenter", "ultrasound/fusion"):
        shutil.rmtree(work / run / "bundle")
    (work / "boxes" / "detector" / "last.pt").touch()
    weights.make_weights(work, tmp_path / "installed")
    trainings = [command for command in commands if command.startswith("train")]
    again = [command.split()[-1] for command in trainings]
    assert again == ["--resume", "--overwrite", "--overwrite", "--overwrite"]


def test_a_step_that_fails_stops_the_rest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights, "_start", lambda *_: Ended(5))
    with pytest.raises(LnmDetectError, match=r"expected every step to end with status 0, got .*5"):
        weights.make_weights(tmp_path / "work", tmp_path / "installed")
    assert not (tmp_path / "installed").exists()
