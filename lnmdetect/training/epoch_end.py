"""What the end of an epoch leaves: a row of figures, the curves, weights that are kept."""

from collections.abc import Mapping

from torch import nn

from lnmdetect.core.config_parts import OptimiserConfig
from lnmdetect.io.learning_curves import save_curves
from lnmdetect.io.run_files import save_kept
from lnmdetect.models.shared_batch import is_first
from lnmdetect.training.checkpoint import FitState
from lnmdetect.training.fit_settings import WAITED, FitResult, FitSettings
from lnmdetect.training.task import Task


def close_epoch(
    state: FitState,
    figures: Mapping[str, float],
    settings: FitSettings,
    task: Task,
    *,
    rate: float,
    times_s: tuple[float, float],
) -> None:
    """Add the epoch's row to the state and write the curves, and the weights if they are kept.

    Of several ranks the first one writes.

    Args:
        state: changed in place.
        figures: of the validation.
        settings: gives steps an epoch, the folder, and which epoch is kept.
        task: gives the weights and the figure that is maximised.
        rate: learning rate of the last step.
        times_s: that the steps took, and how much of it went into waiting for batches.
    """
    epoch = -(-state.step // settings.steps_an_epoch)
    steps = state.step - (epoch - 1) * settings.steps_an_epoch  # fewer where the time ran out
    means = {name: value / steps for name, value in state.sums.items()}
    state.sums.clear()
    seconds, waited_s = times_s
    waited = min(1.0, waited_s / seconds) if seconds > 0 else 0.0
    times = {"seconds": round(seconds, 1), WAITED: round(waited, 4)}
    state.rows.append({"epoch": epoch, "learning_rate": rate, **means, **figures, **times})
    if is_best := figures[task.monitor] > state.best:
        state.best, state.best_epoch = figures[task.monitor], epoch
    if is_first():
        keep = is_best or settings.keep == "last"
        write_epoch(state, task.module, settings, keep=keep)


def write_epoch(state: FitState, module: nn.Module, settings: FitSettings, *, keep: bool) -> None:
    """Write the curves, and the weights where they are to be kept.

    Args:
        state: with the epoch's row.
        module: the network.
        settings: gives the folder.
        keep: whether the weights are written.
    """
    if keep:
        save_kept(settings.folder, module.state_dict())
    save_curves(settings.folder, state.rows)


def is_over(state: FitState, settings: FitSettings) -> bool:
    """Return whether a training trains no further, whatever epochs are left."""
    is_late = settings.budget_s is not None and state.seconds >= settings.budget_s
    return is_late or is_stale(state, settings.optimiser)


def is_stale(state: FitState, config: OptimiserConfig) -> bool:
    """Return whether the validation figure has not risen for so many epochs."""
    return config.patience is not None and len(state.rows) - state.best_epoch >= config.patience


def result_of(state: FitState, monitor: str, settings: FitSettings) -> FitResult:
    """Return what a training reached, by the epoch whose weights are kept."""
    last = state.rows[-1][monitor], len(state.rows)
    kept, epoch = last if settings.keep == "last" else (state.best, state.best_epoch)
    return FitResult(tuple(state.rows), kept, epoch, state.step, state.seconds)
