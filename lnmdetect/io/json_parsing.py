"""JSON text to values, refusing with its place what Python's reader would let pass."""

import contextlib
import gc
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from lnmdetect.core.errors import InputError

_Keys = tuple[str | int, ...]
_WORD = re.compile(r"\w{1,40}", re.ASCII)
_HALF_PAIR = re.compile("[\ud800-\udfff]")
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


_LOOKED_INTO = frozenset({dict, list, str, _Odd})


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
    except RecursionError:
        refuse_text(name, "nesting too deep")
    except ValueError:  # what Python says here is advice to programmers
        refuse_text(name, f"a whole number of more than {sys.get_int_max_str_digits()} digits")
    if odd or _HALF_PAIR_ESCAPE.search(text):
        for keys, got in _odd_places(data):
            refuse_text(_place(name, keys), got)
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


def _odd_places(data: Any) -> Iterator[tuple[_Keys, str]]:
    """Yield where in the data something odd stands, in its order, and what it is."""
    waiting: list[tuple[_Keys, Any]] = [((), data)]
    while waiting:
        keys, value = waiting.pop()
        if isinstance(value, _Odd):
            yield keys, value.got
        elif isinstance(value, str) and _has_half_pair(value):
            yield keys, "half of a surrogate pair, which is no text"
        elif isinstance(value, dict) and any(map(_has_half_pair, value)):
            yield keys, "a field whose name holds half of a surrogate pair"
        elif isinstance(value, dict | list):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            inner = [((*keys, key), item) for key, item in items if type(item) in _LOOKED_INTO]
            waiting += reversed(inner)


def _has_half_pair(text: str) -> bool:
    return not text.isascii() and _HALF_PAIR.search(text) is not None


def _place(name: str, keys: _Keys) -> str:
    """Return where the keys lead in the file; one that is no plain word is not repeated."""
    words = [
        f"[{key}]" if isinstance(key, int) else f".{key if _WORD.fullmatch(key) else '(a field)'}"
        for key in keys
    ]
    return f"{name}: {''.join(words).removeprefix('.')}" if words else name
