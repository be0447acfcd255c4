"""`lnmdetect fuse`: ultrasound.json in, fused.json out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lnmdetect import __version__
from lnmdetect.core.errors import UsageError
from lnmdetect.core.fused import FusedCase, FusedDataset
from lnmdetect.core.fusion_config import ALL_MODALITIES, FusionConfig, FusionRecipe
from lnmdetect.core.patient_digests import chosen_on, seen_and_evaluated, trained_on
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.ultrasound import UltrasoundCase, UltrasoundDataset
from lnmdetect.core.wording import counted
from lnmdetect.io.bundles import Bundle
from lnmdetect.io.fused_files import PROBABILITY_DIGITS, without_answers, write_fused
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.pixel_roots import relative_root
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.io.ultrasound_files import image_root, read_ultrasound
from lnmdetect.stages.explain_fusion import check_folder, explain_fused, explained_images
from lnmdetect.stages.export_files import check_output
from lnmdetect.stages.fuse_cases import (
    CASES_A_BATCH,
    case_batches,
    item_reader,
    sorted_out,
    used_modalities,
)
from lnmdetect.stages.fuse_patients import patients_asked
from lnmdetect.stages.fuse_result import CaseAnswer, FuseRequest, FuseResult
from lnmdetect.stages.fusion_model import load_fusion, parsed_modalities
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict
from lnmdetect.training.fusion_task import FusionTask

_PHANTOM_MODEL = (
    "the model was trained on phantoms: on real images it shows that the pipeline works, not who "
    "has metastases."
)


def fuse(request: FuseRequest, progress: Progress = SILENT) -> FuseResult:
    """Return what the cases were called after writing fused.json, its run record and pictures.

    Raises:
        UsageError: there is no such modality or device, the output is the input, or the bundle does
            not say whom it has seen where that is asked for.
        InputError: the file or its images are unsound, no patient asked for is in it, or the model
            cannot answer a case.
        ModelError: the bundle is absent, damaged or of another arm.
        OutputError: an output exists and `overwrite` is not set.
    """
    without = _check(request)
    record = _start_record(request)
    dataset = without_answers(read_ultrasound(request.ultrasound, scan=request.scan))
    root = image_root(request.ultrasound, dataset, request.scan)
    bundle, task = load_fusion(request.model, request.device)
    dataset = patients_asked(dataset, bundle, request.patients, request.ultrasound.name)
    model = _model(bundle)
    if request.explain is not None:
        explained_images(model, without)
    record.config = {**record.config, "device": str(task.device)}
    cases, failures = sorted_out(dataset, model, without, request.ultrasound.name)
    if failures and not (request.skip_unanswerable and cases):
        raise failures[0]
    record.lap("open")
    answered = _answered(cases, model, without, root=root, task=task, progress=progress)
    info = _info(request, dataset, bundle, root, without=without, unanswered=len(failures))
    fused = FusedDataset(info, answered, dataset.extra)
    record.lap("fuse")
    write_fused(fused, request.output, overwrite=request.overwrite)
    drawn = None
    if request.explain is not None:
        drawn = explain_fused(fused, bundle, task, root, request.explain, progress=progress)
        record.lap("explain")
    record.model, record.failures = {bundle.name: bundle.sha256}, len(failures)
    record.write(record_path(request.output))
    return FuseResult(
        output=request.output,
        threshold=fused.threshold,
        threshold_source=fused.info["fusion"]["threshold_source"],
        answers=tuple(_answer(fused, case) for case in fused.cases),
        seconds=sum(record.timings_s.values()),
        explain=request.explain,
        drawn=drawn,
        notes=tuple(_notes(fused, model)),
        failures=tuple(failures),
    )


def _answered(
    cases: Sequence[UltrasoundCase],
    model: FusionConfig,
    without: Sequence[str],
    *,
    root: Path,
    task: FusionTask,
    progress: Progress,
) -> tuple[FusedCase, ...]:
    """Return the cases with their probabilities, rounded as the file holds them."""
    batches = case_batches(cases, item_reader(root, model, without))
    watched = progress.track(batches, description="fusing", total=-(-len(cases) // CASES_A_BATCH))
    answers = predict(task, watched, Compute(task.device))
    return tuple(
        FusedCase(case, round(p, PROBABILITY_DIGITS), used_modalities(case, model, without))
        for case, p in zip(cases, answers, strict=True)
    )


def _model(bundle: Bundle) -> FusionConfig:
    assert isinstance(bundle.recipe, FusionRecipe)
    return bundle.recipe.model


def _check(request: FuseRequest) -> tuple[str, ...]:
    """Return what to answer without, or raise where an option cannot be used.

    Raises:
        UsageError, OutputError: see `fuse`.
    """
    check_output(request.output, [request.ultrasound], overwrite=request.overwrite)
    if request.explain is not None:
        check_folder(request.explain, overwrite=request.overwrite)
    if request.without is None:
        return ()
    named = parsed_modalities("--without", request.without)
    if set(named) == set(ALL_MODALITIES):
        raise UsageError(
            "--without",
            expected="a modality that is left",
            got="all of them",
            remedy="Name one or two.",
        )
    return tuple(modality for modality in ALL_MODALITIES if modality in named)


def _start_record(request: FuseRequest) -> RunRecord:
    config = {
        "model": Path(request.model).name,
        "device": request.device,
        "threshold": request.threshold,
        "without": request.without,
        "patients": request.patients,
        "skip_unanswerable": request.skip_unanswerable,
        "explain": request.explain is not None,
    }
    record = RunRecord("fuse", config)
    record.inputs[request.ultrasound.name] = sha256_of_file(request.ultrasound)
    return record


def _info(
    request: FuseRequest,
    dataset: UltrasoundDataset,
    bundle: Bundle,
    root: Path,
    *,
    without: Sequence[str],
    unanswered: int,
) -> dict[str, Any]:
    chosen = bundle.threshold if request.threshold is None else None
    return {
        **dataset.info,
        "lnmdetect_version": __version__,
        "scan_root": relative_root(root, request.output),
        "fusion": {
            "name": bundle.name,
            "sha256": bundle.sha256,
            "trained_on_phantoms": bundle.is_phantom,
            "modalities": list(_model(bundle).modalities),
            **({"without": list(without)} if without else {}),
            "threshold": bundle.threshold.value if chosen else request.threshold,
            "threshold_source": (
                f"bundle {bundle.name}: {chosen.described}" if chosen else "--threshold"
            ),
        },
        **trained_on("fusion", bundle.trained_on),
        **chosen_on("fusion_threshold", chosen.patients if chosen else None),
        "unanswered_cases": unanswered,
    }


def _answer(fused: FusedDataset, one: FusedCase) -> CaseAnswer:
    return CaseAnswer(
        case_id=one.case.case_id,
        p_metastatic=one.probability,
        called=fused.called(one),
        label=one.case.label,
        modalities_used=one.modalities_used,
    )


def _notes(fused: FusedDataset, model: FusionConfig) -> list[str]:
    patients = {one.case.patient for one in fused.cases}
    notes = [
        f"{overlap.what} {counted(overlap.patients, 'patient')} of this file, whose answers do "
        "not tell how good it is."
        for overlap in seen_and_evaluated(fused.info, patients)
    ]
    if fused.of_phantom_model and not fused.is_phantom:
        notes.append(_PHANTOM_MODEL)
    if set(fused.without) & set(model.modalities) and not model.modality_dropout:
        notes.append("the model was trained without modality_dropout: it never had to do without.")
    return notes
