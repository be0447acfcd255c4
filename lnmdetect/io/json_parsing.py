"""JSON text to values, refusing with its place what Python's reader would let pass."""

import contextlib
import gc
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from lnmdetect.core.errors import InputError

_HALF_PAIR_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_MAX_MEMORY_GB = 4.0
"""The largest files meant, 3,000 scans with 1.5 million classified boxes, take 3 GB."""
_CONTAINER_BYTES = 240
"""A list or an object with what it holds on average, in CPython."""
_VALUE_BYTES = 60
"""Any other value: a number, a short text, and the place where its list names it."""


@dataclass(frozen=True)
class _Odd:
    """A value that stands for one that is no JSON, and what to say of it."""

    got: str


def parse_json(text: str, name: str) -> Any:
    """Return what JSON text holds; `name` is its file's, for messages.

    Raises:
        InputError: it is not JSON, holds NaN or Infinity, an object with two fields of one name or
            half a surrogate pair, or would take more memory than a file of this program does.
    """
    _check_amount(text, name)
    odd: list[_Odd] = []

    def constant(word: str) -> _Odd:
        odd.append(_Odd(f"{word}, which JSON does not have"))
        return odd[-1]

    def fields(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Odd:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        odd.append(_Odd("an object with two fields of the same name"))
        return odd[-1]

    try:
        with _no_garbage_collection():
            data = json.loads(text, parse_constant=constant, object_pairs_hook=fields)
    except json.JSONDecodeError as error:
        refuse_text(name, f"line {error.lineno}, column {error.colno}: {error.msg}")
    except (ValueError, RecursionError) as error:
        refuse_text(name, "nesting too deep" if isinstance(error, RecursionError) else str(error))
    if odd or _HALF_PAIR_ESCAPE.search(text):
        for place, got in _odd_places(data):
            refuse_text(f"{name}: {place}" if place else name, got)
    return data


def refuse_text(where: str, got: str) -> NoReturn:
    """Raise the InputError for text that is not JSON in UTF-8."""
    raise InputError(
        where,
        expected="JSON text in UTF-8",
        got=got,
        remedy="Write the file again, or repair it there.",
    ) from None


def _check_amount(text: str, name: str) -> None:
    """Refuse junk of a few bytes a value before it fills the memory."""
    containers = text.count("[") + text.count("{")
    bytes_needed = containers * _CONTAINER_BYTES + text.count(",") * _VALUE_BYTES + len(text)
    if bytes_needed > _MAX_MEMORY_GB * 1e9:
        raise InputError(
            name,
            expected=f"a file whose records fit into {_MAX_MEMORY_GB:g} GB of memory",
            got=f"{containers} lists and objects, about {bytes_needed / 1e9:.1f} GB",
            remedy="Divide the file by scans, if it is one of lnmdetect.",
        )


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep the collector from looking through a million new objects again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _odd_places(data: Any) -> Iterator[tuple[str, str]]:
    """Yield where in the data something odd stands, in its order, and what it is."""
    waiting = [("", data)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, _Odd):
            yield place, value.got
        elif isinstance(value, str) and _has_half_pair(value):
            yield place, "half of a surrogate pair, which is no text"
        elif isinstance(value, list):
            inner = [(f"{place}[{index}]", item) for index, item in enumerate(value)]
            waiting += reversed(inner)
        elif isinstance(value, dict):
            if any(_has_half_pair(key) for key in value):
                yield place, "a field whose name holds half of a surrogate pair"
            waiting += reversed([(_below(place, key), item) for key, item in value.items()])


def _below(place: str, key: str) -> str:
    """Return the place of a field; a name that is no plain word is not repeated."""
    word = key if key.isidentifier() and key.isascii() else "(a field)"
    return f"{place}.{word}" if place else word


def _has_half_pair(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
