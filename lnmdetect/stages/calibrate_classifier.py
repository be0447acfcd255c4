"""`lnmdetect calibrate classifier`: nodes.json of validation patients in, a bundle out."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.config import ClassifierRecipe
from lnmdetect.core.errors import InputError
from lnmdetect.core.records import BENIGN, CATEGORY_NAMES, METASTATIC, NOT_A_NODE
from lnmdetect.core.thresholds import Temperature, Threshold
from lnmdetect.core.wording import counted
from lnmdetect.io.run_record import RunRecord
from lnmdetect.metrics.calibration import calibration
from lnmdetect.metrics.classification import auc_by_ranks
from lnmdetect.metrics.end_to_end import classified_hits
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.temperature import (
    Probabilities,
    at_temperature,
    fit_temperature,
    negative_log_likelihood,
)
from lnmdetect.stages.calibrate import (
    CalibrateRequest,
    CalibrateResult,
    Change,
    Validation,
    finish_calibration,
    open_validation,
)
from lnmdetect.stages.threshold_rules import (
    YOUDEN,
    ThresholdRule,
    choose_for_classifier,
    parse_rule,
)

_LEAST = 5e-7
"""Half of what files round probabilities to: what a 0 in a file may have been."""


@dataclass(frozen=True)
class ValidationNodes:
    """N boxes on nodes of known status.

    Attributes:
        probabilities: (N, C) over the model's classes, as if its temperature were 1.
        label: (N,) places in the classes.
        metastatic: place of that class.
        patient: (N,) place of each node's patient.
    """

    probabilities: Probabilities
    label: NDArray[np.int64]
    metastatic: int
    patient: NDArray[np.int64]

    @property
    def is_positive(self) -> NDArray[np.bool_]:
        """(N,) metastatic in truth."""
        return np.asarray(self.label == self.metastatic)


def calibrate_classifier(request: CalibrateRequest) -> CalibrateResult:
    """Return which temperature and threshold fit, after writing a bundle that has them.

    Raises:
        InputError: a file cannot be used, comes from another model, or allows no such choice.
        ModelError: there is no such bundle, or it is damaged.
        OutputError: the output holds a bundle, or is one that may not be written into.
        UsageError: a classifier has no such rule.
    """
    rule = parse_rule(request.rule, "classifier") if request.rule else ThresholdRule(YOUDEN)
    config = {"rule": str(rule), "temperature": request.temperature}
    record = RunRecord("calibrate classifier", config)
    validation = open_validation(request, "classifier")
    nodes = validation_nodes(validation, request.found.name)
    record.lap("read")
    old = validation.bundle
    temperature = _temperature(validation, nodes) if request.temperature else old.temperature
    p_metastatic = at_temperature(nodes.probabilities, temperature.value)[:, nodes.metastatic]
    choice = choose_for_classifier(rule, nodes.is_positive, p_metastatic)
    threshold = Threshold(choice.value, choice.rule, validation.described, validation.digests)
    before = _figures(nodes, old.temperature.value, old.threshold.value)
    after = _figures(nodes, temperature.value, threshold.value)
    return finish_calibration(
        request,
        validation,
        replace(old, threshold=threshold, temperature=temperature),
        figures={
            "calibration_boxes": float(len(nodes.label)),
            "tpr_at_threshold": after["sensitivity"],
            "tnr_at_threshold": after["specificity"],
            **{f"calibration_{name}": after[name] for name in ("nll", "brier", "ece")},
        },
        changes=(
            Change("temperature", old.temperature.value, temperature.value),
            Change("threshold on P(metastatic)", old.threshold.value, threshold.value),
            *(Change(_TITLES[name], before[name], after[name]) for name in _TITLES),
        ),
        cases=len(nodes.label),
        record=record,
    )


_TITLES = {
    "sensitivity": "sensitivity (TPR)",
    "specificity": "specificity (TNR)",
    "nll": "negative log-likelihood",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "auc": "AUC",
}


def validation_nodes(validation: Validation, name: str) -> ValidationNodes:
    """Return the classified boxes of the file `name` that lie on nodes of known status.

    Of predicted boxes those at or above the detector's operating threshold, as a user gets them.

    Raises:
        InputError: there is none of one class.
    """
    recipe, matches, found = validation.bundle.recipe, validation.matches, validation.found
    assert isinstance(recipe, ClassifierRecipe)
    kept = classified_hits(matches, found.said)
    if found.above is not None and not found.on_truth_boxes:
        kept &= found.above[matches.found_index]
    category = found.tables.truth.classes[matches.truth_index[kept]]
    _require_classes(name, category)
    rows, classes = matches.found_index[kept], recipe.model.classes
    benign, metastatic = found.said.p_benign[rows], found.said.p_metastatic[rows]
    by_name = {
        CATEGORY_NAMES[BENIGN]: benign,
        CATEGORY_NAMES[METASTATIC]: metastatic,
        NOT_A_NODE: 1 - benign - metastatic,
    }
    made_at = float(found.columns.info["classifier"].get("temperature") or 1)
    stored = np.stack([np.maximum(by_name[c], _LEAST) for c in classes], axis=1)
    places = {BENIGN: classes.index("benign"), METASTATIC: classes.index("metastatic")}
    return ValidationNodes(
        probabilities=at_temperature(stored, 1 / made_at),
        label=np.where(category == METASTATIC, places[METASTATIC], places[BENIGN]),
        metastatic=places[METASTATIC],
        patient=validation.truth.cohort.patient_of_image[matches.image_index[kept]],
    )


def _require_classes(name: str, category: NDArray[np.int64]) -> None:
    benign, metastatic = (int((category == one).sum()) for one in (BENIGN, METASTATIC))
    if not benign or not metastatic:
        raise InputError(
            name,
            expected="classified boxes on benign and on metastatic nodes of truth",
            got=f"{benign} on benign and {metastatic} on metastatic ones",
            remedy="Give what classify wrote of enough validation patients.",
        )


def _temperature(validation: Validation, nodes: ValidationNodes) -> Temperature:
    fitted = fit_temperature(nodes.probabilities, nodes.label)
    if fitted.value is None:
        raise InputError(
            "temperature",
            expected="validation nodes that one can be fitted to",
            got=f"{counted(len(nodes.label), 'node')}; {fitted.reason}",
            remedy="Add validation patients, or leave it as it is with --no-temperature.",
        )
    return Temperature(fitted.value, validation.described, validation.digests)


def _figures(
    nodes: ValidationNodes, temperature: float, threshold: float
) -> dict[str, float | None]:
    probabilities = at_temperature(nodes.probabilities, temperature)
    p_metastatic, is_positive = probabilities[:, nodes.metastatic], nodes.is_positive
    resamples = Resamples(int(nodes.patient.max()) + 1, count=0)
    fit = calibration(is_positive, p_metastatic, nodes.patient, resamples)
    called = p_metastatic >= threshold
    return {
        "sensitivity": float(called[is_positive].mean()),
        "specificity": float((~called[~is_positive]).mean()),
        "nll": negative_log_likelihood(probabilities, nodes.label),
        "brier": fit.brier.value,
        "ece": fit.ece.value,
        "auc": auc_by_ranks(is_positive, p_metastatic).value,
    }
