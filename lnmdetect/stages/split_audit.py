"""`lnmdetect split --audit`: what stands in two folds and should not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import ImageRecord
from lnmdetect.core.wording import counted
from lnmdetect.datasets.leaks import (
    PLACE_OF_COPY,
    Leak,
    Part,
    copies_apart,
    count_of,
    field_of,
    patient_key,
    placed,
    series_key,
    shared,
    slice_key,
    study_key,
)
from lnmdetect.stages.audit_parts import AuditParts, open_parts
from lnmdetect.stages.audit_pixels import (
    MOST_NEAR_COPIES_SOUGHT,
    Readings,
    near_copies,
    read_pixels,
)

KeyOf = Callable[[int, ImageRecord], object | None]


@dataclass(frozen=True)
class AuditRequest:
    """What to compare.

    Attributes:
        files: one folds file, or several truth files, one a part.
        truth: of the folds file; None looks near it for the one that it names.
        scan: where the pixels are; None takes each truth file's `info.scan_root`.
        strict: warnings count as leaks.
    """

    files: tuple[Path, ...]
    truth: Path | None = None
    scan: Path | None = None
    strict: bool = False


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes:
        compared: how many slices; None where the check was not made, and `remark` says why.
        found: leaks, or warnings where `only_warns`.
    """

    name: str
    compared: int | None
    found: int = 0
    only_warns: bool = False
    remark: str = ""


@dataclass(frozen=True)
class AuditedPart:
    """A part in numbers."""

    name: str
    patients: int
    images: int


@dataclass(frozen=True)
class AuditResult:
    """What was compared and what was found.

    Attributes:
        warning: of the folds file, where its deal is optimistic by design.
    """

    parts: tuple[AuditedPart, ...]
    checks: tuple[Check, ...]
    leaks: tuple[Leak, ...]
    warnings: tuple[Leak, ...]
    notes: tuple[str, ...]
    warning: str | None
    strict: bool

    @property
    def failed(self) -> bool:
        """Whether anything stands in two parts that should not."""
        return bool(self.leaks or (self.strict and self.warnings))


def audit(request: AuditRequest, progress: Progress = SILENT) -> AuditResult:
    """Return what stands in two parts, and which comparisons could be made.

    Raises:
        UsageError: the truth file of the folds is not given and not near them.
        InputError: a file is unsound, or `scan` holds none of its slices.
    """
    opened = open_parts(request.files, request.truth)
    readings = read_pixels(opened, request.scan, progress)
    found = [*_record_checks(opened.parts, readings), *_pixel_checks(opened.parts, readings)]
    return AuditResult(
        parts=tuple(
            AuditedPart(part.name, len({i.patient for i in part.images}), len(part.images))
            for part in opened.parts
        ),
        checks=tuple(check for check, _ in found),
        leaks=tuple(leak for check, leaks in found if not check.only_warns for leak in leaks),
        warnings=tuple(leak for check, leaks in found if check.only_warns for leak in leaks),
        notes=(*opened.notes, *_notes(opened, readings)),
        warning=opened.warning,
        strict=request.strict,
    )


Found = tuple[Check, list[Leak]]


def _record_checks(parts: tuple[Part, ...], readings: Readings) -> Iterator[Found]:
    alike = _anonymised_alike(parts, readings)
    yield _check("patient", parts, patient_key)
    yield _header_patients(parts, readings, alike)
    study = _study_of(parts, readings, alike)
    yield _check("study", parts, study, "no file and no header that was found names one")
    yield _check("series", parts, series_key, "no file names one")
    yield _check("slice (SOP instance or file)", parts, slice_key(parts))
    copies = copies_apart(parts)
    marked = count_of(parts, lambda _, image: field_of(image, PLACE_OF_COPY))
    remark = "" if marked else f"no image carries {PLACE_OF_COPY}"
    yield Check("augmented copy", marked or None, len(copies), remark=remark), copies


def _check(name: str, parts: tuple[Part, ...], key_of: KeyOf, missing: str = "") -> Found:
    leaks = shared(name, parts, placed(parts), key_of)
    compared = count_of(parts, key_of)
    return Check(name, compared or None, len(leaks), remark="" if compared else missing), leaks


def _anonymised_alike(parts: tuple[Part, ...], readings: Readings) -> bool:
    """Return whether the headers of more than a few patients all name one: they tell nothing."""
    patients = {image.patient for _, image in placed(parts)}
    return len({patient for _, patient in readings.studies.values()}) == 1 and len(patients) > 2


def _header_patients(parts: tuple[Part, ...], readings: Readings, alike: bool) -> Found:
    """Return who stands in two parts under two pseudonyms, by the headers; a warning only.

    Ids in headers may have been made equal for reasons of their own.
    """

    def key(place: int, image: ImageRecord) -> object | None:
        named = readings.studies.get((parts[place].file, image.image_id), ("", ""))[1]
        return None if alike or not named else named

    leaks = shared("patient id in the headers", parts, placed(parts), key)
    leaks = [leak for leak in leaks if len(leak.patients) > 1]
    compared = count_of(parts, key)
    why = "the headers of all name the same one" if alike else "no header was found that names one"
    name = "patient under two pseudonyms, by the headers"
    remark = "" if compared else why
    return Check(name, compared or None, len(leaks), only_warns=True, remark=remark), leaks


def _study_of(parts: tuple[Part, ...], readings: Readings, alike: bool) -> KeyOf:
    """Return a function that gives the study of the header, else the one that the file names."""

    def key(place: int, image: ImageRecord) -> object | None:
        header = None if alike else readings.studies.get((parts[place].file, image.image_id))
        return study_key(place, image) if header is None else header

    return key


def _pixel_checks(parts: tuple[Part, ...], readings: Readings) -> Iterator[Found]:
    names = ("identical pixels, also mirrored or turned", "nearly identical pixels")
    if not readings.read:
        why = "pixels were NOT compared: " + ("; ".join(readings.missing) or "no slice was found")
        yield Check(names[0], None, remark=why), []
        yield Check(names[1], None, only_warns=True, remark="as above"), []
        return

    def digest(place: int, image: ImageRecord) -> object | None:
        return readings.digests.get((parts[place].file, image.image_id))

    same = shared("identical pixels", parts, placed(parts), digest)
    yield Check(names[0], len(readings.digests), len(same), remark=_left_out(readings)), same
    if len(readings.digests) > MOST_NEAR_COPIES_SOUGHT:
        why = f"not sought among more than {MOST_NEAR_COPIES_SOUGHT} slices"
        yield Check(names[1], None, only_warns=True, remark=why), []
        return
    near = near_copies(parts, readings)
    yield Check(names[1], len(readings.digests), len(near), only_warns=True), near


def _left_out(readings: Readings) -> str:
    remarks = []
    if readings.blank:
        remarks.append(f"{counted(readings.blank, 'slice')} without tissue left out")
    if readings.unread:
        remarks.append(f"{counted(readings.unread, 'slice')} could not be read")
    return "; ".join([*remarks, *readings.missing])


def _notes(opened: AuditParts, readings: Readings) -> Iterator[str]:
    if not readings.read:
        yield "pixels were NOT compared; name the scans' place with --scan"
    elif readings.unread or readings.missing:
        slices = sum(len(part.images) for part in opened.parts)
        yield f"pixels were compared for {readings.read} of {slices} slices only"
