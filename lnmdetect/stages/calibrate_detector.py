"""`lnmdetect calibrate detector`: boxes.json of validation patients in, a bundle out."""

from dataclasses import replace

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.errors import InputError
from lnmdetect.core.thresholds import Threshold
from lnmdetect.io.run_record import RunRecord
from lnmdetect.metrics.froc import OperatingPoint, operating_point
from lnmdetect.stages.calibrate import (
    CalibrateRequest,
    CalibrateResult,
    Change,
    Validation,
    finish_calibration,
    open_validation,
)
from lnmdetect.stages.threshold_rules import (
    SENSITIVITY,
    ThresholdRule,
    choose_for_detector,
    parse_rule,
)


def calibrate_detector(request: CalibrateRequest) -> CalibrateResult:
    """Return which operating threshold the rule gives, after writing a bundle that has it.

    Raises:
        InputError: a file cannot be used, comes from another model, or has no such threshold.
        ModelError: there is no such bundle, or it is damaged.
        OutputError: the output holds a bundle, or is one that may not be written into.
        UsageError: a detector has no such rule.
    """
    given = None if request.rule is None else parse_rule(request.rule, "detector")
    record = RunRecord("calibrate detector", {})
    validation = open_validation(request, "detector")
    _require_scores(request, validation)
    record.lap("read")
    bundle = validation.bundle
    assert isinstance(bundle.recipe, DetectorRecipe)
    rule = given or ThresholdRule(SENSITIVITY, bundle.recipe.sensitivity_target)
    record.config = {"rule": str(rule)}
    scans = int(validation.truth.cohort.scans_each.sum())
    choice = choose_for_detector(rule, validation.matches, scans=scans)
    threshold = Threshold(choice.value, choice.rule, validation.described, validation.digests)
    before, after = (_at(validation, value) for value in (bundle.threshold.value, choice.value))
    return finish_calibration(
        request,
        validation,
        replace(bundle, threshold=threshold),
        figures={
            "sensitivity_at_threshold": after.sensitivity.value,
            "false_positives_per_image_at_threshold": after.false_positives_per_image.value,
            "false_positives_per_scan_at_threshold": after.false_positives_per_scan.value,
        },
        changes=(
            Change("operating threshold", bundle.threshold.value, choice.value),
            *_changes(before, after),
        ),
        cases=validation.matches.truths,
        record=record,
    )


def _require_scores(request: CalibrateRequest, validation: Validation) -> None:
    if validation.found.on_truth_boxes:
        raise InputError(
            request.found.name,
            expected="boxes with scores, as detect writes them",
            got="truth boxes",
            remedy="Give the boxes.json of the validation patients.",
        )


def _at(validation: Validation, threshold: float) -> OperatingPoint:
    above = validation.found.tables.found.scores >= threshold
    return operating_point(validation.matches, above, validation.truth.cohort)


def _changes(before: OperatingPoint, after: OperatingPoint) -> list[Change]:
    return [
        Change("box sensitivity", before.sensitivity.value, after.sensitivity.value),
        Change("precision", before.precision.value, after.precision.value),
        Change(
            "false positives an image",
            before.false_positives_per_image.value,
            after.false_positives_per_image.value,
        ),
        Change(
            "false positives a scan",
            before.false_positives_per_scan.value,
            after.false_positives_per_scan.value,
        ),
    ]
