"""Several batches an optimiser step, and the time that waiting for them takes."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lnmdetect.core.config_parts import OptimiserConfig
from lnmdetect.datasets.draws import Draw, EpochBatches
from lnmdetect.training.engine import fit
from lnmdetect.training.fit_settings import FitResult, FitSettings
from lnmdetect.training.loaders import steps_an_epoch, training_batches

MakeSettings = Callable[..., FitSettings]


@pytest.fixture
def plain_task(line_task: Any) -> Callable[[], Any]:
    """The line's task without batch norm and dropout."""

    def make() -> Any:
        task = line_task()
        torch.manual_seed(5)
        task.module = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
        return task

    return make


def lines(batch_size: int, a_step: int) -> Callable[[int, int], Iterable[Tensor]]:
    """Batches of 4 steps an epoch, of the same draws whatever a batch's size."""

    def source(epoch: int, first_step: int) -> Iterator[Tensor]:
        for draws in EpochBatches(1, epoch, 4 * a_step, batch_size, first_step * a_step):
            values = [draw.generator().normal() for draw in draws]
            yield torch.tensor(values, dtype=torch.float32)[:, None]

    return source


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_four_batches_of_two_train_as_one_of_eight(
    plain_task: Callable[[], Any],
    validation: list[Tensor],
    settings: MakeSettings,
    tmp_path: Path,
    name: str,
) -> None:
    whole, parts = plain_task(), plain_task()
    options = {"name": name, "gradient_clip": 0.5, "learning_rate": 0.02}
    first = fit(whole, lines(8, 1), validation, settings(folder=tmp_path / "a", **options))
    second = fit(
        parts,
        lines(2, 4),
        validation,
        settings(folder=tmp_path / "b", batch_size=2, accumulate=4, **options),
    )
    for one, other in zip(whole.module.parameters(), parts.module.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
    assert first.steps == second.steps == 12
    for row, of_parts in zip(first.rows, second.rows, strict=True):
        assert of_parts["squares"] == pytest.approx(row["squares"], rel=1e-6)
        assert of_parts["learning_rate"] == row["learning_rate"]


def test_each_batch_of_a_step_is_made_after_the_one_before_it_was_learnt_from(
    line_task: Any, validation: list[Tensor], settings: MakeSettings
) -> None:
    happened: list[str] = []
    task = line_task()
    losses = task.losses

    def made(epoch: int, first_step: int) -> Iterator[Tensor]:
        for batch in lines(2, 4)(epoch, first_step):
            happened.append("made")
            yield batch

    def learnt(batch: Tensor) -> Any:
        happened.append("learnt")
        return losses(batch)

    task.losses = learnt
    fit(task, made, validation, settings(epochs=1, batch_size=2, accumulate=4))
    assert happened == 16 * ["made", "learnt"]


def test_a_training_that_accumulates_resumes_between_optimiser_steps(
    line_task: Any, validation: list[Tensor], settings: MakeSettings, tmp_path: Path
) -> None:
    made: dict[str, Any] = {"batch_size": 2, "accumulate": 4}
    whole, cut, resumed = line_task(), line_task(), line_task()
    torch.manual_seed(1)
    fit(whole, lines(2, 4), validation, settings(folder=tmp_path / "whole", **made))

    class Impatient:
        def track(self, items: Any, *, description: str, total: int | None = None) -> Any:
            for number, item in enumerate(items):
                if number == 5:
                    signal_ctrl_c()
                yield item

    torch.manual_seed(1)
    with pytest.raises(KeyboardInterrupt):
        fit(cut, lines(2, 4), validation, settings(**made), Impatient())
    fit(resumed, lines(2, 4), validation, settings(resume=True, **made))
    for one, other in zip(whole.module.parameters(), resumed.module.parameters(), strict=True):
        assert torch.equal(one, other)


def signal_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class Numbers(torch.utils.data.Dataset[int]):
    """The numbers of the draws."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, draw: Draw) -> int:
        return draw.number


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_of_an_accumulated_step_draw_the_items_of_one_large_batch(workers: int) -> None:
    fields: dict[str, Any] = {"name": "sgd", "learning_rate": 1, "weight_decay": 0, "epochs": 1}
    large = OptimiserConfig(batch_size=6, **fields)
    small = OptimiserConfig(batch_size=2, accumulate=3, **fields)
    assert steps_an_epoch(24, large) == steps_an_epoch(24, small) == 4

    def drawn(config: OptimiserConfig) -> list[list[int]]:
        source = training_batches(Numbers(), list, config, steps=4, seed=0, workers=workers)
        return list(source(0, 1))

    assert drawn(large) == [list(range(n, n + 6)) for n in (6, 12, 18)]
    assert drawn(small) == [[n, n + 1] for n in range(6, 24, 2)]


def waiting(
    task: Any, validation: list[Tensor], settings: FitSettings, batch_s: float, step_s: float
) -> FitResult:
    def slow(epoch: int, first_step: int) -> Iterator[Tensor]:
        for batch in lines(8, 1)(epoch, first_step):
            time.sleep(batch_s)
            yield batch

    losses = task.losses

    def slow_losses(batch: Tensor) -> Any:
        time.sleep(step_s)
        return losses(batch)

    task.losses = slow_losses
    return fit(task, slow, validation, settings)


def test_each_epoch_says_which_share_of_its_time_went_into_waiting_for_batches(
    line_task: Any, validation: list[Tensor], settings: MakeSettings, tmp_path: Path
) -> None:
    made = settings(epochs=2, folder=tmp_path / "a")
    slow = waiting(line_task(), validation, made, 0.06, 0.0)
    fast = waiting(line_task(), validation, settings(epochs=2, folder=tmp_path / "b"), 0.0, 0.06)
    assert all(row["loader_wait_share"] > 0.8 for row in slow.rows)
    assert all(row["loader_wait_share"] < 0.2 for row in fast.rows)
    assert slow.loader_wait_share == pytest.approx(
        sum(row["loader_wait_share"] for row in slow.rows) / 2, abs=0.1
    )


def test_an_older_run_that_did_not_measure_its_waiting_says_nothing_of_it() -> None:
    rows = ({"epoch": 1.0, "seconds": 2.0}, {"epoch": 2.0, "seconds": 2.0, "loader_wait_share": 0})
    assert FitResult(rows, 0.5, 1).loader_wait_share is None
    assert FitResult(rows[1:], 0.5, 1).loader_wait_share == 0
