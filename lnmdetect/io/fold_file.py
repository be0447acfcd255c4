"""folds.json: which patients of a truth file stand in which fold."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from lnmdetect import __version__
from lnmdetect.core.folds import Balance, DealProtocol, Fold, FoldCounts, FoldSet
from lnmdetect.io.json_fields import JsonObject
from lnmdetect.io.json_files import read_json, write_json

_DESCRIPTION = {
    "by_patient": "Folds of a data set; no patient stands in two of them.",
    "wang2023": "Two parts of a data set, dealt by image: for reproduction only.",
}


def read_folds(path: Path) -> FoldSet:
    """Return the folds of a file that `split` wrote, or one laid out like it.

    Only `folds` with `name` and `patients` is needed; a patient in two folds is read as it stands.

    Raises:
        InputError: the file is not JSON, or a part of it cannot be used; names the part.
    """
    top = JsonObject.at(f"{path.name}:", read_json(path))
    info = top.child("info") if top.has("info") else JsonObject(f"{path.name}: info", {})
    truth = info.child("truth") if info.has("truth") else JsonObject(f"{path.name}: truth", {})
    records = top.children("folds")
    folds = tuple(_fold(record) for record in records)
    if not folds:
        top.refuse("folds", "at least one fold")
    for place, record in enumerate(records):
        if folds[place].name in [fold.name for fold in folds[:place]]:
            record.refuse("name", "a name that no other fold has", got="a repeated one")
    return FoldSet(
        folds,
        rule=info.optional("rule", info.text) or "",
        protocol=_protocol(info),
        warning=info.optional("warning", info.text),
        seed=info.optional("seed", info.integer),
        truth_file=truth.optional("file", truth.text) or "",
        truth_sha256=truth.optional("sha256", truth.text) or "",
        is_phantom=info.flag("phantom"),
        stratify=_texts(info, "stratify") if info.has("stratify") else (),
        site=info.optional("site", info.text),
        balance=tuple(map(_balance, top.children("balance"))) if top.has("balance") else (),
    )


def lists_folds(path: Path) -> bool:
    """Return whether a JSON file deals patients into folds, as a truth file does not.

    Raises:
        InputError: the file is not JSON.
    """
    content = read_json(path)
    return isinstance(content, dict) and "folds" in content


def _protocol(info: JsonObject) -> DealProtocol:
    value = info.optional("protocol", info.text) or "by_patient"
    for known in get_args(DealProtocol):
        if value == known:
            return known  # type: ignore[no-any-return]
    info.refuse("protocol", f"one of {', '.join(get_args(DealProtocol))}", got="another")


def _fold(record: JsonObject) -> Fold:
    name = record.text("name")
    counts = record.child("counts") if record.has("counts") else None
    fields = list(FoldCounts.__dataclass_fields__)
    return Fold(
        name,
        _texts(record, "patients"),
        _texts(record, "images") if record.has("images") else None,
        None if counts is None else FoldCounts(*(counts.integer(field) for field in fields)),
    )


def _texts(record: JsonObject, key: str) -> tuple[str, ...]:
    """Return a list of distinct texts; that of a fold may not be empty."""
    value = record.values.get(key)
    if not isinstance(value, list) or not all(isinstance(t, str) and t for t in value):
        record.refuse(key, "a list of texts")
    if not value and key != "stratify":
        record.refuse(key, "at least one; a fold without patients tests nothing")
    if len(set(value)) != len(value):
        record.refuse(key, "each one once", got="a repeated one")
    return tuple(value)


def _balance(record: JsonObject) -> Balance:
    return Balance(
        record.text("of"),
        str(record.values.get("column", "")),
        str(record.values.get("value", "")),
        record.number("deviation"),
        record.number("random_deviation"),
    )


def folds_to_json(folds: FoldSet) -> dict[str, Any]:
    """Return the folds as data_specs/folds.schema.json has them."""
    truth = {"file": folds.truth_file, "sha256": folds.truth_sha256}
    return {
        "info": {
            "description": _DESCRIPTION[folds.protocol],
            "lnmdetect_version": __version__,
            "truth": truth if folds.truth_file else None,
            "phantom": folds.is_phantom,
            "protocol": folds.protocol,
            "rule": folds.rule or None,
            "warning": folds.warning,
            "seed": folds.seed,
            "stratify": list(folds.stratify),
            "site": folds.site,
        },
        "balance": [asdict(row) for row in folds.balance],
        "folds": [_fold_to_json(fold) for fold in folds.folds],
    }


def _fold_to_json(fold: Fold) -> dict[str, Any]:
    images = {} if fold.images is None else {"images": list(fold.images)}
    counts = {} if fold.counts is None else {"counts": asdict(fold.counts)}
    return {"name": fold.name, **counts, "patients": list(fold.patients), **images}


def write_folds(folds: FoldSet, path: Path, *, overwrite: bool = False) -> None:
    """Write the folds; the same folds give the same bytes.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    write_json(folds_to_json(folds), path, overwrite=overwrite)
