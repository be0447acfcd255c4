"""The same figures within groups of truth boxes or of images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.records import METASTATIC
from lnmdetect.metrics.average_precision import ap50_of
from lnmdetect.metrics.classification import auc_over_patients
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.end_to_end import BoxClasses, classified_hits
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.froc import found_truth, operating_point
from lnmdetect.metrics.matching import Matches, match_tables
from lnmdetect.metrics.patients import NO_THRESHOLD
from lnmdetect.metrics.tables import BoxTables, TruthTable

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class GroupFigures:
    """One group.

    Attributes:
        group: its name.
        patients: that have truth boxes of it; for groups of images, images.
        truth_boxes: that count.
        sensitivity: share of them hit at the operating threshold; None for truth boxes that were
            classified, which nobody had to find.
        auc, tpr, tnr: of the classes of the boxes that hit them; None where nothing is classified.
        ap50, false_positives_per_image: of groups of images alone, since a detection that hits
            nothing is of no node's group.
    """

    group: str
    patients: int
    truth_boxes: int
    sensitivity: Figure | None = None
    auc: Figure | None = None
    tpr: Figure | None = None
    tnr: Figure | None = None
    images: int | None = None
    ap50: Figure | None = None
    false_positives_per_image: Figure | None = None


@dataclass(frozen=True)
class GroupInputs:
    """What all groups are parts of.

    Attributes:
        matches: of the detections, or of classified truth boxes.
        cohort: whose the images are.
        chosen: (D,) the detections at or above the operating threshold, None where unknown.
        said: classes of the detections, None where they have none.
        detects: the boxes are detections.
    """

    matches: Matches
    cohort: Cohort
    chosen: Flags | None
    said: BoxClasses | None
    detects: bool


def truth_group(name: str, members: Flags, inputs: GroupInputs) -> GroupFigures:
    """Return the figures of the truth boxes that (G,) `members` marks."""
    matches, cohort = inputs.matches, inputs.cohort
    counted = members & matches.counts
    owner = cohort.patient_of_image[matches.tables.truth.image]
    auc, tpr, tnr = _classes(members, inputs)
    return GroupFigures(
        group=name,
        patients=len(np.unique(owner[counted])),
        truth_boxes=int(counted.sum()),
        sensitivity=_sensitivity(counted, inputs) if inputs.detects else None,
        auc=auc,
        tpr=tpr,
        tnr=tnr,
    )


def image_group(name: str, members: Flags, inputs: GroupInputs) -> GroupFigures:
    """Return the figures of the (I,) images that `members` marks."""
    matches, cohort = inputs.matches, inputs.cohort
    found = truth_group(name, members[matches.tables.truth.image], inputs)
    part, places = images_of(matches.tables, members)
    own = Cohort(cohort.patient_of_image[places], cohort.scan_of_image[places], cohort.resamples)
    rate = None
    if inputs.chosen is not None:
        chosen = inputs.chosen[members[matches.tables.found.image]]
        rate = operating_point(match_tables(part), chosen, own).false_positives_per_image
    return GroupFigures(
        group=name,
        patients=len(np.unique(own.patient_of_image)),
        truth_boxes=found.truth_boxes,
        sensitivity=found.sensitivity,
        auc=found.auc,
        tpr=found.tpr,
        tnr=found.tnr,
        images=len(places),
        ap50=ap50_of(part, own) if inputs.detects else None,
        false_positives_per_image=rate if inputs.detects else None,
    )


def images_of(tables: BoxTables, members: Flags) -> tuple[BoxTables, NDArray[np.int64]]:
    """Return the boxes of the (I,) images that `members` marks, and (K,) which these are."""
    places = np.flatnonzero(members)
    new = np.cumsum(members) - 1
    truth = tables.truth.where(members[tables.truth.image])
    found = tables.found.ranked_by(tables.found.scores, members[tables.found.image])
    return BoxTables(
        len(places),
        TruthTable(new[truth.image], truth.boxes_xyxy, truth.ignored, truth.classes),
        type(found)(new[found.image], found.boxes_xyxy, found.scores),
    ), places


def _sensitivity(counted: Flags, inputs: GroupInputs) -> Figure:
    if inputs.chosen is None:
        return undefined(NO_THRESHOLD)
    matches, cohort = inputs.matches, inputs.cohort
    found = found_truth(matches, inputs.chosen[matches.found_index])
    owner = cohort.patient_of_image[matches.tables.truth.image]
    return cohort.resamples.share(found[counted], owner[counted], of="truth box that counts")


def _classes(members: Flags, inputs: GroupInputs) -> tuple[Figure | None, ...]:
    """Return AUC, TPR and TNR of the boxes that hit truth of the group."""
    matches, said, resamples = inputs.matches, inputs.said, inputs.cohort.resamples
    if said is None:
        return None, None, None
    kept = classified_hits(matches, said) & np.append(members, False)[matches.truth_index]
    if inputs.chosen is not None:
        kept &= inputs.chosen[matches.found_index]
    found = matches.found_index[kept]
    positive = matches.tables.truth.classes[matches.truth_index[kept]] == METASTATIC
    called = said.called_metastatic[found]
    owner = inputs.cohort.patient_of_image[matches.image_index[kept]]
    return (
        auc_over_patients(positive, said.p_metastatic[found], owner, resamples),
        resamples.share(called[positive], owner[positive], of="metastatic node"),
        resamples.share(~called[~positive], owner[~positive], of="benign node"),
    )
