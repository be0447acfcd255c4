"""On which patients a number was chosen or fitted, told by digests instead of names."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lnmdetect.core.errors import InputError

DIGEST_DIGITS = 16
"""Hexadecimal digits kept of a patient's SHA-256: 64 bits, no two patients alike by chance."""
CHOSEN: Mapping[str, str] = {
    "operating_threshold": "the detector's operating threshold",
    "classifier_threshold": "the classifier's threshold",
    "classifier_temperature": "the classifier's temperature",
}
"""What a boxes or nodes file tells the patients of, in `info.<name>_chosen_on`."""


@dataclass(frozen=True)
class PatientDigests:
    """Patients of a truth file, by digest.

    Attributes:
        truth_sha256: of that file.
        patients_sha256: the first 16 digits of the SHA-256 of each pseudonym, sorted.
    """

    truth_sha256: str
    patients_sha256: tuple[str, ...]

    @classmethod
    def of(cls, patients: Iterable[str], truth_sha256: str) -> "PatientDigests":
        """Return the digests of some patients of a truth file."""
        return cls(truth_sha256, tuple(sorted({patient_digest(name) for name in patients})))

    def to_json(self) -> dict[str, Any]:
        """Return them as `info` and a bundle's config hold it."""
        return {"truth_sha256": self.truth_sha256, "patients_sha256": list(self.patients_sha256)}


def patient_digest(patient: str) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a pseudonym."""
    return hashlib.sha256(patient.encode()).hexdigest()[:DIGEST_DIGITS]


def digests_from_json(value: Any) -> PatientDigests | None:
    """Return the digests in a JSON object, None for None.

    Raises:
        ValueError: the value is laid out otherwise.
    """
    if value is None:
        return None
    fields = value if isinstance(value, Mapping) else {}
    truth, patients = fields.get("truth_sha256"), fields.get("patients_sha256")
    texts = isinstance(patients, list) and all(isinstance(digest, str) for digest in patients)
    if not isinstance(truth, str) or not texts:
        raise ValueError("expected truth_sha256 and a list patients_sha256")
    return PatientDigests(truth, tuple(patients or ()))


def chosen_on(name: str, patients: PatientDigests | None) -> dict[str, Any]:
    """Return the field of `info` that says on whom one of `CHOSEN` was chosen, {} for nobody."""
    return {} if patients is None else {f"{name}_chosen_on": patients.to_json()}


@dataclass(frozen=True)
class Overlap:
    """Something that was chosen on patients it is now evaluated on.

    Attributes:
        what: was chosen.
        patients: how many of the evaluated patients it was chosen on.
    """

    what: str
    patients: int


def chosen_on_evaluated(info: Mapping[str, Any], patients: Iterable[str]) -> tuple[Overlap, ...]:
    """Return what a boxes or nodes file says was chosen on patients that are being evaluated.

    Args:
        info: of the file; thresholds that came from elsewhere name nobody.
        patients: pseudonyms in the truth that is evaluated on.

    Raises:
        InputError: a list of digests is laid out otherwise.
    """
    here = {patient_digest(patient) for patient in patients}
    found = []
    for name, what in CHOSEN.items():
        digests = _digests_of(info, f"{name}_chosen_on")
        if digests is None:
            continue
        if shared := len(here & set(digests.patients_sha256)):
            found.append(Overlap(what, shared))
    return tuple(found)


def _digests_of(info: Mapping[str, Any], key: str) -> PatientDigests | None:
    try:
        return digests_from_json(info.get(key))
    except ValueError as error:
        raise InputError(
            f"info.{key}",
            expected=str(error).removeprefix("expected "),
            got="something else",
            remedy="Write the file again with lnmdetect.",
        ) from None
