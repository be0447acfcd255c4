"""`lnmdetect models check`: does a faster form of a model reach what it reaches in fp32?"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from lnmdetect.core.errors import InputError, ModelError, UsageError
from lnmdetect.core.patient_digests import PatientDigests
from lnmdetect.core.precision import (
    EXACT,
    TOLERANCE,
    CheckedForm,
    HeldFigure,
    InferenceForm,
    with_checked,
)
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.wording import counted
from lnmdetect.io.bundles import Bundle, read_bundle, write_with_weights_of
from lnmdetect.io.cards import bundle_card
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.machine_facts import cpu_flags
from lnmdetect.io.run_record import RUN, RunRecord
from lnmdetect.stages.bundle_output import bundle_name, patients_in_words, refuse_output
from lnmdetect.stages.evaluation_info import FEW_PATIENTS
from lnmdetect.stages.evaluation_truth import Truth, read_truth
from lnmdetect.stages.model_form import refuse_form
from lnmdetect.stages.models_check_figures import AUC, Figures, figures_in
from lnmdetect.stages.models_check_request import CheckRequest
from lnmdetect.training.devices import choose_device

CHANCE = 0.5
"""AUC of a classifier that knows nothing."""


@dataclass(frozen=True)
class CheckResult:
    """What both forms reached.

    Attributes:
        form: that was checked, in words.
        seconds_exact, seconds: of the analysis in fp32 and in the form; of one run each, so a busy
            machine shows in them.
        notes: why the figures may say less than they seem to.
        held: whether each figure stayed within `tolerance`.
        bundle: folder of the new one; None where none was asked for, or a figure moved.
    """

    arm: str
    model: str
    form: str
    figures: tuple[HeldFigure, ...]
    tolerance: float
    held: bool
    seconds_exact: float
    seconds: float
    patients: int
    images: int
    phantom: bool
    bundle: Path | None = None
    notes: tuple[str, ...] = field(default=())


def check_model(request: CheckRequest, progress: Progress = SILENT) -> CheckResult:
    """Return what a model reaches in fp32 and in another form; writes a bundle where it held.

    Args:
        request: which form of which model, on whom.
        progress: watches the slices or crops.

    Raises:
        InputError: the truth file cannot be used, or the model has seen its patients.
        ModelError: there is no such bundle, it is damaged, or it finds nothing in fp32 either.
        OutputError: the output holds a bundle, or is one that may not be written into.
        UsageError: no such form, fp32 on torch itself, or an output of a check on a GPU.
    """
    form = _other_form(request)
    bundle = read_bundle(request.model, request.arm)
    refuse_form(bundle, request.precision, request.engine)
    if request.output is not None:
        refuse_output(request.output, bundle, overwrite=request.overwrite)
    device = _device(request)
    record = RunRecord("models check", {"arm": request.arm, **asdict(form), "device": device})
    truth = read_truth([request.truth], bootstrap=0, seed=0)
    patients = PatientDigests.of(truth.patient_names, sha256_of_file(request.truth))
    _refuse_seen(request.truth.name, patients, bundle)
    with tempfile.TemporaryDirectory(prefix="lnmdetect-") as folder:
        exact, seconds_exact = figures_in(EXACT, request, Path(folder) / "exact.json", progress)
        _refuse_nothing_found(bundle, exact)
        record.lap(EXACT.described)
        other, seconds = figures_in(form, request, Path(folder) / "other.json", progress)
        record.lap(form.described)
    figures = tuple(HeldFigure(name, exact[name], other[name]) for name in exact)
    held = all(figure.held for figure in figures)
    if request.output is not None and held:
        record.add_inputs((stamp.file, stamp.sha256) for stamp in truth.stamps)
        checked = CheckedForm(form, figures, _described(truth), patients, cpu_flags())
        _write(request, bundle, checked, record)
    return CheckResult(
        arm=request.arm,
        model=bundle.name,
        form=form.described,
        figures=figures,
        tolerance=TOLERANCE,
        held=held,
        seconds_exact=seconds_exact,
        seconds=seconds,
        patients=len(truth.patient_names),
        images=len(truth.columns.images),
        phantom=truth.columns.is_phantom,
        bundle=request.output if held else None,
        notes=tuple(_notes(len(truth.patient_names), bundle, figures)),
    )


def refuse_moved(result: CheckResult) -> None:
    """Return nothing where every figure held.

    Raises:
        ModelError: one moved.
    """
    if result.held:
        return
    moved = [f"{f.name} {f.moved:+.4f}" for f in result.figures if not f.held]
    raise ModelError(
        f"{result.arm} {result.model} in {result.form}",
        expected=f"figures within {result.tolerance} of those in fp32",
        got=", ".join(moved),
        remedy="Its default stays as it is, and no bundle was written; --precision still runs it.",
    )


def _other_form(request: CheckRequest) -> InferenceForm:
    form = InferenceForm(request.precision, request.engine)
    if form == EXACT:
        raise UsageError(
            "--precision",
            expected="another form than the one it is held against",
            got=form.described,
            remedy="Leave both options out for bf16 on torch.",
        )
    return form


def _device(request: CheckRequest) -> str:
    """Return where both forms run; raise where a GPU would decide what CPUs answer in."""
    device = choose_device(request.device)
    if request.output is not None and device.type != "cpu":
        raise UsageError(
            "--device",
            expected=f"{CheckRequest.device} with --output: a bundle's default is that of CPUs",
            got=str(device),
            remedy="Leave --device out, or --output, which a check elsewhere does without.",
        )
    return str(device)


def _refuse_seen(name: str, patients: PatientDigests, bundle: Bundle) -> None:
    """Raise where the model was trained, or its threshold chosen, on a patient."""
    told = [bundle.trained_on, bundle.threshold.patients, bundle.temperature.patients]
    told += [bundle.quantised.patients] if bundle.quantised else []
    known = {digest for some in told if some for digest in some.patients_sha256}
    if seen := len(known & set(patients.patients_sha256)):
        raise InputError(
            name,
            expected=f"patients that bundle {bundle.name} has not seen",
            got=f"{seen} of {len(patients.patients_sha256)} that it was trained or tuned on",
            remedy="Hold out other patients: what a model has learnt by heart, it answers in any "
            "precision.",
        )


def _refuse_nothing_found(bundle: Bundle, exact: Figures) -> None:
    """Raise where no form could reach less than fp32 does."""
    if not any(exact.values()):
        raise ModelError(
            f"{bundle.recipe.arm} {bundle.name}",
            expected="a figure above 0 in fp32, which another form could miss",
            got=f"0 of {', '.join(exact)}",
            remedy="Give truth of scans on which the model finds nodes, or another --model.",
        )


def _notes(patients: int, bundle: Bundle, figures: Sequence[HeldFigure]) -> Iterator[str]:
    if patients < FEW_PATIENTS:
        yield (
            f"{counted(patients, 'patient')} decided; with fewer than {FEW_PATIENTS} a form may "
            "hold by chance"
        )
    if bundle.trained_on is None:
        yield (
            f"bundle {bundle.name} does not say on whom it was trained: whether it has seen these "
            "patients is not known"
        )
    for figure in figures:
        if figure.name == AUC and figure.exact <= CHANCE:
            yield (
                f"{AUC} {figure.exact:.4f} in fp32 is no better than chance, and that it stays so "
                "says nothing"
            )


def _described(truth: Truth) -> str:
    """Return who the patients are, for the bundle and its card."""
    number, is_phantom = len(truth.patient_names), truth.columns.is_phantom
    return patients_in_words(number, "held-out patient", is_phantom=is_phantom)


def _write(request: CheckRequest, bundle: Bundle, checked: CheckedForm, record: RunRecord) -> None:
    """Write the bundle that answers in the checked form, and its run.json."""
    assert request.output is not None
    written = replace(
        bundle,
        name=bundle_name(request.output, request.arm),
        folder=request.output,
        checked=with_checked(bundle.checked, checked),
    )
    write_with_weights_of(bundle, written, bundle_card(written), overwrite=request.overwrite)
    record.model = {bundle.name: bundle.sha256}
    record.write(request.output / RUN)
