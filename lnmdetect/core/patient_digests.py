"""Which patients a model has seen, told by digests instead of names."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

DIGEST_DIGITS = 16
"""Hexadecimal digits kept of a patient's SHA-256: 64 bits, no two patients alike by chance."""
THRESHOLD_CHOSEN = "the operating threshold was chosen on"
SEEN: Mapping[str, str] = {
    "detector_trained_on": "the detector was trained on",
    "operating_threshold_chosen_on": THRESHOLD_CHOSEN,
    "detector_int8_calibrated_on": "the detector's int8 form was calibrated on",
    "classifier_trained_on": "the classifier was trained on",
    "classifier_threshold_chosen_on": "the classifier's threshold was chosen on",
    "classifier_temperature_chosen_on": "the classifier's temperature was fitted on",
    "segmenter_trained_on": "the segmenter was trained on",
    "voxel_threshold_chosen_on": "the segmenter's threshold on voxels was chosen on",
    "fusion_trained_on": "the fusion network was trained on",
    "fusion_threshold_chosen_on": "the fusion network's threshold was chosen on",
}
"""Fields of a prediction file's `info` that tell patients, and what they were used for."""


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

    def with_those_of(self, other: "PatientDigests | None") -> "PatientDigests":
        """Return these and the other's patients, told as of this truth file."""
        if other is None:
            return self
        both = {*self.patients_sha256, *other.patients_sha256}
        return PatientDigests(self.truth_sha256, tuple(sorted(both)))

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
    """Return the field of `info` that says on whom a number was chosen, {} where nobody knows."""
    return {} if patients is None else {f"{name}_chosen_on": patients.to_json()}


def trained_on(arm: str, patients: PatientDigests | None) -> dict[str, Any]:
    """Return the field of `info` that says on whom a model was trained, {} where nobody knows."""
    return {} if patients is None else {f"{arm}_trained_on": patients.to_json()}


def calibrated_on(arm: str, patients: PatientDigests | None) -> dict[str, Any]:
    """Return the field of `info` that says on whom a model's int8 form was calibrated, or {}."""
    return {} if patients is None else {f"{arm}_int8_calibrated_on": patients.to_json()}


@dataclass(frozen=True)
class Overlap:
    """Patients that a model has seen and is now evaluated on.

    Attributes:
        what: a value of `SEEN`: what they were used for.
        patients: how many of those evaluated.
    """

    what: str
    patients: int


def seen_and_evaluated(info: Mapping[str, Any], patients: Iterable[str]) -> tuple[Overlap, ...]:
    """Return for what a prediction file says that patients to be evaluated were used.

    Args:
        info: of the file; a threshold that came from elsewhere names nobody.
        patients: pseudonyms in the truth that is evaluated on.

    Raises:
        ValueError: a field of `SEEN` is laid out otherwise; readers of files have made sure.
    """
    here = {patient_digest(patient) for patient in patients}
    found = []
    for field, what in SEEN.items():
        digests = digests_from_json(info.get(field))
        if digests is None:
            continue
        if shared := len(here & set(digests.patients_sha256)):
            found.append(Overlap(what, shared))
    return tuple(found)
