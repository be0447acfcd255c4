"""Cross-validation as the README has it: split, train, detect, classify, eval over pooled files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.io.coco import read_coco
from lnmdetect.io.fold_file import read_folds

MakeRecipe = Callable[..., Path]
EIGHT_EPOCHS = {"epochs": 8, "steps_an_epoch": 12}


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_every_patient_is_scored_once_by_models_that_never_saw_them(
    toy_data: Path, tmp_path: Path, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    detector, classifier = (
        make_recipe("detector", optimiser=EIGHT_EPOCHS),
        make_recipe("classifier"),
    )
    truth = toy_data / "truth.json"
    run("split", truth, "--folds", 2, "-o", "folds.json", "--write-truth", "cv")
    run("split", "folds.json", "--audit", "--truth", truth)
    chosen = ("--data", truth, "--folds", "folds.json", "--device", "cpu")
    for k in (1, 2):
        recipes = {"detector": detector, "classifier": classifier}
        for arm, recipe in recipes.items():
            run("train", arm, *chosen, "--fold", k, "--recipe", recipe, "-o", f"cv/{arm}{k}")
        model = ("--model", f"cv/detector{k}/bundle", "--device", "cpu")
        run("detect", f"cv/truth_fold{k}.json", *model, "-o", f"cv/boxes{k}.json")
        model = ("--model", f"cv/classifier{k}/bundle", "--device", "cpu")
        run("classify", f"cv/boxes{k}.json", *model, "-o", f"cv/nodes{k}.json")
    nodes = ("--nodes", "cv/nodes1.json", "--nodes", "cv/nodes2.json")
    run("eval", "--truth", truth, *nodes, "--bootstrap", 50, "-o", "cv/metrics.json")

    for fold in read_folds(Path("folds.json")).folds:
        for arm in ("detector", "classifier"):
            split = json.loads(Path(f"cv/{arm}{fold.name}/split.json").read_text())
            assert not {*split["training"], *split["validation"]} & set(fold.patients)
        scored = read_coco(Path(f"cv/nodes{fold.name}.json"))
        assert set(scored.patients()) == set(fold.patients)
        assert (scored.coverage, scored.info["split"]["fold"]) == ("all_slices", fold.name)
    info = json.loads(Path("cv/metrics.json").read_text())["info"]
    assert (info["patients"], info["images"], info["images_without_predictions"]) == (5, 30, 0)
    one = json.loads(run("eval", "--ap50", "--truth", truth, *nodes, "--bootstrap", 50, "--json"))
    parts = ("--truth", "cv/truth_fold1.json", "--truth", "cv/truth_fold2.json")
    two = json.loads(run("eval", "--ap50", *parts, *nodes, "--bootstrap", 50, "--json"))
    assert one["ap50"]["value"] == two["ap50"]["value"] > 0.3
