"""What trainings share before the fit: the request, the recipe, the run's folder, the split."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnmdetect.core.config import Recipe
from lnmdetect.core.errors import OutputError
from lnmdetect.core.records import CocoDataset
from lnmdetect.core.scan_ranges import SCANS_SEEN, ranges_of
from lnmdetect.datasets.splits import Cohort, PatientSplit
from lnmdetect.io.coco import read_coco
from lnmdetect.io.pixel_roots import scan_root
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.recipes import Arm, read_recipe
from lnmdetect.io.run_files import LAST, forget_run, make_run_folder
from lnmdetect.stages.training_split import (
    DrawnSplit,
    HeldOut,
    hold_out,
    split_of_run,
    stored_split,
)
from lnmdetect.training.ranks import first_then_others

SPLIT, CURVES_PNG, BUNDLE, CACHE = "split.json", "curves.png", "bundle", "cache"


@dataclass(frozen=True)
class TrainRequest:
    """What to train on what.

    Attributes:
        data: truth.json.
        recipe: name of a bundled recipe, or path of a YAML file.
        output: the run's folder.
        scan: where the pixels are; None takes the truth's `info.scan_root`.
        init: `imagenet`, a file with these weights, or None to start from random ones; a resumed
            run has its own.
        resume: go on from the folder's last checkpoint.
        workers: processes that prepare batches.
        cache: where prepared pixels are kept; None keeps them in the run's folder.
        folds, fold: folds.json, and the fold of it that is not touched; None trains on all.
        validation: patients that choose epoch and threshold; None draws the recipe's share.
        budget_minutes: the training ends within them; None: all epochs.
        accumulate: batches an optimiser step, in place of the recipe's; None: the recipe's.
        coarse: bundle of a segmenter at a coarser spacing, the first stage of a cascade; None: no
            cascade.
        classes: key of `core.node_classes.CLASSES_BY_NAME`: what a segmenter tells apart; None:
            what its recipe says.
        modalities: of a fusion network, separated by commas; None: what its recipe says.
        backbone: of a fusion network's images, see `core.fusion_config`; likewise.
        blind_too: keep a detector that hits no validation node, with a threshold of 0.5.
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
    validation: tuple[str, ...] | None = None
    budget_minutes: float | None = None
    accumulate: int | None = None
    coarse: str | None = None
    classes: str | None = None
    modalities: str | None = None
    backbone: str | None = None
    blind_too: bool = False

    @property
    def cache_folder(self) -> Path:
        """Where prepared pixels are kept."""
        return self.cache or self.output / CACHE


@dataclass(frozen=True)
class TrainResult:
    """Where a training's bundle lies, and what it reached on validation patients.

    Attributes:
        metric: that is watched on validation patients.
        reached: its value in the epoch whose weights are kept, `kept_epoch`.
        kept: losses and validation figures of that epoch.
        steps, epochs, seconds: that the training took, validations included.
        plan: of a segmenter, as its bundle has it.
        loader_wait_share: of the time of the steps, spent waiting for batches; None: not known.
    """

    bundle: Path
    metric: str
    reached: float
    kept_epoch: int
    threshold: float
    curves: Path
    notes: tuple[str, ...] = ()
    kept: Mapping[str, float] = field(default_factory=dict)
    steps: int = 0
    epochs: int = 0
    seconds: float = 0.0
    plan: Mapping[str, Any] | None = None
    loader_wait_share: float | None = None


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
    def is_phantom(self) -> bool:
        """Whether the pixels are synthetic."""
        return self.truth.is_phantom

    def described(self) -> dict[str, Any]:
        """Return what only scans have to tell a card's reader: phantoms and ranges."""
        phantoms = self.truth.info.get("phantoms") or [
            {key: self.truth.info.get(key) for key in ("setting", "seed")}
        ]
        ranges = ranges_of(self.training.images)
        return {
            **({"phantoms": phantoms} if self.is_phantom else {}),
            **({SCANS_SEEN: ranges.to_json()} if ranges else {}),
        }

    @property
    def training(self) -> CocoDataset:
        """The part to learn from."""
        return self.truth.select_patients(set(self.split.training))

    @property
    def validation(self) -> CocoDataset:
        """The part that is held out."""
        return self.truth.select_patients(set(self.split.validation))


def asked_recipe(request: TrainRequest, arm: Arm) -> Recipe:
    """Return the recipe that is asked for, with what the request changes in every arm.

    Raises:
        UsageError: there is none of that name.
        InputError: it is no recipe of this arm.
    """
    recipe = read_recipe(request.recipe, arm)
    if request.accumulate is None:
        return recipe
    optimiser = recipe.optimiser.model_copy(update={"accumulate": request.accumulate})
    return recipe.model_copy(update={"optimiser": optimiser})


def open_training(request: TrainRequest, recipe: Recipe) -> TrainingInputs:
    """Return the inputs after making the run's folder; the split is the folder's own on resume.

    Raises:
        OutputError: the folder holds a training and neither resume nor overwrite is set.
        InputError: the truth file or its pixels are unsound, or hold fewer than two patients.
    """
    require_own_folder(request)
    whole = read_coco(request.data)
    truth, held_out = hold_out(whole, request.data, request.folds, request.fold)
    store = PixelStore(scan_root(request.data, truth, request.scan), png_folder=request.data.parent)
    return TrainingInputs(truth, store, begin_run(request, truth, recipe, held_out), held_out)


def require_own_folder(request: TrainRequest) -> None:
    """Do nothing where the run's folder is new, or may be gone on with or replaced.

    Raises:
        OutputError: the folder holds a training and neither resume nor overwrite is set.
    """
    begun = (request.output / LAST).exists() or (request.output / BUNDLE).exists()
    if begun and not (request.resume or request.overwrite):
        raise OutputError(
            request.output.name,
            expected="a new folder for the run",
            got="one that holds a training",
            remedy="Continue it with --resume, replace it with --overwrite, or name another.",
        )


def begin_run(
    request: TrainRequest,
    truth: Cohort,
    recipe: Recipe,
    held_out: HeldOut | None,
    *,
    validation: tuple[str, ...] | None = None,
) -> PatientSplit:
    """Return the split after making the run's folder; it is the folder's own on resume.

    Of several ranks the first one writes, and the others read the split.

    Args:
        request: gives folder and seed, and maybe the validation patients.
        truth: what may be trained on.
        recipe: gives the share of validation patients.
        held_out: what may not.
        validation: patients that take this part unless the request names others; None: the
            recipe's share is drawn.

    Raises:
        InputError: fewer than two patients, or others than the resumed run began with.
        OutputError: the folder cannot be made.
    """
    path = request.output / SPLIT
    named = validation if request.validation is None else request.validation

    def begin() -> PatientSplit:
        make_run_folder(request.output)
        if not request.resume:
            forget_run(request.output)
        return split_of_run(
            path,
            truth,
            held_out,
            resumes=request.data if request.resume else None,
            drawn=DrawnSplit(recipe.validation_share, request.seed, named),
        )

    return first_then_others(begin, lambda: stored_split(truth, path, request.data))
