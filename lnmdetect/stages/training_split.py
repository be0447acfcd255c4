"""Who is trained on, who chooses epoch and threshold, and who is not touched: split.json."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.folds import TEST, TRAIN, Fold, FoldSet, fold_part
from lnmdetect.core.records import CocoDataset
from lnmdetect.core.ultrasound import UltrasoundDataset
from lnmdetect.datasets.splits import Cohort, PatientSplit, named_split, split_patients
from lnmdetect.io.fold_file import read_folds
from lnmdetect.io.json_files import read_json, sha256_of_file, write_json
from lnmdetect.stages.fold_fit import require_no_shared_patient, require_same_patients


@dataclass(frozen=True)
class DrawnSplit:
    """How patients are dealt: the `validation` ones by name, else a `share` drawn with `seed`."""

    share: float
    seed: int
    validation: tuple[str, ...] | None = None


@dataclass(frozen=True)
class HeldOut:
    """The fold that a training does not touch.

    Attributes:
        fold: its name; patients: those in it.
        folds_file, sha256: of the file that names it.
        folds: how many the file has.
        warning: why figures on it are optimistic; None where they are not.
        same_truth: whether the folds were made from the very file that is trained on.
    """

    fold: str
    patients: tuple[str, ...]
    folds_file: str
    sha256: str
    folds: int
    warning: str | None
    same_truth: bool

    def described(self) -> dict[str, str]:
        """Return what a bundle's card says of it."""
        held = f"fold {self.fold} of {self.folds_file} ({len(self.patients)} patients)"
        warning = {} if self.warning is None else {"warning": f"the folds are {self.warning}"}
        return {"held out": held, "sha256 of the folds file": self.sha256, **warning}

    def notes(self) -> tuple[str, ...]:
        """Return what must be known of the folds, as sentences."""
        notes = [] if self.warning is None else [f"the folds are {self.warning}"]
        if not self.same_truth:
            notes.append(
                f"{self.folds_file} was made from another version of the truth file; the patients "
                "are the same, so it was used"
            )
        return tuple(notes)


def hold_out(
    truth: CocoDataset, data: Path, folds_file: Path | None, fold: str | None
) -> tuple[CocoDataset, HeldOut | None]:
    """Return the part that may be trained on, and what is held out; all of it without folds.

    The part `test` is never trained on, whichever fold is held out.

    Raises:
        UsageError: one of the folds file and the fold is missing.
        InputError: the file does not fit the data, or has no such fold.
    """
    named = _named_fold(truth, data, folds_file, fold)
    return (truth, None) if named is None else (fold_part(truth, named[0]), named[1])


def hold_out_cases(
    dataset: UltrasoundDataset, data: Path, folds_file: Path | None, fold: str | None
) -> tuple[UltrasoundDataset, HeldOut | None]:
    """Return the ultrasound cases that may be trained on, and what is held out.

    Cases that their own file puts into the split `test` are never trained on.

    Raises:
        UsageError, InputError: as `hold_out`.
    """
    named = _named_fold(dataset, data, folds_file, fold)
    tested = {case.patient for case in dataset.cases if case.split == TEST}
    if named is not None:
        patients = {patient for part in named[0] for patient in part.patients}
        return dataset.subset(patients - tested), named[1]
    if not tested:
        return dataset, None
    held_out = HeldOut(
        fold=TEST,
        patients=tuple(sorted(tested)),
        folds_file=data.name,
        sha256=sha256_of_file(data),
        folds=len({case.split for case in dataset.cases}),
        warning=None,
        same_truth=True,
    )
    return dataset.subset(set(dataset.patients()) - tested), held_out


def _named_fold(
    truth: CocoDataset | UltrasoundDataset, data: Path, folds_file: Path | None, fold: str | None
) -> tuple[list[Fold], HeldOut] | None:
    """Return the folds that may be trained on, and what is held out; None without folds.

    Raises:
        UsageError, InputError: see `hold_out`.
    """
    if folds_file is None and fold is None:
        return None
    if folds_file is None or fold is None:
        raise UsageError(
            "--fold",
            expected="both --folds and --fold, or neither",
            got="--folds alone" if fold is None else "--fold alone",
            remedy="Make folds with lnmdetect split, and name the one to hold out.",
        )
    folds = read_folds(folds_file)
    require_same_patients(folds, truth, data, folds_file)
    require_no_shared_patient(folds, folds_file)
    held = next((part for part in folds.folds if part.name == fold), None)
    if held is None or fold == TRAIN:
        known = [name for name in folds.names if name != TRAIN]
        raise InputError(
            "--fold",
            expected=f"one of {', '.join(known)}, the folds of {folds_file.name}",
            got=fold if len(fold) < 20 else "another name",
            remedy="Name the fold to hold out; the training takes the others.",
        )
    others = [part for part in folds.folds if part.name not in (fold, TEST)]
    if not others:
        _refuse_without_training(folds_file, fold)
    return others, _described(folds, folds_file, fold, data)


def _refuse_without_training(folds_file: Path, fold: str) -> None:
    raise InputError(
        folds_file.name,
        expected="another fold to train on",
        got=f"none beside {fold} and {TEST}",
        remedy="Deal the data into more folds.",
    )


def _described(folds: FoldSet, folds_file: Path, fold: str, data: Path) -> HeldOut:
    (held,) = (part for part in folds.folds if part.name == fold)
    return HeldOut(
        fold=fold,
        patients=held.patients,
        folds_file=folds_file.name,
        sha256=sha256_of_file(folds_file),
        folds=len(folds.folds),
        warning=folds.warning,
        same_truth=folds.truth_sha256 in ("", sha256_of_file(data)),
    )


def split_of_run(
    path: Path, truth: Cohort, held_out: HeldOut | None, *, resumes: Path | None, drawn: DrawnSplit
) -> PatientSplit:
    """Return the split of the run that is resumed, or a new one, which is written.

    Args:
        path: split.json of the run's folder.
        truth: what may be trained on.
        held_out: what may not.
        resumes: the data file of the run that is resumed; None begins a new one.
        drawn: how a new split is made.

    Raises:
        InputError: see `stored_split`, `split_patients` and `named_split`.
    """
    if resumes is not None and path.is_file():
        return stored_split(truth, path, resumes)
    if drawn.validation is None:
        split = split_patients(truth.patients(), drawn.share, drawn.seed)
    else:
        split = named_split(truth, drawn.validation)
    return write_split(split, path, held_out)


def write_split(split: PatientSplit, path: Path, held_out: HeldOut | None) -> PatientSplit:
    """Return a new split of the patients that may be trained on, which is written to `path`."""
    record: dict[str, Any] = dict(vars(split))
    if held_out is not None:
        record |= {
            "test": held_out.patients,
            "fold": held_out.fold,
            "folds": {"file": held_out.folds_file, "sha256": held_out.sha256},
            "warning": held_out.warning,
        }
    write_json(record, path, overwrite=True)
    return split


def stored_split(truth: Cohort, path: Path, data: Path) -> PatientSplit:
    """Return the split of the run that is resumed.

    Raises:
        InputError: the patients that may be trained on are not those the run began with.
    """
    stored = read_json(path)
    split = PatientSplit(tuple(stored["training"]), tuple(stored["validation"]))
    begun_with, there = {*split.training, *split.validation}, set(truth.patients())
    if begun_with != there:
        raise InputError(
            data.name,
            expected=f"the {len(begun_with)} patients the run began with",
            got=f"{len(there - begun_with)} others and {len(begun_with - there)} fewer",
            remedy="Resume with the same data and fold, or start a new run with --overwrite.",
        )
    return split
