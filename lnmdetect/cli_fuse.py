"""`lnmdetect fuse`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.core.wording import counted

if TYPE_CHECKING:
    from lnmdetect.stages.fuse_result import FuseResult

_SHOWN_CASES = 20
CaseThreshold = Annotated[
    float | None,
    typer.Option("--threshold", min=0, max=1, help="On P(metastatic), instead of the bundle's."),
]
Without = Annotated[
    str | None,
    typer.Option("--without", help="Some of bmode,ceus,finding: answer as if no case had them."),
]
Patients = Annotated[
    Literal["all", "validation", "unseen"],
    typer.Option(
        "--patients",
        help="Whose cases: all; validation: only those on whom the bundle's epoch and threshold "
        "were chosen, whose figures flatter; unseen: only those on whom it was neither trained nor "
        "tuned, the test part.",
    ),
]
SkipUnanswerable = Annotated[
    bool,
    typer.Option(
        "--skip-unanswerable",
        help="Leave out cases that the model cannot answer, and leave with code 6; else the first "
        "of them is refused.",
    ),
]
Explain = Annotated[
    Path | None,
    typer.Option(
        "--explain",
        help="Folder that gets a picture a case with Grad-CAM of each image, and where labels are "
        "known correct.png and wrong.png, galleries of the surest cases called right and wrong.",
        metavar="DIR",
    ),
]


def fuse(
    ultrasound: Annotated[
        Path, typer.Argument(help="ultrasound.json, or a fused.json to answer anew.")
    ],
    output: options.Output = Path("fused.json"),
    scan: options.Scan = None,
    model: options.Model = "compact",
    device: options.Device = "auto",
    threshold: CaseThreshold = None,
    without: Without = None,
    patients: Patients = "all",
    skip_unanswerable: SkipUnanswerable = False,
    explain: Explain = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Say of ultrasound cases how likely nodes are metastatic: writes fused.json.

    A model trained with modality_dropout, as recipe compact is, answers from what a case has; any
    other refuses cases that lack an image or the finding.
    """
    from lnmdetect.stages.fuse import fuse as stage
    from lnmdetect.stages.fuse_result import FuseRequest

    talk = Talk(quiet, verbose, as_json)
    request = FuseRequest(
        ultrasound,
        output=output,
        scan=scan,
        model=model,
        device=device,
        threshold=threshold,
        without=without,
        patients=patients,
        skip_unanswerable=skip_unanswerable,
        explain=explain,
        overwrite=overwrite,
    )
    result = stage(request, talk)
    talk.table(_table(result))
    talk.result(result, text=_text(result))
    talk.notes(result.notes)
    if any(answer.label is not None for answer in result.answers):
        talk.hint("lnmdetect", "eval", "--fused", result.output)
    talk.stop_if_partial(result.failures)


def _table(result: "FuseResult") -> Table:
    """Return the first cases with their answers, as many as a screen holds."""
    shown = result.answers[:_SHOWN_CASES]
    left = len(result.answers) - len(shown)
    table = Table(
        title="P(metastatic) of each case",
        title_justify="left",
        caption=f"and {counted(left, 'more case')} in {result.output}" if left else None,
        caption_justify="left",
    )
    table.add_column("Case")
    table.add_column("P", justify="right")
    for name in ("Called", "Pathology", "From"):
        table.add_column(name)
    for answer in shown:
        table.add_row(
            answer.case_id,
            f"{answer.p_metastatic:.3f}",
            answer.called,
            answer.label or "not known",
            ", ".join(answer.modalities_used),
        )
    return table


def _text(result: "FuseResult") -> str:
    """Return how many were called what and, where they are known, how many labels agree."""
    called = [answer.called for answer in result.answers]
    labelled = [answer for answer in result.answers if answer.label is not None]
    right = sum(answer.called == answer.label for answer in labelled)
    agree = f"; {right} of {len(labelled)} as pathology says" if labelled else ""
    drawn = ""
    if result.drawn is not None:
        files = (counted(result.drawn.pictures, "picture"), *result.drawn.galleries)
        drawn = f"\n{result.explain}: {', '.join(files)}"
    return (
        f"{counted(len(called), 'case')}: {called.count('metastatic')} metastatic, "
        f"{called.count('benign')} benign (P(metastatic) {result.threshold:.3f} or more, "
        f"{result.threshold_source}){agree}\n"
        f"{result.output}: their probabilities ({result.seconds:.1f} s){drawn}"
    )
