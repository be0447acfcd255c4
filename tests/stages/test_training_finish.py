"""Tests of what a training says when it ends."""

from pathlib import Path

import pytest

from lnmdetect.io.recipes import Arm, read_recipe
from lnmdetect.stages import training_finish
from lnmdetect.stages.training_finish import learning_notes, norm_notes, training_record
from lnmdetect.stages.training_run import TrainRequest


@pytest.mark.parametrize(("metric", "reached"), [("dice", 0.0), ("ap50", 0.0), ("auc", 0.5)])
def test_a_bundle_no_better_than_chance_is_warned_of(metric: str, reached: float) -> None:
    (note,) = learning_notes(metric, reached)
    assert "has learnt nothing" in note
    assert f"validation {metric} is {reached:g}, chance {reached:g}" in note


@pytest.mark.parametrize(("metric", "reached"), [("dice", 0.01), ("ap50", 0.01), ("auc", 0.51)])
def test_a_bundle_better_than_chance_is_not(metric: str, reached: float) -> None:
    assert learning_notes(metric, reached) == ()


@pytest.mark.parametrize("arm", ["detector", "classifier", "fusion"])
def test_batch_norms_of_several_processes_are_told_of(arm: Arm) -> None:
    recipe = read_recipe("compact", arm)
    (note,) = norm_notes(recipe, 3)
    assert "each of the 3 processes' own share" in note
    assert norm_notes(recipe, 1) == ()
    model = recipe.model.model_copy(update={"norm": "group"})
    assert norm_notes(recipe.model_copy(update={"model": model}), 3) == ()


def test_a_segmenter_has_no_batch_norms_to_tell_of() -> None:
    assert norm_notes(read_recipe("compact", "segmenter"), 3) == ()


@pytest.mark.parametrize("count", [1, 3])
def test_the_record_holds_the_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    data = tmp_path / "truth.json"
    data.write_text("{}")
    monkeypatch.setattr(training_finish, "rank_count", lambda: count)
    request = TrainRequest(data, "compact", tmp_path / "run")
    record = training_record(request, read_recipe("compact", "detector"))
    assert record.config["processes"] == count
