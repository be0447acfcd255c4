"""Optimisers by name, and the learning rate as a pure function of the step."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from lnmdetect.core.config import OptimiserConfig


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
        )
    return torch.optim.AdamW(trainable, lr=config.learning_rate, weight_decay=config.weight_decay)


def learning_rate(config: OptimiserConfig, step: int, steps_an_epoch: int) -> float:
    """Return the learning rate of training step `step`, counted from 0 over all epochs."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "cosine":
        total = config.epochs * steps_an_epoch
        done = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
        return config.learning_rate * (1 + math.cos(math.pi * min(1.0, done))) / 2
    if config.schedule == "step" and config.step_epochs is not None:
        return config.learning_rate * config.gamma ** (step // steps_an_epoch // config.step_epochs)
    return config.learning_rate
