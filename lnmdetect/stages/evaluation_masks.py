"""The masks of an evaluation: figures where truth and answer both carry masks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lnmdetect.core.wording import counted
from lnmdetect.metrics.figure import undefined
from lnmdetect.metrics.mask_classes import FoundClasses, found_classes
from lnmdetect.metrics.mask_confusion import PixelConfusion, pixel_confusion
from lnmdetect.metrics.mask_detection import (
    DetectionRates,
    FalsePositives,
    SizeRates,
    detection_by_size,
    detection_rates,
    false_positives,
)
from lnmdetect.metrics.mask_dice import DiceFigures, dice_figures
from lnmdetect.metrics.mask_surface import SurfaceFigures, surface_figures
from lnmdetect.metrics.nodes import NO_NODE
from lnmdetect.stages.class_source import class_source
from lnmdetect.stages.evaluation_files import EvalInputs
from lnmdetect.stages.evaluation_inputs import Predictions
from lnmdetect.stages.evaluation_mask_counts import Answers, Counted, count_masks
from lnmdetect.stages.evaluation_mask_sections import Sections, found_sections, truth_sections
from lnmdetect.stages.evaluation_truth import FileStamp, Truth

NO_VOLUME = "the slices make no volume: key images, or two at one position"


@dataclass(frozen=True)
class MaskFigures:
    """The figures of masks, and what they rest on.

    Attributes:
        files: whose masks were scored.
        classes_of: who called the nodes answered.
        truth_nodes: nodes of truth with a mask that counts.
        ignored_truth_nodes: with masks, none of which counts.
        answered_nodes: with a pixel, at or above the operating threshold.
        left_out_nodes: of these, those that touch only masks that are ignored.
        truth_without_mask: boxes of truth that are ignored for want of a mask.
        truth_without_node: masks of truth that name no node: no detection rate counts them.
        surface: of the nodes of truth with an answered node matched with them.
        found_classes: the class of nodes that are found.
    """

    files: tuple[FileStamp, ...]
    classes_of: str
    truth_nodes: int
    ignored_truth_nodes: int
    answered_nodes: int
    left_out_nodes: int
    truth_without_mask: int
    truth_without_node: int
    dice: DiceFigures
    detection: Mapping[str, DetectionRates]
    detection_by_size: tuple[SizeRates, ...]
    false_positives: FalsePositives
    pixels: PixelConfusion
    surface: SurfaceFigures
    found_classes: FoundClasses


MADE_OF_MASKS = frozenset({"segmenter", "masks_from"})
"""Of these `info` has one where the file is of masks, of `segment` or of another tool."""


def mask_figures(inputs: EvalInputs, truth: Truth) -> MaskFigures | None:
    """Return the figures of masks, None where truth or answer has none.

    Raises:
        InputError: a mask cannot be decoded.
    """
    found = _with_masks(inputs)
    if found is None or not any(runs is not None for runs in truth.columns.nodes.runs):
        return None
    sections = truth_sections(truth)
    answered = found_sections(found, truth)
    done = count_masks(truth, sections, answered, _answers(found, answered))
    return _figures(found, truth, sections, done)


def _with_masks(inputs: EvalInputs) -> Predictions | None:
    """Return the predictions that carry masks; a file of these may hold no node at all."""
    for found in (inputs.labelled, inputs.detections):
        if found.on_truth_boxes and found.classified:
            continue  # truth boxes that were classified: their masks are truth's own
        masks = any(runs is not None for runs in found.columns.nodes.runs)
        is_empty = not len(found.columns.nodes)
        if masks or (is_empty and not MADE_OF_MASKS.isdisjoint(found.columns.info)):
            return found
    return None


def _classes_of(found: Predictions) -> str:
    source = class_source(found.columns.info)
    return source if len(found.stamps) == 1 else f"{source} in {found.stamps[0].file}, the first"


def _answers(found: Predictions, answered: Sections) -> Answers:
    nodes = found.columns.nodes
    return Answers(nodes.score[answered.row], nodes.p_metastatic[answered.row])


def _figures(found: Predictions, truth: Truth, sections: Sections, done: Counted) -> MaskFigures:
    counts, cohort = done.counts, truth.cohort
    nodes, marked = counts.truth, counts.found
    named = np.unique(sections.node[sections.with_mask & (sections.node != NO_NODE)])
    nameless = sections.with_mask & ~sections.ignored & (sections.node == NO_NODE)
    only_ignored = (marked.pixels > 0) & marked.touches_ignored & ~marked.touches
    if done.distances is None:
        surface = SurfaceFigures(0, undefined(NO_VOLUME), undefined(NO_VOLUME))
    else:
        surface = surface_figures(done.distances, cohort)
    return MaskFigures(
        files=found.stamps,
        classes_of=_classes_of(found),
        truth_nodes=int(nodes.counts.sum()),
        ignored_truth_nodes=len(named) - int(nodes.counts.sum()),
        answered_nodes=int((marked.pixels > 0).sum()),
        left_out_nodes=int(only_ignored.sum()),
        truth_without_mask=int((~sections.with_mask).sum()),
        truth_without_node=int(nameless.sum()),
        dice=dice_figures(counts.confusion, cohort),
        detection=detection_rates(nodes, cohort.resamples),
        detection_by_size=detection_by_size(nodes, cohort.resamples),
        false_positives=false_positives(marked, cohort),
        pixels=pixel_confusion(counts.confusion, cohort),
        surface=surface,
        found_classes=found_classes(counts, cohort.resamples),
    )


def mask_notes(figures: MaskFigures | None) -> Iterator[str]:
    """Give what a reader of the figures of masks must know."""
    if figures is None:
        return
    if figures.truth_without_mask:
        boxes = counted(figures.truth_without_mask, "truth box has", "truth boxes have")
        yield f"{boxes} no mask: the figures of masks ignore the pixels of the box."
    if figures.truth_without_node:
        masks = counted(figures.truth_without_node, "mask of truth names", "masks of truth name")
        yield f"{masks} no node (node_id): the detection rate of masks leaves them out."
