"""One step of the optimiser: gradients of a loss, the learning rate that is due, the weights."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from lnmdetect.core.errors import ModelError
from lnmdetect.training.checkpoint import FitState
from lnmdetect.training.fit_settings import FitSettings
from lnmdetect.training.optimisers import learning_rate, plateau_drops, scheduled_step
from lnmdetect.training.ranks import average_gradients, averaged
from lnmdetect.training.task import Task


class OptimiserStep:
    """Follows the gradient of a task's loss.

    Args:
        task: its module is trained in place.
        optimiser: of the module.
        scaler: of fp16 gradients.
        settings: precision, schedule, clipping.
    """

    def __init__(
        self,
        task: Task,
        optimiser: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        settings: FitSettings,
    ) -> None:
        self.task, self.settings = task, settings
        self.optimiser, self.scaler = optimiser, scaler

    def find_gradients(self, batches: Iterable[Any], step: int) -> dict[str, float]:
        """Return the terms of the loss, means over the batches; parameters then hold its gradients.

        Both are means over the ranks, too.

        Args:
            batches: of training, of one size, as many as a step accumulates; taken one by one.
            step: its number, for messages.

        Raises:
            ModelError: a term is not finite, or another rank has ended.
        """
        self.optimiser.zero_grad(set_to_none=True)
        means: dict[str, float] = {}
        count = self.settings.optimiser.accumulate
        for batch in batches:
            with self.settings.compute.autocast():
                self.task.module.train()
                terms = self.task.losses(batch)
            values = averaged({name: float(term.detach()) for name, term in terms.items()})
            _require_finite(values, step)
            total = torch.stack([term.float() for term in terms.values()]).sum() / count
            self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
            for name, value in values.items():
                means[name] = means.get(name, 0.0) + value / count
        average_gradients(self.task.module)
        return means

    def set_rate(self, state: FitState, time_share: float) -> float:
        """Return the learning rate that is due, after giving it to the optimiser.

        Args:
            state: how far the training is.
            time_share: of the time that it may take, in [0, 1].
        """
        config, steps = self.settings.optimiser, self.settings.steps_an_epoch
        drops = 0
        if config.plateau_epochs is not None:
            scores = [row[self.task.monitor] for row in state.rows]
            drops = plateau_drops(scores, config.plateau_epochs)
        due = scheduled_step(config, state.step, steps, time_share)
        rate = learning_rate(config, due, steps, drops=drops)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def follow(self) -> None:
        """Move the parameters along the gradients that they hold."""
        limit = self.settings.optimiser.gradient_clip
        if limit is not None:
            self.scaler.unscale_(self.optimiser)
            for group in self.optimiser.param_groups:
                nn.utils.clip_grad_norm_(group["params"], limit)
        self.scaler.step(self.optimiser)
        self.scaler.update()


def _require_finite(values: dict[str, float], step: int) -> None:
    broken = {name: value for name, value in values.items() if not math.isfinite(value)}
    if broken:
        raise ModelError(
            f"training step {step}",
            expected="finite loss terms",
            got=", ".join(f"{name} = {value}" for name, value in broken.items()),
            remedy="Lower the learning rate or set gradient_clip in the recipe.",
        )
