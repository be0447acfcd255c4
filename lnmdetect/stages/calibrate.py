"""What the two calibrations share: request, files of validation patients, the new bundle."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lnmdetect.core.errors import InputError
from lnmdetect.core.patient_digests import PatientDigests
from lnmdetect.core.wording import counted
from lnmdetect.io.bundles import Bundle, read_bundle, write_with_weights_of
from lnmdetect.io.cards import bundle_card
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.recipes import Arm
from lnmdetect.io.run_record import RUN, RunRecord
from lnmdetect.metrics.matching import Matches, match_tables
from lnmdetect.stages.bundle_output import bundle_name, patients_in_words, refuse_output
from lnmdetect.stages.evaluation_info import FEW_PATIENTS
from lnmdetect.stages.evaluation_inputs import Predictions, read_predictions
from lnmdetect.stages.evaluation_truth import Truth, read_truth

_MADE_BY = {"detector": "detect", "classifier": "classify"}


@dataclass(frozen=True)
class CalibrateRequest:
    """What to choose anew, and on which files.

    Attributes:
        found: boxes.json or nodes.json of validation patients, made with the very model.
        truth: of these patients.
        output: folder of the new bundle.
        model: name or folder of the bundle to start from.
        rule: as `sensitivity=0.95`; None takes the arm's own.
        temperature: whether a classifier's temperature is fitted; else it stays.
    """

    found: Path
    truth: Path
    output: Path
    model: str
    rule: str | None = None
    temperature: bool = True
    overwrite: bool = False


@dataclass(frozen=True)
class Change:
    """A figure on the validation patients before and after; None where it is undefined."""

    name: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class CalibrateResult:
    """What was chosen.

    Attributes:
        bundle: folder of the new one.
        rule: in words.
        changes: thresholds, temperature and figures at them; those after are of the patients that
            decided them, so others will see worse.
        patients, images: of the truth file.
        cases: truth boxes that count, or classified nodes.
    """

    arm: str
    bundle: Path
    rule: str
    changes: tuple[Change, ...]
    patients: int
    images: int
    cases: int
    phantom: bool
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Validation:
    """A model's answers for validation patients beside the truth."""

    bundle: Bundle
    truth: Truth
    found: Predictions
    matches: Matches
    digests: PatientDigests

    @property
    def described(self) -> str:
        """Who the patients are, for the bundle and its card."""
        number, is_phantom = len(self.truth.patient_names), self.truth.columns.is_phantom
        return patients_in_words(number, "validation patient", is_phantom=is_phantom)


def open_validation(request: CalibrateRequest, arm: Arm) -> Validation:
    """Return the files of a request after making sure that its output may be written.

    Raises:
        InputError: a file cannot be used, or comes from another model.
        ModelError: there is no such bundle, or it is damaged.
        OutputError: the output holds a bundle, or is one that may not be written into.
    """
    bundle = read_bundle(request.model, arm)
    refuse_output(request.output, bundle, overwrite=request.overwrite)
    truth = read_truth([request.truth], bootstrap=0, seed=0)
    found = read_predictions([request.found], truth)
    _require_model(request.found.name, found.columns.info, bundle, arm)
    digests = PatientDigests.of(truth.patient_names, sha256_of_file(request.truth))
    _refuse_training_patients(request.truth.name, digests, bundle)
    return Validation(
        bundle=bundle,
        truth=truth,
        found=found,
        matches=match_tables(found.tables),
        digests=digests,
    )


def _require_model(name: str, info: Mapping[str, Any], bundle: Bundle, arm: Arm) -> None:
    """Raise where the file was not made with the bundle's weights."""
    told = info.get(arm)
    made_with = told.get("sha256") if isinstance(told, Mapping) else None
    if made_with != bundle.sha256:
        got = f"{made_with[:12]}..." if isinstance(made_with, str) else "none"
        raise InputError(
            f"{name}: info.{arm}.sha256",
            expected=f"{bundle.sha256[:12]}..., the weights of bundle {bundle.name}",
            got=got,
            remedy=f"Write the file with `lnmdetect {_MADE_BY[arm]} --model` and this model, or "
            "name the model it was made with.",
        )


def _refuse_training_patients(name: str, digests: PatientDigests, bundle: Bundle) -> None:
    learnt = bundle.trained_on.patients_sha256 if bundle.trained_on else ()
    seen = len(set(digests.patients_sha256) & set(learnt))
    if seen:
        raise InputError(
            name,
            expected=f"patients that bundle {bundle.name} was not trained on",
            got=f"{seen} of {len(digests.patients_sha256)} that it was",
            remedy="Calibrate on validation patients: on those it learnt from, a model is surer "
            "and better than on others.",
        )


def finish_calibration(
    request: CalibrateRequest,
    validation: Validation,
    bundle: Bundle,
    *,
    figures: Mapping[str, float | None],
    changes: tuple[Change, ...],
    cases: int,
    record: RunRecord,
) -> CalibrateResult:
    """Return the result after writing the new bundle and its run.json.

    Args:
        request: gives the folder.
        validation: decided the changes.
        bundle: with the new threshold and temperature; its name, folder, figures and data are set
            here.
        figures: at the new threshold, for the card.
        changes: for people.
        cases: how many truth boxes or nodes decided.
        record: of the run so far.
    """
    source, truth = validation.bundle, validation.truth
    patients = len(truth.patient_names)
    written = replace(
        bundle,
        name=bundle_name(request.output, source.recipe.arm),
        folder=request.output,
        figures={**_lasting(source.figures), **figures},
        data={
            **source.data,
            "calibrated from": source.name,
            "patients calibrated on": patients,
            "sha256 of the truth file calibrated on": validation.digests.truth_sha256,
        },
    )
    write_with_weights_of(source, written, bundle_card(written), overwrite=request.overwrite)
    stamps = (*truth.stamps, *validation.found.stamps)
    record.add_inputs((stamp.file, stamp.sha256) for stamp in stamps)
    record.model = {source.name: source.sha256}
    record.lap("calibrate")
    record.write(request.output / RUN)
    return CalibrateResult(
        arm=source.recipe.arm,
        bundle=request.output,
        rule=written.threshold.rule,
        changes=changes,
        patients=patients,
        images=len(truth.columns.images),
        cases=cases,
        phantom=truth.columns.is_phantom,
        notes=tuple(_notes(validation)),
    )


def _lasting(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures that hold at any threshold."""
    return {name: value for name, value in figures.items() if not name.endswith("_at_threshold")}


def _notes(validation: Validation) -> Iterator[str]:
    found = validation.found
    patients = len(validation.truth.patient_names)
    if patients < FEW_PATIENTS:
        yield (
            f"{counted(patients, 'patient')} decided; with fewer than {FEW_PATIENTS} the choice "
            "moves much from one group of patients to the next"
        )
    if found.missing_images:
        images = counted(found.missing_images, "truth image is", "truth images are")
        yield f"{images} not in {found.files}: nothing is found there"
    if found.failed_studies:
        studies = counted(found.failed_studies, "study", "studies")
        yield f"{studies} could not be read when {found.files} was made"
