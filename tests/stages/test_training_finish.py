"""Tests of what a training says when it ends."""

import pytest

from lnmdetect.stages.training_finish import learning_notes


@pytest.mark.parametrize(("metric", "reached"), [("dice", 0.0), ("ap50", 0.0), ("auc", 0.5)])
def test_a_bundle_no_better_than_chance_is_warned_of(metric: str, reached: float) -> None:
    (note,) = learning_notes(metric, reached)
    assert "has learnt nothing" in note
    assert f"validation {metric} is {reached:g}, chance {reached:g}" in note


@pytest.mark.parametrize(("metric", "reached"), [("dice", 0.01), ("ap50", 0.01), ("auc", 0.51)])
def test_a_bundle_better_than_chance_is_not(metric: str, reached: float) -> None:
    assert learning_notes(metric, reached) == ()
