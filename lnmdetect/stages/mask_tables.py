"""The figures of masks as tables of text: for the terminal, the page and Markdown."""

from collections.abc import Iterator, Mapping, Sequence

from lnmdetect.io.report_view import Table
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.mask_confusion import FigureRows
from lnmdetect.metrics.mask_counts import ALL, CLASSES
from lnmdetect.metrics.mask_slices import LABELS, UNKNOWN
from lnmdetect.stages.evaluation_masks import MaskFigures
from lnmdetect.stages.figure_tables import short_text

_BELOW_10_MM = ("under 5 mm", "5 to 10 mm")
"""The groups that table 1 of Cancers 2023, 15, 5890 takes together: under 1 cm."""


def class_text(name: str) -> str:
    """Return the name of a class in words."""
    words = {ALL: "all as one", "metastatic": "positive + extranodal"}
    return words.get(name, name.replace("_", " "))


def text_tables(masks: MaskFigures) -> Iterator[Table]:
    """Give every table of masks, the nodes of truth by size and class first."""
    yield _sizes(masks)
    yield _classes(masks)
    yield _found_by_size(masks)
    if masks.found_classes.nodes:
        yield _called(masks)
    yield _pixels(masks, masks.pixels.by_truth, "Pixels, of those of each class in truth, %")
    yield _pixels(masks, masks.pixels.by_answer, "Pixels, of those answered as each class, %")


def _sizes(masks: MaskFigures) -> Table:
    """Return the nodes to be found, as table 1 of Cancers 2023, 15, 5890 has them."""
    nodes = {(row.short_axis, row.node_class): row.nodes for row in masks.detection_by_size}
    groups = tuple(dict.fromkeys(size for size, _ in nodes))
    totals = {name: sum(nodes[size, name] for size in groups) for name in CLASSES}

    def row(title: str, sizes: Sequence[str]) -> tuple[str, ...]:
        counts = {name: sum(nodes[size, name] for size in sizes) for name in CLASSES}
        return title, *(_of(counts[name], totals[name]) for name in CLASSES)

    rows = [row(size, (size,)) for size in groups]
    rows += [row("of these under 10 mm", _BELOW_10_MM), row("all", groups)]
    return _by_class("Nodes of truth by short axis and class", "short axis", rows)


def _of(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.0f} %)" if total else "0"


def _by_class(caption: str, first: str, rows: Sequence[tuple[str, ...]]) -> Table:
    return Table(caption, (first, *map(class_text, CLASSES)), tuple(rows))


def _classes(masks: MaskFigures) -> Table:
    """Return the figures of each class, as table 2 of Cancers 2023, 15, 5890 has them."""
    rates, false = masks.detection, masks.false_positives
    false_each = {ALL: false.per_volume, **false.per_volume_by_class}
    rows = [
        ("nodes", *(str(rates[name].nodes) for name in CLASSES)),
        _figures("Dice a slice", masks.dice.per_slice),
        _figures("Dice a volume", masks.dice.per_volume),
        _figures("found, over 0 %", {name: rates[name].over_0 for name in CLASSES}),
        ("found, over 25 %", *(_rate(masks, name, 0.25) for name in CLASSES)),
        _figures("found, over 50 %", {name: rates[name].over_half for name in CLASSES}),
        ("found, over 75 %", *(_rate(masks, name, 0.75) for name in CLASSES)),
        _figures("over 0 % as that class", {n: rates[n].called_over_0 for n in CLASSES}),
        _figures("over 50 % as that class", {n: rates[n].called_over_half for n in CLASSES}),
        _figures("false positives a volume", false_each),
    ]
    return _by_class("Masks by class of the node in truth", "figure", rows)


def _figures(title: str, figures: Mapping[str, Figure]) -> tuple[str, ...]:
    return title, *(short_text(figures[name]) for name in CLASSES)


def _rate(masks: MaskFigures, name: str, least: float) -> str:
    curve = masks.detection[name].curve
    return "-" if curve is None else f"{curve.rate[curve.overlap.index(least)]:.3f}"


def _found_by_size(masks: MaskFigures) -> Table:
    figures = {(row.short_axis, row.node_class): row.over_0 for row in masks.detection_by_size}
    groups = tuple(dict.fromkeys(size for size, _ in figures))
    rows = [_figures(size, {n: figures[size, n] for n in CLASSES}) for size in groups]
    return _by_class("Nodes found at any overlap, by short axis and class", "short axis", rows)


def _called(masks: MaskFigures) -> Table:
    names = LABELS[1:UNKNOWN]
    rows = [
        (class_text(name), *map(str, row))
        for name, row in zip(names, masks.found_classes.confusion, strict=True)
    ]
    caption = f"Nodes found, class in truth and as said by {masks.classes_of}"
    return Table(caption, ("in truth \\ said", *map(class_text, names)), tuple(rows))


def _pixels(masks: MaskFigures, shares: FigureRows, caption: str) -> Table:
    labels = masks.pixels.labels
    rows = [
        (class_text(label), *map(_percent, row)) for label, row in zip(labels, shares, strict=True)
    ]
    return Table(caption, ("in truth \\ answered", *map(class_text, labels)), tuple(rows))


def _percent(figure: Figure) -> str:
    return "-" if figure.value is None else f"{100 * figure.value:.2f}"


def as_markdown(table: Table, suffix: str) -> str:
    """Return a table as Markdown, its title above it."""
    lines = [f"**{table.caption}{suffix}**", "", _line(table.columns)]
    lines.append("|---|" + "---:|" * (len(table.columns) - 1))
    return "\n".join([*lines, *map(_line, table.rows)]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
