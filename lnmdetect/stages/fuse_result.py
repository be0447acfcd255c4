"""What `lnmdetect fuse` is asked and what it answers."""

from dataclasses import dataclass, field
from pathlib import Path

from lnmdetect.core.errors import LnmDetectError
from lnmdetect.core.ultrasound import Label
from lnmdetect.stages.fuse_patients import Which

DEFAULT_MODEL = "compact"
FUSED = Path("fused.json")


@dataclass(frozen=True)
class FuseRequest:
    """Which cases to answer, and how.

    Attributes:
        ultrasound: ultrasound.json, or a fused.json whose answers are to be replaced.
        scan: where the images are; None takes the file's `info.scan_root`.
        threshold: on P(metastatic), in [0, 1], instead of the bundle's.
        without: modalities, separated by commas, to answer as if no case had them.
        patients: whose cases: `all`, `validation`: those on whom the bundle's epoch and threshold
            were chosen, `unseen`: those on whom it was neither trained nor tuned.
        skip_unanswerable: leave out cases that the model cannot answer, instead of refusing all.
        explain: folder for heat maps and galleries; None draws nothing.
    """

    ultrasound: Path
    output: Path = FUSED
    scan: Path | None = None
    model: str = DEFAULT_MODEL
    device: str = "auto"
    threshold: float | None = None
    without: str | None = None
    patients: Which = "all"
    skip_unanswerable: bool = False
    explain: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class CaseAnswer:
    """One case: P(metastatic), what it is called, and by pathology is (None: not known)."""

    case_id: str
    p_metastatic: float
    called: Label
    label: Label | None
    modalities_used: tuple[str, ...]


@dataclass(frozen=True)
class Drawn:
    """How many pictures of cases were written, and the galleries' file names."""

    pictures: int
    galleries: tuple[str, ...]


@dataclass(frozen=True)
class FuseResult:
    """What the cases were called.

    Attributes:
        threshold: P(metastatic) from which a case is called metastatic.
        threshold_source: where that came from.
        drawn: the pictures in `explain`; None: none were asked for.
        notes: what a reader must know, as sentences.
        failures: cases that the model cannot answer; the others are in the file.
    """

    output: Path
    threshold: float
    threshold_source: str
    answers: tuple[CaseAnswer, ...]
    seconds: float
    explain: Path | None = None
    drawn: Drawn | None = None
    notes: tuple[str, ...] = ()
    failures: tuple[LnmDetectError, ...] = field(default=())
