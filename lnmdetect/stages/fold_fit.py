"""Whether a folds file fits a truth file; asked before anything is trained or written."""

from pathlib import Path

from lnmdetect.core.errors import InputError
from lnmdetect.core.folds import FoldSet
from lnmdetect.core.records import CocoDataset
from lnmdetect.core.ultrasound import UltrasoundDataset


def require_same_patients(
    folds: FoldSet, truth: CocoDataset | UltrasoundDataset, data: Path, folds_file: Path
) -> None:
    """Return nothing where folds and truth file know the same patients (or images).

    Raises:
        InputError: one has some that the other lacks.
    """
    if folds.by_image:
        dealt = {key for fold in folds.folds for key in fold.images or ()}
        images = truth.images if isinstance(truth, CocoDataset) else ()
        there, what = {image.join_key for image in images}, "images"
    else:
        dealt, there, what = folds.patients(), set(truth.patients()), "patients"
    if dealt == there:
        return
    named = f", made from {folds.truth_file}" if folds.truth_file else ""
    raise InputError(
        folds_file.name,
        expected=f"folds of the {len(there)} {what} of {data.name}",
        got=f"{len(there - dealt)} of them in no fold and {len(dealt - there)} others{named}",
        remedy=f"Deal this file anew: lnmdetect split {data.name}.",
    )


def require_no_shared_patient(folds: FoldSet, folds_file: Path) -> None:
    """Return nothing where no patient stands in two folds, or the file says that they do.

    Raises:
        InputError: one does, and the file does not carry the warning of the paper's deal.
    """
    shared = folds.shared_patients()
    if not shared or folds.protocol == "wang2023":
        return
    raise InputError(
        folds_file.name,
        expected="each patient in one fold",
        got=f"{len(shared)} in two or more",
        remedy="See which with lnmdetect split --audit, and deal anew with lnmdetect split.",
    )
