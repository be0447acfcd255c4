"""fit and predict on a task of a few weights."""

import csv
import math
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lnmdetect.core.errors import ModelError
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import fit, predict
from lnmdetect.training.fit_settings import FitResult, FitSettings

MakeSettings = Callable[..., FitSettings]
Batches = Callable[[int, int], Iterable[Tensor]]
KEPT, LAST, CURVES = "kept.safetensors", "last.pt", "curves.csv"


def weights(task: Any) -> bytes:
    return b"".join(value.numpy().tobytes() for value in task.module.state_dict().values())


def without_times(result: FitResult) -> list[dict[str, float]]:
    times = {"seconds", "loader_wait_share"}
    return [{k: v for k, v in row.items() if k not in times} for row in result.rows]


class Stop(Exception):  # noqa: N818
    """Ends a training as a power cut would."""


def cut_after(batches: Batches, steps: int) -> Batches:
    done = 0

    def source(epoch: int, first_step: int) -> Iterator[Tensor]:
        nonlocal done
        for batch in batches(epoch, first_step):
            if done == steps:
                raise Stop
            done += 1
            yield batch

    return source


def press_ctrl_c_at(batches: Batches, step: int) -> Batches:
    def source(epoch: int, first_step: int) -> Iterator[Tensor]:
        for number, batch in enumerate(batches(epoch, first_step), start=first_step):
            if epoch * 4 + number == step:
                os.kill(os.getpid(), signal.SIGINT)
            yield batch

    return source


def test_training_lowers_the_loss_and_notes_each_epoch(
    line_task: Any, batches: Batches, validation: list[Tensor], settings: MakeSettings
) -> None:
    result = fit(line_task(), batches, validation, settings(epochs=40, learning_rate=0.05))
    assert [row["epoch"] for row in result.rows] == list(range(1, 41))
    assert result.rows[-1]["squares"] < 0.7 * result.rows[0]["squares"]
    assert {row["answers"] for row in result.rows} == {5}


def test_a_row_holds_the_mean_of_each_term_and_the_last_steps_rate(
    line_task: Any, batches: Batches, validation: list[Tensor], settings: MakeSettings
) -> None:
    task = line_task()
    terms: list[float] = []
    losses = task.losses

    def noted(batch: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = losses(batch)
        terms.append(float(found["squares"].detach()))
        return found

    task.losses = noted
    result = fit(task, batches, validation, settings(epochs=2, schedule="constant"))
    assert result.rows[0]["squares"] == pytest.approx(sum(terms[:4]) / 4)
    assert result.rows[1]["squares"] == pytest.approx(sum(terms[4:]) / 4)
    assert [row["learning_rate"] for row in result.rows] == [0.01, 0.01]


def test_curves_are_written_as_csv(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    tmp_path: Path,
) -> None:
    result = fit(line_task(), batches, validation, settings())
    with (tmp_path / CURVES).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["squares"]) for row in rows] == [row["squares"] for row in result.rows]
    assert list(rows[0])[:2] == ["epoch", "learning_rate"]


def test_the_same_seed_gives_the_same_weights(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    tmp_path: Path,
) -> None:
    first, second = line_task(), line_task()
    torch.manual_seed(1)
    fit(first, batches, validation, settings(folder=tmp_path / "a"))
    torch.manual_seed(1)
    fit(second, batches, validation, settings(folder=tmp_path / "b"))
    assert weights(first) == weights(second)
    assert (tmp_path / "a" / KEPT).read_bytes() == (tmp_path / "b" / KEPT).read_bytes()
    torch.manual_seed(2)  # dropout draws otherwise
    third = line_task()
    torch.manual_seed(2)
    fit(third, batches, validation, settings(folder=tmp_path / "c"))
    assert weights(third) != weights(first)


@pytest.fixture
def uninterrupted(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    tmp_path: Path,
) -> tuple[bytes, list[dict[str, float]], bytes]:
    task = line_task([0.1, 0.5, 0.3])
    torch.manual_seed(1)
    result = fit(task, batches, validation, settings(folder=tmp_path / "whole"))
    return weights(task), without_times(result), (tmp_path / "whole" / KEPT).read_bytes()


@pytest.mark.parametrize("step", [0, 1, 3, 4, 6, 11])
def test_ctrl_c_writes_a_checkpoint_and_resuming_gives_the_same_weights_to_the_bit(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    tmp_path: Path,
    uninterrupted: tuple[bytes, list[dict[str, float]], bytes],
    step: int,
) -> None:
    task = line_task([0.1, 0.5, 0.3])
    torch.manual_seed(1)
    with pytest.raises(KeyboardInterrupt):
        fit(task, press_ctrl_c_at(batches, step), validation, settings())
    resumed = line_task([0.1, 0.5, 0.3][(step + 1) // 4 :])
    torch.manual_seed(77)  # whatever state the new process starts in
    result = fit(resumed, batches, validation, settings(resume=True))
    assert (weights(resumed), without_times(result), (tmp_path / KEPT).read_bytes()) == (
        uninterrupted
    )


def test_an_fp16_training_resumes_with_the_gradient_scale_it_had(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    tmp_path: Path,
) -> None:
    def fp16(**changes: Any) -> FitSettings:
        return replace(settings(**changes), compute=Compute(torch.device("cpu"), "fp16"))

    # Gradients too large for fp16: the scale is halved until they fit.
    def task(scores: list[float]) -> Any:
        made = line_task(scores)
        losses = made.losses
        made.losses = lambda batch: {k: 100 * v.float() for k, v in losses(batch).items()}
        return made

    whole, cut = task([0.1] * 3), task([0.1] * 3)
    torch.manual_seed(1)
    fit(whole, batches, validation, fp16(folder=tmp_path / "whole"))
    torch.manual_seed(1)
    with pytest.raises(KeyboardInterrupt):
        fit(cut, press_ctrl_c_at(batches, 5), validation, fp16())
    resumed = task([0.1] * 2)
    fit(resumed, batches, validation, fp16(resume=True))
    assert weights(resumed) == weights(whole)


@pytest.mark.parametrize(("steps", "epochs_done"), [(4, 1), (7, 1), (8, 2)])
def test_after_a_power_cut_the_last_whole_epoch_is_continued(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    uninterrupted: tuple[bytes, list[dict[str, float]], bytes],
    steps: int,
    epochs_done: int,
) -> None:
    scores = [0.1, 0.5, 0.3]
    task = line_task(scores)
    torch.manual_seed(1)
    with pytest.raises(Stop):
        fit(task, cut_after(batches, steps), validation, settings())
    resumed = line_task(scores[epochs_done:])
    result = fit(resumed, batches, validation, settings(resume=True))
    assert (weights(resumed), without_times(result)) == uninterrupted[:2]


def test_sigterm_writes_a_checkpoint_too(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    tmp_path: Path,
) -> None:
    def told_to_end(epoch: int, first_step: int) -> Iterator[Tensor]:
        for batch in batches(epoch, first_step):
            os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        fit(line_task(), told_to_end, validation, settings())
    assert (tmp_path / LAST).is_file()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_may_come_twice_or_after_ctrl_c_and_the_checkpoint_is_written(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    tmp_path: Path,
    first: int,
) -> None:
    def told_twice(epoch: int, first_step: int) -> Iterator[Tensor]:
        for batch in batches(epoch, first_step):
            os.kill(os.getpid(), first)
            os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    with pytest.raises(KeyboardInterrupt):
        fit(line_task(), told_twice, validation, settings())
    assert (tmp_path / LAST).is_file()


def test_after_ctrl_c_the_usual_handler_is_back(
    line_task: Any, batches: Batches, validation: list[Tensor], settings: MakeSettings
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(line_task(), press_ctrl_c_at(batches, 2), validation, settings())
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_interrupts_at_once(
    line_task: Any, batches: Batches, validation: list[Tensor], settings: MakeSettings
) -> None:
    def impatient(epoch: int, first_step: int) -> Iterator[Tensor]:
        for batch in batches(epoch, first_step):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            yield batch

    task = line_task()
    before = weights(task)
    with pytest.raises(KeyboardInterrupt):
        fit(task, impatient, validation, settings())
    assert weights(task) == before  # not even the first step was made


def test_training_works_beside_the_main_thread(
    line_task: Any, batches: Batches, validation: list[Tensor], settings: MakeSettings
) -> None:
    results: list[FitResult] = []
    made = settings()
    thread = threading.Thread(
        target=lambda: results.append(fit(line_task(), batches, validation, made))
    )
    thread.start()
    thread.join()
    assert len(results[0].rows) == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_and_names_the_terms(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    value: float,
) -> None:
    task = line_task()
    calls = iter(range(100))
    losses = task.losses

    def broken(batch: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = losses(batch)
        return {**found, "size": found["size"] * (value if next(calls) == 5 else 1)}

    task.losses = broken
    with pytest.raises(ModelError, match=rf"training step 5: .*got size = {value}\. Lower"):
        fit(task, batches, validation, settings())


def test_the_last_epochs_weights_are_kept_where_that_is_asked_for(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    tmp_path: Path,
) -> None:
    task = line_task([0.3, 0.9, 0.2])
    asked = replace(settings(folder=tmp_path, epochs=3), keep="last")
    result = fit(task, batches, validation, asked)
    assert (result.kept, result.kept_epoch) == (0.2, 3)
    kept = load_file(tmp_path / KEPT)
    assert all(torch.equal(kept[name], now) for name, now in task.module.state_dict().items())


def test_the_best_epochs_weights_are_kept_not_the_last_ones(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    tmp_path: Path,
) -> None:
    short, long = line_task([0.3, 0.9]), line_task([0.3, 0.9, 0.9, 0.2])
    torch.manual_seed(1)
    # Constant rates: the first two epochs do not depend on how many follow.
    fit(short, batches, validation, settings(folder=tmp_path / "a", epochs=2, schedule="constant"))
    torch.manual_seed(1)
    result = fit(
        long, batches, validation, settings(folder=tmp_path / "b", epochs=4, schedule="constant")
    )
    assert (result.kept, result.kept_epoch) == (0.9, 2)  # the first of equals
    assert (tmp_path / "a" / KEPT).read_bytes() == (tmp_path / "b" / KEPT).read_bytes()
    assert weights(short) != weights(long)


@pytest.mark.parametrize(
    ("scores", "epochs"),
    [([0.5, 0.4, 0.3, 0.9], 3), ([0.1, 0.5, 0.4, 0.6, 0.5, 0.6, 0.9], 6), ([0.1, 0.2, 0.3], 3)],
)
def test_training_stops_after_so_many_epochs_without_a_better_figure(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    scores: Sequence[float],
    epochs: int,
) -> None:
    result = fit(line_task(scores), batches, validation, settings(patience=2, epochs=len(scores)))
    assert len(result.rows) == epochs


def test_resuming_a_training_that_stopped_early_trains_no_further(
    line_task: Any, batches: Batches, validation: list[Tensor], settings: MakeSettings
) -> None:
    first = line_task([0.5, 0.4, 0.3])
    stopped = fit(first, batches, validation, settings(patience=2, epochs=9))
    again = line_task([0.9])
    resumed = fit(again, batches, validation, settings(patience=2, epochs=9, resume=True))
    assert resumed == stopped
    assert weights(again) == weights(first)


def test_resuming_a_finished_training_changes_nothing(
    line_task: Any, batches: Batches, validation: list[Tensor], settings: MakeSettings
) -> None:
    finished = fit(line_task(), batches, validation, settings())
    assert fit(line_task(), batches, validation, settings(resume=True)) == finished


def test_resuming_without_a_checkpoint_is_refused(
    line_task: Any, batches: Batches, validation: list[Tensor], settings: MakeSettings
) -> None:
    with pytest.raises(ModelError, match=r"last\.pt: expected a checkpoint.*without --resume"):
        fit(line_task(), batches, validation, settings(resume=True))


def test_resuming_another_network_is_refused(
    line_task: Any, batches: Batches, validation: list[Tensor], settings: MakeSettings
) -> None:
    fit(line_task(), batches, validation, settings())
    other = line_task()
    other.module = torch.nn.Linear(1, 1)
    with pytest.raises(ModelError, match=r"last\.pt: expected .*network.*recipe the run was"):
        fit(other, batches, validation, settings(resume=True))


def test_resuming_with_another_optimiser_is_refused(
    line_task: Any, batches: Batches, validation: list[Tensor], settings: MakeSettings
) -> None:
    fit(line_task(), batches, validation, settings())
    with pytest.raises(ModelError, match=r"last\.pt.*recipe the run was started with"):
        fit(line_task(), batches, validation, settings(resume=True, name="sgd"))


def test_resuming_a_run_of_another_seed_or_recipe_is_refused_by_name(
    line_task: Any, batches: Batches, validation: list[Tensor], settings: MakeSettings
) -> None:
    begun = {"recipe": "r", "seed": "1", "data file": "d"}
    fit(line_task(), batches, validation, replace(settings(), identity=begun))
    again = replace(settings(resume=True), identity=begun)
    assert fit(line_task(), batches, validation, again).kept_epoch == 3
    other = replace(again, identity={**begun, "seed": "2"})
    with pytest.raises(ModelError, match=r"last\.pt: expected a run begun with this seed, got"):
        fit(line_task(), batches, validation, other)
    others = replace(again, identity={"recipe": "q", "seed": "1", "data file": "e"})
    with pytest.raises(ModelError, match="got one begun with another recipe and data file"):
        fit(line_task(), batches, validation, others)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 half a zip"])
def test_a_damaged_checkpoint_is_refused(
    line_task: Any,
    batches: Batches,
    validation: list[Tensor],
    settings: MakeSettings,
    tmp_path: Path,
    content: bytes,
) -> None:
    (tmp_path / LAST).write_bytes(content)
    with pytest.raises(ModelError, match=r"last\.pt: expected a whole checkpoint"):
        fit(line_task(), batches, validation, settings(resume=True))


def test_gradients_are_clipped_to_the_recipes_norm(
    line_task: Any, batches: Batches, validation: list[Tensor], settings: MakeSettings
) -> None:
    def moved(clip: float | None) -> float:
        task = line_task()
        before = [p.detach().clone() for p in task.module.parameters()]
        plain = {"name": "sgd", "momentum": 0, "weight_decay": 0, "warmup_steps": 0}
        one_step = cut_after(batches, 1)
        made = settings(learning_rate=1, schedule="constant", gradient_clip=clip, **plain)
        with pytest.raises(Stop):
            fit(task, one_step, validation, made)
        pairs = zip(task.module.parameters(), before, strict=True)
        return math.sqrt(sum(float((p.detach() - b).square().sum()) for p, b in pairs))

    assert moved(None) > 0.1
    assert moved(1e-3) == pytest.approx(1e-3, rel=1e-3)


def test_answers_come_in_order_without_gradients_and_with_dropout_off(line_task: Any) -> None:
    task = line_task()
    task.module.train()
    items = [torch.arange(3.0)[:, None], torch.arange(3.0, 5.0)[:, None]]
    compute = Compute(torch.device("cpu"))
    first = list(predict(task, items, compute))
    assert first == list(predict(task, items, compute))
    assert len(first) == 5
    task.module.eval()
    with torch.no_grad():
        assert first == pytest.approx(task.module(torch.arange(5.0)[:, None]).flatten().tolist())
