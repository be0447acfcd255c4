"""Which nodes of truth answered nodes hit, by their centres and by their boxes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.geometry import pairwise_iou
from lnmdetect.core.records import BENIGN, METASTATIC
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.linked_evaluation import LinkedTable, TruthNodes, in_truth, node_at
from lnmdetect.metrics.nodes import NO_NODE

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class NodeHits:
    """What one result has hit.

    Attributes:
        found: (N,) a centre lies in it; touched: (N,) a box meets one of its boxes.
        false, untouching: (K,) centre in no box of truth; no box meets one of truth.
        partner: (N,) answered node with its centre in it, the surest of several; -1 for none.
    """

    found: Flags
    touched: Flags
    false: Flags
    untouching: Flags
    partner: Places


@dataclass(frozen=True)
class NodeStatus:
    """The N nodes of truth.

    Attributes:
        counts: (N,) has a box that counts.
        patient: (N,) whose each is.
        metastatic, known: (N,) status, and whether truth tells it.
    """

    counts: Flags
    patient: Places
    metastatic: Flags
    known: Flags


def node_status(truth: TruthNodes, cohort: Cohort) -> NodeStatus:
    """Return whose the nodes of truth are, and what they are."""
    count, told = len(truth.short_axis_mm), truth.node != NO_NODE
    node, table = truth.node[told], truth.table
    counts, metastatic, benign = (np.zeros(count, dtype=np.bool_) for _ in range(3))
    patient = np.zeros(count, dtype=np.int64)
    counts[node[~table.ignored[told]]] = True
    metastatic[node[table.classes[told] == METASTATIC]] = True
    benign[node[table.classes[told] == BENIGN]] = True
    patient[node] = cohort.patient_of_image[table.image[told]]
    return NodeStatus(counts, patient, metastatic, metastatic | benign)


def node_hits(linked: LinkedTable, truth: TruthNodes) -> NodeHits:
    """Return what the answered nodes hit.

    A centre is held against the boxes of truth on the slice nearest to it (`node_at`); an answered
    box that meets an ignored box of truth is no false positive.
    """
    at = node_at(linked, truth)
    touching, touched = _touching(linked, truth)
    partner = np.full(len(truth.short_axis_mm), NO_NODE, dtype=np.int64)
    surest_last = np.argsort(linked.scores, kind="stable")
    inside = surest_last[at[surest_last] != NO_NODE]
    partner[at[inside]] = inside
    return NodeHits(partner != NO_NODE, touched, ~in_truth(linked, truth), ~touching, partner)


def _touching(linked: LinkedTable, truth: TruthNodes) -> tuple[Flags, Flags]:
    """Return (K,) meets a box of truth, be it ignored, and (N,) is met by an answered box."""
    touching = np.zeros(len(linked.scores), dtype=np.bool_)
    touched = np.zeros(len(truth.short_axis_mm), dtype=np.bool_)
    sections, table = linked.sections, truth.table
    for image in np.intersect1d(sections.image, table.image).tolist():
        own, there = np.flatnonzero(sections.image == image), np.flatnonzero(table.image == image)
        meet = pairwise_iou(sections.boxes_xyxy[own], table.boxes_xyxy[there]) > 0
        touching[linked.node_of_section[own[meet.any(axis=1)]]] = True
        met = there[meet.any(axis=0) & ~table.ignored[there]]
        touched[truth.node[met[truth.node[met] != NO_NODE]]] = True
    return touching, touched
