"""Nodes in 3-D as a part of the page: found, split, merged, and how large they are said to be."""

from collections.abc import Iterator

from lnmdetect.io.report_view import FigureTable, Section
from lnmdetect.metrics.axis_errors import AxisErrors
from lnmdetect.stages.evaluation_linked import Nodes3d
from lnmdetect.stages.report_tables import Named, figure_table, froc_tables

_AXES = {
    "slice_short_axis_mm": "the truth node's largest cross-section",
    "short_axis_mm": "the truth node in 3-D",
}
"""What each of truth's axes is of."""


def nodes_section(nodes: Nodes3d) -> Section:
    """Return the part of the page on linked nodes."""
    measured = "as the files of lnmdetect nodes have them" if nodes.files else "without pixels"
    return Section(
        "nodes-3d",
        "Nodes in 3-D",
        "Boxes at or above the operating threshold, linked across slices into nodes (those that "
        "name their node, as masks do, are of that one) "
        f"{measured}: {nodes.linked} linked, {nodes.truth} in truth. A linked node hits the truth "
        "node whose box, on the slice nearest to its centre, holds that centre.",
        figures=tuple(_figure_tables(nodes)),
        tables=tuple(
            froc_tables(
                "FROC: sensitivity by false positives",
                iter([("linked nodes, centre in node", nodes.figures.froc)]),
            )
        ),
    )


def _figure_tables(nodes: Nodes3d) -> Iterator[FigureTable]:
    figures = nodes.figures
    rows: list[Named] = [
        ("All their boxes in one linked node", figures.in_one_node),
        ("In several (split)", figures.split),
        ("In one with another node (merged)", figures.merged),
    ]
    yield figure_table("Nodes found on two slices or more", iter(rows))
    if nodes.true_axis is not None:
        caption = f"Short axis, measured less true, of {_AXES[nodes.true_axis]}"
        yield figure_table(caption, _axis_rows(nodes))


def _axis_rows(nodes: Nodes3d) -> Iterator[Named]:
    if nodes.outlined:
        yield from _errors("Outline", nodes.figures.short_axis)
    yield from _errors("Plain box", nodes.figures.box_short_axis)


def _errors(name: str, errors: AxisErrors) -> Iterator[Named]:
    yield f"{name}: mean error, mm", errors.mean_mm
    yield f"{name}: lower 95 % limit of agreement, mm", errors.lower_limit_mm
    yield f"{name}: upper 95 % limit of agreement, mm", errors.upper_limit_mm
    yield f"{name}: mean error, pixels", errors.mean_px
