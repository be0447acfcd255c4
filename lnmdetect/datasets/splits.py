"""Patients dealt out, never slices or boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lnmdetect.core.errors import InputError


class Cohort(Protocol):
    """A data set of any kind."""

    def patients(self) -> tuple[str, ...]:
        """Return its distinct patients."""
        ...


@dataclass(frozen=True)
class PatientSplit:
    """Who is trained on and who is held out for validation; no patient is in both."""

    training: tuple[str, ...]
    validation: tuple[str, ...]

    def __post_init__(self) -> None:
        both = set(self.training) & set(self.validation)
        if both:
            raise ValueError(f"split: expected each patient on one side, got {len(both)} on both")


def split_patients(patients: Sequence[str], validation_share: float, seed: int) -> PatientSplit:
    """Return a random split by patient; the order of `patients` does not matter.

    Args:
        patients: pseudonyms.
        validation_share: of the patients, rounded, at least one on either side.
        seed: of the draw.

    Raises:
        InputError: fewer than two patients.
    """
    names = sorted(set(patients))
    if len(names) < 2:
        raise InputError(
            "truth",
            expected="at least 2 patients, to train on one and validate on another",
            got=f"{len(names)}",
            remedy="Add patients; slices of one patient never stand on both sides.",
        )
    order = np.random.default_rng((seed, 3)).permutation(len(names))
    held_out = min(max(1, round(validation_share * len(names))), len(names) - 1)
    validation = {names[i] for i in order[:held_out]}
    return PatientSplit(
        tuple(name for name in names if name not in validation),
        tuple(name for name in names if name in validation),
    )


def named_split(truth: Cohort, validation: Sequence[str]) -> PatientSplit:
    """Return the split of a data set's patients whose validation patients are named.

    Raises:
        InputError: one of them is not in the data set, or none is left on a side.
    """
    there, named = set(truth.patients()), set(validation)
    if not named or named >= there or not named <= there:
        raise InputError(
            "validation patients",
            expected="some of the patients that may be trained on, and not all",
            got=f"{len(named & there)} of {len(there)}, and {len(named - there)} others",
            remedy="Name patients of the truth file.",
        )
    return PatientSplit(tuple(sorted(there - named)), tuple(sorted(named)))
