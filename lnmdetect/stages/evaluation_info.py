"""What was scored, in counts, hashes and notes."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lnmdetect import __version__
from lnmdetect.core.wording import counted
from lnmdetect.metrics.end_to_end import classified_hits
from lnmdetect.metrics.matching import IOU_OF_A_HIT, MAX_DETECTIONS
from lnmdetect.stages.evaluation_files import EvalInputs
from lnmdetect.stages.evaluation_inputs import Predictions
from lnmdetect.stages.evaluation_result import EvalInfo
from lnmdetect.stages.evaluation_truth import Truth
from lnmdetect.stages.truth_answers import known_truth

FEW_PATIENTS = 20
"""With fewer, percentile intervals cover less than they say (Efron, Tibshirani 1993, 14)."""
FEW_RESAMPLES = 1000
"""The least for percentile intervals (Efron, Tibshirani 1993, 14.3)."""


def eval_info(truth: Truth, inputs: EvalInputs) -> EvalInfo:
    """Return what the figures rest on."""
    found, resamples = inputs.detections, truth.cohort.resamples
    counts = ~truth.table.ignored
    return EvalInfo(
        lnmdetect_version=__version__,
        truth=truth.stamps,
        detections_of=() if inputs.found is None else found.stamps,
        classes_of=() if inputs.classes is None else inputs.classes.stamps,
        truth_boxes_of=() if inputs.truth_boxes is None else inputs.truth_boxes.stamps,
        phantom=truth.columns.is_phantom,
        coverage=truth.columns.coverage,
        patients=truth.cohort.patients,
        scans=int(truth.cohort.scans_each.sum()),
        images=len(truth.columns.images),
        truth_boxes=int(counts.sum()),
        ignored_truth_boxes=int((~counts).sum()),
        detections=len(found.rows),
        unscored_detections=found.unscored,
        images_without_predictions=found.missing_images,
        iou_of_a_hit=IOU_OF_A_HIT,
        max_detections=MAX_DETECTIONS,
        resamples=resamples.count,
        seed=resamples.seed,
        intervals=intervals_sentence(resamples.count, resamples.seed),
        notes=tuple(dict.fromkeys(_notes(truth, inputs))),
    )


def intervals_sentence(resamples: int, seed: int) -> str:
    """Return how the 95 % intervals of every figure come about."""
    return (
        f"{over_patients_sentence(resamples, seed)}; in brackets as if all boxes were "
        "independent, which they are not: DeLong for AUC, Wilson for shares"
    )


def over_patients_sentence(resamples: int, seed: int) -> str:
    """Return how the 95 % intervals come about that allow for several boxes of a patient."""
    if resamples == 0:
        return "none over patients, since no resamples were asked for"
    return f"95 %, percentiles of {counted(resamples, 'resample')} of the patients (seed {seed})"


def truth_notes(truth: Truth) -> Iterator[str]:
    """Give what a reader of any figure on this truth must know."""
    if truth.columns.is_phantom:
        yield "Phantom figures: the scans are synthetic and say nothing about patients."
    yield from _fold_warning(truth.columns.info)
    yield from resample_notes(truth.cohort.patients, truth.cohort.resamples.count)


def resample_notes(patients: int, resamples: int) -> Iterator[str]:
    """Give why intervals over so many patients, of so many resamples, are to be distrusted."""
    if 0 < resamples < FEW_RESAMPLES:
        yield (
            f"{counted(resamples, 'resample')}: too few for the ends of a 95 % interval, which "
            "another seed would move."
        )
    if 1 < patients < FEW_PATIENTS and resamples:
        yield (
            f"{patients} patients: resamples of so few hold little but copies of each other, and "
            "the intervals over patients are too narrow."
        )


def _fold_warning(info: Mapping[str, Any]) -> Iterator[str]:
    """Give the warning of a file that holds one fold of a deal that flatters."""
    fold = info.get("split")
    if isinstance(fold, Mapping) and fold.get("warning"):
        yield f"The folds are {fold['warning']}."


def _notes(truth: Truth, inputs: EvalInputs) -> Iterator[str]:
    yield from truth_notes(truth)
    found, labelled = inputs.detections, inputs.labelled
    if inputs.found is None:
        yield f"No detection figures: {found.files} holds truth boxes, which carry no score."
    if not labelled.classified:
        what = "classification figures" if inputs.truth_boxes is None else "classes of found boxes"
        yield f"No {what}: {labelled.files} holds no class probabilities."
    yield from file_notes(found)
    if labelled is not found:
        yield from file_notes(labelled)
        yield from _threshold_note(found, labelled)
    yield from _left_out_notes(truth, inputs)
    if truth.columns.coverage == "key_images":
        yield "Truth holds key images: what is said a scan or a patient is about these slices only."
    if len(truth.stamps) > 1:
        yield (
            f"{len(truth.stamps)} truth files are pooled: one ranking over boxes of several files, "
            "which may be of several models."
        )


def _threshold_note(found: Predictions, labelled: Predictions) -> Iterator[str]:
    """Say so where classes are taken at another threshold of the detector than detections."""
    own, other = labelled.detector_threshold, found.detector_threshold
    if not labelled.classified or labelled.on_truth_boxes:
        return
    if (own.value, own.values) != (other.value, other.values):
        has_one = own.value is not None or own.values is not None
        at = "" if own.value is None else f", {own.value:.4g}"
        yield (
            f"{labelled.files} has {'another' if has_one else 'no'} operating threshold of the "
            f"detector{at}: classes, both stages, errors and groups go by that file, the other "
            f"figures by {found.files}."
        )


def _left_out_notes(truth: Truth, inputs: EvalInputs) -> Iterator[str]:
    """Give what some figures leave out that others count."""
    table = truth.table
    known = known_truth(truth)
    unknown = int((~table.ignored & ~known).sum())
    if unknown and (inputs.classes is not None or inputs.truth_boxes is not None):
        boxes = counted(unknown, "truth box is", "truth boxes are")
        yield f"{boxes} of unknown status: no figure of classes counts them."
    if inputs.truth_boxes is not None and inputs.truth_box_matches is not None:
        said = classified_hits(inputs.truth_box_matches, inputs.truth_boxes.said)
        missing = int(known.sum()) - int(said.sum())
        if missing:
            boxes = counted(missing, "truth box has", "truth boxes have")
            yield f"{boxes} no class in {inputs.truth_boxes.files}, and its figures none of them."
    names = truth.columns.nodes.node_ids
    of_counted = [names[place] for place in np.flatnonzero(~table.ignored).tolist()]
    nameless = of_counted.count(None)
    if inputs.found is not None and 0 < nameless < len(of_counted):
        boxes = counted(nameless, "truth box names", "truth boxes name")
        yield f"{boxes} no node (node_id): the sensitivity for nodes leaves them out."


def file_notes(found: Predictions) -> Iterator[str]:
    """Give what a reader of any figure of these predictions must know."""
    name = found.files
    yield from _fold_warning(found.columns.info)
    if found.unscored:
        boxes = counted(found.unscored, f"box of {name} is", f"boxes of {name} are")
        yield f"{boxes} not scored: truth, of key images, does not list the slice."
    classless = 0 if found.on_truth_boxes else int((~found.said.classified).sum())
    if found.classified and classless:
        boxes = counted(classless, f"box of {name} has", f"boxes of {name} have")
        yield f"{boxes} no class: figures of classes leave them out."
    if found.missing_images:
        images = counted(found.missing_images, "truth image is", "truth images are")
        yield f"{images} not in {name}: nothing is found there."
    if found.failed_studies:
        studies = counted(found.failed_studies, "study", "studies")
        yield f"{studies} of the input could not be read when {name} was made."
