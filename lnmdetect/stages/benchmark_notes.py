"""What a reader of a benchmark's table must know, sentence by sentence."""

from collections.abc import Callable, Iterator, Sequence

from lnmdetect.core.benchmark_config import BenchmarkRecipe
from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe, TableRecipe
from lnmdetect.stages.benchmark_request import BenchmarkRequest
from lnmdetect.stages.benchmark_split import BenchmarkParts

OTHER_DATA = "Published figures are of other data: they stand beside ours, not against them."


def benchmark_notes(
    request: BenchmarkRequest,
    benchmark: BenchmarkRecipe,
    parts: BenchmarkParts,
    recipes: Sequence[TableRecipe],
) -> Iterator[str]:
    """Give the notes.

    Args:
        request: what was asked for.
        benchmark: the table.
        parts: who was trained and tested on.
        recipes: of all rows.
    """
    if parts.truth.is_phantom:
        yield "Phantom figures: all scans are synthetic."
    yield OTHER_DATA
    yield f"Trained here, all rows: {training_text(request, benchmark, recipes)}."
    yield parts.folds.rule
    if request.folds is not None:
        yield (
            f"Cross-validation in place of the paper's split: the answers of {request.folds} "
            "models a row are pooled, as if their scores meant the same."
        )
    if request.budget_minutes is not None:
        yield (
            f"Each row trained at most {request.budget_minutes:g} minutes: its weights depend on "
            "the machine's speed and do not come out alike again."
        )
    if request.init is not None:
        yield "Each row starts from ImageNet weights, its head from random ones."
    yield (
        f"Intervals: bootstrap over patients, {request.bootstrap} resamples; differences are "
        f"paired. proposed: {benchmark.proposed.label}."
    )


def training_text(
    request: BenchmarkRequest, benchmark: BenchmarkRecipe, recipes: Sequence[TableRecipe]
) -> str:
    """Return how the rows are trained; what differs between them is said to."""
    scaled = "ResNet family" if benchmark.arm == "classifier" else "detectors"
    return ", ".join(
        (
            f"recipe {request.changes.base or benchmark.base} with the table's changes",
            f"width {_shared(recipes, lambda r: f'{r.model.width:g}')} of the {scaled}",
            _shared(recipes, _input_text),
            _shared(recipes, _optimiser_text),
            f"{_shared(recipes, _length_text)} at most",
        )
    )


def _shared(recipes: Sequence[TableRecipe], told: Callable[[TableRecipe], str]) -> str:
    """Return what is told of all recipes, each different answer once."""
    return " or ".join(dict.fromkeys(told(recipe) for recipe in recipes))


def _input_text(recipe: TableRecipe) -> str:
    if isinstance(recipe, DetectorRecipe):
        return f"{recipe.input.channels} channels, windows of {recipe.sampling.patch_px} px"
    if isinstance(recipe, ClassifierRecipe):
        return f"{recipe.input.channels} channels, crops of {recipe.model.size_px} px"
    raise TypeError(f"recipe: expected a detector's or a classifier's, got {type(recipe)}")


def _optimiser_text(recipe: TableRecipe) -> str:
    of = recipe.optimiser
    return f"{of.name} {of.learning_rate:g} ({of.schedule}), batches of {of.batch_size}"


def _length_text(recipe: TableRecipe) -> str:
    of = recipe.optimiser
    each = "passes over the data" if of.steps_an_epoch is None else f"x {of.steps_an_epoch} steps"
    return f"{of.epochs} {each}"
