"""`make weights`: the commands it gives, what it takes up again, where the bundles go."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.core.errors import LnmDetectError
from lnmdetect.core.records import BENIGN, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.stages import weights


def truth_of(setting: str) -> CocoDataset:
    image = ImageRecord(1, f"{setting}.dcm", 8, 8, setting, setting, setting, 0, 0.0, (1.0, 1.0))
    node = NodeAnnotation(1, 1, BENIGN, (1.0, 1.0, 5.0, 5.0), node_id="n1")
    return CocoDataset({"phantom": True, "scan_root": "scan"}, (image,), (node,))


class Ended:
    """A process that has done its work."""

    def __init__(self, code: int) -> None:
        self.code = code

    def wait(self) -> int:
        return self.code


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands started; each leaves the files that the real one leaves."""
    started: list[str] = []

    def start(arguments: str, threads: int | None = None) -> Any:
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


@pytest.mark.parametrize("code", [4, 3])
def test_a_model_that_moves_in_bf16_is_installed_as_it_is(
    commands: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = weights._start

    def checked(arguments: str, threads: int | None = None) -> Any:
        return Ended(code) if arguments.startswith("models") else start(arguments, threads)

    monkeypatch.setattr(weights, "_start", checked)
    installed = tmp_path / "installed"
    if code == 4:
        weights.make_weights(tmp_path / "work", installed)
        assert (installed / "detector-compact" / "card.md").read_text() == "detector"
        return
    with pytest.raises(LnmDetectError, match=r"got statuses \[3\]"):
        weights.make_weights(tmp_path / "work", installed)
    assert not installed.exists()


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
