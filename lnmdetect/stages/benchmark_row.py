"""One row of a benchmark: trained, run on the test patients and evaluated; result.json keeps it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from lnmdetect.core.benchmark_config import BenchmarkRow
from lnmdetect.core.config import TableRecipe
from lnmdetect.core.errors import InputError
from lnmdetect.core.progress import Progress
from lnmdetect.io.json_files import read_json, write_json
from lnmdetect.io.recipes import write_recipe
from lnmdetect.io.run_files import LAST, drop_checkpoints
from lnmdetect.metrics.figure import Figure, figures_to_json
from lnmdetect.stages.benchmark_cost import network_cost
from lnmdetect.stages.benchmark_request import CACHE, BenchmarkRequest, row_weights
from lnmdetect.stages.benchmark_split import BenchmarkParts, Part
from lnmdetect.stages.classify import ClassifyRequest, classify
from lnmdetect.stages.detect import detect
from lnmdetect.stages.detect_request import DetectRequest
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.evaluation_result import EvalResult
from lnmdetect.stages.train_classifier import train_classifier
from lnmdetect.stages.train_detector import train_detector
from lnmdetect.stages.training_run import TrainRequest, TrainResult

RESULT, RECIPE = "result.json", "recipe.yaml"
FILES = {"detector": "boxes.json", "classifier": "nodes.json"}
Status = Literal["begun", "done", "failed"]
T = TypeVar("T")


@dataclass(frozen=True)
class RowResult:
    """What became of a row, as result.json holds it.

    Attributes:
        identity: hash of all that decides the result; another one trains the row anew.
        error: why it failed, one sentence.
        figures: on the test patients.
        roc: false and true positive rates of the curve, of a classifier.
        validation: the figures of the epoch that was kept; means over the folds.
        parameters, depth, inference_ms: see `benchmark_cost.NetworkCost`.
        training_minutes, steps, epochs: of all folds together.
        deterministic: whether the same seed gives the same weights on the CPU of one machine.
    """

    identity: str
    status: Status
    error: str | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)
    roc: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    validation: Mapping[str, float] = field(default_factory=dict)
    parameters: int | None = None
    depth: int | None = None
    inference_ms: float | None = None
    training_minutes: float | None = None
    steps: int | None = None
    epochs: int | None = None
    deterministic: bool | None = None


@dataclass(frozen=True)
class RowJob:
    """A row that is to be run, in its folder."""

    row: BenchmarkRow
    recipe: TableRecipe
    identity: str
    folder: Path
    request: BenchmarkRequest
    parts: BenchmarkParts

    def run_folder(self, part: Part) -> Path:
        """Return the folder of the training that `part` is held out of."""
        return self.folder if len(self.parts.tested) == 1 else self.folder / f"fold{part.name}"

    @property
    def predictions(self) -> tuple[Path, ...]:
        """The boxes or nodes files of the tested parts, in their order."""
        name = FILES[self.recipe.arm]
        return tuple(self.run_folder(part) / name for part in self.parts.tested)


class RowProgress:
    """A progress whose bars tell which row they belong to."""

    def __init__(self, progress: Progress, row: str) -> None:
        self.progress, self.row = progress, row

    def track(
        self, items: Iterable[T], *, description: str, total: int | None = None
    ) -> Iterator[T]:
        """Yield `items` unchanged."""
        told = f"{self.row}: {description}"
        yield from self.progress.track(items, description=told, total=total)


def stored_result(folder: Path) -> RowResult | None:
    """Return what result.json says of a row, None where there is none.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        figures = {name: _figure(told) for name, told in content.pop("figures").items()}
        roc = content.pop("roc")
        curve = None if roc is None else (tuple(roc[0]), tuple(roc[1]))
        return RowResult(**content, figures=figures, roc=curve)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder.name}/{RESULT}",
            expected="the result of a row, as this version writes it",
            got=f"something else ({type(error).__name__})",
            remedy=f"Delete the folder {folder.name}; that row is then trained anew.",
        ) from None


def _figure(told: Mapping[str, Any]) -> Figure:
    parts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}
    return Figure(**parts)


def store_result(result: RowResult, folder: Path) -> None:
    """Write result.json."""
    write_json(figures_to_json(result), folder / RESULT, overwrite=True)


def run_row(job: RowJob, progress: Progress) -> RowResult:
    """Return the result of a row after training, testing and evaluating it.

    A row that was interrupted goes on from its last checkpoint.

    Raises:
        LnmDetectError: a stage refuses.
        RuntimeError: torch cannot run the network.
    """
    begun = stored_result(job.folder)
    goes_on = begun is not None and begun.identity == job.identity and begun.status == "begun"
    result = RowResult(job.identity, "begun", deterministic=job.request.budget_minutes is None)
    store_result(result, job.folder)
    write_recipe(job.recipe.model_dump(mode="json"), job.folder / RECIPE, overwrite=True)
    watched = RowProgress(progress, job.row.name)
    trained = [_train(job, part, watched, goes_on=goes_on) for part in job.parts.tested]
    for part, training in zip(job.parts.tested, trained, strict=True):
        _predict(job, part, training.bundle, watched)
    result = _with_figures(result, job, _evaluated(job, watched))
    cost = network_cost(
        trained[0].bundle, job.recipe, job.parts.tested[0].truth, job.request.device
    )
    result = replace(
        result,
        status="done",
        validation=_means([training.kept for training in trained]),
        parameters=cost.parameters,
        depth=cost.depth,
        inference_ms=cost.inference_ms,
        training_minutes=round(sum(training.seconds for training in trained) / 60, 2),
        steps=sum(training.steps for training in trained),
        epochs=sum(training.epochs for training in trained),
    )
    store_result(result, job.folder)
    for part in job.parts.tested:
        drop_checkpoints(job.run_folder(part))  # of VGG alone 1.6 GB
    return result


def _train(job: RowJob, part: Part, progress: Progress, *, goes_on: bool) -> TrainResult:
    request, folder = job.request, job.run_folder(part)
    resume = goes_on and (folder / LAST).is_file()
    budget = request.budget_minutes
    training = TrainRequest(
        request.data,
        recipe=str(job.folder / RECIPE),
        output=folder,
        device=request.device,
        seed=request.seed,
        scan=request.scan,
        resume=resume,
        overwrite=not resume,
        workers=request.workers,
        cache=request.output / CACHE,
        folds=job.parts.folds_file,
        fold=part.name,
        validation=job.parts.validation,
        budget_minutes=None if budget is None else budget / len(job.parts.tested),
        blind_too=True,
        init=row_weights(request, job.row),
    )
    if job.recipe.arm == "detector":
        return train_detector(training, progress)
    return train_classifier(training, progress)


def _predict(job: RowJob, part: Part, bundle: Path, progress: Progress) -> None:
    """Write the boxes or nodes of a tested part."""
    output, device = job.run_folder(part) / FILES[job.recipe.arm], job.request.device
    model = str(bundle)
    if job.recipe.arm == "detector":
        detect(
            DetectRequest(part.truth, output, model=model, device=device, overwrite=True), progress
        )
    else:
        classify(
            ClassifyRequest(part.truth, output, model=model, device=device, overwrite=True),
            progress,
        )


def _evaluated(job: RowJob, progress: Progress) -> EvalResult:
    found = job.predictions
    is_detector = job.recipe.arm == "detector"
    request = EvalRequest(
        job.parts.test_files,
        boxes=found,  # named, as else a nodes.json that lies here by chance is taken
        truth_nodes=() if is_detector else found,
        bootstrap=job.request.bootstrap,
    )
    return evaluate(request, progress)


def _with_figures(result: RowResult, job: RowJob, found: EvalResult) -> RowResult:
    if found.detection is not None and job.recipe.arm == "detector":
        average = found.detection.average_precision
        at_one = next(p for p in found.detection.froc.points if p.false_positives == 1)
        figures = {
            "ap50": average.ap50,
            "ap": average.ap,
            "sensitivity_at_1_fp_per_image": at_one.sensitivity,
        }
        return replace(result, figures=figures)
    classes = found.classification_on_truth_boxes
    assert classes is not None  # truth boxes were classified
    of = classes.figures
    names = ("auc", "accuracy", "tpr", "tnr", "ppv", "npv")
    curve = (of.roc.fpr, of.roc.tpr) if of.roc.fpr else None
    return replace(result, figures={name: getattr(of, name) for name in names}, roc=curve)


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean validation figures of the folds' best epochs."""
    kept = [name for name in ("ap50", "auc", "accuracy") if name in rows[0]]
    return {name: round(sum(row[name] for row in rows) / len(rows), 6) for name in kept}
