"""Linked nodes against the nodes of truth: found, split, merged, and how large they are said to be.

A linked node hits the truth node whose box, on the slice nearest to the linked node's centre, holds
that centre. As in LUNA16 (Setio et al. 2017) the best of several on one truth node counts and the
others count neither way; what a split costs is told apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.geometry import Boxes, box_centres
from lnmdetect.metrics.axis_errors import AxisErrors, axis_errors
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.froc import FROC_RATES, Froc, froc
from lnmdetect.metrics.matching import match_tables
from lnmdetect.metrics.nodes import NO_NODE
from lnmdetect.metrics.ranking import Curve, Ranking
from lnmdetect.metrics.tables import BoxTables, FoundTable, TruthTable

Places = NDArray[np.int64]
Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]

FOUND_SLICES = 2
"""Slices a node must be found on before it can be split: a single box is a node by itself."""


@dataclass(frozen=True)
class LinkedTable:
    """K linked nodes and their S cross-sections, on the images of truth.

    Attributes:
        scores: (K,) of the nodes, higher is more certain.
        centre_image: (K,) place of the image nearest to each one's centre.
        centre_px: (K, 2) column and row of the centre.
        short_axis_mm: (K,) of the refined outline, or of the mask, NaN where it was not measured.
        box_short_axis_mm: (K,) shorter side of the largest box.
        p_metastatic: (K,) NaN where the node was not classified.
        sections: their boxes.
        node_of_section: (S,) place of the node each is of.
    """

    scores: Numbers
    centre_image: Places
    centre_px: Boxes
    short_axis_mm: Numbers
    box_short_axis_mm: Numbers
    p_metastatic: Numbers
    sections: FoundTable
    node_of_section: Places

    def __post_init__(self) -> None:
        count = len(self.scores)
        axes_mm = (self.short_axis_mm, self.box_short_axis_mm)
        shapes = (self.centre_image, *axes_mm, self.p_metastatic)
        if any(part.shape != (count,) for part in shapes) or self.centre_px.shape != (count, 2):
            raise ValueError(f"linked: expected a centre and two axes for each of {count} nodes")
        if self.node_of_section.shape != (len(self.sections),):
            raise ValueError("linked: expected a node for each cross-section")


@dataclass(frozen=True)
class TruthNodes:
    """N nodes of truth.

    Attributes:
        table: every truth box, G of them.
        node: (G,) number of each one's node, -1 for none.
        short_axis_mm: (N,) as it is compared, NaN where truth does not say.
        pixel_mm: (N,) mean of row and column spacing.
    """

    table: TruthTable
    node: Places
    short_axis_mm: Numbers
    pixel_mm: Numbers


@dataclass(frozen=True)
class LinkedFigures:
    """What linked nodes are worth.

    Attributes:
        froc: sensitivity for nodes at false positives a scan; hit: centre in node.
        in_one_node: of the nodes with two or more hit cross-sections, the share whose hits are all
            in one linked node; split: in several.
        merged: of the same, the share that shares a linked node with another node of truth.
        short_axis: refined outline minus truth; box_short_axis: plain box minus truth.
    """

    froc: Froc
    in_one_node: Figure
    split: Figure
    merged: Figure
    short_axis: AxisErrors
    box_short_axis: AxisErrors


def linked_figures(
    linked: LinkedTable, truth: TruthNodes, cohort: Cohort, *, rates: Sequence[float] = FROC_RATES
) -> LinkedFigures:
    """Return the figures of linked nodes with intervals over patients.

    Args:
        linked: on the images of truth.
        truth: what there is to be found.
        cohort: whose the images are.
        rates: false positives a scan at which the sensitivity is read.
    """
    curve = linked_curve(linked, truth, cohort)
    node, found_in, image = _hits(linked, truth, cohort)
    twice = np.bincount(node, minlength=len(truth.short_axis_mm)) >= FOUND_SLICES
    pairs = np.unique(np.stack([node, found_in], axis=1), axis=0)
    into = np.bincount(pairs[:, 0], minlength=len(twice))
    crowded = np.bincount(pairs[:, 1], minlength=len(linked.scores)) > 1
    shared = np.zeros(len(twice), dtype=bool)
    shared[pairs[crowded[pairs[:, 1]], 0]] = True
    owner = np.zeros(len(twice), dtype=np.int64)
    owner[node] = cohort.patient_of_image[image]
    resamples, of = cohort.resamples, "node found on two slices or more"
    at, partner = _partners(node, found_in)
    errors = [
        axis_errors(
            axis_mm[partner] - truth.short_axis_mm[at], owner[at], truth.pixel_mm[at], resamples
        )
        for axis_mm in (linked.short_axis_mm, linked.box_short_axis_mm)
    ]
    return LinkedFigures(
        froc=froc(curve, cohort, per="scan", of="node", rates=rates),
        in_one_node=resamples.share((into == 1)[twice], owner[twice], of=of),
        split=resamples.share((into > 1)[twice], owner[twice], of=of),
        merged=resamples.share(shared[twice], owner[twice], of=of),
        short_axis=errors[0],
        box_short_axis=errors[1],
    )


def _hits(linked: LinkedTable, truth: TruthNodes, cohort: Cohort) -> tuple[Places, Places, Places]:
    """Return (H,) truth node, linked node and image of the cross-sections that hit one."""
    images = len(cohort.patient_of_image)
    matches = match_tables(BoxTables(images, truth.table, linked.sections))
    node = np.append(truth.node, NO_NODE)[matches.truth_index]
    told = matches.hit & (node != NO_NODE)
    return (
        node[told],
        linked.node_of_section[matches.found_index[told]],
        matches.image_index[told],
    )


def _partners(node: Places, found_in: Places) -> tuple[Places, Places]:
    """Return (M,) hit truth nodes, and of each the linked node with most of its hits."""
    pairs, counts = np.unique(np.stack([node, found_in], axis=1), axis=0, return_counts=True)
    best_first = np.lexsort((pairs[:, 1], -counts, pairs[:, 0]))
    at, first = np.unique(pairs[best_first, 0], return_index=True)
    return at, pairs[best_first[first], 1]


def linked_curve(linked: LinkedTable, truth: TruthNodes, cohort: Cohort) -> Curve:
    """Return the curve of the linked nodes, the best on each truth node a hit."""
    hit_node = node_at(linked, truth)
    order = np.argsort(-linked.scores, kind="stable")
    scores = linked.scores[order]
    ranking = Ranking(
        order,
        cohort.patient_of_image[linked.centre_image[order]],
        scores,
        np.searchsorted(-scores, -scores, side="right") - 1,
    )
    counted = np.flatnonzero(~truth.table.ignored & (truth.node != NO_NODE))
    counts, first_box = np.unique(truth.node[counted], return_index=True)
    ranked = order[np.isin(hit_node[order], counts)]
    _, first = np.unique(hit_node[ranked], return_index=True)
    hit = np.zeros(len(order), dtype=bool)
    hit[ranked[first]] = True
    return Curve.of(
        ranking,
        hit=hit,
        ignored=in_truth(linked, truth) & ~hit,
        truths=cohort.per_patient(truth.table.image[counted[first_box]]),
    )


def node_at(linked: LinkedTable, truth: TruthNodes) -> Places:
    """Return (K,) the truth node each linked node's centre lies in, -1 for none.

    Of several the one whose box has its centre nearest.
    """
    box = _box_at(linked, truth, np.flatnonzero(truth.node != NO_NODE))
    return np.where(box >= 0, np.append(truth.node, NO_NODE)[box], NO_NODE)


def in_truth(linked: LinkedTable, truth: TruthNodes) -> Flags:
    """Return (K,) whether each centre lies in a box of truth, of a node or of none."""
    return np.asarray(_box_at(linked, truth, np.arange(len(truth.node))) >= 0)


def _box_at(linked: LinkedTable, truth: TruthNodes, among: Places) -> Places:
    """Return (K,) the truth box, of those `among`, that each centre lies in, -1 for none."""
    found = np.full(len(linked.scores), -1, dtype=np.int64)
    known = among[np.argsort(truth.table.image[among], kind="stable")]
    images = truth.table.image[known]
    starts = np.searchsorted(images, linked.centre_image)
    ends = np.searchsorted(images, linked.centre_image, side="right")
    for place in np.flatnonzero(ends > starts):
        rows = known[starts[place] : ends[place]]
        boxes, point = truth.table.boxes_xyxy[rows], linked.centre_px[place]
        inside = ((boxes[:, :2] <= point) & (point < boxes[:, 2:])).all(axis=1)
        if inside.any():
            away = np.linalg.norm(box_centres(boxes) - point, axis=1)
            found[place] = rows[np.where(inside, away, np.inf).argmin()]
    return found
