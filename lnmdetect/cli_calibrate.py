"""`lnmdetect calibrate detector|classifier`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.core.wording import counted

if TYPE_CHECKING:
    from lnmdetect.stages.calibrate import CalibrateRequest, CalibrateResult

Arm = Literal["detector", "classifier"]
_NEXT = {"detector": ("detect", "scan/"), "classifier": ("classify", "boxes.json")}
_CASES = {"detector": ("truth box", "truth boxes"), "classifier": ("node box", "node boxes")}
Found = Annotated[
    Path,
    typer.Argument(
        help="What the model says of validation patients: boxes.json for a detector, nodes.json "
        "for a classifier (also of `classify truth.json`)."
    ),
]
Rule = Annotated[
    str | None,
    typer.Option(
        "--rule",
        help="Detector: sensitivity=0.95, fp-per-image=0.5 or fp-per-scan=10; by default the "
        "recipe's sensitivity. Classifier: youden (default), sensitivity=0.95 or specificity=0.9.",
    ),
]
FitTemperature = Annotated[
    bool | None,
    typer.Option(
        "--temperature/--no-temperature",
        help="Classifier: fit the temperature of its probabilities (default), or leave it.",
        show_default=False,
    ),
]


def calibrate(
    arm: Annotated[Arm, typer.Argument(help="The stage whose threshold is chosen.")],
    found: Found,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the new bundle.")],
    truth: Annotated[Path, typer.Option("--truth", help="Truth of these patients.")] = Path(
        "truth.json"
    ),
    model: options.Model = "compact",
    rule: Rule = None,
    temperature: FitTemperature = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Choose threshold and temperature on validation patients: writes a new model bundle."""
    from lnmdetect.stages.calibrate import CalibrateRequest

    if arm == "detector" and temperature is not None:
        raise typer.BadParameter("--temperature and --no-temperature are of a classifier.")
    talk = Talk(quiet, verbose, as_json)
    request = CalibrateRequest(
        found,
        truth=truth,
        output=output,
        model=model,
        rule=rule,
        temperature=temperature is not False,
        overwrite=overwrite,
    )
    result = _calibrate(arm, request)
    talk.table(changes_table(result))
    talk.result(result, text=calibrate_text(result))
    talk.notes(result.notes)
    talk.hint("lnmdetect", *_NEXT[arm], "--model", result.bundle)


def _calibrate(arm: Arm, request: "CalibrateRequest") -> "CalibrateResult":
    if arm == "detector":
        from lnmdetect.stages.calibrate_detector import calibrate_detector

        return calibrate_detector(request)
    from lnmdetect.stages.calibrate_classifier import calibrate_classifier

    return calibrate_classifier(request)


def changes_table(result: "CalibrateResult") -> Table:
    """Return each figure before and after, on the patients that decided."""
    kind = "phantom figures" if result.phantom else "validation patients"
    table = Table(title=f"Calibrated {result.arm}, {kind}", title_justify="left")
    table.add_column("Figure")
    for name in ("before", "after"):
        table.add_column(name, justify="right")
    for change in result.changes:
        table.add_row(change.name, _shown(change.before), _shown(change.after))
    return table


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def calibrate_text(result: "CalibrateResult") -> str:
    """Return on whom the choice rests and where the bundle lies, in three lines."""
    cases = counted(result.cases, *_CASES[result.arm])
    return (
        f"Rule: {result.rule}; chosen on {counted(result.patients, 'patient')}, "
        f"{counted(result.images, 'image')}, {cases}\n"
        "The figures after are of the patients that decided them; measure other patients.\n"
        f"{result.bundle}: the new model; the one it comes from is as it was"
    )
