"""The figures of masks as a part of a report, and what its plots are drawn from."""

import numpy as np

from lnmdetect.io.figures_data import Band, Curve, OverlapPlot, SizeRates, SizeRatesPlot
from lnmdetect.io.report_view import Plot, Section
from lnmdetect.metrics.mask_counts import ALL
from lnmdetect.stages.evaluation_masks import MaskFigures
from lnmdetect.stages.evaluation_masks_tables import (
    call_rows,
    called_title,
    mask_rows,
    masks_sentence,
)
from lnmdetect.stages.mask_tables import class_text, text_tables
from lnmdetect.stages.report_tables import figure_table

CAPTIONS = (
    (
        "overlap",
        "Detection rate over the least overlap",
        "Share of the nodes of truth of which masks cover more than that share, by the class in "
        "truth. Band: 95 % interval over patients of all nodes.",
    ),
    (
        "mask_sizes",
        "Detection rate by short axis",
        "Share of the nodes of truth that masks cover at all, by short axis and class in truth; "
        "lines: 95 % intervals over patients.",
    ),
)
MISSING = "no node of truth has a mask that counts"


def overlap_plot(masks: MaskFigures) -> OverlapPlot | None:
    """Return the detection rates over the overlap; None without a node to find."""
    curves = []
    for name, rates in masks.detection.items():
        told = rates.curve
        if told is None:
            continue
        x, band = np.array(told.overlap), None
        if name == ALL and told.low is not None and told.high is not None:
            band = Band(x, np.array(told.low), np.array(told.high))
        label = f"{class_text(name)} ({rates.nodes})"
        curves.append(Curve(x, np.array(told.rate), label, band))
    return OverlapPlot(tuple(curves)) if curves else None


def size_rates_plot(masks: MaskFigures) -> SizeRatesPlot | None:
    """Return the detection rates by short axis; None without a node to find."""
    rows = {(row.short_axis, row.node_class): row for row in masks.detection_by_size}
    groups = tuple(dict.fromkeys(size for size, _ in rows))
    series = []
    for name, rates in masks.detection.items():
        figures = [rows[size, name].over_0 for size in groups]
        ends = [figure.interval or (None, None) for figure in figures]
        columns = [[f.value for f in figures], [low for low, _ in ends], [high for _, high in ends]]
        if rates.nodes:
            rate, low, high = (np.array(column, dtype=np.float64) for column in columns)
            series.append(SizeRates(class_text(name), rate, low, high))
    nodes = tuple(rows[size, ALL].nodes for size in groups)
    names = tuple(size.replace(" mm", "") for size in groups)
    return SizeRatesPlot(names, nodes, tuple(series)) if series else None


def masks_section(masks: MaskFigures, plots: tuple[Plot, ...]) -> Section:
    """Return the part of the page about masks."""
    return Section(
        "masks",
        "Masks",
        masks_sentence(masks),
        plots=plots,
        figures=(
            figure_table("Masks, all classes as one", mask_rows(masks)),
            figure_table(called_title(masks), call_rows(masks.found_classes)),
        ),
        tables=tuple(text_tables(masks)),
    )
