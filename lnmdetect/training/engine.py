"""The only two loops over a loader: `fit` and `predict`."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lnmdetect.core.config_parts import OptimiserConfig
from lnmdetect.core.errors import ModelError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.io.learning_curves import save_curves
from lnmdetect.io.run_files import save_kept
from lnmdetect.training.checkpoint import FitState, load_state, save_state
from lnmdetect.training.devices import Compute
from lnmdetect.training.optimisers import (
    build_optimiser,
    learning_rate,
    plateau_drops,
    scheduled_step,
)
from lnmdetect.training.task import Answering, Task
from lnmdetect.training.time_budget import TimeBudget

Keep = Literal["best", "last"]


@dataclass(frozen=True)
class FitSettings:
    """How a training runs.

    Attributes:
        steps_an_epoch: optimiser steps between two validations.
        folder: receives checkpoints and curves; must exist.
        resume: whether to go on from the folder's last checkpoint.
        identity: what a resumed run must share with the one begun, by name (recipe, seed, data).
        budget_s: seconds the training may take; it then ends with a validation, within an epoch if
            need be, and the learning rate's schedule with it. None: all epochs.
        keep: which epoch's weights stay, the one with the best validation figure or the last.
    """

    optimiser: OptimiserConfig
    compute: Compute
    steps_an_epoch: int
    folder: Path
    resume: bool = False
    identity: Mapping[str, str] = field(default_factory=dict)
    budget_s: float | None = None
    keep: Keep = "best"


@dataclass(frozen=True)
class FitResult:
    """What a training reached: one row of figures an epoch, and the one that is kept.

    Attributes:
        kept: validation figure of the epoch whose weights are kept; kept_epoch: which it is.
        steps, seconds: taken, validations included.
    """

    rows: tuple[dict[str, float], ...]
    kept: float
    kept_epoch: int
    steps: int = 0
    seconds: float = 0.0


BatchSource = Callable[[int, int], Iterable[Any]]
"""Gives the batches of (epoch, first step within it)."""


def fit(
    task: Task,
    batches: BatchSource,
    validation: Iterable[Any],
    settings: FitSettings,
    progress: Progress = SILENT,
) -> FitResult:
    """Return the curves of a training; the weights that are kept lie in the folder.

    On the CPU of one machine the same seeds give the same weights, interrupted and resumed or
    not; on a GPU they may differ in the last bits from the first step on. With a time budget the
    weights depend on the machine's speed.

    Args:
        task: its module is trained in place.
        batches: of training; must depend on nothing but epoch and step.
        validation: batches without random changes, passed once an epoch.
        settings: optimiser, device, folder.
        progress: told about every step.

    Raises:
        ModelError: a loss term is not finite; the terms are named.
        KeyboardInterrupt: after the first Ctrl-C, once the checkpoint is written.
    """
    optimiser = build_optimiser(task.module.parameters(), settings.optimiser)
    scaler = torch.amp.GradScaler(
        settings.compute.device.type, enabled=settings.compute.precision == "fp16"
    )
    state = FitState()
    if settings.resume:
        state = load_state(
            settings.folder, task.module, optimiser, scaler, identity=settings.identity
        )
    save = partial(
        save_state,
        settings.folder,
        state,
        task.module,
        optimiser,
        scaler,
        identity=settings.identity,
    )
    steps = settings.steps_an_epoch
    left, total = _steps_left(batches, state, settings)
    clock = TimeBudget(settings.budget_s, state.seconds)
    started = time.monotonic()
    with _interruptible() as interrupted:
        for batch in progress.track(left, description="training", total=total):
            with settings.compute.autocast():
                task.module.train()
                terms = task.losses(batch)
            rate = _set_rate(optimiser, task.monitor, state, settings, clock.share)
            _step(terms, optimiser, scaler, state, settings)
            if state.step % steps == 0 or clock.is_out:
                validated = time.monotonic()
                _finish_epoch(task, validation, state, settings, rate, seconds=validated - started)
                started = time.monotonic()
                clock.validation_s = max(clock.validation_s, started - validated)
                state.seconds = clock.spent_s
                save()
                if clock.is_out or _is_stale(state, settings.optimiser):
                    break
            if interrupted():
                state.seconds = clock.spent_s
                save()
                raise KeyboardInterrupt
    return _result(state, task.monitor, settings.keep)


def _result(state: FitState, monitor: str, keep: Keep) -> FitResult:
    last = state.rows[-1][monitor], len(state.rows)
    kept, epoch = last if keep == "last" else (state.best, state.best_epoch)
    return FitResult(tuple(state.rows), kept, epoch, state.step, state.seconds)


def predict(task: Answering, batches: Iterable[Any], compute: Compute) -> Iterator[Any]:
    """Yield the task's answer for every item of every batch, in order; no weight is changed."""
    task.module.eval()
    for batch in batches:
        with torch.inference_mode(), compute.autocast():
            answers = task.predict(batch)
        yield from answers


def _steps_left(
    batches: BatchSource, state: FitState, settings: FitSettings
) -> tuple[Iterator[Any], int]:
    """Return the batches from the state's step to the last epoch's end, and how many they are."""
    steps = settings.steps_an_epoch
    epoch = state.step // steps
    is_over = _is_stale(state, settings.optimiser) or _is_late(state, settings)
    end = epoch if is_over else settings.optimiser.epochs
    sources = (
        batches(number, state.step - number * steps if number == epoch else 0)
        for number in range(epoch, end)
    )
    return chain.from_iterable(sources), max(0, end * steps - state.step)


def _set_rate(
    optimiser: torch.optim.Optimizer,
    monitor: str,
    state: FitState,
    settings: FitSettings,
    time_share: float,
) -> float:
    """Return the learning rate that is due, after giving it to the optimiser."""
    config, steps = settings.optimiser, settings.steps_an_epoch
    drops = 0
    if config.plateau_epochs is not None:
        drops = plateau_drops([row[monitor] for row in state.rows], config.plateau_epochs)
    due = scheduled_step(config, state.step, steps, time_share)
    rate = learning_rate(config, due, steps, drops=drops)
    for group in optimiser.param_groups:
        group["lr"] = rate
    return rate


def _step(
    terms: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    state: FitState,
    settings: FitSettings,
) -> None:
    """Follow the gradient of the summed terms once."""
    values = {name: float(term.detach()) for name, term in terms.items()}
    _require_finite(values, state.step)
    optimiser.zero_grad(set_to_none=True)
    total = torch.stack([term.float() for term in terms.values()]).sum()
    scaler.scale(total).backward()  # type: ignore[no-untyped-call]
    limit = settings.optimiser.gradient_clip
    if limit is not None:
        scaler.unscale_(optimiser)
        for group in optimiser.param_groups:
            nn.utils.clip_grad_norm_(group["params"], limit)
    scaler.step(optimiser)
    scaler.update()
    state.step += 1
    for name, value in values.items():
        state.sums[name] = state.sums.get(name, 0.0) + value


def _require_finite(values: dict[str, float], step: int) -> None:
    broken = {name: value for name, value in values.items() if not math.isfinite(value)}
    if broken:
        raise ModelError(
            f"training step {step}",
            expected="finite loss terms",
            got=", ".join(f"{name} = {value}" for name, value in broken.items()),
            remedy="Lower the learning rate or set gradient_clip in the recipe.",
        )


def _finish_epoch(
    task: Task,
    validation: Iterable[Any],
    state: FitState,
    settings: FitSettings,
    rate: float,
    *,
    seconds: float,
) -> None:
    """Score the validation items, keep the weights if they are to be, and write the curves.

    Args:
        task: gives the figures.
        validation: batches.
        state: changed in place.
        settings: gives the folder.
        rate: learning rate of the last step.
        seconds: that the steps took.
    """
    random = torch.get_rng_state()
    figures = task.score(list(predict(task, validation, settings.compute)))
    torch.set_rng_state(random)
    epoch = -(-state.step // settings.steps_an_epoch)
    steps = state.step - (epoch - 1) * settings.steps_an_epoch  # fewer where the time ran out
    means = {name: value / steps for name, value in state.sums.items()}
    state.sums.clear()
    state.rows.append(
        {"epoch": epoch, "learning_rate": rate, **means, **figures, "seconds": round(seconds, 1)}
    )
    if is_best := figures[task.monitor] > state.best:
        state.best, state.best_epoch = figures[task.monitor], epoch
    if is_best or settings.keep == "last":
        save_kept(settings.folder, task.module.state_dict())
    save_curves(settings.folder, state.rows)


def _is_stale(state: FitState, config: OptimiserConfig) -> bool:
    return config.patience is not None and len(state.rows) - state.best_epoch >= config.patience


def _is_late(state: FitState, settings: FitSettings) -> bool:
    return settings.budget_s is not None and state.seconds >= settings.budget_s


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C was pressed; a second one interrupts at once.

    Only the main thread may listen; elsewhere the answer is always no.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, previous)
