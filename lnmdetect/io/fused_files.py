"""fused.json: ultrasound cases with what a fusion network says of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from lnmdetect import __version__
from lnmdetect.core.errors import InputError
from lnmdetect.core.fused import FusedCase, FusedDataset
from lnmdetect.core.ultrasound import MODALITIES, UltrasoundCase, UltrasoundDataset
from lnmdetect.io.coco import check_digests
from lnmdetect.io.coco_records import class_probabilities
from lnmdetect.io.json_fields import JsonObject, describe
from lnmdetect.io.json_files import read_json, write_json
from lnmdetect.io.ultrasound_files import case_to_json, read_records

_DESCRIPTION = "Ultrasound cases with P(metastatic) of each. Research use only."
_ANSWER = ("probabilities", "modalities_used")
_OF_A_MODEL = ("fusion", "unanswered_cases", "description")
"""How the fields of `info` begin that an answer brings along."""
PROBABILITY_DIGITS = 6
"""As in nodes.json."""


def read_fused(path: Path) -> FusedDataset:
    """Return the cases and answers of a fused.json; its images need not be there.

    Raises:
        InputError: the file is no fused.json, or a record of it cannot be used; the message names
            the record.
    """
    _require_answers(path)
    dataset, records = read_records(path)
    info = JsonObject(f"{path.name}: info", dataset.info)
    _check_info(info)
    cases = map(_fused, dataset.cases, records)
    return FusedDataset(dataset.info, tuple(cases), dataset.extra)


_OTHER_FILES = (
    (
        "timings_s",
        "the record of a run",
        "Give the file that lies beside it without .run in its name.",
    ),
    ("cohort", "what eval says of such a file", "Give the fused.json that was evaluated."),
    ("annotations", "boxes of CT", "Give the fused.json, or this file with --nodes."),
    ("cases", "cases without answers", "Run `lnmdetect fuse` on it, and give what that writes."),
)
"""A field that tells what else a file is, in words, and what to do."""


def _require_answers(path: Path) -> None:
    """Raise where a file is another of lnmdetect's."""
    top = JsonObject.at(f"{path.name}:", read_json(path)).values
    info = top.get("info")
    if isinstance(info, dict) and "fusion" in info and "cases" in top:
        return
    for field, got, remedy in _OTHER_FILES:
        if field in top:
            raise InputError(path.name, expected="what `fuse` wrote", got=got, remedy=remedy)


def without_answers(dataset: UltrasoundDataset) -> UltrasoundDataset:
    """Return the cases of an ultrasound file; of a fused.json, as if no model had answered them."""
    info = {key: value for key, value in dataset.info.items() if not key.startswith(_OF_A_MODEL)}
    cases = tuple(_without_answer(case) for case in dataset.cases)
    return UltrasoundDataset(info, cases, dataset.extra)


def _without_answer(case: UltrasoundCase) -> UltrasoundCase:
    others = {key: value for key, value in case.extra.items() if key not in _ANSWER}
    return replace(case, extra=others)


def _check_info(info: JsonObject) -> None:
    fusion = info.child("fusion")
    for key in ("name", "sha256"):
        fusion.text(key)
    fusion.share("threshold")
    _modalities(fusion, "modalities", MODALITIES)
    if fusion.has("without"):
        _modalities(fusion, "without", MODALITIES)
    fusion.optional("threshold_source", fusion.text)
    info.optional("unanswered_cases", info.integer)
    check_digests(info)


def _fused(case: UltrasoundCase, record: JsonObject) -> FusedCase:
    return FusedCase(
        case=_without_answer(case),
        probability=class_probabilities(record, "probabilities")["metastatic"],
        modalities_used=_modalities(record, "modalities_used", case.modalities()),
    )


def _modalities(record: JsonObject, key: str, known: tuple[str, ...]) -> tuple[str, ...]:
    value = record.values.get(key)
    if isinstance(value, list) and value:
        in_order = [modality for modality in known if modality in value]
        if value == in_order:
            return tuple(in_order)
    got = describe(value) if key in record.values else "no such field"
    record.refuse(key, f"a list of some of {', '.join(known) or 'none'}, in that order", got=got)


def write_fused(dataset: FusedDataset, path: Path, *, overwrite: bool = False) -> None:
    """Write the cases and their answers; the same content gives the same bytes.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    write_json(fused_to_json(dataset), path, overwrite=overwrite)


def fused_to_json(dataset: FusedDataset) -> dict[str, Any]:
    """Return the cases as data_specs/fused.schema.json has them."""
    info = {
        "description": dataset.info.get("description", _DESCRIPTION),
        "lnmdetect_version": dataset.info.get("lnmdetect_version", __version__),
        "phantom": dataset.is_phantom,
    }
    others = {key: value for key, value in dataset.info.items() if key not in info}
    cases = [_fused_to_json(fused) for fused in dataset.cases]
    return {"info": {**info, **others}, "cases": cases, **dataset.extra}


def _fused_to_json(fused: FusedCase) -> dict[str, Any]:
    metastatic = round(fused.probability, PROBABILITY_DIGITS)
    return {
        **case_to_json(fused.case),
        "probabilities": {
            "benign": round(1 - metastatic, PROBABILITY_DIGITS),
            "metastatic": metastatic,
        },
        "modalities_used": list(fused.modalities_used),
    }
