"""One study of a cohort through the pipeline, in a process that keeps the models in memory."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lnmdetect.core.cohort import CohortFigures, CohortStudy
from lnmdetect.core.errors import LnmDetectError, ModelError, UsageError
from lnmdetect.core.precision import Precision
from lnmdetect.io.cohort_cases import Case, case_name, input_stamp
from lnmdetect.io.cohort_folder import CohortFolder
from lnmdetect.io.input_files import printable
from lnmdetect.io.pseudonym import KEY_FILE_VARIABLE, load_key, pseudonymise_uid

if TYPE_CHECKING:
    from lnmdetect.io.loaded_study import LoadedStudy
    from lnmdetect.stages.run import LoadedModels, RunResult

_UID = re.compile(r"\b[0-2](?:\.\d+){2,}\b")


@dataclass(frozen=True)
class CohortOptions:
    """What decides the results of a study, beside its files; as `run` takes it.

    Attributes:
        sheets: slices on the picture; 0 draws none.
        precision: of both networks; None: the one in which each was checked.
    """

    model: str = "compact"
    classifier: str = "compact"
    device: str = "auto"
    allow_tilt: bool = False
    pseudonymise_uids: bool = False
    sheets: int = 0
    precision: Precision | None = None


@dataclass(frozen=True)
class StudyRequest:
    """Which study to analyse, and how.

    Attributes:
        case: its name and place.
        studies: the folder of the cohort, which the results name as the place of the pixels.
        output: the folder of all results.
        made_with: what the record says of models and options; the models in memory must be these.
    """

    case: Case
    studies: Path
    output: Path
    options: CohortOptions
    made_with: Mapping[str, Any] = field(default_factory=dict)


class Pipeline(Protocol):
    """What is run on a study, which may be in memory already."""

    def __call__(self, request: StudyRequest, study: Any = None, /) -> CohortStudy:
        """Return what was found."""


class Loader(Protocol):
    """What reads a study into memory for a pipeline."""

    def __call__(self, request: StudyRequest, /) -> Any:
        """Return the study as the pipeline takes it."""


def load_for(request: StudyRequest) -> "LoadedStudy":
    """Return a study with its voxels in memory.

    Raises:
        InputError: the study cannot be read.
        UsageError: this machine has another pseudonym key.
    """
    from lnmdetect.io.loaded_study import load_study

    _check_key(request)
    return load_study(request.case.path, allow_tilt=request.options.allow_tilt)


def analyse_study(request: StudyRequest, study: "LoadedStudy | None" = None, /) -> CohortStudy:
    """Return what was found in a study after writing its folder of results.

    Args:
        request: which study, and how.
        study: in memory already; else it is read.

    Raises:
        InputError: the study cannot be read.
        ModelError: a bundle is absent, damaged, or no more the one that the cohort began with.
        OutputError: the disk refuses.
        UsageError: there is no such device, or this machine has another pseudonym key.
    """
    # Imported here: the cohort itself needs no torch.
    from lnmdetect.stages.run import RunRequest, run

    began = time.monotonic()
    _check_key(request)
    options, folder = request.options, CohortFolder(request.output)
    made_with = {**request.made_with, "inputs": input_stamp(request.case.path)}
    models = _loaded_models(options.model, options.classifier, options.device, options.precision)
    _check_models(models, made_with)
    done = run(
        RunRequest(
            request.case.path,
            output=folder.new_draft(request.case.name),
            model=options.model,
            classifier=options.classifier,
            device=options.device,
            allow_tilt=options.allow_tilt,
            pseudonymise_uids=options.pseudonymise_uids,
            slices=options.sheets,
            named_root=request.studies,
        ),
        models=models,
        study=study,
    )
    failures = done.detected.failures
    found = CohortStudy(
        request.case.name,
        "partial" if failures else "done",
        reason_for(failures[0], request) if failures else "",
        made_with,
        _figures(done),
    )
    return folder.publish(replace(found, seconds=round(time.monotonic() - began, 3)))


def reason_for(error: LnmDetectError, request: StudyRequest) -> str:
    """Return an error's sentence as a file may hold it: no path, and keyed uids where wanted."""
    case = request.case
    own = {*case.path.relative_to(request.studies).parts, str(case.path)}
    if error.where in {*own, *map(printable, own)}:
        error = type(error)(case.name, expected=error.expected, got=error.got, remedy=error.remedy)
    if not request.options.pseudonymise_uids:
        return error.for_file
    key = load_key()
    return _UID.sub(lambda found: pseudonymise_uid(found[0], key), error.for_file)


@lru_cache(maxsize=1)
def _loaded_models(
    model: str, classifier: str, device: str, precision: Precision | None
) -> "LoadedModels":
    """Return the models, which are read once a process."""
    from lnmdetect.stages.classify import load_classifier
    from lnmdetect.stages.detect import load_detector
    from lnmdetect.stages.run import LoadedModels

    return LoadedModels(
        load_detector(model, device, precision=precision),
        load_classifier(classifier, device, precision=precision),
    )


def _check_key(request: StudyRequest) -> None:
    """Do nothing where this machine gives the study the name that it has.

    Raises:
        UsageError: it has another key, and would give its patients other pseudonyms.
    """
    if case_name(request.case.path, request.studies) != request.case.name:
        raise UsageError(
            KEY_FILE_VARIABLE,
            expected="the same pseudonym key on every machine of the cohort",
            got="another one on this machine",
            remedy="Let it name one file on a disk that all of them see.",
        )


def _check_models(models: "LoadedModels", made_with: Mapping[str, Any]) -> None:
    """Do nothing where the models are those that the cohort began with.

    Raises:
        ModelError: one was replaced while the cohort ran.
    """
    for arm, (bundle, _) in (("detector", models.detector), ("classifier", models.classifier)):
        if made_with.get(arm, bundle.sha256) != bundle.sha256:
            raise ModelError(
                f"{arm} {bundle.name}",
                expected="the same weights from the first study to the last",
                got="others, put there while the cohort ran",
                remedy="Start the cohort again; studies done with the earlier ones are redone.",
            )


def _figures(done: "RunResult") -> CohortFigures:
    nodes, threshold = done.linked.nodes, done.classified.threshold
    likely = [node.p_metastatic for node in nodes if node.p_metastatic is not None]
    return CohortFigures(
        patients=done.detected.patients,
        scans=done.detected.scans,
        failed_scans=len(done.detected.failures),
        slices=done.detected.slices,
        boxes=done.detected.boxes,
        boxes_above_threshold=done.detected.boxes_above_threshold,
        nodes=len(nodes),
        metastatic_nodes=sum(p >= threshold for p in likely),
        largest_short_axis_mm=_rounded(max((node.short_axis_mm for node in nodes), default=None)),
        highest_p_metastatic=_rounded(max(likely, default=None)),
        phantom=done.linked.phantom,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
