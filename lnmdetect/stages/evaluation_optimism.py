"""Models measured on the very patients they were trained or tuned on: refused, or said.

Weights, thresholds and temperatures fit the patients they come from better than any others, so
figures on them flatter the model (of thresholds: Leeflang et al. 2008, Clin Chem 54:729).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.patient_digests import THRESHOLD_CHOSEN, Overlap
from lnmdetect.core.records import METASTATIC
from lnmdetect.core.wording import counted
from lnmdetect.metrics.end_to_end import classified_hits
from lnmdetect.metrics.matching import Matches
from lnmdetect.stages.evaluation_files import EvalInputs
from lnmdetect.stages.evaluation_inputs import Predictions
from lnmdetect.stages.evaluation_request import CHOOSE, CHOOSE_NODE, EvalRequest
from lnmdetect.stages.evaluation_thresholds import Threshold
from lnmdetect.stages.evaluation_truth import Truth
from lnmdetect.stages.threshold_rules import (
    Choice,
    choose_for_classifier,
    choose_for_detector,
    parse_rule,
)


class Scored(Protocol):
    """Prediction files that are scored together."""

    @property
    def files(self) -> str:
        """Their names."""
        ...

    @property
    def seen_before(self) -> tuple[Overlap, ...]:
        """For what patients that are scored were used before, file by file."""
        ...


def without_flattery(
    request: EvalRequest, inputs: EvalInputs, truth: Truth
) -> tuple[EvalInputs, tuple[str, ...]]:
    """Return the inputs at the thresholds the request asks for, and what flatters the figures.

    Raises:
        InputError: patients that are evaluated were trained or tuned on, and the request does not
            say `optimistic`; or no threshold keeps to a rule.
    """
    files = [inputs.detections, inputs.labelled, *filter(None, [inputs.truth_nodes])]
    replaced = request.threshold is not None or request.choose_threshold is not None
    warnings = flattery(files, optimistic=request.optimistic, threshold_replaced=replaced)
    chosen, more = _at_chosen_thresholds(request, inputs, truth)
    return chosen, (*warnings, *(f"Optimistic: {text}." for text in more))


def flattery(
    files: Sequence[Scored], *, optimistic: bool, threshold_replaced: bool
) -> tuple[str, ...]:
    """Return a sentence for each use that evaluated patients were put to before.

    Args:
        files: prediction files, the same one more than once allowed.
        optimistic: whether the user has agreed to that.
        threshold_replaced: the detector's threshold is another one than those in the files.

    Raises:
        InputError: there is such a use, and `optimistic` is false.
    """
    found: dict[str, str] = {}
    for file in files:
        for what, patients in _counts(file).items():
            if not (threshold_replaced and what == THRESHOLD_CHOSEN):
                text = f"{what} {counted(patients, 'patient')} it is evaluated on"
                found.setdefault(text, file.files)
    if found and not optimistic:
        got, name = next(iter(found.items()))
        raise InputError(
            name,
            expected="other patients than those of the training and the choice of thresholds",
            got=f"some of them: {got}",
            remedy="Evaluate other patients, or add --optimistic, which says so in the output.",
        )
    return tuple(f"Optimistic: in {name} {text}." for text, name in found.items())


def _counts(file: Scored) -> dict[str, int]:
    """Return each use of evaluated patients, and of how many in all pooled files."""
    counts: dict[str, int] = {}
    for overlap in file.seen_before:
        counts[overlap.what] = counts.get(overlap.what, 0) + overlap.patients
    return counts


def _at_chosen_thresholds(
    request: EvalRequest, inputs: EvalInputs, truth: Truth
) -> tuple[EvalInputs, list[str]]:
    """Return the inputs at thresholds chosen on themselves, and what there is to say of it."""
    said = []
    if request.choose_threshold is not None:
        inputs, choice = _at_boxes_rule(request.choose_threshold, inputs, truth)
        said.append(_self_chosen("the detector's operating threshold", choice))
    if request.choose_node_threshold is not None:
        inputs, choice = _at_nodes_rule(request.choose_node_threshold, inputs)
        said.append(_self_chosen("the classifier's threshold", choice))
    return inputs, said


def _self_chosen(what: str, choice: Choice) -> str:
    return (
        f"{what}, {choice.value:.4g}, was chosen on the evaluated file itself ({choice.rule}); "
        "figures at it flatter the model"
    )


def _source(choice: Choice) -> str:
    return f"{choice.rule}, chosen on the evaluated file itself: optimistic"


def _at_boxes_rule(text: str, inputs: EvalInputs, truth: Truth) -> tuple[EvalInputs, Choice]:
    rule = parse_rule(text, "detector", option=CHOOSE)
    if inputs.matches is None:
        raise InputError(
            inputs.detections.files,
            expected=f"boxes with scores for {CHOOSE}",
            got="truth boxes",
            remedy="Give boxes.json with --boxes.",
        )
    scans = int(truth.cohort.scans_each.sum())
    choice = choose_for_detector(rule, inputs.matches, scans=scans)

    def at(found: Predictions) -> Predictions:
        if found.on_truth_boxes:
            return found
        above = np.asarray(found.tables.found.scores >= choice.value)
        threshold = Threshold(choice.value, _source(choice))
        return replace(found, above=above, detector_threshold=threshold)

    same = inputs.labelled is inputs.detections
    detections = at(inputs.detections)
    labelled = detections if same else at(inputs.labelled)
    return replace(inputs, detections=detections, labelled=labelled), choice


def _at_nodes_rule(text: str, inputs: EvalInputs) -> tuple[EvalInputs, Choice]:
    rule = parse_rule(text, "classifier", option=CHOOSE_NODE)
    boxes, matches = inputs.classes, inputs.class_matches
    if boxes is None or matches is None:
        boxes, matches = inputs.truth_boxes, inputs.truth_box_matches
    if boxes is None or matches is None:
        raise InputError(
            inputs.labelled.files,
            expected=f"boxes with class probabilities for {CHOOSE_NODE}",
            got="boxes without",
            remedy="Give nodes.json with --nodes.",
        )
    is_positive, p_metastatic = _known_nodes(boxes, matches)
    choice = choose_for_classifier(rule, is_positive, p_metastatic)

    def at(found: Predictions) -> Predictions:
        called = np.asarray(found.said.classified & (found.said.p_metastatic >= choice.value))
        said = replace(found.said, called_metastatic=called)
        threshold = Threshold(choice.value, _source(choice))
        return replace(found, said=said, classifier_threshold=threshold)

    same = inputs.labelled is inputs.detections
    labelled = at(inputs.labelled)
    truth_nodes = inputs.truth_nodes
    if truth_nodes is not None:
        truth_nodes = labelled if truth_nodes is inputs.labelled else at(truth_nodes)
    detections = labelled if same else inputs.detections
    return EvalInputs(detections, labelled, truth_nodes), choice


def _known_nodes(
    boxes: Predictions, matches: Matches
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return (N,) truth and P(metastatic) of the classified boxes that figures are about."""
    kept = classified_hits(matches, boxes.said)
    if boxes.above is not None and not boxes.on_truth_boxes:
        kept &= boxes.above[matches.found_index]
    category = boxes.tables.truth.classes[matches.truth_index[kept]]
    p_metastatic = boxes.said.p_metastatic[matches.found_index[kept]]
    return np.asarray(category == METASTATIC), p_metastatic
