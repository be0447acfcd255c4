"""The command line: each command builds a request, calls one stage and prints what it returned.

Stages are imported inside the commands, so that `lnmdetect --help` does not wait for torch.
"""

from pathlib import Path
from typing import Annotated

import typer

from lnmdetect import __version__
from lnmdetect import cli_options as options
from lnmdetect.cli_console import EXIT_CODES, GuardedGroup, Talk

app = typer.Typer(
    name="lnmdetect",
    cls=GuardedGroup,
    help="Find cervical lymph nodes on neck CT, say how likely each is metastatic, and "
    "evaluate it. Research software, not a medical device.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"lnmdetect {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Hold the options that stand before a command."""


@app.command()
def anchors(
    truth: Annotated[Path, typer.Argument(help="COCO file with node boxes, as truth.json.")],
    output: options.Output = None,
    recipe: Annotated[
        str, typer.Option(help="Detector recipe whose pixel spacing and anchors are looked at.")
    ] = "compact",
    spacing_mm: Annotated[
        float | None, typer.Option(min=0.05, max=10, help="Pixel spacing instead of the recipe's.")
    ] = None,
    ratios: Annotated[bool, typer.Option("--ratios", help="Fit the ratios too.")] = False,
    by_shape: Annotated[
        bool, typer.Option("--by-shape", help="Fit as if anchors stood everywhere.")
    ] = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Fit anchors to the boxes of a truth file; print and plot what they cover."""
    from lnmdetect.cli_tables import coverage_table, missed_text, recipe_text
    from lnmdetect.stages.anchors import AnchorRequest, fit_anchors_stage

    talk = Talk(quiet, verbose, as_json)
    request = AnchorRequest(
        truth,
        output=output or Path("anchors.json"),
        spacing_mm=spacing_mm,
        recipe=recipe,
        own_ratios=ratios,
        on_grid=not by_shape,
        overwrite=overwrite,
    )
    result = fit_anchors_stage(request)
    talk.table(coverage_table(result.sets))
    talk.result(result, text=f"{missed_text(result.missed)}\n{recipe_text(result.recipe)}")
    talk.note(f"Written: {result.output} and {result.picture}")
    talk.hint("put these keys into a recipe and train: lnmdetect train detector --recipe my.yaml")


def main() -> None:
    """Run the program and exit with its code."""
    app()
