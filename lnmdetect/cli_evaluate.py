"""`lnmdetect eval`."""

from pathlib import Path
from typing import Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk

RESAMPLES = 2000


def evaluate(
    truth: Annotated[
        list[Path] | None,
        typer.Option("--truth", help="Truth file, by default truth.json; several are pooled."),
    ] = None,
    boxes: Annotated[
        list[Path] | None, typer.Option("--boxes", help="Boxes to score; several are pooled.")
    ] = None,
    nodes: Annotated[
        list[Path] | None,
        typer.Option("--nodes", help="Classified boxes; by default nodes.json, else boxes.json."),
    ] = None,
    truth_nodes: Annotated[
        list[Path] | None,
        typer.Option("--truth-nodes", help="Classified truth boxes (classify truth.json)."),
    ] = None,
    ap50: Annotated[bool, typer.Option("--ap50", help="AP50 alone.")] = False,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            help="By this column of truth too: level, kind, class, scanner, ... Repeatable.",
        ),
    ] = None,
    bootstrap: Annotated[
        int, typer.Option("--bootstrap", min=0, help="Resamples of the patients; 0: none.")
    ] = RESAMPLES,
    seed: options.Seed = 0,
    fp_per_scan: Annotated[
        list[float] | None,
        typer.Option("--fp-per-scan", help="Read sensitivity at so many a scan. Repeatable."),
    ] = None,
    threshold: options.Threshold = None,
    output: options.Metrics = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Score boxes and classes against truth: prints a table, writes metrics.json with -o."""
    from lnmdetect.io.run_record import record_path
    from lnmdetect.stages.evaluate import evaluate as stage
    from lnmdetect.stages.evaluation_request import TRUTH, EvalRequest
    from lnmdetect.stages.evaluation_tables import ap50_table, result_tables

    talk = Talk(quiet, verbose, as_json)
    given = {"scan_rates": tuple(fp_per_scan)} if fp_per_scan else {}
    request = EvalRequest(
        truth=tuple(truth or [TRUTH]),
        boxes=tuple(boxes or ()),
        nodes=tuple(nodes or ()),
        truth_nodes=tuple(truth_nodes or ()),
        threshold=threshold,
        bootstrap=bootstrap,
        seed=seed,
        by=tuple(by or ()),
        ap50_only=ap50,
        output=output,
        overwrite=overwrite,
        **given,
    )
    result = stage(request, talk)
    talk.table(ap50_table(result) if ap50 else result_tables(result))
    talk.json(result.to_json())
    if output is not None:
        talk.note(f"Written: {output} and {record_path(output)}")
    talk.hint("lnmdetect", "overlay", result.scored, "--truth", request.truth[0])
