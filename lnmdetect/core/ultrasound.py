"""The cases of the ultrasound arm: a B-mode image, contrast-enhanced frames and a finding each.

Guang et al. 2023 (QIMS 13:8370): whether a thyroid carcinoma has spread to the neck's nodes, told
from a B-mode image of it, a contrast-enhanced (CEUS) frame, and what the ultrasound of the neck
found at the nodes.
"""

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Literal, get_args

MODALITIES = ("bmode", "ceus", "finding")
"""What a fusion network may take, in the order in which the paper joins them."""

Finding = Literal["present", "absent", "unknown"]
FINDING_VALUE: Mapping[str, float] = MappingProxyType(
    {"present": 1.0, "absent": -1.0, "unknown": 0.0}
)
"""The finding in the fused vector (Guang 2023: +1 and -1; 0 leaves it out)."""
Label = Literal["benign", "metastatic"]
"""Whether nodes are free of metastasis or not; metastatic is the positive class."""
Sex = Literal["F", "M"]
Split = Literal["training", "validation", "test"]
PEAK: Literal["peak"] = "peak"
MAX_AGE_YEARS = 150
"""An age is below it; what is above is a slip of the pen."""


@dataclass(frozen=True)
class ImagePlace:
    """Where an image lies.

    Attributes:
        file_name: PNG, JPEG or DICOM, relative to the root of the images, / between folders.
        frame: of a multi-frame DICOM file, from 1 as DICOM counts; `peak`, the frame of the highest
            mean intensity; None for a file of one image.
    """

    file_name: str
    frame: int | Literal["peak"] | None = None

    def __post_init__(self) -> None:
        if not self.file_name:
            raise ValueError("image: expected a file name, got none")
        if self.frame is None or self.frame == PEAK:
            return
        if isinstance(self.frame, bool) or not isinstance(self.frame, int) or self.frame < 1:
            raise ValueError(f"image: expected a frame from 1, or peak, got {self.frame!r}")

    @property
    def path(self) -> str:
        """The file, however its name is written: `a//b.png` is `a/b.png`."""
        return PurePosixPath(self.file_name).as_posix()

    @property
    def image(self) -> tuple[str, int | str]:
        """The image, however it is written: a file of one image needs no frame, and has frame 1."""
        return self.path, self.frame or 1


@dataclass(frozen=True)
class UltrasoundCase:
    """One carcinoma of one patient.

    Attributes:
        case_id: within its file. patient: pseudonym; data are split by it.
        bmode: None where there is none, as `ceus` is then empty.
        ceus: one frame, or several around the peak of enhancement.
        finding: of the clinical ultrasound of the neck: nodes suspicious of metastasis.
        label: by pathology; None where it is not known.
        location: in words. max_size_mm: largest diameter of the nodule.
        split: the part the file puts the patient in, None where it does not say.
        extra: other fields of the file (as `hospital`), written back as they were read.
    """

    case_id: str
    patient: str
    bmode: ImagePlace | None
    ceus: tuple[ImagePlace, ...]
    finding: Finding
    label: Label | None
    age_years: float | None = None
    sex: Sex | None = None
    location: str | None = None
    max_size_mm: float | None = None
    split: Split | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = f"case {self.case_id!r}"
        _require(bool(self.case_id and self.patient), name, "a case_id and a patient", "none")
        _require(self.finding in FINDING_VALUE, name, "a finding of " + _known(Finding), "another")
        if self.label is not None:
            _require(self.label in get_args(Label), name, "a label of " + _known(Label), "another")
        if self.sex is not None:
            _require(self.sex in get_args(Sex), name, "a sex of F or M", "another")
        if self.split is not None:
            _require(self.split in get_args(Split), name, "a split of " + _known(Split), "another")
        if self.age_years is not None:
            _require(0 <= self.age_years < MAX_AGE_YEARS, name, "an age in years", self.age_years)
        if self.max_size_mm is not None:
            good = self.max_size_mm > 0 and math.isfinite(self.max_size_mm)
            _require(good, name, "a max_size_mm above 0", self.max_size_mm)
        images = [place.image for _, place in self.places()]
        _require(len(set(images)) == len(images), name, "each image once", "one twice")

    def places(self) -> Iterator[tuple[str, ImagePlace]]:
        """Yield its images, each with its field, as `ceus[0]`: B-mode first, then CEUS in order."""
        return image_fields(self.bmode, self.ceus)

    @property
    def finding_value(self) -> float:
        """The finding as the fused vector has it: 1, -1, or 0 where it is not known."""
        return FINDING_VALUE[self.finding]

    def modalities(self) -> tuple[str, ...]:
        """Return which of `MODALITIES` the case has."""
        there = (self.bmode is not None, bool(self.ceus), self.finding != "unknown")
        return tuple(name for name, has in zip(MODALITIES, there, strict=True) if has)


def image_fields(
    bmode: ImagePlace | None, ceus: tuple[ImagePlace, ...]
) -> Iterator[tuple[str, ImagePlace]]:
    """Yield the images of a case, each with the name of its field: B-mode first."""
    if bmode is not None:
        yield "bmode", bmode
    for number, place in enumerate(ceus):
        yield f"ceus[{number}]", place


@dataclass(frozen=True)
class UltrasoundDataset:
    """An ultrasound file in memory.

    Attributes:
        info: the file's `info` object (version, phantom, scan_root, ...).
    """

    info: Mapping[str, Any]
    cases: tuple[UltrasoundCase, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_id: dict[str, UltrasoundCase] = {}
        by_image: dict[tuple[str, int | str], UltrasoundCase] = {}
        by_file: dict[str, UltrasoundCase] = {}
        splits: dict[str, UltrasoundCase] = {}
        for case in self.cases:
            _require_own("case_id", by_id.setdefault(case.case_id, case), case)
            for name, place in case.places():
                _require_own(name, by_image.setdefault(place.image, case), case)
                _require_one_patient(name, by_file.setdefault(place.path, case), case)
            first = splits.setdefault(case.patient, case)
            if first.split != case.split:
                raise RepeatError(
                    case, first, "split", "a patient in one split", "its patient in two"
                )

    @property
    def is_phantom(self) -> bool:
        """Whether the images are synthetic."""
        return bool(self.info.get("phantom", False))

    def patients(self) -> tuple[str, ...]:
        """Return the distinct patients in order of first appearance."""
        return tuple(dict.fromkeys(case.patient for case in self.cases))

    def subset(self, patients: Set[str]) -> "UltrasoundDataset":
        """Return the part of the data set that belongs to `patients`."""
        kept = tuple(case for case in self.cases if case.patient in patients)
        return replace(self, cases=kept)


class RepeatError(ValueError):
    """Two cases that contradict each other.

    Attributes:
        case: the later of the two. first: the earlier. field: of the case that is at fault.
    """

    def __init__(
        self, case: UltrasoundCase, first: UltrasoundCase, field: str, expected: str, got: str
    ) -> None:
        self.case, self.first, self.field = case, first, field
        self.expected, self.got = expected, got
        super().__init__(f"case {case.case_id!r}: expected {expected}, got {got}")


def _require_own(field: str, first: UltrasoundCase, case: UltrasoundCase) -> None:
    """Refuse a case that has the id or an image of an earlier one."""
    if first is case:
        return
    what = "case_id" if field == "case_id" else "image"
    if first.label != case.label:
        raise RepeatError(case, first, field, f"one label for this {what}", "two labels")
    raise RepeatError(case, first, field, f"its own {what}", "that of another case")


def _require_one_patient(field: str, first: UltrasoundCase, case: UltrasoundCase) -> None:
    """Refuse frames of one file in two patients, who may be dealt to either side of a split."""
    if first.patient != case.patient:
        raise RepeatError(case, first, field, "a file of one patient", "that of another patient")


def _require(condition: bool, where: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{where}: expected {expected}, got {got}")


def _known(names: Any) -> str:
    return ", ".join(get_args(names))
