"""What a training leaves: its bundle, the picture of its curves, run.json."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from lnmdetect.core.config import Recipe
from lnmdetect.core.patient_digests import PatientDigests
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.core.thresholds import Threshold
from lnmdetect.datasets.splits import PatientSplit
from lnmdetect.io.bundles import Bundle, read_bundle, write_bundle
from lnmdetect.io.cards import bundle_card
from lnmdetect.io.figures_training import plot_learning_curves
from lnmdetect.io.imagenet import given_file
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.run_files import load_kept
from lnmdetect.io.run_record import RUN, RunRecord
from lnmdetect.models.shared_batch import is_first, rank_count
from lnmdetect.stages.training_run import (
    BUNDLE,
    CURVES_PNG,
    TrainRequest,
    TrainResult,
)
from lnmdetect.stages.training_split import HeldOut
from lnmdetect.training.fit_settings import FitResult
from lnmdetect.training.ranks import wait_for_all

CHANCE = {"auc": 0.5}
"""What a network that has learnt nothing reaches in a metric; in the others at least 0."""


class TrainedOn(Protocol):
    """What a training was given, of any arm."""

    @property
    def split(self) -> PatientSplit:
        """Who was trained on and who chose epoch and threshold."""
        ...

    @property
    def held_out(self) -> HeldOut | None:
        """Who was not touched."""
        ...

    @property
    def is_phantom(self) -> bool:
        """Whether the pixels are synthetic."""
        ...

    def described(self) -> dict[str, Any]:
        """Return what only data of this kind have to tell a card's reader."""
        ...


def finish_training(
    request: TrainRequest,
    recipe: Recipe,
    fitted: FitResult,
    *,
    metric: str,
    threshold: Threshold,
    node_threshold: Threshold | None = None,
    figures: Mapping[str, float | None],
    inputs: TrainedOn,
    record: RunRecord,
    first_stage: PatientDigests | None = None,
) -> TrainResult:
    """Return the result after writing the bundle, the curves' picture and run.json.

    Of several ranks the first one writes, and the others wait for it.

    Args:
        request: gives the folder.
        recipe: of the network.
        fitted: curves and the epoch that is kept.
        metric: name of the validation metric.
        threshold: chosen on the validation patients.
        node_threshold: of a segmenter, on the score of a node.
        figures: others reached on them.
        inputs: trained on.
        record: of the run so far.
        first_stage: patients that the first stage of a cascade was trained on.
    """
    bundle = _bundle(
        request,
        recipe,
        inputs,
        first_stage,
        threshold=threshold,
        node_threshold=node_threshold,
        figures={metric: fitted.kept, "epoch": fitted.kept_epoch, **figures},
    )
    record.lap("threshold")
    if is_first():
        _write(request, bundle, fitted, metric, record)
    wait_for_all()
    return TrainResult(
        bundle=bundle.folder,
        metric=metric,
        reached=fitted.kept,
        kept_epoch=fitted.kept_epoch,
        threshold=threshold.value,
        curves=request.output / CURVES_PNG,
        notes=(
            *(inputs.held_out.notes() if inputs.held_out else ()),
            *learning_notes(metric, fitted.kept),
            *norm_notes(recipe, rank_count()),
        ),
        kept=next(row for row in fitted.rows if row["epoch"] == fitted.kept_epoch),
        steps=fitted.steps,
        epochs=len(fitted.rows),
        seconds=round(fitted.seconds, 1),
        loader_wait_share=fitted.loader_wait_share,
    )


def _write(
    request: TrainRequest, bundle: Bundle, fitted: FitResult, metric: str, record: RunRecord
) -> None:
    """Write the bundle, the curves' picture and run.json."""
    write_bundle(bundle, load_kept(request.output), bundle_card(bundle), overwrite=True)
    plot_learning_curves(
        list(fitted.rows),
        request.output / CURVES_PNG,
        watched=metric,
        kept_epoch=fitted.kept_epoch,
        overwrite=True,
    )
    recipe = bundle.recipe
    record.model = {recipe.name: read_bundle(str(bundle.folder), recipe.arm).sha256}
    record.write(request.output / RUN)


def _bundle(
    request: TrainRequest,
    recipe: Recipe,
    inputs: TrainedOn,
    first_stage: PatientDigests | None,
    *,
    threshold: Threshold,
    node_threshold: Threshold | None,
    figures: Mapping[str, float | None],
) -> Bundle:
    """Return the bundle of a finished training, its patients as digests; nothing is written."""
    seen = partial(PatientDigests.of, truth_sha256=sha256_of_file(request.data))
    chosen_on = seen(inputs.split.validation)
    return Bundle(
        name=recipe.name,
        recipe=recipe,
        threshold=replace(threshold, patients=chosen_on),
        node_threshold=node_threshold and replace(node_threshold, patients=chosen_on),
        trained_on=seen(inputs.split.training).with_those_of(first_stage),
        is_phantom=inputs.is_phantom,
        figures=dict(figures),
        sha256="",
        folder=request.output / BUNDLE,
        data=_described(request, inputs),
    )


def learning_notes(metric: str, reached: float) -> tuple[str, ...]:
    """Return a warning where the validation figure of the kept epoch is no better than chance.

    Args:
        metric: name of the figure.
        reached: its value.
    """
    chance = CHANCE.get(metric, 0.0)
    if reached > chance:
        return ()
    return (
        f"The bundle has learnt nothing: validation {metric} is {reached:g}, chance {chance:g}. "
        "Look at the curves and train longer, on more patients or at another learning rate.",
    )


def norm_notes(recipe: Recipe, processes: int) -> tuple[str, ...]:
    """Return what must be known of batch norms where several processes have trained.

    Args:
        recipe: of any arm; a segmenter has none.
        processes: that shared each batch.
    """
    if processes == 1 or isinstance(recipe, SegmenterRecipe) or recipe.model.norm != "batch":
        return ()
    return (
        f"Batch norms, where the network has them, measured each of the {processes} processes' own "
        "share of a batch, so the curve is not that of one process; with norm: group or frozen it "
        "would be.",
    )


def _described(request: TrainRequest, inputs: TrainedOn) -> dict[str, Any]:
    """Return what tells a card's reader which data a bundle has seen."""
    return {
        "seed of the training": request.seed,
        "patients trained on": len(inputs.split.training),
        "patients validated on": len(inputs.split.validation),
        **(inputs.held_out.described() if inputs.held_out else {}),
        **inputs.described(),
        "sha256 of the truth file": sha256_of_file(request.data),
    }


def training_record(request: TrainRequest, recipe: Recipe) -> RunRecord:
    """Return a started record of the run.

    Raises:
        UsageError: `--init` is neither imagenet nor a file of weights.
    """
    record = RunRecord(
        command=f"train {recipe.arm}",
        config={
            "recipe": recipe.model_dump(mode="json"),
            "init": Path(request.init).name if request.init else None,
            "fold": request.fold,
            "processes": rank_count(),
        },
        seed=request.seed,
    )
    init = given_file(request.init) if request.init and not request.resume else None
    for file in filter(None, (request.data, request.folds, init)):
        record.inputs[file.name] = sha256_of_file(file)
    return record
