"""`lnmdetect export`: results for the PACS, the viewer and the spreadsheet."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.core.wording import counted

if TYPE_CHECKING:
    from lnmdetect.stages.export import ExportRequest

app = typer.Typer(
    help="Write results as DICOM objects or CSV, for the PACS, the viewer and the spreadsheet. "
    "Only boxes at or above the operating threshold; research only, not for diagnosis.",
    no_args_is_help=True,
)

Nodes = Annotated[Path, typer.Argument(help="nodes.json, boxes.json or a truth.json.")]
Linked = Annotated[
    Path | None,
    typer.Option("--linked", help="linked_nodes.json of these boxes: one finding a node."),
]
Report = Annotated[list[Path], typer.Argument(help="DICOM SR files, TID 1500.")]


class SrKind(StrEnum):
    """Which report a PACS takes."""

    COMPREHENSIVE3D = "comprehensive3d"
    ENHANCED = "enhanced"


SrOption = Annotated[
    SrKind, typer.Option("--sr", help="enhanced: for a PACS that refuses the newer kind.")
]
KeySlices = Annotated[
    int, typer.Option("--slices", min=1, max=200, help="At most so many a study, most boxes first.")
]


@app.command()
def sr(
    nodes: Nodes,
    output: options.Output = Path("sr.dcm"),
    linked: Linked = None,
    scan: options.Scan = None,
    threshold: options.Threshold = None,
    kind: SrOption = SrKind.COMPREHENSIVE3D,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Structured report, one a study: each box with side, short axis, probability, models.

    Patient and study are those of the scan's own headers, so that the report lands beside it;
    a file with several studies gives sr_1.dcm, sr_2.dcm and on.
    """
    from lnmdetect.stages.export import ExportRequest

    request = ExportRequest(
        nodes,
        "sr",
        output,
        linked=linked,
        scan=scan,
        threshold=threshold,
        sr=kind.value,
        overwrite=overwrite,
    )
    _export(request, Talk(quiet, verbose, as_json))


@app.command()
def seg(
    nodes: Nodes,
    output: options.Output = Path("seg.dcm"),
    linked: Linked = None,
    scan: options.Scan = None,
    threshold: options.Threshold = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Binary segmentation, one a series and one segment a node, where the file has masks."""
    from lnmdetect.stages.export import ExportRequest

    request = ExportRequest(
        nodes, "seg", output, linked=linked, scan=scan, threshold=threshold, overwrite=overwrite
    )
    _export(request, Talk(quiet, verbose, as_json))


@app.command()
def gsps(
    nodes: Nodes,
    output: options.Output = Path("gsps.dcm"),
    linked: Linked = None,
    scan: options.Scan = None,
    threshold: options.Threshold = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Presentation state, one a series: the boxes as graphics that a viewer lays over the scan."""
    from lnmdetect.stages.export import ExportRequest

    request = ExportRequest(
        nodes, "gsps", output, linked=linked, scan=scan, threshold=threshold, overwrite=overwrite
    )
    _export(request, Talk(quiet, verbose, as_json))


@app.command()
def sc(
    nodes: Nodes,
    output: options.Output = Path("key_image.dcm"),
    linked: Linked = None,
    scan: options.Scan = None,
    threshold: options.Threshold = None,
    slices: KeySlices = 12,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Key images (secondary capture): slices with boxes and "research only" burnt in."""
    from lnmdetect.stages.export import ExportRequest

    request = ExportRequest(
        nodes,
        "sc",
        output,
        linked=linked,
        scan=scan,
        threshold=threshold,
        slices=slices,
        overwrite=overwrite,
    )
    _export(request, Talk(quiet, verbose, as_json))


@app.command("csv")
def as_csv(
    nodes: Nodes,
    output: options.Output = Path("findings.csv"),
    linked: Linked = None,
    threshold: options.Threshold = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Table, a line a box (of a node with --linked); needs neither the scan nor DICOM."""
    from lnmdetect.stages.export_csv import CsvRequest, export_csv

    talk = Talk(quiet, verbose, as_json)
    result = export_csv(
        CsvRequest(nodes, output, linked=linked, threshold=threshold, overwrite=overwrite)
    )
    what = counted(result.boxes, "box", "boxes")
    what += f" of {counted(result.findings, 'node')}" if linked else ""
    talk.result(result, text=f"{output}: {what}{_scored(result.threshold)}")
    talk.notes(result.notes)


@app.command()
def coco(
    reports: Report,
    output: options.Output = Path("nodes.json"),
    scan: options.Scan = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """The way back: structured reports, of lnmdetect or a reader's, as a COCO file."""
    from lnmdetect.stages.export_coco import CocoRequest, export_coco

    talk = Talk(quiet, verbose, as_json)
    request = CocoRequest(tuple(reports), output, scan=scan, overwrite=overwrite)
    result = export_coco(request)
    boxes, slices = counted(result.boxes, "box", "boxes"), counted(result.images, "slice")
    talk.result(result, text=f"{output}: {boxes} on {slices}")
    talk.notes(result.notes)


def _export(request: "ExportRequest", talk: Talk) -> None:
    from lnmdetect.stages.export import export

    result = export(request, talk)
    names = [str(path) for path in result.outputs]
    shown = ", ".join(names[:3]) + ", ..." * (len(names) > 3)
    what = f"{counted(result.findings, 'finding')}{_scored(result.threshold)}"
    talk.result(result, text=f"{shown or 'nothing written'}: {what}")
    talk.notes(result.notes)
    if names:
        talk.hint("lnmdetect", "pacs", "push", *names[:3], "--to", "HOST:PORT", "--ae", "PACS")


def _scored(threshold: float) -> str:
    """Return the threshold in words; nothing where there is none, as for truth."""
    return f" scored {threshold:.2f} or more" if threshold > 0 else ""
