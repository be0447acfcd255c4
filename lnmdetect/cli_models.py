"""The commands about models: models and anchors."""

from pathlib import Path
from typing import Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk


def models(
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """List the installed model bundles with what they reached on validation patients."""
    from lnmdetect.cli_tables import models_table
    from lnmdetect.stages.models import installed_models

    talk = Talk(quiet, verbose, as_json)
    found = installed_models()
    if found:
        talk.table(models_table(found))
    else:
        talk.table("No bundle is installed. Train one, or let LNMDETECT_MODELS name their folder.")
    talk.json(found)


def anchors(
    truth: Annotated[Path, typer.Argument(help="COCO file with node boxes, as truth.json.")],
    output: options.Output = Path("anchors.json"),
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
        output=output,
        spacing_mm=spacing_mm,
        recipe=recipe,
        own_ratios=ratios,
        on_grid=not by_shape,
        overwrite=overwrite,
    )
    result = fit_anchors_stage(request)
    talk.table(coverage_table(result.sets))
    talk.result(result, text=f"{missed_text(result.missed)}\n{recipe_text(result.recipe)}")
    talk.note(f"Written: {result.output}, {result.picture} and {result.recipe_file}")
    train = ("train", "detector", "--data", truth, "--recipe", result.recipe_file)
    talk.hint("lnmdetect", *train, "-o", "runs/detector")


def baselines(
    truth: Annotated[Path, typer.Argument(help="COCO file with node boxes, as truth.json.")],
    scan: options.Scan = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure what methods without learning reach: is this data too easy to say anything?"""
    from lnmdetect.cli_tables import baselines_table
    from lnmdetect.metrics.figure import figures_to_json
    from lnmdetect.stages.baselines import BaselineRequest
    from lnmdetect.stages.baselines import baselines as stage

    talk = Talk(quiet, verbose, as_json)
    result = stage(BaselineRequest(truth, scan), talk)
    talk.table(baselines_table(result))
    talk.json(figures_to_json(result))
