"""The fused.json files of an evaluation, row by row: each case once, each file's own threshold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.fused import FusedCase, FusedDataset
from lnmdetect.core.patient_digests import SEEN, Overlap, seen_and_evaluated
from lnmdetect.io.fused_files import read_fused
from lnmdetect.stages.evaluation_fused_request import FUSED, FusedRequest, RowFiles
from lnmdetect.stages.evaluation_thresholds import Threshold, one_threshold
from lnmdetect.stages.evaluation_truth import FileStamp

WORDS = {"bmode": "B-mode", "ceus": "CEUS", "finding": "finding"}
OWN_THRESHOLD = SEEN["fusion_threshold_chosen_on"]

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class ScoredCase:
    """A case of known status.

    Attributes:
        place: file and place in it, for messages.
        file: which of the files of its row it is from.
        called: called metastatic, at the threshold of its file.
    """

    place: str
    file: int
    fused: FusedCase
    called: bool

    @property
    def is_positive(self) -> bool:
        """Whether it is metastatic."""
        return self.fused.case.label == "metastatic"


@dataclass(frozen=True)
class FusedRow:
    """One row of the table.

    Attributes:
        stamps: its files, in the order given.
        modalities: what its networks are built of.
        cases: those of known status, by patient and case_id, whatever the order of the files.
        unlabelled: how many others there are.
        seen_before: for what patients that are scored were used before, file by file.
    """

    name: str
    stamps: tuple[FileStamp, ...]
    modalities: tuple[str, ...]
    phantom: bool
    threshold: Threshold
    cases: tuple[ScoredCase, ...]
    unlabelled: int
    seen_before: tuple[Overlap, ...]

    @property
    def files(self) -> str:
        """The names of its files."""
        return ", ".join(stamp.file for stamp in self.stamps)

    @property
    def patients(self) -> tuple[str, ...]:
        """The patients of its cases, by name."""
        return tuple(sorted({case.fused.case.patient for case in self.cases}))

    @property
    def used(self) -> dict[str, int]:
        """How many cases were answered from which modalities, as `bmode+finding`."""
        counts: dict[str, int] = {}
        for case in self.cases:
            key = "+".join(case.fused.modalities_used)
            counts[key] = counts.get(key, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def is_positive(self) -> Flags:
        """(N,) metastatic in truth."""
        return np.array([case.is_positive for case in self.cases], dtype=bool)

    @cached_property
    def p_metastatic(self) -> Values:
        """(N,) in [0, 1]."""
        return np.array([case.fused.probability for case in self.cases], dtype=np.float64)

    @cached_property
    def file(self) -> NDArray[np.int64]:
        """(N,) which of the files each case is from."""
        return np.array([case.file for case in self.cases], dtype=np.int64)

    @cached_property
    def called(self) -> Flags:
        """(N,) called metastatic."""
        return np.array([case.called for case in self.cases], dtype=bool)

    def places_of(self, patients: Sequence[str]) -> NDArray[np.int64]:
        """Return (N,) the place of each case's patient among `patients`."""
        place = {name: k for k, name in enumerate(patients)}
        return np.array([place[c.fused.case.patient] for c in self.cases], dtype=np.int64)


def read_rows(request: FusedRequest) -> tuple[FusedRow, ...]:
    """Return the rows of a request.

    Raises:
        InputError: a record cannot be used; files of a row share a patient or differ in their
            modalities; rows tell different things of a case, or only some are of phantoms.
        UsageError: two rows hold the same files.
    """
    rows = _with_names([_row(files, request.threshold) for files in request.rows])
    contents = [sorted(stamp.sha256 for stamp in row.stamps) for row in rows]
    for place, content in enumerate(contents):
        if content in contents[:place]:
            raise UsageError(
                FUSED,
                expected="different files in each row",
                got=f"the same content twice ({rows[place].files})",
                remedy="Give the files of two models, or of one model run in two ways.",
            )
    _check_alike(rows)
    return rows


def modality_words(modalities: Sequence[str]) -> str:
    """Return modalities in words, as `B-mode + CEUS`."""
    return " + ".join(WORDS[name] for name in modalities)


def _row(files: RowFiles, threshold: float | None) -> FusedRow:
    parts = [read_fused(path) for path in files.paths]
    _check_poolable(files.paths, parts)
    given = [_threshold(p, part, threshold) for p, part in zip(files.paths, parts, strict=True)]
    levels = [part.threshold if threshold is None else threshold for part in parts]
    cases = [
        ScoredCase(f"{path.name}: cases[{place}]", file, fused, fused.probability >= level)
        for file, (path, part, level) in enumerate(zip(files.paths, parts, levels, strict=True))
        for place, fused in enumerate(part.cases)
    ]
    known = [case for case in cases if case.fused.case.label is not None]
    known.sort(key=lambda case: (case.fused.case.patient, case.fused.case.case_id))
    return FusedRow(
        name=files.name or "",
        stamps=tuple(FileStamp.of(path) for path in files.paths),
        modalities=parts[0].modalities,
        phantom=parts[0].is_phantom,
        threshold=one_threshold(given),
        cases=tuple(known),
        unlabelled=len(cases) - len(known),
        seen_before=tuple(_seen_before(parts, replaced=threshold is not None)),
    )


def _threshold(path: Path, part: FusedDataset, replaced: float | None) -> Threshold:
    if replaced is not None:
        return Threshold(replaced, "--threshold")
    source = part.info["fusion"].get("threshold_source")
    return Threshold(part.threshold, f"{path.name}, from {source}" if source else path.name)


def _seen_before(parts: Sequence[FusedDataset], *, replaced: bool) -> Iterator[Overlap]:
    """Give for what each file's model has used patients of its own cases of known status."""
    for part in parts:
        scored = {f.case.patient for f in part.cases if f.case.label is not None}
        for overlap in seen_and_evaluated(part.info, scored):
            if not (replaced and overlap.what == OWN_THRESHOLD):
                yield overlap


def _check_poolable(paths: Sequence[Path], parts: Sequence[FusedDataset]) -> None:
    """Raise where pooled files share a patient or a case, or are not of one kind."""
    cases: dict[str, int] = {}
    patients: dict[str, int] = {}
    for file, (path, part) in enumerate(zip(paths, parts, strict=True)):
        for place, fused in enumerate(part.cases):
            case = fused.case
            for what, first in (
                ("case", cases.setdefault(case.case_id, file)),
                ("patient", patients.setdefault(case.patient, file)),
            ):
                if first != file:
                    raise InputError(
                        f"{path.name}: cases[{place}]",
                        expected="cases and patients that no other pooled file has",
                        got=f"a {what} that {paths[first].name} has too",
                        remedy="Pool files of disjoint patients, as the test folds of a "
                        "cross-validation; files without NAME= are rows of their own.",
                    )
        if part.modalities != parts[0].modalities or part.is_phantom != parts[0].is_phantom:
            raise InputError(
                f"{path.name}: info",
                expected=f"modalities and phantom as in {paths[0].name}, with which it is pooled",
                got=f"modalities {','.join(part.modalities)}, phantom {part.is_phantom}",
                remedy="Give it another NAME=.",
            )


def _with_names(rows: Sequence[FusedRow]) -> tuple[FusedRow, ...]:
    """Return the rows with a name each: the one given, else the modalities, else the file too."""
    words = [row.name or _described(row) for row in rows]
    named = [
        word if words.count(word) == 1 else f"{word} ({row.files})"
        for row, word in zip(rows, words, strict=True)
    ]
    for place, name in enumerate(named):
        named[place] = name if name not in named[:place] else f"{name} ({place + 1})"
    return tuple(replace(row, name=name) for row, name in zip(rows, named, strict=True))


def _described(row: FusedRow) -> str:
    """Return the modalities of a row's networks, and those that no answer of it rests on."""
    own = modality_words(row.modalities)
    used = {name for case in row.cases for name in case.fused.modalities_used}
    unused = [name for name in row.modalities if name not in used]
    return f"{own}, without {modality_words(unused)}" if used and unused else own


def _check_alike(rows: Sequence[FusedRow]) -> None:
    """Raise where rows contradict each other about a case, or only some are of phantoms."""
    first: dict[str, ScoredCase] = {}
    for row in rows:
        if row.phantom != rows[0].phantom:
            raise InputError(
                f"{row.stamps[0].file}: info.phantom",
                expected=f"{str(rows[0].phantom).lower()}, as in {rows[0].stamps[0].file}",
                got=str(row.phantom).lower(),
                remedy="Evaluate the two kinds apart.",
            )
        for scored in row.cases:
            other = first.setdefault(scored.fused.case.case_id, scored)
            mine, theirs = scored.fused.case, other.fused.case
            for what in ("patient", "label"):
                if getattr(mine, what) != getattr(theirs, what):
                    raise InputError(
                        scored.place,
                        expected=f"the {what} that this case has in {other.place}",
                        got="another",
                        remedy="Fuse the same ultrasound.json with each model.",
                    )
