"""The class of nodes that masks have found, against chance.

A found node has the class of the answered node that shares most pixels with it; of equals, of the
one with the higher score.
"""

from dataclasses import dataclass

import numpy as np

from lnmdetect.metrics.classification import auc_over_patients
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.mask_counts import MaskCounts
from lnmdetect.metrics.mask_slices import LABELS, UNKNOWN, Counts
from lnmdetect.metrics.resampling import Resamples

NEGATIVE_LABEL = 1
NO_KNOWN_NODE = "no found node whose class truth and answer tell"


@dataclass(frozen=True)
class Calls:
    """Classes called.

    Attributes:
        accuracy: share called rightly.
        majority_accuracy: of calling all what most of the sample are, which needs no model.
        above_majority: the first minus the second; chance is 0.
        balanced_accuracy: mean recall of the classes that the sample has; `chance` for it is one
            by their number.
    """

    accuracy: Figure
    majority_accuracy: Figure
    above_majority: Figure
    balanced_accuracy: Figure
    chance: float | None


@dataclass(frozen=True)
class FoundClasses:
    """The class of found nodes.

    Attributes:
        nodes: found nodes whose class is known and was called.
        confusion: (3, 3) of them, rows by class in truth, columns as called.
        three_classes: negative, positive and extranodal extension told apart.
        merged: negative against the two others as one.
        auc: area under the ROC curve of P(metastatic), the two others against negative; by chance
            0.5.
    """

    nodes: int
    confusion: tuple[tuple[int, ...], ...]
    three_classes: Calls
    merged: Calls
    auc: Figure


def found_classes(counts: MaskCounts, resamples: Resamples) -> FoundClasses:
    """Return how well the class of found nodes was told."""
    truth, found = counts.truth, counts.found
    node, partner = _partners(counts)
    known = (truth.label[node] != UNKNOWN) & (found.label[partner] != UNKNOWN)
    node, partner = node[known], partner[known]
    true, called, patient = truth.label[node], found.label[partner], truth.patient[node]
    size = UNKNOWN - 1
    pairs = np.bincount((true - 1) * size + called - 1, minlength=size * size)
    p_metastatic = found.p_metastatic[partner]
    said = np.isfinite(p_metastatic)
    return FoundClasses(
        nodes=len(node),
        confusion=tuple(tuple(row) for row in pairs.reshape(size, size).tolist()),
        three_classes=_calls(true, called, patient, resamples),
        merged=_calls(_merged(true), _merged(called), patient, resamples),
        auc=auc_over_patients(
            (true != NEGATIVE_LABEL)[said], p_metastatic[said], patient[said], resamples
        ),
    )


def _partners(counts: MaskCounts) -> tuple[Counts, Counts]:
    """Return (F,) found nodes of truth, and the answered node each is most covered by."""
    node, partner, pixels = counts.shared.T
    best_first = np.lexsort((partner, -counts.found.score[partner], -pixels, node))
    at, first = np.unique(node[best_first], return_index=True)
    return at, partner[best_first[first]]


def _merged(label: Counts) -> Counts:
    return np.minimum(label, NEGATIVE_LABEL + 1)


def _calls(true: Counts, called: Counts, patient: Counts, resamples: Resamples) -> Calls:
    if not len(true):
        none = undefined(NO_KNOWN_NODE)
        return Calls(none, none, none, none, None)
    each = np.bincount(true, minlength=len(LABELS))
    right, commoner = true == called, true == each.argmax()
    patients = len(np.unique(patient))

    gain = resamples.mean(patient, right) - resamples.mean(patient, commoner)
    present = np.flatnonzero(each)
    recalls = [resamples.mean(patient[true == label], right[true == label]) for label in present]
    balanced = np.mean(recalls, axis=0)
    return Calls(
        accuracy=resamples.share(right, patient, of="found node"),
        majority_accuracy=resamples.share(commoner, patient, of="found node"),
        above_majority=resamples.figure(gain, n=len(true), patients=patients),
        balanced_accuracy=resamples.figure(balanced, n=len(true), patients=patients),
        chance=1 / len(present),
    )
