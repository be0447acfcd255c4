"""Optimisers by name, and the learning rate as a pure function of the step."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from lnmdetect.core.config_parts import OptimiserConfig

POLYNOMIAL_POWER = 0.9
"""Of the polynomial schedule (Isensee et al. 2021)."""


def build_optimiser(
    parameters: Iterable[nn.Parameter], config: OptimiserConfig
) -> torch.optim.Optimizer:
    """Return the optimiser of a recipe over the trainable parameters."""
    trainable = [p for p in parameters if p.requires_grad]
    if config.name == "sgd":
        return torch.optim.SGD(
            trainable,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            nesterov=config.nesterov,
        )
    kind = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return kind(trainable, lr=config.learning_rate, weight_decay=config.weight_decay)


def scheduled_step(
    config: OptimiserConfig, step: int, steps_an_epoch: int, time_share: float
) -> int:
    """Return the step whose learning rate is due at `step`.

    Where a training has only so much time and more of it is gone than of the steps, the schedule
    goes by time, so that it ends with it. Warming up always goes by steps.

    Args:
        config: gives warm-up and length.
        step: counted from 0 over all epochs.
        steps_an_epoch: of the training.
        time_share: of the time, in [0, 1]; 0 without a limit.
    """
    if step < config.warmup_steps:
        return step
    return max(step, int(time_share * config.epochs * steps_an_epoch))


def plateau_drops(scores: Sequence[float], patience: int) -> int:
    """Return how often `patience` epochs in a row brought no score better than all before them.

    Args:
        scores: one an epoch, higher is better.
        patience: epochs; counted anew after each drop.
    """
    best, waited, drops = float("-inf"), 0, 0
    for score in scores:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        if waited == patience:
            drops, waited = drops + 1, 0
    return drops


def learning_rate(
    config: OptimiserConfig, step: int, steps_an_epoch: int, *, drops: int = 0
) -> float:
    """Return the learning rate of training step `step`, counted from 0 over all epochs.

    Args:
        config: gives the schedule.
        step: of `scheduled_step`.
        steps_an_epoch: of the training.
        drops: of `plateau_drops`, for the plateau schedule.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "cosine":
        total = config.epochs * steps_an_epoch
        done = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
        return config.learning_rate * (1 + math.cos(math.pi * min(1.0, done))) / 2
    if config.schedule == "polynomial":
        left = 1 - step / (config.epochs * steps_an_epoch)
        return config.learning_rate * float(max(0.0, left) ** POLYNOMIAL_POWER)
    if config.schedule == "step" and config.step_epochs is not None:
        return config.learning_rate * config.gamma ** (step // steps_an_epoch // config.step_epochs)
    if config.schedule == "plateau":
        return config.learning_rate * float(config.gamma**drops)
    return config.learning_rate
