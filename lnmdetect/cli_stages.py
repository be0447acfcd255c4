"""The commands of the pipeline: detect, classify, run and overlay."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk

if TYPE_CHECKING:
    from lnmdetect.stages.run import RunResult

ScanArgument = Annotated[
    Path,
    typer.Argument(
        help="Folder, DICOM file or zip, or a JSON that lists slices; key images may be PNG."
    ),
]
DrawnArgument = Annotated[
    Path,
    typer.Argument(metavar="NODES", help="boxes.json, nodes.json, segments.json or a truth.json."),
]
PictureOutput = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="Where to write; by default contact_sheet.png, or rows.png.",
        metavar="PATH",
    ),
]
DrawnSlices = Annotated[
    int | None,
    typer.Option(min=1, max=200, help="Draw at most so many slices, by default 24, or 6 in rows."),
]
Rows = Annotated[
    bool, typer.Option("--rows", help="Result, truth and original in rows, a column a slice.")
]


def detect(
    scan: ScanArgument,
    output: options.Output = Path("boxes.json"),
    model: options.Model = "compact",
    device: options.Device = "auto",
    precision: options.PrecisionOption = None,
    engine: options.EngineOption = "torch",
    series: options.Series = None,
    allow_tilt: options.AllowTilt = False,
    key_images: options.KeyImages = False,
    pixel_spacing: options.PixelSpacing = None,
    threshold: options.Threshold = None,
    pseudonymise_uids: options.PseudonymiseUids = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Find lymph nodes on a scan: writes boxes.json."""
    from lnmdetect.cli_tables import detect_text
    from lnmdetect.stages.detect import detect as stage
    from lnmdetect.stages.detect_request import DetectRequest

    talk = Talk(quiet, verbose, as_json)
    request = DetectRequest(
        scan,
        output=output,
        model=model,
        device=device,
        precision=precision,
        engine=engine,
        series=series,
        allow_tilt=allow_tilt,
        key_images=key_images,
        pixel_spacing_mm=pixel_spacing,
        threshold=threshold,
        pseudonymise_uids=pseudonymise_uids,
        overwrite=overwrite,
    )
    result = stage(request, talk)
    talk.result(result, text=detect_text(result))
    talk.notes(result.notes)
    place = ["--scan", scan] if pseudonymise_uids else []
    talk.hint("lnmdetect", "classify", result.output, *place)
    talk.stop_if_partial(result.failures)


def classify(
    boxes: Annotated[Path, typer.Argument(help="boxes.json, or a truth.json.")],
    output: options.Output = Path("nodes.json"),
    scan: options.Scan = None,
    model: options.Model = "compact",
    device: options.Device = "auto",
    precision: options.PrecisionOption = None,
    engine: options.EngineOption = "torch",
    above_threshold: Annotated[
        bool, typer.Option("--above-threshold", help="Only boxes at the operating threshold.")
    ] = False,
    threshold: options.NodeThreshold = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Say of each box how likely it is metastatic: writes nodes.json."""
    from lnmdetect.cli_tables import classify_text
    from lnmdetect.stages.classify import ClassifyRequest
    from lnmdetect.stages.classify import classify as stage

    talk = Talk(quiet, verbose, as_json)
    request = ClassifyRequest(
        boxes,
        output=output,
        scan=scan,
        model=model,
        device=device,
        precision=precision,
        engine=engine,
        above_threshold=above_threshold,
        threshold=threshold,
        overwrite=overwrite,
    )
    result = stage(request, talk)
    talk.result(result, text=classify_text(result))
    talk.hint("lnmdetect", *after_classify(boxes, result.output))


def after_classify(boxes: Path, nodes: Path) -> list[object]:
    """Return what to do with classified boxes: score them where a truth.json lies near, or look."""
    near = (folder / "truth.json" for folder in (nodes.parent, boxes.parent, Path()))
    truth = next((path for path in near if path.is_file()), None)
    if truth is None:
        return ["overlay", nodes]
    given: list[object] = [] if nodes == Path("nodes.json") else ["--nodes", nodes]
    return ["eval", *given, *([] if truth == Path("truth.json") else ["--truth", truth])]


def overlay(
    nodes: DrawnArgument,
    truth: options.Truth = None,
    output: PictureOutput = None,
    scan: options.Scan = None,
    slices: DrawnSlices = None,
    threshold: options.Threshold = None,
    rows: Rows = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Draw boxes, or the contours of masks, on the slices that say most: a contact sheet as PNG.

    With --rows the slices stand side by side: the result above, truth below it, and below that
    the slices as they are.
    """
    from lnmdetect.cli_tables import overlay_text
    from lnmdetect.stages.overlay import COLUMNS, ROWS, SHEET, SLICES, OverlayRequest
    from lnmdetect.stages.overlay import overlay as stage

    talk = Talk(quiet, verbose, as_json)
    request = OverlayRequest(
        nodes,
        truth=truth,
        output=output or (ROWS if rows else SHEET),
        scan=scan,
        slices=slices or (COLUMNS if rows else SLICES),
        threshold=threshold,
        rows=rows,
        overwrite=overwrite,
    )
    result = stage(request, talk)
    talk.result(result, text=overlay_text(result))


def run(
    scan: ScanArgument,
    output: options.Output = Path("results"),
    model: options.Model = "compact",
    classifier: options.Classifier = "compact",
    device: options.Device = "auto",
    precision: options.PrecisionOption = None,
    engine: options.EngineOption = "torch",
    series: options.Series = None,
    allow_tilt: options.AllowTilt = False,
    key_images: options.KeyImages = False,
    pixel_spacing: options.PixelSpacing = None,
    pseudonymise_uids: options.PseudonymiseUids = False,
    truth: options.Truth = None,
    slices: options.Slices = 24,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Detect, classify, link nodes in 3-D and draw, into one folder (default: results/)."""
    from lnmdetect.cli_nodes import after_linking, nodes_counts, nodes_table
    from lnmdetect.stages.run import RunRequest
    from lnmdetect.stages.run import run as stage

    talk = Talk(quiet, verbose, as_json)
    request = RunRequest(
        scan,
        output=output,
        model=model,
        classifier=classifier,
        device=device,
        precision=precision,
        engine=engine,
        series=series,
        allow_tilt=allow_tilt,
        key_images=key_images,
        pixel_spacing_mm=pixel_spacing,
        pseudonymise_uids=pseudonymise_uids,
        truth=truth,
        slices=slices,
        overwrite=overwrite,
    )
    result = stage(request, talk)
    counts = {**vars(result), "linked": nodes_counts(result.linked)}
    talk.table(nodes_table(result.linked))
    talk.result(counts, text=_run_text(result))
    talk.notes(result.detected.notes)
    talk.hint("lnmdetect", *after_linking(result.classified.output, result.linked))
    talk.stop_if_partial(result.detected.failures)


def _run_text(result: "RunResult") -> str:
    """Return what each stage did, in two lines a stage."""
    from lnmdetect.cli_nodes import nodes_text
    from lnmdetect.cli_tables import classify_text, detect_text, overlay_text

    lines = (
        detect_text(result.detected),
        classify_text(result.classified),
        nodes_text(result.linked),
        *([overlay_text(result.picture)] if result.picture else []),
    )
    return "\n".join(lines)
