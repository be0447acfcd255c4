"""Which patients of a file are answered: all, those a bundle was validated on, or unseen ones."""

from typing import Literal

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.patient_digests import PatientDigests, patient_digest
from lnmdetect.core.ultrasound import UltrasoundDataset
from lnmdetect.io.bundles import Bundle

Which = Literal["all", "validation", "unseen"]


def patients_asked(
    dataset: UltrasoundDataset, bundle: Bundle, which: Which, file: str
) -> UltrasoundDataset:
    """Return the cases of the patients that are asked for.

    Args:
        dataset: of any patients.
        bundle: names by digest whom it was trained on and who chose its epoch and threshold.
        which: `validation`: only the latter; `unseen`: neither.
        file: name of the data set's file.

    Raises:
        UsageError: the bundle does not say on whom.
        InputError: no patient is left.
    """
    if which == "all":
        return dataset
    validation = _digests(bundle, bundle.threshold.patients, which)
    seen = validation | _digests(bundle, bundle.trained_on, which)
    patients = {case.patient for case in dataset.cases}
    if which == "validation":
        kept = {name for name in patients if patient_digest(name) in validation}
    else:
        kept = {name for name in patients if patient_digest(name) not in seen}
    if not kept:
        raise InputError(
            f"{file}: cases",
            expected="patients on whom the bundle's threshold was chosen"
            if which == "validation"
            else "a patient on whom the bundle was neither trained nor tuned",
            got=f"none among {len(patients)}",
            remedy="Give the file that it was trained from, or leave --patients out.",
        )
    return dataset.subset(kept)


def _digests(bundle: Bundle, patients: PatientDigests | None, which: Which) -> set[str]:
    if patients is None:
        raise UsageError(
            "--patients",
            expected=f"a bundle that says whom it has seen, for {which!r}",
            got=f"bundle {bundle.name}, which does not",
            remedy="Leave --patients out, and give a file of the patients you want.",
        )
    return set(patients.patients_sha256)
