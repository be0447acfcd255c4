"""A folder that `explain` wrote, read back: its checks, what they say, and its pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from PIL import Image

from lnmdetect.core.errors import InputError
from lnmdetect.io.json_fields import JsonObject
from lnmdetect.io.json_files import read_json
from lnmdetect.io.report_pictures import colour_uri

FILE = "explain.json"
CHECKS = (
    *("share_inside", "area_share", "share_above_area"),
    *("drop_hottest", "drop_random", "drop_above_random"),
)


@dataclass(frozen=True)
class ExplainedFolder:
    """What a report takes over.

    Attributes:
        model: its arm and name.
        method: of the heat.
        nodes_sha256: of the file whose boxes were explained.
        checks: the figures, each with the fields that it has in the file.
        sentences: what the checks say, and what a reader must know.
        pictures: file names of explained boxes; wrong and other ones take turns, surest first.
    """

    model: str
    method: str
    nodes_sha256: str
    checks: Mapping[str, Mapping[str, Any]]
    sentences: tuple[str, ...]
    pictures: tuple[str, ...]


def read_explained(folder: Path) -> ExplainedFolder:
    """Return what an `explain` folder holds.

    Raises:
        InputError: explain.json is missing there, or a field of it cannot be used.
    """
    top = JsonObject.at(f"{FILE}:", read_json(folder / FILE))
    info, checks = top.child("info"), top.child("checks")
    model = info.child("model")
    return ExplainedFolder(
        model=f"{model.text('arm')} {model.text('name')}",
        method=info.text("method"),
        nodes_sha256=info.child("nodes").text("sha256"),
        checks={name: _figure(checks.child(name)) for name in CHECKS},
        sentences=(*_texts(top, "findings"), *_texts(info, "notes")),
        pictures=_pictures(top.children("boxes")),
    )


def _pictures(boxes: list[JsonObject]) -> tuple[str, ...]:
    drawn = sorted(
        (box for box in boxes if box.has("picture")), key=lambda box: -box.number("answer")
    )
    wrong = [box for box in drawn if box.values.get("right") is False]
    others = [box for box in drawn if box.values.get("right") is not False]
    turns = chain.from_iterable(zip_longest(wrong, others))
    return tuple(box.relative_path("picture") for box in turns if box is not None)


def _figure(stored: JsonObject) -> dict[str, Any]:
    """Return a figure's fields as `metrics.figure.Figure` takes them."""
    value = stored.optional("value", stored.number)
    reason = stored.optional("reason", stored.text)
    if value is None and reason is None:
        stored.refuse("reason", "why the value is null", got="none")
    interval = None
    if stored.has("interval"):
        interval = stored.numbers("interval", 2)
    return {
        "value": value,
        "reason": reason,
        "interval": interval,
        "interval_method": stored.optional("interval_method", stored.text),
        "n": stored.optional("n", stored.integer),
    }


def _texts(parent: JsonObject, key: str) -> list[str]:
    values = parent.values.get(key)
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        parent.refuse(key, "a list of sentences")
    return list(values)


def heat_picture_uri(folder: Path, name: str) -> str:
    """Return a picture of the folder as a data URI, small enough for a page.

    Raises:
        InputError: it is not there, or no picture.
    """
    try:
        with Image.open(folder / name, formats=["PNG"]) as picture:
            return colour_uri(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"{FILE}: boxes",
            expected=f"the picture {name} beside it",
            got=f"none that can be read ({type(error).__name__})",
            remedy="Run explain again.",
        ) from None
