"""One received series through the pipeline, in a process of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["sr", "gsps", "sc"]
KINDS: tuple[Kind, ...] = ("sr", "gsps", "sc")


@dataclass(frozen=True)
class AnalysisRequest:
    """What to analyse, and which objects to make of the findings.

    Attributes:
        scan: folder of the series.
        output: a new folder for the results.
        kinds: of DICOM objects, made with `export`.
    """

    scan: Path
    output: Path
    kinds: tuple[Kind, ...] = ("sr",)
    model: str = "compact"
    classifier: str = "compact"
    device: str = "auto"


def analyse(request: AnalysisRequest) -> int:
    """Return how many boxes lie above the operating threshold after writing all results.

    Raises:
        LnmDetectError: a stage refuses the series.
    """
    # Imported here: the listener itself needs no torch.
    from lnmdetect.stages.run import RunRequest, run

    done = run(
        RunRequest(
            request.scan,
            output=request.output,
            model=request.model,
            classifier=request.classifier,
            device=request.device,
        )
    )
    if request.kinds:
        _export(request, done.classified.output, done.linked.output)
    return done.detected.boxes_above_threshold


def check_models(model: str, classifier: str) -> None:
    """Return nothing where both bundles are sound.

    Raises:
        ModelError: one is absent or damaged.
    """
    from lnmdetect.io.bundles import read_bundle

    read_bundle(model, "detector")
    read_bundle(classifier, "classifier", option="--classifier")


def _export(request: AnalysisRequest, nodes: Path, linked: Path) -> None:
    """Write the objects, with one finding a linked node."""
    from lnmdetect.stages.export import ExportRequest, export

    for kind in request.kinds:
        export(ExportRequest(nodes, kind, request.output / f"{kind}.dcm", linked=linked))
