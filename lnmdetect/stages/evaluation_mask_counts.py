"""One pass over the masks of truth and those answered, a slice at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.geometry import box_areas
from lnmdetect.metrics.mask_counts import FoundMasks, MaskCounts, TruthMasks, joined_pairs
from lnmdetect.metrics.mask_slices import LABELS, UNKNOWN, SectionMask, SliceCounts, count_slice
from lnmdetect.metrics.mask_surface import (
    Plane,
    SurfaceDistances,
    VolumeGrid,
    matches,
    pair_distances,
)
from lnmdetect.metrics.nodes import NO_NODE
from lnmdetect.stages.evaluation_mask_sections import Sections
from lnmdetect.stages.evaluation_truth import Truth
from lnmdetect.stages.linked_tables import positions_mm

Places = NDArray[np.int64]
Numbers = NDArray[np.float64]
Listed = Sequence[tuple[int, SectionMask]]


@dataclass(frozen=True)
class Counted:
    """What the masks come to.

    Attributes:
        counts: pixels and nodes.
        distances: of each scan, its matched nodes'; None where the slices make no volumes.
    """

    counts: MaskCounts
    distances: Mapping[int, Sequence[SurfaceDistances]] | None


def count_masks(truth: Truth, sections: Sections, found: Sections, scores: "Answers") -> Counted:
    """Return the counts of all masks; of one scan at a time the cut masks are held, packed.

    Args:
        truth: whose images they are on.
        sections: of truth.
        found: those answered.
        scores: of the answered cross-sections.

    Raises:
        InputError: a mask cannot be decoded.
    """
    positions = positions_mm(truth) if truth.columns.coverage == "all_slices" else None
    tally = _Tally.of(truth, sections, found)
    distances: dict[int, Sequence[SurfaceDistances]] = {}
    for scan in np.unique(truth.cohort.scan_of_image).tolist():
        images = np.flatnonzero(truth.cohort.scan_of_image == scan)
        if positions is not None:
            images = images[np.argsort(positions[images], kind="stable")]
        planes = _Planes()
        meeting = [_count(int(image), place, tally, planes) for place, image in enumerate(images)]
        shared = joined_pairs(meeting)
        tally.shared.append(shared)
        if positions is not None and len(shared):
            row_mm, column_mm = truth.columns.images.spacing_mm[images[0]].tolist()
            grid = VolumeGrid(positions[images], (row_mm, column_mm))
            distances[scan] = tuple(
                pair_distances(matches(shared), planes.truth, planes.found, grid)
            )
    counts = MaskCounts(
        confusion=tally.confusion,
        truth=_truth_masks(truth, sections, tally),
        found=_found_masks(truth, found, scores, tally),
        shared=joined_pairs(tally.shared),
    )
    return Counted(counts, None if positions is None else distances)


@dataclass(frozen=True)
class Answers:
    """What S answered cross-sections say beside their masks.

    Attributes:
        score: (S,) of the node.
        p_metastatic: (S,) NaN where it was not said.
    """

    score: Numbers
    p_metastatic: Numbers


@dataclass
class _Planes:
    """The masks of one scan by node."""

    truth: dict[int, list[Plane]] = field(default_factory=dict)
    found: dict[int, list[Plane]] = field(default_factory=dict)

    def add(self, place: int, truth: Listed, found: Listed, counts: SliceCounts) -> None:
        for _, section in truth:
            if not section.ignored:
                own = self.truth.setdefault(section.node, [])
                own.append(Plane.of(place, section.corner, section.inside))
        for (_, section), kept in zip(found, counts.kept, strict=True):
            if kept.any():
                own = self.found.setdefault(section.node, [])
                own.append(Plane.of(place, section.corner, kept))


@dataclass
class _Tally:
    """The sums so far."""

    sections: Sections
    found: Sections
    confusion: Places
    covered: Places
    votes: Places
    on: Places
    touches: NDArray[np.bool_]
    touches_ignored: NDArray[np.bool_]
    shared: list[Places] = field(default_factory=list)

    @classmethod
    def of(cls, truth: Truth, sections: Sections, found: Sections) -> "_Tally":
        size, images = len(LABELS), len(truth.columns.images)
        return cls(
            sections,
            found,
            confusion=np.zeros((images, size, size), dtype=np.int64),
            covered=np.zeros((sections.nodes, size), dtype=np.int64),
            votes=np.zeros((found.nodes, size), dtype=np.int64),
            on=np.zeros(found.nodes, dtype=np.int64),
            touches=np.zeros(found.nodes, dtype=np.bool_),
            touches_ignored=np.zeros(found.nodes, dtype=np.bool_),
        )


def _count(image: int, place: int, tally: _Tally, planes: _Planes) -> Places:
    """Add one image to the tally and its masks to the planes; return the pairs that meet on it."""
    truth, found = tally.sections.on(image), tally.found.on(image)
    height, width = tally.sections.shape_of_image[image].tolist()
    counts = count_slice(
        [section for _, section in truth],
        [section for _, section in found],
        pixels=height * width,
    )
    tally.confusion[image] = counts.confusion
    named = counts.covered[counts.covered[:, 0] != NO_NODE]
    np.add.at(tally.covered, named[:, 0], named[:, 1:])
    node = np.array([section.node for _, section in found], dtype=np.int64)
    label = np.array([section.label for _, section in found], dtype=np.int64)
    pixels = [section.inside.sum() for _, section in found]
    np.add.at(tally.votes, (node, label), np.array(pixels, dtype=np.int64))
    tally.on[np.unique(node)] += 1
    np.logical_or.at(tally.touches, node, counts.touches)
    np.logical_or.at(tally.touches_ignored, node, counts.touches_ignored)
    planes.add(place, truth, found, counts)
    return counts.shared


def _truth_masks(truth: Truth, sections: Sections, tally: _Tally) -> TruthMasks:
    told = np.flatnonzero(sections.node != NO_NODE)
    node = sections.node[told]
    patient = np.zeros(sections.nodes, dtype=np.int64)
    patient[node] = truth.cohort.patient_of_image[sections.image[told]]
    label = np.zeros(sections.nodes, dtype=np.int64)
    counted = told[~sections.ignored[told]]
    np.maximum.at(label, sections.node[counted], sections.label[counted])
    axis_mm = np.full(sections.nodes, np.nan)
    np.fmax.at(axis_mm, node, truth.columns.nodes.short_axis_mm[sections.row[told]])
    return TruthMasks(patient, np.where(label > 0, label, UNKNOWN), axis_mm, tally.covered)


def _found_masks(truth: Truth, found: Sections, scores: Answers, tally: _Tally) -> FoundMasks:
    patient = np.zeros(found.nodes, dtype=np.int64)
    patient[found.node] = truth.cohort.patient_of_image[found.image]
    score = np.full(found.nodes, np.nan)
    np.fmax.at(score, found.node, scores.score)
    return FoundMasks(
        patient=patient,
        label=_most_voted(tally.votes),
        score=np.nan_to_num(score),
        p_metastatic=_of_nodes(scores.p_metastatic, found),
        sections=tally.on,
        pixels=tally.votes.sum(axis=1),
        touches=tally.touches,
        touches_ignored=tally.touches_ignored,
    )


def _most_voted(votes: Places) -> Places:
    """Return the label with most pixels of (M, 5); of equals the later. 0 where there is none."""
    last_first = votes[:, ::-1].argmax(axis=1)
    return np.where(votes.any(axis=1), votes.shape[1] - 1 - last_first, 0)


def _of_nodes(p_metastatic: Numbers, found: Sections) -> Numbers:
    """Return P(metastatic) of each node by `PROBABILITY_RULE`, NaN where no section has one."""
    told = np.isfinite(p_metastatic)
    node, areas = found.node[told], box_areas(found.boxes_xyxy[told])
    sums, weights = (
        np.bincount(node, weights=amount, minlength=found.nodes)
        for amount in (areas * p_metastatic[told], areas)
    )
    undefined = np.full(found.nodes, np.nan)
    return np.asarray(np.divide(sums, weights, out=undefined, where=weights > 0))
