"""Compared files node by node, as one rich table."""

from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect.core.wording import counted
from lnmdetect.metrics.figure import Figure
from lnmdetect.stages.comparison_nodes import NodesCompared, NodesFile

_NAMES: Mapping[str, str] = {
    "found_centre": "Nodes found, centre in node",
    "found_overlap": "Nodes found, boxes meet",
    "false_positives_per_scan_centre": "False positives a scan, centre in no node",
    "false_positives_per_scan_overlap": "False positives a scan, box meets none",
    "froc_mean_per_scan": "FROC mean, centre in node, 1/8 to 8 a scan",
    "auc": "AUC of P(metastatic), nodes found by all",
    "short_axis_absolute_error_mm": "Short axis, mean absolute error, mm",
    "short_axis_error_mm": "Short axis, mean error, mm",
}


def nodes_parts(nodes: NodesCompared, suffix: str) -> Iterator[RenderableType]:
    """Give the files and their figures; `suffix` ends the title."""
    for name, file in nodes.files.items():
        yield Text(f"{name}: {_file_text(file)}")
    found = nodes.comparison
    title = f"{counted(found.truth, 'node')} of truth, {found.found_by_all} found by all{suffix}"
    table = Table(title=title, title_justify="left", show_lines=True)
    table.add_column("Figure")
    first, *others = nodes.files
    table.add_column(first, justify="right", no_wrap=True)
    for other in others:
        table.add_column(other, justify="right", no_wrap=True)
        table.add_column(f"{first} - {other}", justify="right", no_wrap=True)
    table.add_column("n", justify="right")
    for name, figure in found.figures.items():
        own, *values = figure.values
        cells = [_cell(own)]
        for value, difference in zip(values, figure.differences, strict=True):
            cells += [_cell(value), _cell(difference, signed=True)]
        known = [one.n for one in figure.values if one.n is not None]
        table.add_row(_NAMES[name], *cells, str(known[0]) if known else "")
    yield table


def _file_text(file: NodesFile) -> str:
    axes = "outlines" if file.axes_of == "outline" else "boxes"
    return (
        f"{file.stamp.file}: {file.nodes} nodes ({file.nodes_are}); classes: "
        f"{file.classes_of or 'none'}; short axes of {axes}"
    )


def _cell(figure: Figure, *, signed: bool = False) -> str:
    """Return the value with its interval below it, or the reason why there is none."""
    if figure.value is None:
        return f"-\n{figure.reason}"
    text = f"{figure.value:{'+' if signed else ''}.3f}"
    if figure.interval is None:
        return text
    low, high = (f"{end:{'+' if signed else ''}.3f}" for end in figure.interval)
    return f"{text}\n{low} to {high}"
