"""A comparison as rich tables."""

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect.core.wording import counted
from lnmdetect.metrics.comparison import ClassComparison, Compared
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.paired_tests import McNemar, PairedTest
from lnmdetect.stages.comparison_nodes_table import nodes_parts
from lnmdetect.stages.comparison_result import ComparedFile, Comparison
from lnmdetect.stages.evaluation_info import over_patients_sentence
from lnmdetect.stages.figure_tables import figure_text

_NAMES: Mapping[str, str] = {
    "ap50": "AP50",
    "ap": "AP 50:95",
    "froc_mean_per_image": "FROC mean, false positives an image",
    "sensitivity_at_1_fp_per_image": "Sensitivity at 1 false positive an image",
}


def comparison_tables(result: Comparison) -> RenderableType:
    """Return the figures of A and of B, their differences, and the tests of the classes."""
    info = result.info
    parts: list[RenderableType] = [
        Text(
            f"{counted(info.patients, 'patient')}, {counted(info.images, 'image')}, "
            f"{counted(info.truth_boxes, 'truth box', 'truth boxes')}"
        ),
        Text(f"A: {_file_text(result.a)}"),
        Text(f"B: {_file_text(result.b)}"),
    ]
    if result.detection is not None:
        rows = {_NAMES[name]: figures for name, figures in result.detection.items()}
        parts.append(compared_table(_titled(result, "Detection"), rows))
    if result.classes is not None:
        parts += class_parts(_titled(result, class_title(result.classes)), result.classes)
    if result.nodes is not None:
        parts += nodes_parts(result.nodes, ", phantom figures" if info.phantom else "")
    intervals = over_patients_sentence(info.resamples, info.seed)
    parts.append(Text(f"Intervals: {intervals}."))
    return Group(*parts, *(Text(f"Note: {note}") for note in info.notes))


def class_title(classes: ClassComparison) -> str:
    """Return on which nodes the classes are compared."""
    nodes = counted(classes.n, "truth box", "truth boxes")
    return f"Classes on the {nodes} that both answered (metastatic = positive)"


def class_parts(
    title: str, classes: ClassComparison, names: tuple[str, str] = ("A", "B")
) -> list[RenderableType]:
    """Return the figures of both and the tests, by the names of the two."""
    rows = {
        "AUC": classes.auc,
        "Accuracy": classes.accuracy,
        "Sensitivity": classes.sensitivity,
        "Specificity": classes.specificity,
    }
    table = compared_table(title, rows, names)
    lines = [
        f"AUC, {paired_test_text('DeLong', classes.delong)}",
        f"AUC, {paired_test_text(classes.permutation.method, classes.permutation)}",
        *(
            mcnemar_text(f"Calls on {which} nodes", test, names)
            for which, test in classes.mcnemar.items()
        ),
    ]
    return [table, *(Text(line) for line in lines)]


def compared_table(
    title: str, rows: Mapping[str, Compared], names: tuple[str, str] = ("A", "B")
) -> Table:
    """Return a row a figure: of the one, of the other, and the difference."""
    one, other = names
    table = Table(title=title, title_justify="left")
    table.add_column("Figure")
    for column in (one, other, f"{one} - {other}", "95 % interval or reason", "n"):
        table.add_column(column, justify="right")
    for name, figures in rows.items():
        table.add_row(name, *_cells(figures))
    return table


def _cells(figures: Compared) -> Iterator[str]:
    for figure in (figures.a, figures.b):
        yield _with_interval(figure)
    value, interval = figure_text(figures.difference)
    yield from (value, interval)
    n = figures.a.n
    yield "" if n is None else str(n)


def _with_interval(figure: Figure) -> str:
    if figure.value is None:
        return "undefined"
    if figure.interval is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.interval[0]:.3f} to {figure.interval[1]:.3f})"


def paired_test_text(name: str, test: PairedTest) -> str:
    """Return a test of two areas as one sentence."""
    if test.p_value is None:
        return f"{name}: none, {test.reason}."
    difference = "" if test.difference is None else f"difference {test.difference:.3f}"
    if test.interval is not None:
        difference += f" ({test.interval[0]:.3f} to {test.interval[1]:.3f})"
    z = "" if test.z is None else f", z = {test.z:.2f}"
    return f"{name}: {difference}{z}, {p_text(test.p_value)}."


def mcnemar_text(name: str, test: McNemar, names: tuple[str, str] = ("A", "B")) -> str:
    """Return McNemar's test with its four counts as one sentence."""
    one, other = names
    counts = (
        f"both right {test.both_right}, {one} alone {test.first_only}, {other} alone "
        f"{test.second_only}, both wrong {test.both_wrong}"
    )
    if test.p_value is None:
        return f"{name}: {counts}; McNemar: none, {test.reason}."
    return f"{name}: {counts}; McNemar ({test.method}): {p_text(test.p_value)}."


def p_text(p_value: float) -> str:
    """Return a p value to two digits, never as 0."""
    return "p < 0.0001" if p_value < 1e-4 else f"p = {p_value:.2g}"


def _file_text(file: ComparedFile) -> str:
    threshold = file.detector_threshold.value
    above = "none given" if threshold is None else f"{threshold:.4g}"
    boxes = counted(file.detections, "box", "boxes")
    return f"{file.stamp.file}, {boxes}, operating threshold {above}"


def _titled(result: Comparison, title: str) -> str:
    return f"{title}{', phantom figures' if result.info.phantom else ''}"
