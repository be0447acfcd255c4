"""What `lnmdetect cohort` settles before its first study: options, models, who works."""

import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lnmdetect import __version__
from lnmdetect.core.errors import UsageError
from lnmdetect.io.bundle_config import read_bundle
from lnmdetect.io.cohort_table import require_parquet
from lnmdetect.io.run_record import RunRecord
from lnmdetect.stages.cohort_end import Crew, crew_for
from lnmdetect.stages.cohort_ray import require_ray
from lnmdetect.stages.cohort_request import CohortRequest
from lnmdetect.stages.cohort_study import CohortOptions

_NOT_OPTIONS = ("model", "classifier", "device")


def check_request(request: CohortRequest, cores: int) -> None:
    """Do nothing where a cohort can be begun.

    Raises:
        UsageError: there are more workers than cores, a cluster without their number, no number
            of seconds, or networks in int8.
        MissingExtraError: a package that is needed is not installed.
    """
    cluster = request.engine == "ray" and os.environ.get("RAY_ADDRESS")
    if cluster and request.workers is None:
        raise UsageError(
            "--workers",
            expected="the number of actors, since RAY_ADDRESS names a cluster",
            got="none",
            remedy="Give as many as the cluster has cores for this cohort.",
        )
    if not cluster and request.workers is not None and not 1 <= request.workers <= cores:
        raise UsageError(
            "--workers",
            expected=f"1 to {cores}, as many as the cores that may be used",
            got=str(request.workers),
            remedy="Give fewer, or leave it out: more threads than cores are many times slower.",
        )
    if not 1 <= request.timeout_s < math.inf:
        raise UsageError(
            "--time-limit",
            expected="1 s or more",
            got=f"{request.timeout_s:g}",
            remedy="Leave it out for an hour a study.",
        )
    if request.options.precision == "int8":
        raise UsageError(
            "--precision",
            expected="fp32 or bf16, in which torch runs the networks of a cohort",
            got="int8",
            remedy="Leave it out for that in which the models were checked.",
        )
    if request.parquet:
        require_parquet()
    if request.engine == "ray" and not request.collect:
        require_ray()


def made_with_of(options: CohortOptions) -> dict[str, Any]:
    """Return what decides the results of any study, beside its files.

    The device is left out: it moves a score by less than a thousandth. So is whether a processor
    computes in the precision in which a bundle was checked.

    Raises:
        ModelError: a bundle is absent or damaged.
    """
    chosen = {k: v for k, v in asdict(options).items() if k not in _NOT_OPTIONS}
    bundles = {
        "detector": read_bundle(options.model, "detector"),
        "classifier": read_bundle(options.classifier, "classifier", option="--classifier"),
    }
    usual = {arm: bundle.usual_precision() for arm, bundle in bundles.items()}
    return {
        "lnmdetect": __version__,
        **{arm: bundle.sha256 for arm, bundle in bundles.items()},
        "options": {**chosen, "precision": {k: options.precision or v for k, v in usual.items()}},
    }


def start_record(request: CohortRequest) -> RunRecord:
    """Return the run record of a cohort, without paths."""
    asked = asdict(request.options)
    models = {key: Path(asked[key]).name for key in ("model", "classifier")}
    part = f"{request.part.number}/{request.part.of}" if request.part else None
    config: dict[str, Any] = {"depth": request.depth, "workers": request.workers, "part": part}
    config |= {"engine": request.engine, "collect": request.collect, "timeout_s": request.timeout_s}
    return RunRecord("cohort", {**asked, **models, **config})


def crew_of(request: CohortRequest, cores: int, studies: int) -> Crew:
    """Return who works: at most as many threads as cores; on Ray each actor has one."""
    if request.engine == "processes":
        return crew_for(cores, request.workers, studies, request.timeout_s)
    return Crew(max(1, min(request.workers or cores, studies)), 1, request.timeout_s)
