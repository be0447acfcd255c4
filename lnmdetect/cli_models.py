"""The commands about models: those installed, their check in another form, and anchors."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.core.precision import Engine, Precision

app = typer.Typer(
    help="List the installed model bundles, check one in another form, or export one.",
    invoke_without_command=True,
)
_CheckDevice = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda or cuda:N; with --output the CPU, whose default it is.",
        metavar="DEVICE",
    ),
]
_USED_BY = {"detector": ("detect", "scan/"), "classifier": ("classify", "boxes.json")}


@app.callback()
def models(
    context: typer.Context,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """List the installed model bundles with what they reached on validation patients."""
    if context.invoked_subcommand is not None:
        return
    from lnmdetect.cli_tables import models_table
    from lnmdetect.stages.models import installed_models

    talk = Talk(quiet, verbose, as_json)
    found = installed_models()
    if found:
        talk.table(models_table(found))
    else:
        talk.table("No bundle is installed. Train one, or let LNMDETECT_MODELS name their folder.")
    talk.json(found)


@app.command()
def check(
    arm: Annotated[Literal["detector", "classifier"], typer.Argument(help="Which stage's model.")],
    truth: Annotated[Path, typer.Argument(help="Truth of patients that it has not seen.")] = Path(
        "truth.json"
    ),
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder of a new bundle that, on this engine, answers in this form by default.",
            metavar="PATH",
        ),
    ] = None,
    scan: options.Scan = None,
    model: options.Model = "compact",
    precision: Annotated[
        Precision, typer.Option("--precision", help="Numbers of the form that is checked.")
    ] = "bf16",
    engine: options.EngineOption = "torch",
    device: _CheckDevice = "cpu",
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """See whether a faster form of a model reaches what it reaches in fp32, on held-out patients.

    Detector: AP50, and the mean sensitivity of FROC an image and a scan; classifier: AUC on truth
    boxes. Where each stays within 0.005, --output writes a bundle that answers in this form by
    default on this engine, with the figures on its card; where one moved, or nothing is found in
    fp32 either, the exit code is 4.
    """
    from lnmdetect.cli_tables import check_table, check_text
    from lnmdetect.stages.models_check import check_model, refuse_moved
    from lnmdetect.stages.models_check_request import CheckRequest

    talk = Talk(quiet, verbose, as_json)
    request = CheckRequest(
        arm,
        truth=truth,
        scan=scan,
        model=model,
        precision=precision,
        engine=engine,
        device=device,
        output=output,
        overwrite=overwrite,
    )
    result = check_model(request, talk)
    talk.table(check_table(result))
    talk.result(result, text=check_text(result))
    talk.notes(result.notes)
    refuse_moved(result)
    if result.bundle is not None:
        asked = _asked_for(precision, engine)
        talk.hint("lnmdetect", *_USED_BY[arm], "--model", result.bundle, *asked)


def _asked_for(precision: Precision, engine: Engine) -> list[str]:
    """Return the options that a bundle needs to answer in the form that it was checked in."""
    words = [] if engine == "torch" else ["--engine", engine]
    if precision == "int8":  # no default where a system does not tell its processor
        words += ["--precision", precision]
    return words


@app.command("export")
def export_(
    arm: Annotated[Literal["detector", "classifier"], typer.Argument(help="Which stage's model.")],
    kind: Annotated[
        Literal["onnx", "openvino"], typer.Argument(metavar="FORMAT", help="Of the files.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the files.", metavar="PATH")
    ],
    model: options.Model = "compact",
    precision: Annotated[
        Precision, typer.Option("--precision", help="fp32; or int8, of which a bundle is made.")
    ] = "fp32",
    data: Annotated[
        Path | None,
        typer.Option("--data", help="For int8: truth.json of the slices to calibrate on."),
    ] = None,
    scan: options.Scan = None,
    calibration_slices: Annotated[
        int | None, typer.Option(help="For int8: how many slices. \\[default: 100]", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="For int8: by which slices are drawn.")] = 0,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Write a model for others' runtimes, or a detector in int8 as a new bundle.

    The files hold the whole network: a slice's channels in, boxes and scores out; or crops in,
    probabilities out. model.json says how to call it. With --precision int8 --data, the folder is a
    bundle for `detect --engine openvino --precision int8`.
    """
    from lnmdetect.cli_tables import export_model_text
    from lnmdetect.stages.models_export import ExportModelRequest, export_model
    from lnmdetect.stages.models_quantise import SLICES, Calibration

    talk = Talk(quiet, verbose, as_json)
    slices = SLICES if calibration_slices is None else calibration_slices
    calibration = None if data is None else Calibration(data, scan, slices, seed)
    request = ExportModelRequest(
        arm,
        kind,
        output=output,
        model=model,
        precision=precision,
        calibration=calibration,
        overwrite=overwrite,
    )
    result = export_model(request, talk)
    talk.result(result, text=export_model_text(result))
    if result.bundle:
        form = ("--engine", "openvino", "--precision", "int8")
        talk.hint("lnmdetect", "models", "check", arm, "truth.json", "--model", output, *form)


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
