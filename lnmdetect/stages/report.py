"""`lnmdetect report`: an evaluation as one HTML page, and its figures for a paper."""

from dataclasses import dataclass
from pathlib import Path

from lnmdetect.core.errors import OutputError, UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.io.figures_evaluation import figure_paths, write_figures
from lnmdetect.io.json_files import refuse_existing, require_folder
from lnmdetect.io.report_page import write_report
from lnmdetect.io.report_view import ReportView
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.stages.evaluate import full_evaluation
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.report_plots import evaluation_plots
from lnmdetect.stages.report_view import report_view

PAGE = Path("report.html")


@dataclass(frozen=True)
class ReportRequest:
    """What to report.

    Attributes:
        evaluation: which files, as for `eval`.
        scan: where the pixels are; None takes the place that truth names.
        output: the page.
        figures: a folder for SVG and PNG files; None writes none.
        explained: a folder of `explain`, whose checks and pictures join the page.
    """

    evaluation: EvalRequest
    scan: Path | None = None
    output: Path = PAGE
    figures: Path | None = None
    explained: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class ReportResult:
    """What was written.

    Attributes:
        slices: in the page; available: that have truth or predictions.
        pictures: how many of the slices have one.
        bytes: of the page.
        figures: the files of the figures.
        notes: what a reader must know.
    """

    output: Path
    slices: int
    available: int
    pictures: int
    bytes: int
    figures: tuple[Path, ...]
    notes: tuple[str, ...]


def report(request: ReportRequest, progress: Progress = SILENT) -> ReportResult:
    """Return what was written: the page, its run.json, and the figures if asked for.

    Raises:
        InputError: a file is missing or cannot be used, or nothing is at `scan`.
        UsageError: an option cannot be used, or the output is not named .html.
        OutputError: an output exists and `overwrite` is false, or cannot be written.
    """
    _check_outputs(request)
    record = RunRecord("report", _config(request), seed=request.evaluation.seed)
    evaluation = full_evaluation(request.evaluation, progress)
    record.lap("evaluate")
    plots = evaluation_plots(evaluation)
    if request.figures is not None:
        for path in figure_paths(plots, request.figures):
            refuse_existing(path, overwrite=request.overwrite)
    view = report_view(
        evaluation, scan=request.scan, explained=request.explained, progress=progress
    )
    write_report(view, request.output, overwrite=request.overwrite)
    figures: tuple[Path, ...] = ()
    if request.figures is not None:
        figures = write_figures(plots, request.figures, overwrite=request.overwrite)
    record.lap("draw")
    info = evaluation.result.info
    linked = evaluation.result.nodes_3d
    boxes = (*info.detections_of, *info.classes_of, *info.truth_boxes_of)
    stamps = (*info.truth, *boxes, *(() if linked is None else linked.files))
    record.add_inputs((stamp.file, stamp.sha256) for stamp in stamps)
    record.write(record_path(request.output))
    return _result(request.output, view, figures)


def _config(request: ReportRequest) -> dict[str, object]:
    asked = request.evaluation
    return {"threshold": asked.threshold, "bootstrap": asked.bootstrap, "by": list(asked.by)}


def _result(output: Path, view: ReportView, figures: tuple[Path, ...]) -> ReportResult:
    shown = view.browser
    return ReportResult(
        output=output,
        slices=len(shown.slices),
        available=shown.available,
        pictures=sum(bool(item.picture) for item in shown.slices),
        bytes=output.stat().st_size,
        figures=figures,
        notes=(*view.notes, *shown.notes),
    )


def _check_outputs(request: ReportRequest) -> None:
    """Raise, before any work, where the page or the figures cannot be written."""
    if request.output.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            "--output",
            expected="a name that ends in .html",
            got=repr(request.output.name),
            remedy="Name the page so.",
        )
    refuse_existing(request.output, overwrite=request.overwrite)
    folder = request.figures
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise OutputError(
            folder.name,
            expected="a folder for the figures",
            got="a file of that name",
            remedy="Name another folder with --figures.",
        )
    require_folder(folder)
