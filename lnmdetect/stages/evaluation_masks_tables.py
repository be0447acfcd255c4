"""The figures of masks as rich tables."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from lnmdetect.core.wording import counted
from lnmdetect.io.report_view import Table
from lnmdetect.metrics.mask_classes import FoundClasses
from lnmdetect.metrics.mask_counts import ALL
from lnmdetect.stages.evaluation_masks import MaskFigures
from lnmdetect.stages.figure_tables import Row, figure_table, figure_text
from lnmdetect.stages.mask_tables import as_markdown, text_tables


def mask_tables(masks: MaskFigures | None, suffix: str) -> Iterator[RenderableType]:
    """Give the tables of masks, none without them; `suffix` ends each title."""
    if masks is None:
        return
    yield Text(masks_sentence(masks))
    yield figure_table(f"Masks{suffix}", list(mask_rows(masks)))
    yield from (as_rich(table, suffix) for table in text_tables(masks))
    if masks.found_classes.nodes:
        title = f"{called_title(masks)}{suffix}"
        yield figure_table(title, list(call_rows(masks.found_classes)))


def masks_markdown(masks: MaskFigures, suffix: str) -> str:
    """Return all tables of masks as Markdown, for a paper or a page."""
    tables = [
        _figure_rows("Masks, all classes as one", mask_rows(masks)),
        *text_tables(masks),
        _figure_rows(called_title(masks), call_rows(masks.found_classes)),
    ]
    parts = [masks_sentence(masks) + "\n", *(as_markdown(table, suffix) for table in tables)]
    return "\n".join(parts)


def _figure_rows(caption: str, rows: Iterator[Row]) -> Table:
    cells = [
        (name, *figure_text(figure), "" if figure.n is None else str(figure.n))
        for name, figure in rows
    ]
    columns = ("figure", "value", "95 % interval over patients, or reason", "n")
    return Table(caption, columns, tuple(cells))


def called_title(masks: MaskFigures) -> str:
    """Return whose classes they are, as a title."""
    return f"Class of the nodes found by masks, said by {masks.classes_of}"


def as_rich(table: Table, suffix: str) -> RichTable:
    """Return a table of text for the terminal, `suffix` ending its title."""
    rich = RichTable(title=f"{table.caption}{suffix}", title_justify="left")
    first, *others = table.columns
    rich.add_column(first)
    for column in others:
        rich.add_column(column, justify="right")
    for row in table.rows:
        rich.add_row(*row)
    return rich


def masks_sentence(masks: MaskFigures) -> str:
    """Return how many nodes the figures of masks rest on, in a sentence."""
    false = masks.false_positives
    return (
        f"Masks: {counted(masks.truth_nodes, 'node')} of truth "
        f"({masks.ignored_truth_nodes} more ignored), {counted(masks.answered_nodes, 'node')} "
        f"answered, of which {false.nodes} touch no mask of truth on any slice (false positives, "
        f"on {counted(false.sections, 'slice')}) and {masks.left_out_nodes} only ignored ones."
    )


def mask_rows(masks: MaskFigures) -> Iterator[Row]:
    """Give the figures of all classes taken as one."""
    yield "Dice, mean over slices of each volume", masks.dice.per_slice[ALL]
    yield "Dice, whole volumes", masks.dice.per_volume[ALL]
    found = masks.detection[ALL]
    yield "Nodes found, covered at all", found.over_0
    yield "Nodes found, more than half covered", found.over_half
    yield "False positive nodes a volume", masks.false_positives.per_volume
    yield "Their cross-sections an image", masks.false_positives.per_image
    yield "Surface distance of found nodes, mean, mm", masks.surface.mean_mm
    yield "Surface distance of found nodes, Hausdorff 95 %, mm", masks.surface.hausdorff_95_mm


def call_rows(found: FoundClasses) -> Iterator[Row]:
    """Give the figures of the class of found nodes."""
    for name, calls in (
        ("negative, positive, extranodal", found.three_classes),
        ("negative against the others", found.merged),
    ):
        yield f"Accuracy, {name}", calls.accuracy
        yield "Of always calling the commonest class", calls.majority_accuracy
        yield "Difference (chance: 0)", calls.above_majority
        chance = "" if calls.chance is None else f" (chance: {calls.chance:.2f})"
        yield f"Balanced accuracy{chance}", calls.balanced_accuracy
    yield "AUC, negative against the others (chance: 0.5)", found.auc
