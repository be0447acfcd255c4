"""`lnmdetect benchmark`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.core.errors import UsageError

if TYPE_CHECKING:
    from lnmdetect.stages.benchmark_result import BenchmarkResult

Data = Annotated[Path | None, typer.Option("--data", help="truth.json with boxes and classes.")]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="Folder; finished rows in it are kept.", metavar="DIR"),
]
Width = Annotated[
    float | None,
    typer.Option(
        "--width",
        help="Channels of the ResNet family and the detectors: 1 as published, 0.25 with the "
        "base compact unless told otherwise. Other networks keep their size.",
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        "--size", help="Side of a classifier's crop, of a detector's window.", metavar="PX"
    ),
]
Budget = Annotated[
    float | None,
    typer.Option("--budget", help="Train each row at most so long.", metavar="MINUTES"),
]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Instead of the recipe's.")]
Folds = Annotated[
    int | None,
    typer.Option("--folds", help="Cross-validation over so many folds, not one test part."),
]
TestShare = Annotated[
    float | None, typer.Option("--test-share", help="Test part, instead of the benchmark's.")
]
Base = Annotated[
    str | None,
    typer.Option("--base", help="Bundled recipe every row starts from: compact or wang2023."),
]
Init = Annotated[
    str | None,
    typer.Option(
        "--init",
        help="imagenet, or a folder with a file of its weights a row (NAME.pth): start from them.",
        metavar="imagenet|DIR",
    ),
]
Only = Annotated[str | None, typer.Option("--only", help="Only these rows.", metavar="NAME,NAME")]
List = Annotated[bool, typer.Option("--list", help="Tell the benchmarks and their rows.")]
Workers = Annotated[
    int, typer.Option("--workers", min=0, max=64, help="Processes that prepare batches.")
]


def benchmark(
    recipe: Annotated[
        str | None, typer.Argument(help="A published table (--list), or a .yaml of yours.")
    ] = None,
    data: Data = None,
    output: Output = None,
    width: Width = None,
    size: Size = None,
    budget: Budget = None,
    epochs: Epochs = None,
    folds: Folds = None,
    test_share: TestShare = None,
    base: Base = None,
    init: Init = None,
    only: Only = None,
    list_them: List = False,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    scan: options.Scan = None,
    workers: Workers = 0,
    bootstrap: options.Bootstrap = options.RESAMPLES,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Rebuild a published table on your own truth.json: every row is trained, tested, compared."""
    talk = Talk(quiet, verbose, as_json)
    if list_them:
        _list(talk)
        return
    from lnmdetect.stages.benchmark import benchmark as run_benchmark
    from lnmdetect.stages.benchmark_request import BenchmarkRequest, changes_of

    name, truth, folder = _given(recipe, data, output)
    request = BenchmarkRequest(
        name,
        truth,
        folder,
        changes=changes_of(base=base, width=width, size_px=size, epochs=epochs),
        only=() if only is None else tuple(only.replace(",", " ").split()) or ("",),
        budget_minutes=budget,
        folds=folds,
        test_share=test_share,
        seed=seed,
        device=device,
        scan=scan,
        workers=workers,
        bootstrap=bootstrap,
        init=init,
    )
    _show(run_benchmark(request, talk, talk.note), folder, talk)


def _given(recipe: str | None, data: Path | None, output: Path | None) -> tuple[str, Path, Path]:
    """Return what only --list does without.

    Raises:
        UsageError: one of them is lacking.
    """
    if recipe is None or data is None or output is None:
        lacking = {"RECIPE": recipe, "--data": data, "-o": output}
        raise UsageError(
            "benchmark",
            expected="RECIPE, --data truth.json and -o DIR",
            got=f"no {' and no '.join(name for name, given in lacking.items() if given is None)}",
            remedy="`lnmdetect benchmark --list` tells the recipes.",
        )
    return recipe, data, output


def _show(result: "BenchmarkResult", output: Path, talk: Talk) -> None:
    """Print the tables, and what failed.

    Raises:
        typer.Exit: with code 6, where a row failed.
    """
    from lnmdetect.stages.benchmark import failures
    from lnmdetect.stages.benchmark_output import CURVES, TABLE_JSON, TABLE_MD
    from lnmdetect.stages.benchmark_tables import benchmark_tables

    talk.table(benchmark_tables(result))
    talk.json(result.to_json())
    drawn = f", {CURVES}" if (output / CURVES).is_file() else ""
    talk.note(f"Written: {output / TABLE_MD}, .csv, {TABLE_JSON}{drawn}; a folder a row in rows")
    talk.stop_if_partial(failures(result))
    word, what = (
        ("detect", "scan/") if result.info.arm == "detector" else ("classify", "boxes.json")
    )
    bundle = output / "rows" / result.info.proposed / "bundle"
    if bundle.is_dir():
        talk.hint("lnmdetect", word, what, "--model", bundle)


def _list(talk: Talk) -> None:
    """Print the benchmarks and their rows."""
    from rich.table import Table

    from lnmdetect.io.benchmark_recipes import benchmark_names, read_benchmark

    recipes = [read_benchmark(name) for name in benchmark_names()]
    table = Table(title="Benchmarks")
    for heading in ("RECIPE", "table", "stage", "rows (--only)"):
        table.add_column(heading)
    for found in recipes:
        rows = ", ".join(row.name for row in found.rows)
        table.add_row(found.name, found.title, found.arm, rows)
    talk.table(table)
    talk.json({found.name: [row.name for row in found.rows] for found in recipes})
