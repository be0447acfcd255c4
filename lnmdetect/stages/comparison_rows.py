"""A comparison as rows of CSV: one figure of one file, or one difference, a row."""

from collections.abc import Iterator, Mapping, Sequence

from lnmdetect.metrics.comparison import Compared
from lnmdetect.metrics.figure import Figure
from lnmdetect.stages.comparison_result import Comparison

Row = dict[str, object]
_CLASSES = ("auc", "accuracy", "sensitivity", "specificity")


def csv_rows(result: Comparison) -> Iterator[Row]:
    """Give all figures of boxes, of classes of boxes and of nodes."""
    names = {"A": result.a.stamp.file, "B": result.b.stamp.file}
    yield from _pairs("boxes", result.detection or {}, names)
    if result.classes is not None:
        of_classes = {name: getattr(result.classes, name) for name in _CLASSES}
        yield from _pairs("classes of boxes", of_classes, names)
    if result.nodes is not None:
        names = {name: file.stamp.file for name, file in result.nodes.files.items()}
        for name, figure in result.nodes.comparison.figures.items():
            yield from _figures("nodes", name, (figure.values, figure.differences), names)


def _pairs(part: str, figures: Mapping[str, Compared], names: Mapping[str, str]) -> Iterator[Row]:
    for name, figure in figures.items():
        yield from _figures(part, name, ((figure.a, figure.b), (figure.difference,)), names)


def _figures(
    part: str,
    name: str,
    figures: tuple[Sequence[Figure], Sequence[Figure]],
    files: Mapping[str, str],
) -> Iterator[Row]:
    values, differences = figures
    first, *others = files
    subjects = [*files, *(f"{first} - {other}" for other in others)]
    for of, figure in zip(subjects, (*values, *differences), strict=True):
        yield {"part": part, "figure": name, "of": of, "file": files.get(of), **_cells(figure)}


def _cells(figure: Figure) -> Row:
    low, high = figure.interval or (None, None)
    return {
        "value": figure.value,
        "low": low,
        "high": high,
        "n": figure.n,
        "reason": figure.reason,
    }
