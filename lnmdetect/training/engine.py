"""The only two loops over a loader: `fit` and `predict`."""

import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import torch

from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.training.batch_groups import BatchGroups
from lnmdetect.training.checkpoint import FitState, load_state, save_state
from lnmdetect.training.devices import Compute
from lnmdetect.training.epoch_end import close_epoch, is_over, is_stale, result_of
from lnmdetect.training.fit_settings import BatchSource, CountedBatches, FitResult, FitSettings
from lnmdetect.training.interrupts import interruptible
from lnmdetect.training.optimiser_step import OptimiserStep
from lnmdetect.training.optimisers import build_optimiser
from lnmdetect.training.ranks import highest, of_all_ranks, own_part, wait_for_all
from lnmdetect.training.task import Answering, Task
from lnmdetect.training.time_budget import TimeBudget


def fit(
    task: Task,
    batches: BatchSource,
    validation: CountedBatches,
    settings: FitSettings,
    progress: Progress = SILENT,
) -> FitResult:
    """Return the curves of a training; the weights that are kept lie in the folder.

    On the CPU of one machine the same seeds give the same weights, interrupted and resumed or
    not; on a GPU they may differ in the last bits from the first step on. With a time budget the
    weights depend on the machine's speed. Several ranks (see `training.ranks`) have the same
    weights after every step, and the first of them writes.

    Args:
        task: its module is trained in place.
        batches: of training; must depend on nothing but epoch and step.
        validation: batches without random changes, passed once an epoch.
        settings: optimiser, device, folder.
        progress: told about every step.

    Raises:
        ModelError: a loss term is not finite, and the terms are named; or another rank has ended.
        KeyboardInterrupt: after the first Ctrl-C or SIGTERM, once the checkpoint is written.
    """
    optimiser = build_optimiser(task.module.parameters(), settings.optimiser)
    scaler = torch.amp.GradScaler(
        settings.compute.device.type, enabled=settings.compute.precision == "fp16"
    )
    parts = (task.module, optimiser, scaler)
    state = FitState()
    if settings.resume:
        state = load_state(settings.folder, *parts, identity=settings.identity)
    save = partial(save_state, settings.folder, state, *parts, identity=settings.identity)
    step = OptimiserStep(task, optimiser, scaler, settings)
    left, total = _steps_left(batches, state, settings)
    groups = BatchGroups(left, settings.optimiser.accumulate)
    clock = TimeBudget(settings.budget_s, state.seconds)
    started = time.monotonic()
    with interruptible() as interrupted:
        for group in progress.track(groups, description="training", total=total):
            terms = step.find_gradients(group, state.step)
            rate = step.set_rate(state, highest(clock.share))
            step.follow()
            state.count_step(terms)
            is_out = bool(highest(clock.is_out))
            if state.step % settings.steps_an_epoch == 0 or is_out:
                validated = time.monotonic()
                figures = _validate(task, validation, settings.compute)
                times = (validated - started, groups.waited_s)
                close_epoch(state, figures, settings, task, rate=rate, times_s=times)
                started = time.monotonic()
                groups.start_anew()
                clock.validation_s = max(clock.validation_s, started - validated)
                state.seconds = clock.spent_s
                save()
                if highest(clock.is_out) or is_stale(state, settings.optimiser):
                    break
            if highest(interrupted()):
                state.seconds = clock.spent_s
                save()
                wait_for_all()  # who ends before the checkpoint is written has the others ended
                raise KeyboardInterrupt
    wait_for_all()
    return result_of(state, task.monitor, settings)


def predict(task: Answering, batches: Iterable[Any], compute: Compute) -> Iterator[Any]:
    """Yield the task's answer for every item of every batch, in order; no weight is changed."""
    task.module.eval()
    for batch in batches:
        with torch.inference_mode(), compute.autocast():
            answers = task.predict(batch)
        yield from answers


def _validate(task: Task, validation: CountedBatches, compute: Compute) -> dict[str, float]:
    """Return the figures of the validation items; the random state stays as it was."""
    random = torch.get_rng_state()
    answers = of_all_ranks(list(predict(task, own_part(validation), compute)))
    figures = task.score(answers)
    torch.set_rng_state(random)
    return figures


def _steps_left(
    batches: BatchSource, state: FitState, settings: FitSettings
) -> tuple[Iterator[Any], int]:
    """Return the batches from the state's step to the last epoch's end, and how many steps."""
    steps = settings.steps_an_epoch
    epoch = state.step // steps
    end = epoch if is_over(state, settings) else settings.optimiser.epochs
    sources = (
        batches(number, state.step - number * steps if number == epoch else 0)
        for number in range(epoch, end)
    )
    return chain.from_iterable(sources), max(0, end * steps - state.step)
