"""What the two trainings share: the request, the run's folder, the split and the bundle."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lnmdetect.core.config import Recipe
from lnmdetect.core.errors import OutputError
from lnmdetect.core.patient_digests import PatientDigests
from lnmdetect.core.progress import Progress
from lnmdetect.core.records import CocoDataset
from lnmdetect.core.thresholds import Threshold
from lnmdetect.datasets.classifier_data import TrainingCrops
from lnmdetect.datasets.detector_data import TrainingWindows
from lnmdetect.datasets.splits import PatientSplit
from lnmdetect.io.bundles import Bundle, as_stored, read_bundle, write_bundle
from lnmdetect.io.cards import bundle_card
from lnmdetect.io.coco import read_coco
from lnmdetect.io.figures_training import plot_learning_curves
from lnmdetect.io.imagenet import load_imagenet_body
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.pixel_roots import scan_root
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.run_files import LAST, forget_run, load_best, make_run_folder
from lnmdetect.io.run_record import RunRecord
from lnmdetect.stages.training_split import HeldOut, hold_out, new_split, stored_split
from lnmdetect.training.classifier_task import ClassifierTask
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.devices import choose_device, limit_threads, training_compute
from lnmdetect.training.engine import FitResult, FitSettings, fit
from lnmdetect.training.loaders import Collate, steps_an_epoch, training_batches

SPLIT, RUN, CURVES_PNG, BUNDLE, CACHE = "split.json", "run.json", "curves.png", "bundle", "cache"


@dataclass(frozen=True)
class TrainRequest:
    """What to train on what.

    Attributes:
        data: truth.json.
        recipe: name of a bundled recipe, or path of a YAML file.
        output: the run's folder.
        scan: where the pixels are; None takes the truth's `info.scan_root`.
        init: `imagenet`, or None to start from random weights; a resumed run has its own.
        resume: go on from the folder's last checkpoint.
        workers: processes that prepare batches.
        cache: where prepared pixels are kept; None keeps them in the run's folder.
        folds, fold: folds.json, and the fold of it that is not touched; None trains on all.
    """

    data: Path
    recipe: str
    output: Path
    device: str = "auto"
    seed: int = 0
    scan: Path | None = None
    init: str | None = None
    resume: bool = False
    overwrite: bool = False
    workers: int = 0
    cache: Path | None = None
    folds: Path | None = None
    fold: str | None = None

    @property
    def cache_folder(self) -> Path:
        """Where prepared pixels are kept."""
        return self.cache or self.output / CACHE


@dataclass(frozen=True)
class TrainResult:
    """Where a training's bundle lies, and what it reached on validation patients."""

    bundle: Path
    metric: str
    best: float
    best_epoch: int
    threshold: float
    curves: Path
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingInputs:
    """A truth file opened for training: its patients split, its pixels found.

    Attributes:
        truth: what may be trained on, without the fold that is held out.
    """

    truth: CocoDataset
    store: PixelStore
    split: PatientSplit
    held_out: HeldOut | None = None

    @property
    def training(self) -> CocoDataset:
        """The part to learn from."""
        return self.truth.select_patients(set(self.split.training))

    @property
    def validation(self) -> CocoDataset:
        """The part that is held out."""
        return self.truth.select_patients(set(self.split.validation))


def open_training(request: TrainRequest, recipe: Recipe) -> TrainingInputs:
    """Return the inputs after making the run's folder; the split is the folder's own on resume.

    Raises:
        OutputError: the folder holds a training and neither resume nor overwrite is set.
        InputError: the truth file or its pixels are unsound, or hold fewer than two patients.
    """
    begun = (request.output / LAST).exists() or (request.output / BUNDLE).exists()
    if begun and not (request.resume or request.overwrite):
        raise OutputError(
            request.output.name,
            expected="a new folder for the run",
            got="one that holds a training",
            remedy="Continue it with --resume, replace it with --overwrite, or name another.",
        )
    whole = read_coco(request.data)
    truth, held_out = hold_out(whole, request.data, request.folds, request.fold)
    store = PixelStore(scan_root(request.data, truth, request.scan), png_folder=request.data.parent)
    make_run_folder(request.output)
    if not request.resume:
        forget_run(request.output)
    return TrainingInputs(truth, store, _split(request, truth, recipe, held_out), held_out)


def _split(
    request: TrainRequest, truth: CocoDataset, recipe: Recipe, held_out: HeldOut | None
) -> PatientSplit:
    """Return the split of the run that is resumed, or a new one, which is written."""
    path = request.output / SPLIT
    if request.resume and path.is_file():
        return stored_split(truth, path, request.data)
    share = recipe.validation_share
    return new_split(truth, path, held_out=held_out, share=share, seed=request.seed)


def start_compute(request: TrainRequest) -> torch.device:
    """Return the device, with threads limited to the cores and the random state seeded."""
    limit_threads()
    torch.manual_seed(request.seed)
    return choose_device(request.device)


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
        identity={
            "recipe": hashlib.sha256(recipe.model_dump_json().encode()).hexdigest(),
            "seed": str(request.seed),
            "data file": sha256_of_file(request.data),
            **_fold_identity(request),
        },
    )


def _fold_identity(request: TrainRequest) -> dict[str, str]:
    if request.folds is None or request.fold is None:
        return {}
    return {"fold": request.fold, "folds file": sha256_of_file(request.folds)}


def fit_task(
    request: TrainRequest,
    recipe: Recipe,
    task: DetectorTask | ClassifierTask,
    *,
    data: TrainingWindows | TrainingCrops,
    collate: Collate,
    validation: Iterable[Any],
    progress: Progress,
) -> FitResult:
    """Return the curves of a training; the task then holds the best weights, as stored.

    Args:
        request: gives seed, workers, folder and the first weights.
        recipe: gives optimiser and length.
        task: trained in place.
        data: training items by draw.
        collate: joins items to a batch.
        validation: batches passed once an epoch.
        progress: told about every step.
    """
    if request.init and not request.resume:
        load_imagenet_body(task.module.body, request.init)
    steps = steps_an_epoch(len(data), recipe.optimiser)
    batches = training_batches(
        data,
        collate,
        recipe.optimiser,
        steps=steps,
        seed=request.seed,
        workers=request.workers,
    )
    settings = fit_settings(request, recipe, task.device, steps)
    fitted = fit(task, batches, validation, settings, progress)
    task.module.load_state_dict(as_stored(load_best(request.output)))
    return fitted


def finish_training(
    request: TrainRequest,
    recipe: Recipe,
    fitted: FitResult,
    *,
    metric: str,
    threshold: Threshold,
    figures: Mapping[str, float | None],
    inputs: TrainingInputs,
    record: RunRecord,
) -> TrainResult:
    """Return the result after writing the bundle, the curves' picture and run.json.

    Args:
        request: gives the folder.
        recipe: of the network.
        fitted: curves and best epoch.
        metric: name of the validation metric.
        threshold: chosen on the validation patients.
        figures: others reached on them.
        inputs: trained on.
        record: of the run so far.
    """
    folder = request.output / BUNDLE
    seen = partial(PatientDigests.of, truth_sha256=sha256_of_file(request.data))
    bundle = Bundle(
        name=recipe.name,
        recipe=recipe,
        threshold=replace(threshold, patients=seen(inputs.split.validation)),
        trained_on=seen(inputs.split.training),
        is_phantom=inputs.truth.is_phantom,
        figures={metric: fitted.best, "epoch": fitted.best_epoch, **figures},
        sha256="",
        folder=folder,
        data=_described(request, inputs),
    )
    write_bundle(bundle, load_best(request.output), bundle_card(bundle), overwrite=True)
    curves = request.output / CURVES_PNG
    plot_learning_curves(list(fitted.rows), curves, overwrite=True)
    record.lap("threshold")
    record.model = {recipe.name: read_bundle(str(folder), recipe.arm).sha256}
    record.write(request.output / RUN)
    return TrainResult(
        bundle=folder,
        metric=metric,
        best=fitted.best,
        best_epoch=fitted.best_epoch,
        threshold=threshold.value,
        curves=curves,
        notes=inputs.held_out.notes() if inputs.held_out else (),
    )


def _described(request: TrainRequest, inputs: TrainingInputs) -> dict[str, Any]:
    """Return what tells a card's reader which data a bundle has seen."""
    phantoms = inputs.truth.info.get("phantoms") or [
        {key: inputs.truth.info.get(key) for key in ("setting", "seed")}
    ]
    return {
        "seed of the training": request.seed,
        "patients trained on": len(inputs.split.training),
        "patients validated on": len(inputs.split.validation),
        **(inputs.held_out.described() if inputs.held_out else {}),
        **({"phantoms": phantoms} if inputs.truth.is_phantom else {}),
        "sha256 of the truth file": sha256_of_file(request.data),
    }


def training_record(request: TrainRequest, recipe: Recipe) -> RunRecord:
    """Return a started record of the run."""
    record = RunRecord(
        command=f"train {recipe.arm}",
        config={
            "recipe": recipe.model_dump(mode="json"),
            "init": request.init,
            "fold": request.fold,
        },
        seed=request.seed,
    )
    for file in filter(None, (request.data, request.folds)):
        record.inputs[file.name] = sha256_of_file(file)
    return record
