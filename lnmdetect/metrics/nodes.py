"""Nodes in 3-D from boxes on slices: a node is found with the first of its cross-sections."""

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.matching import Matches
from lnmdetect.metrics.ranking import Curve, Ranking

NO_NODE = -1


def node_curve(matches: Matches, node_of_truth: NDArray[np.int64], cohort: Cohort) -> Curve:
    """Return the curve of nodes: the best hit of each counts, its other hits neither way.

    Args:
        matches: at IoU 0.5.
        node_of_truth: (G,) number of the node each truth box is of, -1 for none.
        cohort: whose the images are.
    """
    ranking = Ranking.of(matches, cohort)
    node = np.append(node_of_truth, NO_NODE)[matches.truth_index]
    ranked_hits = ranking.order[(matches.hit & (node != NO_NODE))[ranking.order]]
    _, first = np.unique(node[ranked_hits], return_index=True)
    hit = np.zeros(len(node), dtype=bool)
    hit[ranked_hits[first]] = True
    counted = np.flatnonzero(matches.counts & (node_of_truth != NO_NODE))
    _, first_box = np.unique(node_of_truth[counted], return_index=True)
    return Curve.of(
        ranking,
        hit=hit,
        ignored=matches.ignored | (matches.hit & ~hit),
        truths=cohort.per_patient(matches.tables.truth.image[counted[first_box]]),
    )
