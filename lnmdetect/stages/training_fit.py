"""The fit that trainings of all arms share: device, settings, first weights, batches."""

import hashlib
from dataclasses import replace

import torch

from lnmdetect.core.config import Recipe
from lnmdetect.core.progress import Progress
from lnmdetect.datasets.classifier_data import TrainingCrops
from lnmdetect.datasets.detector_data import TrainingWindows
from lnmdetect.datasets.fusion_data import TrainingCases
from lnmdetect.datasets.segmenter_data import TrainingPatches
from lnmdetect.io.bundles import as_stored, read_bundle
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.machine import rank_place
from lnmdetect.io.run_files import load_kept
from lnmdetect.models.shared_batch import rank_count, share_dropout
from lnmdetect.stages.first_weights import AnyTask, require_weights_for_norm, start_from
from lnmdetect.stages.training_run import TrainRequest
from lnmdetect.training.devices import choose_device, limit_threads, training_compute
from lnmdetect.training.engine import fit
from lnmdetect.training.fit_settings import CountedBatches, FitResult, FitSettings, Keep
from lnmdetect.training.loaders import Collate, steps_an_epoch, training_batches
from lnmdetect.training.ranks import join_ranks


def start_compute(request: TrainRequest, recipe: Recipe) -> torch.device:
    """Return the device, with threads limited to the cores and the random state seeded.

    Where torchrun has started several processes, they have met when this returns.

    Raises:
        UsageError: the recipe's norms and the first weights do not suit each other, there is no
            such device, or the batch cannot be divided by the processes.
        ModelError: another process does not answer.
    """
    require_weights_for_norm(recipe, init=request.init, resumes=request.resume)
    limit_threads()
    device = choose_device(request.device)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    join_ranks(rank_place(), recipe.optimiser.batch_size)
    torch.manual_seed(request.seed)
    return device


def fit_settings(
    request: TrainRequest, recipe: Recipe, device: torch.device, steps: int
) -> FitSettings:
    """Return the engine's settings for a request."""
    return FitSettings(
        optimiser=recipe.optimiser,
        compute=training_compute(device),
        steps_an_epoch=steps,
        folder=request.output,
        resume=request.resume,
        budget_s=None if request.budget_minutes is None else 60 * request.budget_minutes,
        identity={
            "recipe": hashlib.sha256(recipe.model_dump_json().encode()).hexdigest(),
            "seed": str(request.seed),
            "data file": sha256_of_file(request.data),
            **_fold_identity(request),
            **_coarse_identity(request),
        },
    )


def _fold_identity(request: TrainRequest) -> dict[str, str]:
    if request.folds is None or request.fold is None:
        return {}
    return {"fold": request.fold, "folds file": sha256_of_file(request.folds)}


def _coarse_identity(request: TrainRequest) -> dict[str, str]:
    if request.coarse is None:
        return {}
    return {"first stage": read_bundle(request.coarse, "segmenter").sha256}


def fit_task(
    request: TrainRequest,
    recipe: Recipe,
    task: AnyTask,
    *,
    data: TrainingWindows | TrainingCrops | TrainingPatches | TrainingCases,
    collate: Collate,
    validation: CountedBatches,
    progress: Progress,
    keep: Keep = "best",
) -> FitResult:
    """Return the curves of a training; the task then holds the kept weights, as stored.

    Args:
        request: gives seed, workers, folder and the first weights.
        recipe: gives optimiser and length.
        task: trained in place.
        data: training items by draw.
        collate: joins items to a batch.
        validation: batches passed once an epoch.
        progress: told about every step.
        keep: which epoch's weights.
    """
    if request.init and not request.resume:
        start_from(request.init, task, recipe)
    if rank_count() > 1:
        share_dropout(task.module)
    steps = steps_an_epoch(len(data), recipe.optimiser)
    batches = training_batches(
        data,
        collate,
        recipe.optimiser,
        steps=steps,
        seed=request.seed,
        workers=request.workers,
    )
    settings = replace(fit_settings(request, recipe, task.device, steps), keep=keep)
    fitted = fit(task, batches, validation, settings, progress)
    task.module.load_state_dict(as_stored(load_kept(request.output)))
    return fitted
