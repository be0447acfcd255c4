"""What `lnmdetect models check` is asked."""

from dataclasses import dataclass
from pathlib import Path

from lnmdetect.core.precision import Engine, Precision
from lnmdetect.io.recipes import Arm
from lnmdetect.stages.detect_request import DEFAULT_MODEL
from lnmdetect.stages.evaluation_request import TRUTH


@dataclass(frozen=True)
class CheckRequest:
    """Which form of which model to hold against fp32, and on whom.

    Attributes:
        arm: detector or classifier.
        truth: of patients that the model has not seen.
        scan: where their pixels are; None takes the file's `info.scan_root`.
        model: name or folder of the bundle.
        precision, engine: the form.
        device: where both are run; what is shown on a GPU says nothing of the numbers of CPUs,
            whose default an output is.
        output: folder of a new bundle that answers in this form by default; None writes nothing.
    """

    arm: Arm
    truth: Path = TRUTH
    scan: Path | None = None
    model: str = DEFAULT_MODEL
    precision: Precision = "bf16"
    engine: Engine = "torch"
    device: str = "cpu"
    output: Path | None = None
    overwrite: bool = False
