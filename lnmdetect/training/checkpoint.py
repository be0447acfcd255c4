"""The state of a training on disk, enough to continue to the same result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from lnmdetect.core.errors import ModelError
from lnmdetect.io.run_files import LAST, load_checkpoint, save_checkpoint
from lnmdetect.models.shared_batch import is_first, rank_count


@dataclass
class FitState:
    """How far a training is: the only mutable value of the engine.

    Attributes:
        step: optimiser steps done, over all epochs.
        rows: one row of figures a finished epoch.
        sums: loss terms added up over the steps of the epoch under way.
        best: best validation figure so far; best_epoch: the epoch (from 1) it came from.
        seconds: taken so far, validation included.
    """

    step: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    best: float = float("-inf")
    best_epoch: int = 0
    seconds: float = 0.0

    def count_step(self, terms: Mapping[str, float]) -> None:
        """Count an optimiser step with the terms of its loss."""
        self.step += 1
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value


def save_state(
    folder: Path,
    state: FitState,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    *,
    identity: Mapping[str, str],
) -> None:
    """Write the whole state to `folder/last.pt`, on the first rank; it is the same on all.

    Args:
        folder: of the run.
        state: how far it is.
        module: the network.
        optimiser: with its moments.
        scaler: of fp16 gradients.
        identity: what the run rests on and may not change (recipe, seed, data), by name.
    """
    if not is_first():
        return
    content = {
        "identity": dict(identity),
        "state": vars(state),
        "module": module.state_dict(),
        "optimiser": optimiser.state_dict(),
        "scaler": scaler.state_dict(),
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    save_checkpoint(folder, content)


def load_state(
    folder: Path,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    *,
    identity: Mapping[str, str],
) -> FitState:
    """Return the state in `folder/last.pt` after putting it into network, optimiser and scaler.

    Raises:
        ModelError: there is none, it is damaged, or it belongs to a run of another identity
            (see `save_state`), network or optimiser.
    """
    content = load_checkpoint(folder)
    if content is None:
        raise ModelError(
            LAST,
            expected="a checkpoint to resume from",
            got="no such file in the run's folder",
            remedy="Start without --resume, or name the folder of the interrupted run.",
        )
    _require_same_run(content.get("identity", {}), identity)
    options = set(optimiser.param_groups[0])
    try:
        module.load_state_dict(content["module"])
        optimiser.load_state_dict(content["optimiser"])
        scaler.load_state_dict(content.get("scaler", {}))  # {} where it was off
        if set(optimiser.param_groups[0]) != options:
            raise ValueError("the state of another optimiser")
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            LAST,
            expected="the state of this recipe's network and optimiser",
            got=str(error).splitlines()[0],
            remedy="Resume with the recipe the run was started with.",
        ) from None
    torch.set_rng_state(content["random"])
    if content["random_cuda"] and rank_count() == 1:
        torch.cuda.set_rng_state_all(content["random_cuda"])
    elif content["random_cuda"]:  # written by the first rank, whose GPU is the first
        torch.cuda.set_rng_state(content["random_cuda"][0])
    return FitState(**content["state"])


def _require_same_run(begun_with: Mapping[str, str], now: Mapping[str, str]) -> None:
    changed = [name for name in now if begun_with.get(name) != now[name]]
    if changed:
        raise ModelError(
            LAST,
            expected=f"a run begun with this {' and '.join(changed)}",
            got=f"one begun with another {' and '.join(changed)}",
            remedy="Resume with what the run's run.json or command names, or start a new run.",
        )
