"""`lnmdetect eval`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_compare import compared_files, show_comparison, show_readers
from lnmdetect.cli_console import Talk
from lnmdetect.cli_evaluate_fused import FusedTexts, show_fused

if TYPE_CHECKING:
    from lnmdetect.stages.evaluation_request import EvalRequest


def evaluate(
    truth: options.TruthFiles = None,
    boxes: options.BoxFiles = None,
    nodes: options.NodeFiles = None,
    truth_nodes: options.TruthNodeFiles = None,
    linked_nodes: options.LinkedNodeFiles = None,
    ap50: Annotated[bool, typer.Option("--ap50", help="AP50 alone.")] = False,
    by: options.By = None,
    bootstrap: options.Bootstrap = options.RESAMPLES,
    seed: options.Seed = 0,
    fp_per_scan: options.FpPerScan = None,
    threshold: options.Threshold = None,
    choose_threshold: options.ChooseThreshold = None,
    choose_node_threshold: options.ChooseNodeThreshold = None,
    optimistic: options.Optimistic = False,
    compare: options.Compare = None,
    also: options.Also = None,
    readers: options.Readers = None,
    fused: options.Fused = None,
    curves: options.Curves = None,
    figures: options.Figures = None,
    output: options.Metrics = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Score boxes and classes against truth: prints tables, writes metrics.json with -o.

    Every figure has a 95 % interval from resamples of the patients. With classified boxes the
    classes and both stages together are scored too; --truth-nodes adds the second stage alone.
    Boxes are linked into nodes in 3-D; --linked-nodes scores those of `nodes`, with their axes.
    Where truth and the file both carry masks (segments.json), these are scored too.
    Repeat --truth and --nodes for the folds of a cross-validation: they are pooled.
    --compare A B and --readers CSV print their own tables in place of these: --compare puts boxes,
    masks and linked nodes beside each other on the same patients.
    --fused scores what `fuse` wrote of ultrasound cases; repeated, the files are rows of one table,
    and each is compared with those after it; NAME=FILE names a row, and files of one name are
    pooled. --curves adds how the trainings converged to --figures.
    """
    from lnmdetect.stages.evaluation_request import EvalRequest

    talk = Talk(quiet, verbose, as_json)
    request = EvalRequest(
        truth=tuple(truth or EvalRequest.truth),
        boxes=tuple(boxes or ()),
        nodes=tuple(nodes or ()),
        truth_nodes=tuple(truth_nodes or ()),
        linked_nodes=tuple(linked_nodes or ()),
        threshold=threshold,
        choose_threshold=choose_threshold,
        choose_node_threshold=choose_node_threshold,
        optimistic=optimistic,
        bootstrap=bootstrap,
        seed=seed,
        by=tuple(by or ()),
        scan_rates=tuple(fp_per_scan or EvalRequest.scan_rates),
        ap50_only=ap50,
        output=output,
        overwrite=overwrite,
    )
    files, ultrasound = compared_files(compare, also), FusedTexts(fused or (), curves or ())
    _show(request, talk, files=files, readers=readers, fused=ultrasound, figures=figures)


def _show(
    request: "EvalRequest",
    talk: Talk,
    *,
    files: tuple[Path, ...],
    readers: Path | None,
    fused: FusedTexts,
    figures: Path | None,
) -> None:
    """Print fused cases, the comparison or the readers where asked for, else the evaluation."""
    if fused.files or fused.curves:
        others = {"--compare": files, "--readers": readers}
        show_fused(request, fused, talk, figures=figures, also=others)
    elif files:
        show_comparison(request, files, talk, also={"--readers": readers, "--figures": figures})
    elif readers is not None:
        show_readers(request, readers, talk, figures=figures)
    else:
        show_evaluation(request, talk, figures=figures)


def show_evaluation(request: "EvalRequest", talk: Talk, *, figures: Path | None) -> None:
    """Evaluate, print, and write what was asked for."""
    from lnmdetect.io.run_record import record_path
    from lnmdetect.stages.evaluate import full_evaluation
    from lnmdetect.stages.evaluation_tables import ap50_table, result_tables

    evaluation = full_evaluation(request, talk)
    result = evaluation.result
    talk.table(ap50_table(result) if request.ap50_only else result_tables(result))
    talk.json(result.to_json())
    if request.output is not None:
        talk.note(f"Written: {request.output} and {record_path(request.output)}")
    if figures is not None:
        from lnmdetect.stages.report_plots import write_evaluation_figures

        written = write_evaluation_figures(evaluation, figures, overwrite=request.overwrite)
        talk.note(f"Written: {', '.join(map(str, written))}")
    talk.hint("lnmdetect", "report", *_files_given(request))


def _files_given(request: "EvalRequest") -> list[object]:
    """Return the options that name the request's files, without those that need not be named."""
    from lnmdetect.stages.evaluation_request import TRUTH

    given: list[object] = []
    for option, paths in (
        ("--truth", () if request.truth == (TRUTH,) else request.truth),
        ("--boxes", request.boxes),
        ("--nodes", request.nodes),
        ("--truth-nodes", request.truth_nodes),
        ("--linked-nodes", request.linked_nodes),
    ):
        for path in paths:
            given += [option, path]
    return given
