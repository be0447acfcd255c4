"""`lnmdetect split`: truth.json or ultrasound.json in; folds.json and the part of each fold out."""

from dataclasses import dataclass, replace
from pathlib import Path

from lnmdetect.core.errors import UsageError
from lnmdetect.core.folds import DealProtocol, Fold, FoldSet, fold_part
from lnmdetect.core.records import CocoDataset
from lnmdetect.core.ultrasound import UltrasoundDataset
from lnmdetect.datasets.folds import (
    DealRule,
    counted_fold,
    deal_as_wang2023,
    deal_by_patient,
    scarce_strata,
)
from lnmdetect.datasets.ultrasound_splits import as_dealt
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.fold_file import read_folds, write_folds
from lnmdetect.io.json_files import refuse_existing, sha256_of_file
from lnmdetect.io.pixel_roots import relative_root
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.io.ultrasound_files import lists_ultrasound, read_records, write_ultrasound
from lnmdetect.stages.fold_fit import require_same_patients

FOLDS = Path("folds.json")
DEFAULT_FOLDS = 5
FINER_THAN_A_PATIENT = ("study", "series", "image", "slice", "node", "box")
NO_STRATA = "none"


@dataclass(frozen=True)
class SplitRequest:
    """What to deal, and how.

    Attributes:
        folds: number of folds; None takes 5, or none beside a test share.
        by: what is never divided.
        stratify: columns to spread evenly; None takes `class`, `none` spreads patients only.
        site: column whose values each stay in one fold.
        test_share: of the patients, held out of all folds.
        folds_file: take these folds instead of dealing.
        write_truth: folder for a truth file of each fold.
    """

    truth: Path
    output: Path = FOLDS
    folds: int | None = None
    by: str = "patient"
    stratify: tuple[str, ...] | None = None
    site: str | None = None
    test_share: float | None = None
    protocol: DealProtocol = "by_patient"
    seed: int = 0
    folds_file: Path | None = None
    write_truth: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class SplitResult:
    """The folds, where they were written, and what a reader must know.

    Attributes:
        arm: what `train` can make of the file that was dealt.
    """

    folds: FoldSet
    output: Path
    truth_files: tuple[Path, ...]
    notes: tuple[str, ...]
    arm: str = "detector"


def split(request: SplitRequest) -> SplitResult:
    """Return the folds after writing folds.json (unless they were given) and the truth files.

    Raises:
        UsageError: the grouping is finer than a patient, or options contradict each other.
        InputError: the truth file is unsound, or has fewer patients than parts.
        OutputError: an output exists and `overwrite` is not set.
    """
    _require_whole_patients(request)
    if request.folds_file is None:
        refuse_existing(request.output, overwrite=request.overwrite)
    record = RunRecord("split", _config(request), seed=request.seed)
    cases = _cases(request)
    truth = read_coco(request.truth) if cases is None else as_dealt(cases)
    record.inputs[request.truth.name] = sha256_of_file(request.truth)
    folds = _folds(request, truth)
    files = _write_truth(request, truth if cases is None else cases, folds)
    if request.folds_file is None:
        write_folds(folds, request.output, overwrite=request.overwrite)
        record.lap("split")
        record.write(record_path(request.output))
    notes = () if folds.by_image else scarce_strata(folds, folds.stratify, truth)
    arm = "detector" if cases is None else "fusion"
    return SplitResult(folds, request.folds_file or request.output, files, notes, arm)


def _cases(request: SplitRequest) -> UltrasoundDataset | None:
    """Return the cases of an ultrasound file, whose images need not be here; None of a truth file.

    Raises:
        UsageError: they are to be dealt by image.
        InputError: the file is unsound.
    """
    if not lists_ultrasound(request.truth):
        return None
    if request.protocol == "wang2023":
        raise UsageError(
            "--protocol wang2023",
            expected="a truth.json, whose images the paper dealt",
            got="ultrasound cases",
            remedy="Leave --protocol out: patients are dealt whole.",
        )
    return read_records(request.truth)[0]


def _config(request: SplitRequest) -> dict[str, object]:
    return {
        "folds": request.folds,
        "by": request.by,
        "stratify": list(_columns(request)),
        "site": request.site,
        "test_share": request.test_share,
        "protocol": request.protocol,
    }


def _require_whole_patients(request: SplitRequest) -> None:
    if request.by == "patient":
        return
    if request.by in FINER_THAN_A_PATIENT:
        got = f"{request.by}, of which one patient can have several"
        remedy = (
            "What a network learns of a patient's anatomy in one fold it would meet again in "
            "another and be scored for; leave --by out."
        )
    else:
        got = request.by
        remedy = f"To keep something coarser in one fold, give --site {request.by}."
    raise UsageError("--by", expected="patient", got=got, remedy=remedy)


def _columns(request: SplitRequest) -> tuple[str, ...]:
    if request.stratify is None:
        return () if request.protocol == "wang2023" else ("class",)
    return () if request.stratify == (NO_STRATA,) else request.stratify


def _require_nothing_else(request: SplitRequest, option: str, remedy: str) -> None:
    if request.folds or request.stratify or request.site or request.test_share:
        raise UsageError(
            option,
            expected="no --folds, --stratify, --site or --test-share beside it",
            got="one of them",
            remedy=remedy,
        )


def _folds(request: SplitRequest, truth: CocoDataset) -> FoldSet:
    if request.folds_file is not None:
        _require_nothing_else(request, "--folds-file", "The file says how it was dealt.")
        folds = read_folds(request.folds_file)
        require_same_patients(folds, truth, request.truth, request.folds_file)
        return replace(folds, folds=tuple(counted_fold(truth, fold) for fold in folds.folds))
    dealt = _dealt(request, truth)
    sha256 = sha256_of_file(request.truth)
    return replace(dealt, truth_file=request.truth.name, truth_sha256=sha256)


def _dealt(request: SplitRequest, truth: CocoDataset) -> FoldSet:
    if request.protocol == "wang2023":
        parts = "The paper's deal has two parts, 70 % and 30 % of the images."
        _require_nothing_else(request, "--protocol wang2023", parts)
        return deal_as_wang2023(truth, request.seed)
    by_default = 0 if request.test_share else DEFAULT_FOLDS
    rule = DealRule(
        folds=by_default if request.folds is None else request.folds,
        seed=request.seed,
        stratify=_columns(request),
        site=request.site,
        test_share=request.test_share,
    )
    return deal_by_patient(truth, rule)


def fold_truth_name(fold: Fold, stem: str = "truth") -> str:
    """Return the name of a fold's truth file, as `truth_fold1.json` or `truth_test.json`."""
    return f"{stem}_{'fold' if fold.name.isdigit() else ''}{fold.name}.json"


def _write_truth(
    request: SplitRequest, truth: CocoDataset | UltrasoundDataset, folds: FoldSet
) -> tuple[Path, ...]:
    """Write a truth file of each fold, so that detect, classify and eval can take it."""
    if request.write_truth is None:
        return ()
    stem = "truth" if isinstance(truth, CocoDataset) else "ultrasound"
    paths = tuple(request.write_truth / fold_truth_name(fold, stem) for fold in folds.folds)
    for path in paths:
        refuse_existing(path, overwrite=request.overwrite)
    for fold, path in zip(folds.folds, paths, strict=True):
        block = {"fold": fold.name, "protocol": folds.protocol, "warning": folds.warning}
        if isinstance(truth, CocoDataset):
            part = fold_part(truth, [fold])
            info = {**part.info, **place_of_pixels(request.truth, truth, path), "split": block}
            write_coco(replace(part, info=info), path, overwrite=request.overwrite)
        else:
            root = request.truth.parent / str(truth.info.get("scan_root", "."))
            place = {"scan_root": relative_root(root, path), "split": block}
            cases = truth.subset(set(fold.patients))
            cases = replace(cases, info={**cases.info, **place})
            write_ultrasound(cases, path, overwrite=request.overwrite)
    return paths


def place_of_pixels(data: Path, truth: CocoDataset, path: Path) -> dict[str, str]:
    """Return `scan_root` as seen from `path`; PNGs are named from the truth file's own folder."""
    if any(not image.sop_instance_uid for image in truth.images):
        return {"scan_root": relative_root(data.parent, path)}
    if "scan_root" not in truth.info:  # as with keyed uids: --scan names the place
        return {}
    return {"scan_root": relative_root(data.parent / str(truth.info["scan_root"]), path)}
