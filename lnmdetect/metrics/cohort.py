"""Whose the images are, and the resamples of these patients."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.resampling import Resamples


@dataclass(frozen=True)
class Cohort:
    """I images of P patients.

    Attributes:
        patient_of_image: (I,) place of each image's patient, in [0, P).
        scan_of_image: (I,) place of each image's scan; a scan is of one patient.
        resamples: of the P patients.
    """

    patient_of_image: NDArray[np.int64]
    scan_of_image: NDArray[np.int64]
    resamples: Resamples

    def __post_init__(self) -> None:
        if self.patient_of_image.shape != self.scan_of_image.shape:
            raise ValueError("cohort: expected one patient and one scan for each image")
        places = self.patient_of_image
        if len(places) and not 0 <= places.min() <= places.max() < self.patients:
            raise ValueError(f"cohort: expected patients in 0..{self.patients - 1}")

    @classmethod
    def without_patients(cls, images: int) -> "Cohort":
        """Return the cohort of images nothing is known about: figures get no interval."""
        nobody = np.zeros(images, dtype=np.int64)
        return cls(nobody, nobody, Resamples(1, count=0))

    @property
    def patients(self) -> int:
        """P."""
        return self.resamples.patients

    def per_patient(self, images: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (P,) how many of N things, given by their (N,) images, each patient has."""
        owners = self.patient_of_image[images]
        return np.bincount(owners, minlength=self.patients).astype(np.float64)

    @cached_property
    def images_each(self) -> NDArray[np.float64]:
        """(P,) images of each patient."""
        return self.per_patient(np.arange(len(self.patient_of_image)))

    @cached_property
    def scans_each(self) -> NDArray[np.float64]:
        """(P,) scans of each patient."""
        _, first = np.unique(self.scan_of_image, return_index=True)
        return self.per_patient(first)
