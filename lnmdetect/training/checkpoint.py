"""The state of a training on disk, enough to continue to the same result."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from lnmdetect.core.errors import ModelError
from lnmdetect.io.run_files import LAST, load_checkpoint, save_checkpoint


@dataclass
class FitState:
    """How far a training is: the only mutable value of the engine.

    Attributes:
        step: optimiser steps done, over all epochs.
        rows: one row of figures a finished epoch.
        sums: loss terms added up over the steps of the epoch under way.
        best: best validation figure so far; best_epoch: the epoch (from 1) it came from.
    """

    step: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    best: float = float("-inf")
    best_epoch: int = 0


def save_state(
    folder: Path, state: FitState, module: nn.Module, optimiser: torch.optim.Optimizer
) -> None:
    """Write the whole state to `folder/last.pt`."""
    content = {
        "state": vars(state),
        "module": module.state_dict(),
        "optimiser": optimiser.state_dict(),
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    save_checkpoint(folder, content)


def load_state(folder: Path, module: nn.Module, optimiser: torch.optim.Optimizer) -> FitState:
    """Return the state in `folder/last.pt` after putting it into the network and the optimiser.

    Raises:
        ModelError: there is none, or it belongs to another network.
    """
    content = load_checkpoint(folder)
    if content is None:
        raise ModelError(
            LAST,
            expected="a checkpoint to resume from",
            got="no such file in the run's folder",
            remedy="Start without --resume, or name the folder of the interrupted run.",
        )
    try:
        module.load_state_dict(content["module"])
    except RuntimeError as error:
        raise ModelError(
            LAST,
            expected="the weights of this recipe's network",
            got=str(error).splitlines()[0],
            remedy="Resume with the recipe the run was started with.",
        ) from None
    optimiser.load_state_dict(content["optimiser"])
    torch.set_rng_state(content["random"])
    if content["random_cuda"]:
        torch.cuda.set_rng_state_all(content["random_cuda"])
    return FitState(**content["state"])
