"""`lnmdetect explain`."""

from pathlib import Path
from typing import Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.core.wording import counted

MaybeModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Classifier to explain, a bundle's name or folder; by default the one that the file "
        "was classified with.",
        metavar="NAME_OR_PATH",
    ),
]
Detector = Annotated[
    str | None,
    typer.Option(
        "--detector",
        help="Explain this detector's box scores instead, a bundle's name or folder.",
        metavar="NAME_OR_PATH",
    ),
]
Method = Annotated[
    str,
    typer.Option(
        "--method",
        help="cam or gradcam, of the network's last map; auto: CAM where the network allows it and "
        "that map has 7 cells a side, else Grad-CAM of the deepest stage whose map has.",
        metavar="METHOD",
    ),
]
Count = Annotated[int, typer.Option("--count", min=0, max=500, help="At most so many pictures.")]


def explain(
    nodes: Annotated[Path, typer.Argument(help="nodes.json, boxes.json or a truth.json.")],
    truth: Annotated[
        Path | None, typer.Option("--truth", help="Truth file: gives masks and classes.")
    ] = None,
    model: MaybeModel = None,
    detector: Detector = None,
    scan: options.Scan = None,
    output: options.Output = Path("explain"),
    method: Method = "auto",
    count: Count = 12,
    bootstrap: options.Bootstrap = options.RESAMPLES,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show where a model looks, and check it: heat over CT as PNG, and explain.json.

    With --truth the surest wrong and right calls are drawn, and heat is held against the masks.
    """
    from lnmdetect.stages.explain import ExplainRequest
    from lnmdetect.stages.explain import explain as stage
    from lnmdetect.stages.explain_tables import explain_tables

    talk = Talk(quiet, verbose, as_json)
    request = ExplainRequest(
        nodes,
        truth=truth,
        scan=scan,
        model=model,
        detector=detector,
        method=method,
        count=count,
        bootstrap=bootstrap,
        seed=seed,
        device=device,
        output=output,
        overwrite=overwrite,
    )
    result = stage(request, talk)
    talk.table(explain_tables(result))
    talk.json(result.to_json())
    drawn = len(result.pictures)
    pictures = f"index.png, {counted(drawn, 'picture')}" if drawn else "no picture"
    talk.note(f"Written: {output} (explain.json, {pictures})")
