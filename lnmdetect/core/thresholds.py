"""Operating thresholds and temperatures, and where they came from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnmdetect.core.patient_digests import PatientDigests, digests_from_json


@dataclass(frozen=True)
class Threshold:
    """An operating threshold in [0, 1] and where it came from; `patients` None: not told."""

    value: float
    rule: str
    chosen_on: str
    patients: PatientDigests | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:
            raise ValueError(f"threshold: expected a value in [0, 1], got {self.value}")

    @property
    def described(self) -> str:
        """Where it came from, in words."""
        return f"{self.rule}, chosen on {self.chosen_on}"


@dataclass(frozen=True)
class Temperature:
    """What a classifier's logits are divided by, above 0, and where it came from."""

    value: float = 1.0
    fitted_on: str = "none: as trained"
    patients: PatientDigests | None = None

    def __post_init__(self) -> None:
        if not 0 < self.value < math.inf:
            raise ValueError(f"temperature: expected a value above 0, got {self.value}")


def threshold_from_json(stored: Mapping[str, Any]) -> Threshold:
    """Return the threshold of a bundle's config.

    Raises:
        TypeError, ValueError: a field is missing, unknown or not what it should be.
    """
    return Threshold(**{**stored, "patients": digests_from_json(stored.get("patients"))})


def temperature_from_json(stored: Mapping[str, Any] | None) -> Temperature:
    """Return the temperature of a bundle's config, 1 where it has none.

    Raises:
        TypeError, ValueError: a field is missing, unknown or not what it should be.
    """
    if stored is None:
        return Temperature()
    return Temperature(**{**stored, "patients": digests_from_json(stored.get("patients"))})


def chosen_to_json(chosen: Threshold | Temperature) -> dict[str, Any]:
    """Return a threshold or a temperature as a bundle's config holds it."""
    fields = {name: value for name, value in vars(chosen).items() if name != "patients"}
    return fields if chosen.patients is None else {**fields, "patients": chosen.patients.to_json()}
