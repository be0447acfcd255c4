"""`lnmdetect segment`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.cli_stages import ScanArgument, after_classify

if TYPE_CHECKING:
    from lnmdetect.stages.segment import SegmentRequest, SegmentResult

VoxelThreshold = Annotated[
    float | None,
    typer.Option(
        "--threshold", min=0, max=1, help="On P(node) of a voxel, instead of the bundle's."
    ),
]
NodeThreshold = Annotated[
    float | None,
    typer.Option(
        "--node-threshold",
        min=0,
        max=1,
        help="On a node's score, the mean P(node) of its voxels, instead of the bundle's; nodes "
        "below stay in the file; eval, overlay, nodes and export leave them out. 0 where "
        "--threshold is not the bundle's, for which its own was chosen.",
    ),
]
Nifti = Annotated[
    Path | None,
    typer.Option(
        "--nifti",
        help="Folder that gets a NIfTI label map a scan too: 1 negative, 2 positive, "
        "3 extranodal extension; its cases.json says which is which.",
        metavar="FOLDER",
    ),
]


def segment(
    scan: ScanArgument,
    output: options.Output = Path("segments.json"),
    model: options.Model = "compact",
    device: options.Device = "auto",
    series: options.Series = None,
    allow_tilt: options.AllowTilt = False,
    threshold: VoxelThreshold = None,
    node_threshold: NodeThreshold = None,
    nifti: Nifti = None,
    pseudonymise_uids: options.PseudonymiseUids = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Find the masks of lymph nodes in 3-D: writes segments.json.

    The masks lie on the scan's own slices (COCO RLE); cross-sections of one node share a node_id.
    The file goes through `classify`, `nodes`, `eval`, `overlay` and `export` as boxes.json does.
    Memory is set by the model, not by the number of slices.
    """
    from lnmdetect.stages.segment import SegmentRequest
    from lnmdetect.stages.segment import segment as stage

    talk = Talk(quiet, verbose, as_json)
    request = SegmentRequest(
        scan,
        output=output,
        model=model,
        device=device,
        series=series,
        allow_tilt=allow_tilt,
        threshold=threshold,
        node_threshold=node_threshold,
        nifti=nifti,
        pseudonymise_uids=pseudonymise_uids,
        overwrite=overwrite,
    )
    result = stage(request, talk)
    talk.result(result, text=_text(result))
    talk.notes(result.notes)
    talk.hint("lnmdetect", *_following(request, result.output))
    talk.stop_if_partial(result.failures)


def _following(request: "SegmentRequest", segments: Path) -> list[object]:
    """Return what to do with the masks: score them where a truth.json lies near, or look."""
    following = after_classify(request.scan, segments)
    if following[0] == "eval":
        return following
    place: list[object] = ["--scan", request.scan] if request.pseudonymise_uids else []
    return [*following, "--rows", *place]


def _text(result: "SegmentResult") -> str:
    from lnmdetect.core.wording import counted

    unlikely = ""
    if result.unlikely_nodes:
        unlikely = f"; {result.unlikely_nodes} more scored lower, in the file but not counted"
    maps = f"\n{result.nifti}: {counted(result.scans, 'label map')}" if result.nifti else ""
    return (
        f"{counted(result.scans, 'scan')}, {counted(result.slices, 'slice')}: "
        f"{counted(result.nodes, 'node')} in {counted(result.sections, 'cross-section')}, "
        f"score {result.node_threshold:.2f} or more, voxels of P(node) {result.threshold:.2f} or "
        f"more{unlikely}\n"
        f"{result.output}: their masks ({result.seconds:.1f} s){maps}"
    )
