"""What `lnmdetect detect` is asked for, and what it answers."""

from dataclasses import dataclass, field
from pathlib import Path

from lnmdetect.core.errors import LnmDetectError
from lnmdetect.core.precision import Engine, Precision

DEFAULT_MODEL = "compact"
BOXES = Path("boxes.json")


@dataclass(frozen=True)
class DetectRequest:
    """What to search, and how.

    Attributes:
        scan: folder, file or zip of DICOM; key images as DICOM or PNG; or a truth.json that lists
            the slices of either.
        threshold: operating threshold in [0, 1] instead of the bundle's.
        series, allow_tilt, key_images, pixel_spacing_mm: see `io.scan_source.open_source`.
        precision, engine: of the network, see `model_form.chosen_form`.
        named_root: what `info.scan_root` names instead of `scan`: a folder around it, where the
            scan's own name may be a patient's.
    """

    scan: Path
    output: Path = BOXES
    model: str = DEFAULT_MODEL
    device: str = "auto"
    series: str | None = None
    allow_tilt: bool = False
    key_images: bool = False
    pixel_spacing_mm: tuple[float, float] | None = None
    threshold: float | None = None
    overwrite: bool = False
    pseudonymise_uids: bool = False
    named_root: Path | None = None
    precision: Precision | None = None
    engine: Engine = "torch"


@dataclass(frozen=True)
class DetectResult:
    """What was found.

    Attributes:
        boxes: scored 0.05 or more; boxes_above_threshold: those meant for people.
        patients: their pseudonyms.
        notes: about series and files that were not read.
        failures: studies of a cohort that could not be read; the others are in the file.
    """

    output: Path
    scans: int
    slices: int
    boxes: int
    boxes_above_threshold: int
    threshold: float
    seconds: float
    notes: tuple[str, ...] = ()
    failures: tuple[LnmDetectError, ...] = field(default=())
    patients: tuple[str, ...] = ()
