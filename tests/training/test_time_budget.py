"""A training that may take only so long."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from lnmdetect.training import engine, time_budget
from lnmdetect.training.engine import fit
from lnmdetect.training.fit_settings import FitSettings
from lnmdetect.training.time_budget import TimeBudget

MakeSettings = Callable[..., FitSettings]


class Clock:
    """A clock that shows as many seconds as were told to have gone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        for module in (engine, time_budget):
            monkeypatch.setattr(module.time, "monotonic", lambda: self.seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_share_leaves_room_for_a_validation_and_goes_on_after_an_interruption(
    clock: Clock,
) -> None:
    budget = TimeBudget(100.0, spent_before_s=30.0, validation_s=20.0)
    clock.seconds = 10.0
    assert budget.spent_s == 40.0
    assert budget.share == 0.5
    assert not budget.is_out
    clock.seconds = 50.0
    assert budget.is_out
    assert TimeBudget(None, 1e9).share == 0
    assert TimeBudget(5.0, validation_s=5.0).is_out


def slow(task: Any, clock: Clock, step_s: float, validation_s: float) -> Any:
    """The task, each of whose steps and validations takes so many seconds."""
    losses, score = task.losses, task.score

    def timed_losses(batch: Tensor) -> Any:
        clock.seconds += step_s
        return losses(batch)

    def timed_score(predictions: Any) -> Any:
        clock.seconds += validation_s
        return score(predictions)

    task.losses, task.score = timed_losses, timed_score
    return task


def test_the_engine_stops_within_its_time_and_the_cosine_ends_with_it(
    line_task: Any,
    batches: Any,
    validation: list[Tensor],
    settings: MakeSettings,
    clock: Clock,
    tmp_path: Path,
) -> None:
    # 4 steps an epoch. Steps take 10 s, a validation 5 s: 4 steps, 45 s, then 5 steps more until
    # 95 s, of which 5 s are kept for the last validation.
    task = slow(line_task(), clock, 10.0, 5.0)
    made = replace(settings(epochs=50, warmup_steps=0), budget_s=105.0)
    result = fit(task, batches, validation, made)
    assert (result.steps, result.seconds) == (9, 105.0)
    assert [row["epoch"] for row in result.rows] == [1, 2, 3]
    assert [row["seconds"] for row in result.rows] == [40.0, 40.0, 10.0]
    rates = [row["learning_rate"] for row in result.rows]
    assert rates[0] == pytest.approx(0.01 * (1 + 2**-0.5) / 2, rel=0.2)
    assert rates[-1] < 0.01 * 0.01
    resumed = fit(line_task(), batches, validation, replace(made, resume=True))
    assert resumed.steps == 9
    assert (tmp_path / "kept.safetensors").is_file()


def test_a_last_validation_shorter_than_those_before_does_not_begin_the_training_again(
    line_task: Any, batches: Any, validation: list[Tensor], settings: MakeSettings, clock: Clock
) -> None:
    # 4 steps of 10 s and 20 s of validation; the time for steps ends at 105 - 20 = 85 s, in the
    # third step of the second epoch. Its validation takes 5 s, and 10 s remain unused.
    seconds = iter([20.0, 5.0, 5.0])
    task = slow(line_task(), clock, 10.0, 0.0)
    score = task.score

    def timed_score(predictions: Any) -> Any:
        clock.seconds += next(seconds)
        return score(predictions)

    task.score = timed_score
    made = replace(settings(epochs=50, warmup_steps=0), budget_s=105.0)
    result = fit(task, batches, validation, made)
    assert (result.steps, result.seconds) == (7, 95.0)
    assert [row["epoch"] for row in result.rows] == [1, 2]


def test_a_generous_budget_changes_nothing(
    line_task: Any, batches: Any, validation: list[Tensor], settings: MakeSettings, tmp_path: Path
) -> None:
    plain = fit(line_task(), batches, validation, settings(folder=tmp_path / "a"))
    made = replace(settings(folder=tmp_path / "b"), budget_s=1e9)
    budgeted = fit(line_task(), batches, validation, made)
    assert [row["figure"] for row in plain.rows] == [row["figure"] for row in budgeted.rows]
    a, b = ((tmp_path / run / "kept.safetensors").read_bytes() for run in "ab")
    assert a == b


def test_a_plateau_lowers_the_rate_of_the_epochs_after_it(
    line_task: Any, batches: Any, validation: list[Tensor], settings: MakeSettings
) -> None:
    made = settings(schedule="plateau", plateau_epochs=2, gamma=0.1, warmup_steps=0, epochs=6)
    result = fit(line_task([0.5, 0.5, 0.5, 0.5, 0.6, 0.6]), batches, validation, made)
    found = [row["learning_rate"] for row in result.rows]
    assert found == pytest.approx([0.01, 0.01, 0.01, 0.001, 0.001, 0.001])
