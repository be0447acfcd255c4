"""What a fusion network says of ultrasound cases: the content of fused.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lnmdetect.core.ultrasound import MODALITIES, Label, UltrasoundCase, UltrasoundDataset


@dataclass(frozen=True)
class FusedCase:
    """One case and its answer.

    Attributes:
        case: as ultrasound.json has it, its label where that is known.
        probability: of metastasis, in [0, 1].
        modalities_used: which of `MODALITIES` the answer rests on, in their order.
    """

    case: UltrasoundCase
    probability: float
    modalities_used: tuple[str, ...]

    def __post_init__(self) -> None:
        name = f"case {self.case.case_id!r}"
        if not 0 <= self.probability <= 1:
            raise ValueError(f"{name}: expected a probability in [0, 1], got {self.probability}")
        there = self.case.modalities()
        in_order = tuple(modality for modality in there if modality in self.modalities_used)
        if not self.modalities_used or self.modalities_used != in_order:
            raise ValueError(
                f"{name}: expected modalities_used from {', '.join(there) or 'none'}, which it "
                f"has, in that order, got {', '.join(self.modalities_used) or 'none'}"
            )


@dataclass(frozen=True)
class FusedDataset:
    """A fused.json in memory.

    Attributes:
        info: the file's `info` object; `fusion` tells the model and its threshold.
        extra: other fields of the file.
    """

    info: Mapping[str, Any]
    cases: tuple[FusedCase, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"fusion: expected a threshold in [0, 1], got {self.threshold}")
        _ = self.ultrasound  # cases that contradict each other are refused

    @property
    def threshold(self) -> float:
        """P(metastatic) from which a case is called metastatic, in [0, 1]."""
        return float(self.info["fusion"]["threshold"])

    @property
    def modalities(self) -> tuple[str, ...]:
        """Which of `MODALITIES` the network was built of."""
        return tuple(name for name in MODALITIES if name in self.info["fusion"]["modalities"])

    @property
    def without(self) -> tuple[str, ...]:
        """Which of them it was asked to do without, whether cases have them or not."""
        return tuple(self.info["fusion"].get("without", ()))

    @property
    def is_phantom(self) -> bool:
        """Whether the images are synthetic."""
        return bool(self.info.get("phantom", False))

    @property
    def of_phantom_model(self) -> bool:
        """Whether the network has only learnt from synthetic images."""
        return bool(self.info["fusion"].get("trained_on_phantoms", False))

    @property
    def ultrasound(self) -> UltrasoundDataset:
        """The cases without their answers."""
        return UltrasoundDataset(self.info, tuple(fused.case for fused in self.cases), self.extra)

    def called(self, fused: FusedCase) -> Label:
        """Return what a case is called at the threshold."""
        return "metastatic" if fused.probability >= self.threshold else "benign"

    def is_right(self, fused: FusedCase) -> bool | None:
        """Return whether a case is called as its label says; None where it has none."""
        return None if fused.case.label is None else self.called(fused) == fused.case.label
