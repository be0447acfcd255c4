"""The figures of masks as rich tables."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect.core.wording import counted
from lnmdetect.metrics.mask_classes import FoundClasses
from lnmdetect.metrics.mask_confusion import FigureRows, PixelConfusion
from lnmdetect.metrics.mask_counts import ALL, CLASSES
from lnmdetect.metrics.mask_detection import SizeRates
from lnmdetect.metrics.mask_slices import LABELS, UNKNOWN
from lnmdetect.stages.evaluation_masks import MaskFigures
from lnmdetect.stages.figure_tables import Row, figure_table, short_text

_SHOWN_OVERLAPS = (0.0, 0.25, 0.5, 0.75)


def mask_tables(masks: MaskFigures | None, suffix: str) -> Iterator[RenderableType]:
    """Give the tables of masks, none without them; `suffix` ends each title."""
    if masks is None:
        return
    yield Text(masks_sentence(masks))
    yield figure_table(f"Masks{suffix}", list(mask_rows(masks)))
    yield _class_table(masks, f"Masks by class of the node in truth{suffix}")
    yield _size_table(
        masks.detection_by_size, f"Nodes found at any overlap, by short axis and class{suffix}"
    )
    pixels = masks.pixels
    by_truth = f"Pixels, of those of each class in truth, %{suffix}"
    yield _pixel_table(pixels, pixels.by_truth, by_truth)
    by_answer = f"Pixels, of those answered as each class, %{suffix}"
    yield _pixel_table(pixels, pixels.by_answer, by_answer)
    if masks.found_classes.nodes:
        title = f"Class of the nodes found by masks, said by {masks.classes_of}{suffix}"
        yield figure_table(title, list(call_rows(masks.found_classes)))
        yield confusion_table(masks, f"Nodes found, class in truth and as said{suffix}")


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


def _class_table(masks: MaskFigures, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    overlaps = [f"found, over {100 * least:.0f} %" for least in _SHOWN_OVERLAPS]
    called = ["over 0 % as that class", "over 50 % as that class"]
    for name in ("nodes", "Dice a slice", "Dice a volume", *overlaps, *called, "FP a volume"):
        table.add_column(name, justify="right")
    for name in CLASSES:
        rates, curve = masks.detection[name], masks.detection[name].curve
        shown = [
            "-" if curve is None else f"{curve.rate[curve.overlap.index(least)]:.3f}"
            for least in _SHOWN_OVERLAPS
        ]
        shown[0], shown[2] = short_text(rates.over_0), short_text(rates.over_half)
        false = masks.false_positives.per_volume_by_class.get(name)
        table.add_row(
            class_text(name),
            str(rates.nodes),
            short_text(masks.dice.per_slice[name]),
            short_text(masks.dice.per_volume[name]),
            *shown,
            short_text(rates.called_over_0),
            short_text(rates.called_over_half),
            short_text(masks.false_positives.per_volume if name == ALL else false),
        )
    return table


def class_text(name: str) -> str:
    """Return the name of a class in words."""
    words = {ALL: "all as one", "metastatic": "positive and extranodal merged"}
    return words.get(name, name.replace("_", " "))


def _size_table(rows: Sequence[SizeRates], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("short axis")
    for name in CLASSES:
        table.add_column(class_text(name), justify="right")
    for size in dict.fromkeys(row.short_axis for row in rows):
        of_size = {row.node_class: row for row in rows if row.short_axis == size}
        cells = [f"{short_text(of_size[name].over_0)}, n {of_size[name].nodes}" for name in CLASSES]
        table.add_row(size, *cells)
    return table


def _pixel_table(pixels: PixelConfusion, shares: FigureRows, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("in truth \\ answered")
    for label in pixels.labels:
        table.add_column(class_text(label), justify="right")
    for label, row in zip(pixels.labels, shares, strict=True):
        cells = ["-" if one.value is None else f"{100 * one.value:.2f}" for one in row]
        table.add_row(class_text(label), *cells)
    return table


def confusion_table(masks: MaskFigures, title: str) -> Table:
    """Return how many found nodes of each class in truth were called each class."""
    table = Table(title=title, title_justify="left")
    table.add_column("in truth \\ said")
    names = LABELS[1:UNKNOWN]
    for name in names:
        table.add_column(class_text(name), justify="right")
    for name, row in zip(names, masks.found_classes.confusion, strict=True):
        table.add_row(class_text(name), *map(str, row))
    return table


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
