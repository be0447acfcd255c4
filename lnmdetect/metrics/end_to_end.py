"""Both stages together: classes on predicted boxes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.records import BENIGN, METASTATIC
from lnmdetect.metrics.average_precision import ap_of_curve
from lnmdetect.metrics.classification import Classification, classification
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.froc import FROC_RATES, Froc, found_truth, froc
from lnmdetect.metrics.matching import Matches, find_overlaps, match
from lnmdetect.metrics.patients import NO_THRESHOLD, PatientFigures, patient_figures
from lnmdetect.metrics.ranking import Curve
from lnmdetect.metrics.tables import BoxTables

Flags = NDArray[np.bool_]
CLASSES = {"benign": BENIGN, "metastatic": METASTATIC}


@dataclass(frozen=True)
class BoxClasses:
    """What the classifier said about D detections.

    Attributes:
        classified: (D,) bool; the other arrays mean nothing where it is false.
        p_benign, p_metastatic: (D,) in [0, 1].
        called_metastatic: (D,) bool, at the classifier's threshold.
    """

    classified: Flags
    p_benign: NDArray[np.float64]
    p_metastatic: NDArray[np.float64]
    called_metastatic: Flags

    def probability(self, category_id: int) -> NDArray[np.float64]:
        """Return (D,) probabilities of benign or metastatic."""
        return {BENIGN: self.p_benign, METASTATIC: self.p_metastatic}[category_id]


@dataclass(frozen=True)
class EndToEnd:
    """Boxes and classes as one result.

    Attributes:
        ap50: class to AP50 of its boxes, ranked by score x probability of the class.
        froc_metastatic, froc_metastatic_per_scan: of metastatic boxes, ranked so; a detection on a
            benign node is a false positive.
        found_and_called: class to the share of its truth boxes that a detection at or above the
            operating threshold hits and that is called so.
        patients: "any metastatic node?", patient by patient.
    """

    ap50: Mapping[str, Figure]
    froc_metastatic: Froc
    froc_metastatic_per_scan: Froc
    found_and_called: Mapping[str, Figure]
    patients: PatientFigures


def classification_on_boxes(
    matches: Matches, said: BoxClasses, cohort: Cohort, *, chosen: Flags | None = None
) -> Classification:
    """Return the figures over classified detections that hit a truth box of known status.

    Args:
        matches: of the detections.
        said: what the classifier said about the D detections of the tables.
        cohort: whose the images are.
        chosen: (D,) the detections that count; None counts all.
    """
    counted = classified_hits(matches, said)
    if chosen is not None:
        counted &= chosen[matches.found_index]
    found = matches.found_index[counted]
    return classification(
        matches.tables.truth.classes[matches.truth_index[counted]] == METASTATIC,
        said.p_metastatic[found],
        said.called_metastatic[found],
        patient=cohort.patient_of_image[matches.image_index[counted]],
        resamples=cohort.resamples,
    )


def classified_hits(matches: Matches, said: BoxClasses) -> Flags:
    """Return (N,) which detections were classified and hit a truth box of known status."""
    known = np.append(np.isin(matches.tables.truth.classes, list(CLASSES.values())), False)
    return np.asarray(
        matches.hit & said.classified[matches.found_index] & known[matches.truth_index]
    )


def end_to_end(
    matches: Matches,
    said: BoxClasses,
    cohort: Cohort,
    *,
    chosen: Flags | None,
    scan_rates: Sequence[float] = FROC_RATES,
) -> EndToEnd:
    """Return the figures of both stages.

    Args:
        matches: at IoU 0.5.
        said: what the classifier said about the D detections of the tables.
        cohort: whose the images are.
        chosen: (D,) the detections at or above the detector's threshold, None where unknown.
        scan_rates: false positives a scan at which the sensitivity is read.
    """
    curves = {
        name: _class_curve(matches.tables, said, key, cohort) for name, key in CLASSES.items()
    }
    metastatic = curves["metastatic"]
    return EndToEnd(
        ap50={name: ap_of_curve(curve, cohort) for name, curve in curves.items()},
        froc_metastatic=froc(metastatic, cohort, per="image"),
        froc_metastatic_per_scan=froc(metastatic, cohort, per="scan", rates=scan_rates),
        found_and_called={
            name: undefined(NO_THRESHOLD)
            if chosen is None
            else _found_and_called(matches, said, cohort, category_id=key, chosen=chosen)
            for name, key in CLASSES.items()
        },
        patients=patient_figures(
            matches.tables,
            said.p_metastatic * said.classified,
            said.called_metastatic & said.classified,
            cohort=cohort,
            chosen=chosen,
        ),
    )


def _class_curve(tables: BoxTables, said: BoxClasses, category_id: int, cohort: Cohort) -> Curve:
    """Return the curve of one class; truth of unknown status is ignored, of the other absent."""
    unknown = ~np.isin(tables.truth.classes, list(CLASSES.values()))
    kept = unknown | (tables.truth.classes == category_id)
    ranked = tables.found.ranked_by(
        tables.found.scores * said.probability(category_id), said.classified
    )
    of_class = BoxTables(tables.images, tables.truth.where(kept), ranked)
    matches = match(find_overlaps(of_class), also_ignored=unknown[kept])
    return Curve.of_matches(matches, cohort)


def _found_and_called(
    matches: Matches, said: BoxClasses, cohort: Cohort, *, category_id: int, chosen: Flags
) -> Figure:
    truth = matches.tables.truth
    right_call = said.classified & (said.called_metastatic == (category_id == METASTATIC))
    right = (chosen & right_call)[matches.found_index]
    of_class = matches.counts & (truth.classes == category_id)
    name = "metastatic" if category_id == METASTATIC else "benign"
    return cohort.resamples.share(
        found_truth(matches, right)[of_class],
        cohort.patient_of_image[truth.image[of_class]],
        of=f"{name} truth box that counts",
    )
