"""In which numbers a network answers, and what has been shown of it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from lnmdetect.core.patient_digests import PatientDigests, digests_from_json

Precision = Literal["fp32", "bf16", "int8"]
Engine = Literal["torch", "openvino", "onnx"]
TOLERANCE = 0.005
"""How far a held figure may lie from that of fp32 (design, section 9: scores move, AP may not)."""
INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
"""Processors with one of these add products of int8 up in 32 bits; others in 16, which overflow."""


@dataclass(frozen=True)
class InferenceForm:
    """How a network is run: its numbers, and the library that computes with them."""

    precision: Precision = "fp32"
    engine: Engine = "torch"

    def __post_init__(self) -> None:
        for value, known in ((self.precision, Precision), (self.engine, Engine)):
            if value not in get_args(known):
                raise ValueError(f"form: expected one of {get_args(known)}, got {value!r}")

    @property
    def described(self) -> str:
        """The form in words."""
        return f"{self.precision} on {self.engine}"


EXACT = InferenceForm()
"""What every other form is held against."""


@dataclass(frozen=True)
class HeldFigure:
    """A figure of the same patients in fp32 on torch and in another form, each in [0, 1]."""

    name: str
    exact: float
    other: float

    def __post_init__(self) -> None:
        for value in (self.exact, self.other):
            if not 0 <= value <= 1:
                raise ValueError(f"{self.name}: expected a figure in [0, 1], got {value}")

    @property
    def moved(self) -> float:
        """How far the other lies from the exact one; below 0: under it."""
        return self.other - self.exact

    @property
    def held(self) -> bool:
        """Whether it stayed within `TOLERANCE`; rounding of the difference is no movement."""
        return abs(self.moved) <= TOLERANCE + math.ulp(1.0)


@dataclass(frozen=True)
class CheckedForm:
    """A form in which a bundle was seen to answer as well as in fp32.

    Attributes:
        form: which.
        figures: of both, at least one.
        checked_on: the patients in words.
        patients: their digests.
        cpu_flags: instructions of the processor that matter to speed; empty: not told.
    """

    form: InferenceForm
    figures: tuple[HeldFigure, ...]
    checked_on: str
    patients: PatientDigests | None = None
    cpu_flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.figures or not all(figure.held for figure in self.figures):
            raise ValueError(f"{self.form.described}: expected figures within {TOLERANCE} of fp32")

    @property
    def can_be_default(self) -> bool:
        """Whether some processor may answer so unasked: int8 needs that of the check told."""
        return self.form.precision != "int8" or bool(self.cpu_flags)

    def holds_with(self, cpu_flags: Collection[str]) -> bool:
        """Return whether a processor of these instructions adds up as that of the check did.

        In int8 both have to be told: of others it is not known whether their sums overflow.

        Args:
            cpu_flags: as those of the check; empty: not told.
        """
        if self.form.precision != "int8":
            return True
        if not self.can_be_default or not cpu_flags:
            return False
        had, has = (INT8_FLAGS.intersection(flags) for flags in (self.cpu_flags, cpu_flags))
        return not had or bool(has)

    def to_json(self) -> dict[str, Any]:
        """Return it as a bundle's config holds it."""
        flags = {"cpu_flags": list(self.cpu_flags)} if self.cpu_flags else {}
        patients = {} if self.patients is None else {"patients": self.patients.to_json()}
        return {
            **asdict(self.form),
            "figures": [asdict(figure) for figure in self.figures],
            "checked_on": self.checked_on,
            **flags,
            **patients,
        }


def with_checked(forms: Sequence[CheckedForm], newest: CheckedForm) -> tuple[CheckedForm, ...]:
    """Return checked forms in the order of their checks; an earlier check of the newest is gone."""
    return (*(one for one in forms if one.form != newest.form), newest)


def checked_from_json(
    stored: Sequence[Mapping[str, Any]] | Mapping[str, Any],
) -> tuple[CheckedForm, ...]:
    """Return what `CheckedForm.to_json` wrote of several, or, in older bundles, of one.

    Raises:
        KeyError, TypeError, ValueError: it is laid out otherwise.
    """
    forms = [_form_from_json(one) for one in ([stored] if isinstance(stored, Mapping) else stored)]
    if len({one.form for one in forms}) < len(forms):
        raise ValueError("checked: expected each form once")
    return tuple(forms)


def _form_from_json(stored: Mapping[str, Any]) -> CheckedForm:
    return CheckedForm(
        form=InferenceForm(stored["precision"], stored["engine"]),
        figures=tuple(HeldFigure(**figure) for figure in stored["figures"]),
        checked_on=stored["checked_on"],
        patients=digests_from_json(stored.get("patients")),
        cpu_flags=tuple(stored.get("cpu_flags", ())),
    )
