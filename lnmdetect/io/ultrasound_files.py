"""ultrasound.json: the cases of the ultrasound arm, and where their images lie."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast, get_args

from lnmdetect import __version__
from lnmdetect.core.errors import InputError
from lnmdetect.core.ultrasound import (
    MAX_AGE_YEARS,
    PEAK,
    Finding,
    ImagePlace,
    Label,
    RepeatError,
    Sex,
    Split,
    UltrasoundCase,
    UltrasoundDataset,
    image_fields,
)
from lnmdetect.io.file_kinds import ULTRASOUND_CASES, require_kind
from lnmdetect.io.json_fields import JsonObject, describe
from lnmdetect.io.json_files import read_json, write_json
from lnmdetect.io.pixel_roots import scan_root
from lnmdetect.io.ultrasound_pixels import require_readable

ULTRASOUND = "ultrasound.json"
_DESCRIPTION = "Ultrasound cases: B-mode, CEUS and the clinical finding. Research use only."
_FIELDS = tuple(UltrasoundCase.__dataclass_fields__)


def read_ultrasound(path: Path, *, scan: Path | None = None) -> UltrasoundDataset:
    """Return the cases of an ultrasound file, whose images are there and fit their frames.

    Of the images only headers are read; `io.ultrasound_pixels.read_frame` reads their pixels.

    Args:
        path: ultrasound.json.
        scan: where the images lie, if not where the file says.

    Raises:
        InputError: the file is no ultrasound.json; a record of it cannot be used, has an image that
            is missing or cannot be read, or contradicts another: two labels for one case or image,
            a patient in two splits. The message names the record.
        MissingExtraError: no installed codec reads an image's compression.
    """
    dataset, records = read_records(path)
    root = image_root(path, dataset, scan)
    for case, record in zip(dataset.cases, records, strict=True):
        _require_images(case, record, root)
    return dataset


def read_records(path: Path) -> tuple[UltrasoundDataset, list[JsonObject]]:
    """Return the cases of an ultrasound or fused file, and the record of each; no image is needed.

    Raises:
        InputError: as `read_ultrasound`, but for what is wrong with images.
    """
    data = read_json(path)
    require_kind(data, ULTRASOUND_CASES, path.name)
    top = JsonObject.at(f"{path.name}:", data)
    info = top.child("info") if top.has("info") else JsonObject(top.place("info"), {})
    if info.has("scan_root"):
        info.text("scan_root")
    records = top.children("cases")
    cases = tuple(map(_case, records))
    places = {id(case): record for case, record in zip(cases, records, strict=True)}
    try:
        dataset = UltrasoundDataset(
            {**info.values, "phantom": info.flag("phantom")}, cases, top.without(("info", "cases"))
        )
    except RepeatError as error:
        first = places[id(error.first)].where.rsplit(" ", 1)[-1]
        record = places[id(error.case)]
        record.refuse(error.field, error.expected, got=f"{error.got} (as {first} has it)")
    return dataset, records


def image_root(path: Path, dataset: UltrasoundDataset, scan: Path | None = None) -> Path:
    """Return the folder from which the file names of the images start.

    That is `scan` if given, else `info.scan_root` of the file, else the file's own folder.

    Raises:
        InputError: nothing is there.
    """
    return scan_root(path, dataset, scan)


def lists_ultrasound(path: Path) -> bool:
    """Return whether a JSON file lists ultrasound cases: objects of which one has a finding.

    Raises:
        InputError: the file is not JSON.
    """
    content = read_json(path)
    cases = content.get("cases") if isinstance(content, dict) else None
    return isinstance(cases, list) and any(isinstance(c, dict) and "finding" in c for c in cases)


def _case(record: JsonObject) -> UltrasoundCase:
    age = record.optional("age_years", record.number)
    if age is not None and not 0 <= age < MAX_AGE_YEARS:
        record.refuse("age_years", "an age in years")
    bmode, ceus = _images(record)
    return UltrasoundCase(
        case_id=record.text("case_id"),
        patient=record.text("patient"),
        bmode=bmode,
        ceus=ceus,
        finding=cast(Finding, _one_of(record, "finding", get_args(Finding))),
        label=cast(Label | None, record.optional("label", _chosen(record, get_args(Label)))),
        age_years=age,
        sex=cast(Sex | None, record.optional("sex", _chosen(record, get_args(Sex)))),
        location=record.optional("location", record.text),
        max_size_mm=record.optional("max_size_mm", record.positive),
        split=cast(Split | None, record.optional("split", _chosen(record, get_args(Split)))),
        extra=record.without(_FIELDS),
    )


def _images(record: JsonObject) -> tuple[ImagePlace | None, tuple[ImagePlace, ...]]:
    """Return B-mode and CEUS of a case, of which no two are the same image."""
    bmode = _place(record.child("bmode")) if record.has("bmode") else None
    ceus = tuple(map(_place, record.children("ceus"))) if record.has("ceus") else ()
    fields: dict[tuple[str, int | str], str] = {}
    for field, place in image_fields(bmode, ceus):
        first = fields.setdefault(place.image, field)
        if first != field:
            record.refuse(field, "each image once in a case", got=f"that of {first} again")
    return bmode, ceus


def _place(record: JsonObject) -> ImagePlace:
    frame: int | Literal["peak"] | None = None
    if record.has("frame"):
        is_peak = record.values["frame"] == PEAK
        frame = PEAK if is_peak else _frame_number(record)
    return ImagePlace(record.relative_path("file_name"), frame)


def _frame_number(record: JsonObject) -> int:
    if isinstance(record.values["frame"], str):
        record.refuse("frame", 'a whole number of 1 or more, or "peak"')
    return record.integer("frame", at_least=1)


def _chosen(record: JsonObject, known: tuple[str, ...]) -> Callable[[str], str]:
    return lambda key: _one_of(record, key, known)


def _one_of(record: JsonObject, key: str, known: tuple[str, ...]) -> str:
    value = record.values.get(key)
    if isinstance(value, list):
        record.refuse(key, f"one of {', '.join(known)}", got=f"{len(value)} of them")
    if value not in known:
        got = describe(value) if key in record.values else "no such field"
        record.refuse(key, f"one of {', '.join(known)}", got=got)
    return cast(str, value)


def _require_images(case: UltrasoundCase, record: JsonObject, root: Path) -> None:
    """Refuse an image that cannot be read, by the name of its record.

    Raises:
        InputError, MissingExtraError: as `require_readable`.
    """
    for field, place in case.places():
        try:
            require_readable(root, place)
        except InputError as error:
            raise type(error)(
                record.place(field), expected=error.expected, got=error.got, remedy=error.remedy
            ) from None


def write_ultrasound(dataset: UltrasoundDataset, path: Path, *, overwrite: bool = False) -> None:
    """Write the cases; the same cases give the same bytes.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    write_json(ultrasound_to_json(dataset), path, overwrite=overwrite)


def ultrasound_to_json(dataset: UltrasoundDataset) -> dict[str, Any]:
    """Return the cases as data_specs/ultrasound.schema.json has them."""
    info = {
        "description": dataset.info.get("description", _DESCRIPTION),
        "lnmdetect_version": dataset.info.get("lnmdetect_version", __version__),
        "phantom": dataset.is_phantom,
    }
    others = {key: value for key, value in dataset.info.items() if key not in info}
    cases = [case_to_json(case) for case in dataset.cases]
    return {"info": {**info, **others}, "cases": cases, **dataset.extra}


def case_to_json(case: UltrasoundCase) -> dict[str, Any]:
    """Return the `cases[]` object of a case."""
    return {
        "case_id": case.case_id,
        "patient": case.patient,
        "bmode": None if case.bmode is None else _place_to_json(case.bmode),
        "ceus": [_place_to_json(place) for place in case.ceus],
        "finding": case.finding,
        "label": case.label,
        "age_years": case.age_years,
        "sex": case.sex,
        "location": case.location,
        "max_size_mm": case.max_size_mm,
        "split": case.split,
        **case.extra,
    }


def _place_to_json(place: ImagePlace) -> dict[str, Any]:
    return {"file_name": place.file_name, "frame": place.frame}
