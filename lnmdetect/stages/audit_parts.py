"""The parts that an audit compares: the folds of one truth file, or several truth files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lnmdetect.core.errors import UsageError
from lnmdetect.core.folds import FoldSet, fold_part
from lnmdetect.core.records import CocoDataset
from lnmdetect.core.wording import counted
from lnmdetect.datasets.leaks import Part
from lnmdetect.io.coco import read_coco
from lnmdetect.io.fold_file import lists_folds, read_folds
from lnmdetect.io.json_files import sha256_of_file


@dataclass(frozen=True)
class AuditParts:
    """What is compared.

    Attributes:
        parts: at least two.
        sources: truth file and data set of each part, for its pixels.
        notes: what was seen while the files were read.
    """

    parts: tuple[Part, ...]
    sources: tuple[tuple[Path, CocoDataset], ...]
    notes: tuple[str, ...] = ()
    warning: str | None = None


def open_parts(files: Sequence[Path], truth: Path | None) -> AuditParts:
    """Return the parts of a folds file and its truth file, or those of several truth files.

    Raises:
        UsageError: there is one file and no truth file that belongs to it.
        InputError: a file is unsound.
    """
    if len(files) == 2 and truth is None and lists_folds(files[0]):
        files, truth = files[:1], files[1]
    if len(files) > 1 and truth is None:
        return _truth_files(files)
    if len(files) > 1:
        raise UsageError(
            "--audit",
            expected="one folds file beside --truth, or several truth files without it",
            got=f"{len(files)} files and --truth",
            remedy="Leave --truth out to compare the files with each other.",
        )
    (folds_file,) = files
    folds = read_folds(folds_file)
    return _folds(folds, folds_file, truth or _truth_beside(folds, folds_file))


def _truth_beside(folds: FoldSet, folds_file: Path) -> Path:
    name = folds.truth_file
    for folder in (folds_file.parent, folds_file.parent.parent, Path()):
        if name and (folder / name).is_file():
            return folder / name
    raise UsageError(
        "--truth",
        expected=f"the truth file of which {folds_file.name} deals the patients",
        got=f"none, and no {name} near it" if name else "none",
        remedy="Give it with --truth truth.json; or give several truth files, one a fold.",
    )


def _folds(folds: FoldSet, folds_file: Path, truth: Path) -> AuditParts:
    data = read_coco(truth)
    held = [fold_part(data, [fold]) for fold in folds.folds]
    parts = tuple(
        Part(f"fold {fold.name}", part.images, file=truth.name, place=truth.parent.as_posix())
        for fold, part in zip(folds.folds, held, strict=True)
    )
    notes = []
    if folds.truth_sha256 not in ("", sha256_of_file(truth)):
        notes.append(f"{truth.name} is not the file that {folds_file.name} was made from")
    listed = {image.image_id for part in held for image in part.images}
    if outside := len(data.images) - len(listed):
        notes.append(f"{counted(outside, 'image')} of {truth.name} in no fold")
    if lost := len(folds.patients() - set(data.patients())):
        notes.append(f"{counted(lost, 'patient')} of {folds_file.name} not in {truth.name}")
    return AuditParts(parts, ((truth, data),) * len(parts), tuple(notes), folds.warning)


def _truth_files(files: Sequence[Path]) -> AuditParts:
    """Return one part a file, under its name and, where names repeat, its number."""
    repeated = Counter(path.name for path in files)
    parts, sources = [], []
    for number, path in enumerate(files, start=1):
        data = read_coco(path)
        name = path.name if repeated[path.name] == 1 else f"{path.name} ({number})"
        place = (path.parent / str(data.info.get("scan_root", "."))).resolve()
        parts.append(Part(name, data.images, file=str(number), place=place.as_posix()))
        sources.append((path, data))
    return AuditParts(tuple(parts), tuple(sources))
