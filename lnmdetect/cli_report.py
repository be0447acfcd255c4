"""`lnmdetect report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.core.wording import counted

if TYPE_CHECKING:
    from lnmdetect.stages.report import ReportResult

Explained = Annotated[
    Path | None,
    typer.Option("--explain", help="A folder that explain wrote: where the model looks."),
]


def report(
    truth: options.TruthFiles = None,
    boxes: options.BoxFiles = None,
    nodes: options.NodeFiles = None,
    truth_nodes: options.TruthNodeFiles = None,
    linked_nodes: options.LinkedNodeFiles = None,
    scan: options.Scan = None,
    output: options.Output = Path("report.html"),
    figures: options.Figures = None,
    explained: Explained = None,
    by: options.By = None,
    fp_per_scan: options.FpPerScan = None,
    bootstrap: options.Bootstrap = options.RESAMPLES,
    seed: options.Seed = 0,
    threshold: options.Threshold = None,
    optimistic: options.Optimistic = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Evaluate into one HTML page to read and to pass on: figures, errors, slices, checklist."""
    from lnmdetect.metrics.froc import FROC_RATES
    from lnmdetect.stages.evaluation_request import TRUTH, EvalRequest
    from lnmdetect.stages.report import ReportRequest
    from lnmdetect.stages.report import report as stage

    talk = Talk(quiet, verbose, as_json)
    asked = EvalRequest(
        truth=tuple(truth or [TRUTH]),
        boxes=tuple(boxes or ()),
        nodes=tuple(nodes or ()),
        truth_nodes=tuple(truth_nodes or ()),
        linked_nodes=tuple(linked_nodes or ()),
        threshold=threshold,
        optimistic=optimistic,
        bootstrap=bootstrap,
        seed=seed,
        by=tuple(by or ()),
        scan_rates=tuple(fp_per_scan or FROC_RATES),
    )
    paths = {"scan": scan, "figures": figures, "explained": explained}
    request = ReportRequest(asked, output=output, overwrite=overwrite, **paths)
    result = stage(request, talk)
    talk.result(result, text=report_text(result))
    talk.notes(result.notes)


def report_text(result: "ReportResult") -> str:
    """Return what was written, in a line or two."""
    slices = f"{result.slices} of {counted(result.available, 'slice')} with boxes"
    text = f"{result.output}: {result.bytes / 1e6:.1f} MB, {slices}"
    if not result.pictures:
        text += ", without pictures"
    if result.figures:
        folder = result.figures[0].parent
        text += f"\n{folder}: {counted(len(result.figures) // 2, 'figure')} as SVG and PNG"
    return text
