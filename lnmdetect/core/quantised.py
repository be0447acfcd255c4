"""The int8 form of a bundle's network: what made it, and on whom its ranges were measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnmdetect.core.patient_digests import PatientDigests, digests_from_json

INT8_XML, INT8_BIN = "int8.xml", "int8.bin"
"""Files of OpenVINO in the bundle's folder."""


@dataclass(frozen=True)
class Quantised:
    """A network in int8, as a bundle's config tells of it.

    Attributes:
        sha256: of its files, by name.
        slices: how many decided the ranges of its numbers.
        seed: by which they were drawn.
        calibrated_on: the patients in words.
        patients: their digests; None: not told.
    """

    sha256: Mapping[str, str]
    slices: int
    seed: int
    calibrated_on: str
    patients: PatientDigests | None = None

    def __post_init__(self) -> None:
        if set(self.sha256) != {INT8_XML, INT8_BIN}:
            raise ValueError(f"int8: expected files {INT8_XML} and {INT8_BIN}")
        if not self.slices >= 1:
            raise ValueError(f"int8: expected at least 1 slice, got {self.slices}")

    def to_json(self) -> dict[str, Any]:
        """Return it as a bundle's config holds it."""
        told = {name: value for name, value in vars(self).items() if name != "patients"}
        return told if self.patients is None else {**told, "patients": self.patients.to_json()}


def quantised_from_json(stored: Mapping[str, Any] | None) -> Quantised | None:
    """Return what `Quantised.to_json` wrote, None for None.

    Raises:
        TypeError, ValueError: it is laid out otherwise.
    """
    if stored is None:
        return None
    return Quantised(**{**stored, "patients": digests_from_json(stored.get("patients"))})
