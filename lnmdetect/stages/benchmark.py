"""`lnmdetect benchmark`: a published table rebuilt on one's own truth.json, row by row."""

import platform
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lnmdetect import __version__
from lnmdetect.core.benchmark_config import FIGURES, BenchmarkRecipe, BenchmarkRow
from lnmdetect.core.config import TableRecipe
from lnmdetect.core.errors import LnmDetectError, ModelError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.io.benchmark_recipes import chosen_rows, read_benchmark, row_recipe
from lnmdetect.io.json_files import require_folder
from lnmdetect.io.machine import usable_cores
from lnmdetect.io.run_record import RUN, RunRecord
from lnmdetect.metrics.correlation import Correlation, spearman
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.stages.benchmark_chance import over_chance
from lnmdetect.stages.benchmark_checks import require_networks
from lnmdetect.stages.benchmark_notes import benchmark_notes
from lnmdetect.stages.benchmark_output import write_benchmark
from lnmdetect.stages.benchmark_pairs import DIFFERENCES
from lnmdetect.stages.benchmark_request import BenchmarkRequest, row_identity
from lnmdetect.stages.benchmark_result import BenchmarkInfo, BenchmarkResult, TableRow
from lnmdetect.stages.benchmark_row import RowJob, RowResult, run_row, store_result, stored_result
from lnmdetect.stages.benchmark_split import BenchmarkParts, deal_parts
from lnmdetect.stages.benchmark_tables import NAMES
from lnmdetect.stages.evaluation_truth import FileStamp, Truth, read_truth
from lnmdetect.training.devices import choose_device

Tell = Callable[[str], None]


def benchmark(
    request: BenchmarkRequest, progress: Progress = SILENT, tell: Tell = lambda _: None
) -> BenchmarkResult:
    """Return the table after training and testing the rows that are not finished yet.

    A row that fails does not stop the others; its sentence stands in its result.

    Args:
        request: what to run.
        progress: told about every loop of a row.
        tell: told a sentence when a row begins or ends.

    Raises:
        UsageError: there is no such benchmark, row, device or file to start from.
        InputError: a recipe or the truth file is unsound, or there are too few patients.
        OutputError: the folder cannot be written.
    """
    recipe = read_benchmark(request.recipe)
    wanted = chosen_rows(recipe, request.only)
    recipes = {row.name: row_recipe(recipe, row, request.changes) for row in recipe.rows}
    choose_device(request.device)
    require_networks(request, [(row, recipes[row.name]) for row in wanted])
    require_folder(request.output)
    record = RunRecord("benchmark", {"benchmark": recipe.name, **request.options()}, request.seed)
    parts = deal_parts(request, recipe)
    jobs = tuple(_job(request, recipe, row, recipes[row.name], parts) for row in recipe.rows)
    kept = {job.row.name for job in jobs if _finished(job) is not None}
    for number, job in enumerate((job for job in jobs if job.row in wanted), start=1):
        _run(job, f"{number} of {len(wanted)}", progress, tell)
    record.lap("rows")
    result = _result(request, recipe, jobs, kept)
    write_benchmark(result, jobs, request.output)
    record.inputs[request.data.name] = result.info.truth.sha256
    record.failures = len(failures(result))
    record.lap("table")
    record.write(request.output / RUN)
    return result


class RowError(ModelError):
    """A row that could not be trained or tested, for the reason that is told."""

    def __init__(self, row: str, reason: str) -> None:
        super().__init__(
            row,
            expected="a row that trains and answers",
            got=reason,
            remedy="Run the benchmark again once that is mended; finished rows are kept.",
        )

    def __str__(self) -> str:
        return f"{self.where} failed. {self.got} {self.remedy}"


def failures(result: BenchmarkResult) -> list[LnmDetectError]:
    """Return the rows that failed, a sentence each."""
    return [
        RowError(row.row.name, row.result.error)
        for row in result.rows
        if row.result is not None and row.result.status == "failed" and row.result.error
    ]


def _job(
    request: BenchmarkRequest,
    benchmark: BenchmarkRecipe,
    row: BenchmarkRow,
    recipe: TableRecipe,
    parts: BenchmarkParts,
) -> RowJob:
    identity = row_identity(request, benchmark, row, recipe)
    return RowJob(row, recipe, identity, request.row_folder(row.name), request, parts)


def _finished(job: RowJob) -> RowResult | None:
    """Return the result of a row that need not be run again."""
    found = stored_result(job.folder)
    if found is None or found.identity != job.identity or found.status != "done":
        return None
    return found if all(path.is_file() for path in job.predictions) else None


def _run(job: RowJob, place: str, progress: Progress, tell: Tell) -> None:
    """Run a row unless it is finished; what it fails of is kept as its result."""
    name = job.row.name
    if _finished(job) is not None:
        tell(f"{name} ({place}): finished before, kept")
        return
    earlier = stored_result(job.folder)
    changed = earlier is not None and earlier.identity != job.identity
    why = ", anew because recipe, data or options have changed" if changed else ""
    tell(f"{name} ({place}): training{why}")
    try:
        result = run_row(job, progress)
    except (LnmDetectError, RuntimeError, ValueError) as error:
        # What torch says of shapes and memory is a plain RuntimeError or ValueError.
        told = _for_file(error)
        store_result(RowResult(job.identity, "failed", error=told), job.folder)
        said = str(error) if isinstance(error, LnmDetectError) else told
        tell(f"{name} ({place}): failed. {said}")
        return
    first_name = FIGURES[job.recipe.arm][0]
    value = result.figures[first_name].value
    told = "undefined" if value is None else f"{value:.3f}"
    tell(f"{name} ({place}): {NAMES[first_name]} {told}, {result.training_minutes:g} min")


def _for_file(error: Exception) -> str:
    """Return an error in words; of other libraries than torch the text may quote a header."""
    if isinstance(error, LnmDetectError):
        return error.for_file
    kind = type(error).__name__
    first = (str(error).splitlines() or [""])[0]
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return f"{kind}: {first}" if "torch" in raised_in.parts else f"an unexpected {kind}"


def _result(
    request: BenchmarkRequest, benchmark: BenchmarkRecipe, jobs: Sequence[RowJob], kept: set[str]
) -> BenchmarkResult:
    parts = jobs[0].parts
    truth = read_truth(parts.test_files, bootstrap=request.bootstrap, seed=0)
    results = {job.row.name: _current(job) for job in jobs}
    done = [job for job in jobs if (r := results[job.row.name]) and r.status == "done"]
    proposed = next((job for job in done if job.row == benchmark.proposed), None)
    rows = tuple(
        TableRow(
            job.row,
            results[job.row.name],
            job.row.name in kept,
            over_chance=over_chance(job.recipe.arm, truth, job.predictions, found.figures)
            if job in done and (found := results[job.row.name])
            else {},
            difference=_difference(truth, proposed, job, done),
            step=_step(benchmark, truth, jobs[number - 1], job, done) if number else {},
        )
        for number, job in enumerate(jobs)
    )
    info = _info(request, benchmark, jobs, truth)
    return BenchmarkResult(info, rows, dict(_correlations(benchmark, rows)))


def _current(job: RowJob) -> RowResult | None:
    """Return the result that belongs to what is asked for now."""
    found = stored_result(job.folder)
    fits = found is not None and found.identity == job.identity and found.status != "begun"
    return found if fits else None


def _difference(
    truth: Truth, one: RowJob | None, other: RowJob, done: Sequence[RowJob]
) -> Mapping[str, Figure]:
    """Return one minus other; undefined without the one, nothing of a row with itself."""
    if one is other or other not in done:
        return {}
    if one is None:
        return {FIGURES[other.recipe.arm][0]: undefined("the other model has no result")}
    return DIFFERENCES[other.recipe.arm](truth, one.predictions, other.predictions)


def _step(
    benchmark: BenchmarkRecipe, truth: Truth, before: RowJob, row: RowJob, done: Sequence[RowJob]
) -> Mapping[str, Figure]:
    if not benchmark.steps or before not in done:
        return {}
    return _difference(truth, row, before, done) if row in done else {}


def _correlations(
    benchmark: BenchmarkRecipe, rows: Sequence[TableRow]
) -> Iterator[tuple[str, Correlation]]:
    if not benchmark.correlate:
        return
    first = FIGURES[benchmark.arm][0]
    for name in ("parameters", "depth"):
        pairs = [
            (row.figures[first].value, getattr(row.result, name))
            for row in rows
            if row.status == "done" and row.figures[first].value is not None
        ]
        table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        yield name, spearman(table[:, 0], table[:, 1])


def _info(
    request: BenchmarkRequest, benchmark: BenchmarkRecipe, jobs: Sequence[RowJob], truth: Truth
) -> BenchmarkInfo:
    parts, recipes = jobs[0].parts, [job.recipe for job in jobs]
    options = {key: value for key, value in request.options().items() if value is not None}
    return BenchmarkInfo(
        lnmdetect_version=__version__,
        benchmark=benchmark.name,
        title=benchmark.title,
        source=benchmark.source,
        arm=benchmark.arm,
        truth=FileStamp.of(request.data),
        phantom=parts.truth.is_phantom,
        patients=len(parts.truth.patients()),
        test_patients=truth.cohort.patients,
        test_images=len(truth.columns.images),
        split=parts.folds.rule,
        options=options,
        machine=_machine(request.device),
        proposed=benchmark.proposed.name,
        steps=benchmark.steps,
        resamples=request.bootstrap,
        notes=tuple(benchmark_notes(request, benchmark, parts, recipes)),
    )


def _machine(device: str) -> dict[str, Any]:
    chosen = choose_device(device)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else platform.machine()
    return {
        "device": f"{chosen.type} {name}",
        "cores": usable_cores(),
        "torch": str(torch.__version__),
    }
