"""Several results in 3-D on the same patients, node by node, by one rule of a hit for all of them.

Boxes and masks are held to the same: an answered node is its cross-sections' boxes, a mask that of
the pixels. Every figure is drawn with the same patients for all, and every difference is the first
less another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.classification import auc_over_patients
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.froc import FROC_RATES, froc_reading
from lnmdetect.metrics.linked_evaluation import LinkedTable, TruthNodes, linked_curve
from lnmdetect.metrics.node_hits import NodeHits, NodeStatus, node_hits, node_status
from lnmdetect.metrics.paired_tests import difference_figure
from lnmdetect.metrics.ranked_nodes import missing_class, ranked_nodes
from lnmdetect.metrics.ranking import read_resamples
from lnmdetect.metrics.roc import areas_under_roc

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]
Values = NDArray[np.float64]
NO_NODE_COUNTS = "no node that counts"
NO_SCAN = "no scan"
NO_CLASSES = "no P(metastatic)"
NO_COMMON_AXIS = "no node found by all with an axis in truth"


@dataclass(frozen=True)
class NodeFigure:
    """One figure of each result, and of the first less each of the others."""

    values: tuple[Figure, ...]
    differences: tuple[Figure, ...]


@dataclass(frozen=True)
class NodeComparison:
    """R results.

    Attributes:
        truth: nodes of truth that count.
        answered: (R,) nodes of each.
        found_by_all: nodes of truth that the centre of a node of each of them lies in.
        classified_found_by_all: nodes of truth of known status that each of those with
            P(metastatic) has found so.
        figures: by name.
    """

    truth: int
    answered: tuple[int, ...]
    found_by_all: int
    classified_found_by_all: int
    figures: Mapping[str, NodeFigure]


def compare_nodes(
    answers: Sequence[LinkedTable], truth: TruthNodes, cohort: Cohort
) -> NodeComparison:
    """Return the figures of two or more results on the same patients.

    Args:
        answers: the nodes of each, the first the one that the others are taken from.
        truth: what there is to be found.
        cohort: whose the images are.
    """
    nodes = node_status(truth, cohort)
    hits = [node_hits(linked, truth) for linked in answers]
    comparing = _Comparing(answers, hits, nodes, truth, cohort)
    classed = comparing.classified
    return NodeComparison(
        truth=int(nodes.counts.sum()),
        answered=tuple(len(linked.scores) for linked in answers),
        found_by_all=int(comparing.common.sum()),
        classified_found_by_all=int(comparing.common_of_known.sum()) if classed else 0,
        figures={
            "found_centre": comparing.shares([hit.found for hit in hits]),
            "found_overlap": comparing.shares([hit.touched for hit in hits]),
            "false_positives_per_scan_centre": comparing.rates([hit.false for hit in hits]),
            "false_positives_per_scan_overlap": comparing.rates([h.untouching for h in hits]),
            "froc_mean_per_scan": comparing.froc_means(),
            "auc": comparing.areas(),
            "short_axis_absolute_error_mm": comparing.axes(absolute=True),
            "short_axis_error_mm": comparing.axes(absolute=False),
        },
    )


@dataclass(frozen=True)
class _Comparing:
    """The results beside the truth they are held against."""

    answers: Sequence[LinkedTable]
    hits: Sequence[NodeHits]
    nodes: NodeStatus
    truth: TruthNodes
    cohort: Cohort

    @property
    def common(self) -> Flags:
        """(N,) counts, and all have found it."""
        return np.asarray(self.nodes.counts & np.all([hit.found for hit in self.hits], axis=0))

    @property
    def classified(self) -> list[int]:
        """Which results tell P(metastatic)."""
        told = [np.isfinite(linked.p_metastatic).any() for linked in self.answers]
        return np.flatnonzero(told).tolist()

    @property
    def common_of_known(self) -> Flags:
        """(N,) counts, truth tells its status, and all of `classified` have found and called it."""
        kept = self.nodes.counts & self.nodes.known
        for place in self.classified:
            kept = kept & np.isfinite(self._of_partner(place, self.answers[place].p_metastatic))
        return np.asarray(kept)

    def _of_partner(self, place: int, values: Values) -> Values:
        """Return (N,) what the answered node on each node of truth has; NaN where there is none."""
        return np.append(values, np.nan)[self.hits[place].partner]

    def shares(self, found: Sequence[Flags]) -> NodeFigure:
        """Return the shares of the nodes that count."""
        counts, resamples = self.nodes.counts, self.cohort.resamples
        owner = self.nodes.patient[counts]
        values = [resamples.mean(owner, flags[counts]) for flags in found]
        figures = [resamples.share(flags[counts], owner, of="node that counts") for flags in found]
        return self._beside(figures, values, owner, NO_NODE_COUNTS)

    def rates(self, false: Sequence[Flags]) -> NodeFigure:
        """Return the false positives a scan."""
        resamples, scans = self.cohort.resamples, self.cohort.scans_each
        units = resamples.weights @ scans
        values = []
        for linked, flags in zip(self.answers, false, strict=True):
            owner = self.cohort.patient_of_image[linked.centre_image[flags]]
            wrong = resamples.totals(owner, np.ones(len(owner)))
            undrawn = np.full(len(units), np.nan)
            values.append(np.divide(wrong, units, out=undrawn, where=units > 0))
        return self._figures(values, np.repeat(np.arange(len(scans)), scans.astype(int)), NO_SCAN)

    def froc_means(self) -> NodeFigure:
        """Return the mean sensitivities over the false positives a scan; hit: centre in node."""
        values = []
        for linked in self.answers:
            curve = linked_curve(linked, self.truth, self.cohort)
            reading = froc_reading(curve, self.cohort.scans_each, FROC_RATES)
            (read,) = read_resamples(curve.ranking, [reading], self.cohort.resamples)
            values.append(read.mean(axis=1))
        return self._figures(values, self.nodes.patient[self.nodes.counts], NO_NODE_COUNTS)

    def areas(self) -> NodeFigure:
        """Return the areas under the ROC curve of P(metastatic) on the nodes found in common."""
        kept, resamples = self.common_of_known, self.cohort.resamples
        positive, owner = self.nodes.metastatic[kept], self.nodes.patient[kept]
        lacking = missing_class(positive)
        figures = [undefined(NO_CLASSES)] * len(self.answers)
        values = [np.full(1 + resamples.count, np.nan)] * len(self.answers)
        for place in self.classified:
            p_metastatic = self._of_partner(place, self.answers[place].p_metastatic)[kept]
            figures[place] = auc_over_patients(positive, p_metastatic, owner, resamples)
            if lacking is None:
                nodes = ranked_nodes(positive, p_metastatic, owner)
                values[place] = areas_under_roc(nodes, resamples.weights)
        reason = lacking if len(self.classified) == len(self.answers) else NO_CLASSES
        return self._beside(figures, values, owner, reason or NO_CLASSES)

    def axes(self, *, absolute: bool) -> NodeFigure:
        """Return the mean errors of the short axis, mm, on the nodes found in common."""
        kept = self.common & np.isfinite(self.truth.short_axis_mm)
        owner, values = self.nodes.patient[kept], []
        for place, linked in enumerate(self.answers):
            outlined = np.isfinite(linked.short_axis_mm)
            axis_mm = np.where(outlined, linked.short_axis_mm, linked.box_short_axis_mm)
            error_mm = (self._of_partner(place, axis_mm) - self.truth.short_axis_mm)[kept]
            values.append(
                self.cohort.resamples.mean(owner, np.abs(error_mm) if absolute else error_mm)
            )
        return self._figures(values, owner, NO_COMMON_AXIS)

    def _figures(self, values: Sequence[Values], owner: Places, reason: str) -> NodeFigure:
        patients = len(np.unique(owner))
        figures = [
            self.cohort.resamples.figure(
                one, n=len(owner), reason=_lacking(one, reason), patients=patients
            )
            for one in values
        ]
        return self._beside(figures, values, owner, reason)

    def _beside(
        self, figures: Sequence[Figure], values: Sequence[Values], owner: Places, reason: str
    ) -> NodeFigure:
        first, *others = values
        differences = [
            difference_figure(
                self.cohort.resamples,
                first,
                other,
                n=len(owner),
                reason=_lacking(first - other, reason),
                patients=len(np.unique(owner)),
            )
            for other in others
        ]
        return NodeFigure(tuple(figures), tuple(differences))


def _lacking(values: Values, reason: str) -> str | None:
    return None if np.isfinite(values[0]) else reason
