"""`lnmdetect nodes`: from boxes on slices to nodes in 3-D."""

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.cli_stages import after_classify
from lnmdetect.core.wording import counted

if TYPE_CHECKING:
    from lnmdetect.core.linked_nodes import LinkedNode
    from lnmdetect.stages.nodes import NodesResult

_SHOWN = 40
"""Nodes in the table; the files have all."""
_COLUMNS = ("node", "slices", "side", "short mm ", "long mm", "ml", "HU", "sd", "P(met.)", "score")
"""Within 80 columns; P(met.) is P(metastatic)."""


def nodes(
    boxes: Annotated[
        Path, typer.Argument(metavar="NODES", help="nodes.json, boxes.json or a truth.json.")
    ] = Path("nodes.json"),
    output: options.Output = Path("linked_nodes.json"),
    scan: options.Scan = None,
    threshold: options.Threshold = None,
    boxes_only: Annotated[
        bool,
        typer.Option(
            "--boxes-only", help="Read no pixels: axes are the boxes', no HU, side or centre in mm."
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Link boxes across slices into 3-D nodes: writes linked_nodes.json and the same as CSV.

    Takes the boxes at or above the operating threshold. Boxes of a slice that
    overlap become one; boxes of neighbouring slices become one node where they
    fit best, one to one. In each box the node's outline is found from the HU, or
    taken from a mask: short and long axis (mm, on the largest cross-section),
    extent, volume, HU, side, and P(metastatic) over all slices. A short axis of
    10 mm or more is marked, whatever the classifier says.
    """
    from lnmdetect.stages.nodes import NodesRequest, link_nodes

    talk = Talk(quiet, verbose, as_json)
    request = NodesRequest(
        boxes,
        output=output,
        scan=scan,
        threshold=threshold,
        boxes_only=boxes_only,
        overwrite=overwrite,
    )
    result = link_nodes(request, talk)
    talk.table(nodes_table(result))
    talk.result(_json(result), text=nodes_text(result))
    if result.scans == result.slices > 1:
        talk.note(
            "Each slice stands alone, without a series or a place in it: nothing could be linked."
        )
    talk.hint("lnmdetect", *after_linking(boxes, result))


def after_linking(boxes: Path, result: "NodesResult") -> list[object]:
    """Return what to do with linked nodes: score them where a truth.json lies near, or export."""
    following = after_classify(boxes, boxes)
    if following[0] == "eval":
        scored = result.coverage == "all_slices"
        return [*following, *(["--linked-nodes", result.output] if scored else [])]
    of_dicom = all(section.sop_instance_uid for n in result.nodes for section in n.sections)
    if not result.nodes or not of_dicom:
        return following
    return ["export", "sr", boxes, "--linked", result.output]


def nodes_text(result: "NodesResult") -> str:
    """Return what was linked, in two lines."""
    suspicious = sum(node.suspicious_by_size for node in result.nodes)
    return (
        f"{counted(result.boxes, 'box', 'boxes')} at the threshold {result.threshold:.2f}: "
        f"{counted(len(result.nodes), 'node')} in {counted(result.scans, 'scan')}, "
        f"{suspicious} with a short axis of 10 mm or more\n"
        f"{result.output}, {result.table.name}: the nodes with their measures "
        f"({result.seconds:.1f} s)"
    )


def nodes_table(result: "NodesResult") -> RenderableType:
    """Return a table a patient, a row a node, the likeliest metastatic of each scan first."""
    from lnmdetect.core.linked_nodes import SIZE_RULE

    shown = result.nodes[:_SHOWN]
    parts: list[RenderableType] = []
    for patient, members in groupby(shown, key=lambda node: node.patient):
        title = f"Nodes in 3-D of {patient}{', phantom figures' if result.phantom else ''}"
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in _COLUMNS:
            table.add_column(name, justify="left" if name == "node" else "right", no_wrap=True)
        for node in members:
            table.add_row(*_cells(node))
        parts.append(table)
    if len(result.nodes) > len(shown):
        parts.append(Text(f"... and {len(result.nodes) - len(shown)} more."))
    if any(node.suspicious_by_size for node in shown):
        parts.append(Text(f"* {SIZE_RULE}"))
    return Group(*parts)


def _cells(node: "LinkedNode") -> tuple[str, ...]:
    first, last = node.slice_range
    p = "-" if node.p_metastatic is None else f"{node.p_metastatic:.2f}"
    return (
        node.node_id,
        str(first) if first == last else f"{first}-{last}",
        node.laterality or "-",
        f"{node.short_axis_mm:.1f}{'*' if node.suspicious_by_size else ' '}",
        f"{node.long_axis_mm:.1f}",
        f"{node.volume_mm3 / 1000:.2f}",
        _whole(node.mean_hu),
        _whole(node.heterogeneity_hu),
        p,
        f"{node.score:.2f}",
    )


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def nodes_counts(result: "NodesResult") -> dict[str, object]:
    """Return what was linked in numbers; the nodes themselves are in the file."""
    return {**vars(result), "nodes": len(result.nodes)}


def _json(result: "NodesResult") -> dict[str, object]:
    from lnmdetect.io.linked_nodes_file import node_to_json

    return {**vars(result), "nodes": [node_to_json(node) for node in result.nodes]}
