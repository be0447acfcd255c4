"""Readers beside the model as rich tables."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect.core.wording import counted
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.readers import ReaderFigures
from lnmdetect.stages.comparison_tables import mcnemar_text, paired_test_text
from lnmdetect.stages.readers_result import PUBLISHED, ReadersResult


def readers_tables(result: ReadersResult) -> RenderableType:
    """Return a row for the model and for each reader, and the tests of each against the model."""
    info = result.info
    readers = counted(len(result.readers), "reader")
    parts: list[RenderableType] = [
        Text(
            f"{readers} of {info.readers.file} beside {info.model.file}, on "
            f"{counted(info.nodes, 'truth box', 'truth boxes')} of "
            f"{counted(info.patients, 'patient')}"
        ),
        _figures(result),
    ]
    for reader in result.readers:
        parts += [Text(line) for line in _against_model(reader)]
    published = ", ".join(f"{one.reader} {one.auc:.3f}" for one in PUBLISHED)
    parts.append(Text(f"Published AUC of readers ({PUBLISHED[0].source}): {published}."))
    parts.append(Text(f"Intervals: {info.intervals}."))
    return Group(*parts, *(Text(f"Note: {note}") for note in info.notes))


def _figures(result: ReadersResult) -> Table:
    phantom = ", phantom figures" if result.info.phantom else ""
    title = f"Model and readers (metastatic = positive){phantom}"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in ("n", "AUC", "AUC of", "Sensitivity", "Specificity"):
        table.add_column(name, justify="right")
    model = result.model
    figures = (model.auc, model.sensitivity, model.specificity)
    _add(table, "model", model.n, "probability", figures)
    for reader in result.readers:
        figures = (reader.auc, reader.sensitivity, reader.specificity)
        _add(table, reader.reader, reader.n, reader.auc_of, figures)
    return table


def _add(
    table: Table, name: str, n: int, auc_of: str, figures: tuple[Figure, Figure, Figure]
) -> None:
    auc, *rates = (_cell(figure) for figure in figures)
    table.add_row(name, str(n), auc, auc_of, *rates)


def _cell(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    interval, independent = figure.interval, figure.independent_interval
    text = f"{figure.value:.3f}"
    if interval is not None:
        text += f" {interval[0]:.3f} to {interval[1]:.3f}"
    if independent is not None:
        text += f"\n({independent[0]:.3f} to {independent[1]:.3f})"
    return text


def _against_model(reader: ReaderFigures) -> Iterator[str]:
    against, name = reader.against_model, reader.reader
    if against is None:
        yield f"Model - {name}: no truth box that both answered."
        return
    difference = against.auc.difference
    boxes = counted(against.n, "truth box", "truth boxes")
    told = difference.reason or difference.interval_method
    if difference.interval is not None:
        told = f"{difference.interval[0]:.3f} to {difference.interval[1]:.3f}"
    value = "undefined" if difference.value is None else f"{difference.value:.3f}"
    yield f"Model - {name}, AUC on {boxes} that both answered: {value} ({told})"
    yield f"  {paired_test_text('DeLong', against.delong)}"
    yield f"  {paired_test_text(against.permutation.method, against.permutation)}"
    if against.mcnemar is not None:
        yield f"  {mcnemar_text('Calls', against.mcnemar, ('model', name))}"
