"""Typed access to the fields of a JSON object, with errors that name the record."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NoReturn, TypeVar

from lnmdetect.core.errors import InputError

T = TypeVar("T")
LARGEST_WHOLE = 2**53
"""Ids and sizes above it are not whole in the programs that read JSON numbers as float64."""
_REPAIR = "Correct this record; data_specs/ shows every field."


def describe(value: Any) -> str:
    """Return what a JSON value is, without its text (which may hold what must not be shown)."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:.6g}" if abs(value) < 1e300 else "a number out of range"
    if isinstance(value, str):
        return "text" if value else "empty text"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "an object"


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a finite number (true and false are none)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300 if isinstance(value, int) else math.isfinite(value)


def stays_in_folder(path: str) -> bool:
    """Return whether a path with / between its folders is relative and never leads upwards."""
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    outside = posix.is_absolute() or windows.anchor or ".." in (*posix.parts, *windows.parts)
    return not (outside or "\\" in path or "\0" in path)


@dataclass(frozen=True)
class JsonObject:
    """One object of a JSON file and where it stands.

    Attributes:
        where: file name and place, as `truth.json: annotations[3]`; `truth.json:` at the top.
    """

    where: str
    values: Mapping[str, Any]

    @classmethod
    def at(cls, where: str, value: Any) -> "JsonObject":
        """Return `value` as the object at `where`, InputError when it is not an object."""
        if not isinstance(value, Mapping):
            raise InputError(where, expected="an object", got=describe(value), remedy=_REPAIR)
        return cls(where, value)

    def refuse(
        self, key: str, expected: str, *, got: str | None = None, remedy: str = _REPAIR
    ) -> NoReturn:
        """Raise the InputError for the field `key`."""
        if got is None:
            got = describe(self.values[key]) if key in self.values else "no such field"
        raise InputError(self.place(key), expected=expected, got=got, remedy=remedy)

    def place(self, key: str) -> str:
        """Return where the field `key` stands."""
        return f"{self.where}{' ' if self.where.endswith(':') else '.'}{key}"

    def has(self, key: str) -> bool:
        """Return whether the field is there and not null."""
        return self.values.get(key) is not None

    def optional(self, key: str, read: Callable[[str], T]) -> T | None:
        """Return `read(key)`, or None where the field is absent or null."""
        return read(key) if self.has(key) else None

    def integer(self, key: str, *, at_least: int = 0) -> int:
        """Return a whole number (512.0 counts as one) from `at_least` to `LARGEST_WHOLE`."""
        value = self.values.get(key)
        if not is_number(value) or value != int(value) or value < at_least:  # type: ignore[arg-type]
            self.refuse(key, f"a whole number of {at_least} or more")
        if value > LARGEST_WHOLE:
            self.refuse(key, f"a whole number of at most {LARGEST_WHOLE}")
        return int(value)

    def number(self, key: str) -> float:
        """Return a finite number."""
        value = self.values.get(key)
        if not is_number(value):
            self.refuse(key, "a finite number")
        return float(value)  # type: ignore[arg-type]

    def positive(self, key: str) -> float:
        """Return a finite number above 0."""
        value = self.number(key)
        if not value > 0:
            self.refuse(key, "a number above 0")
        return value

    def share(self, key: str) -> float:
        """Return a number in [0, 1]."""
        value = self.number(key)
        if not 0 <= value <= 1:
            self.refuse(key, "a number in [0, 1]")
        return value

    def numbers(self, key: str, length: int) -> tuple[float, ...]:
        """Return a list of `length` finite numbers."""
        value = self.values.get(key)
        if not isinstance(value, list) or len(value) != length:
            self.refuse(key, f"a list of {length} numbers")
        for index, item in enumerate(value):
            if not is_number(item):
                self.refuse(f"{key}[{index}]", "a finite number", got=describe(item))
        return tuple(float(item) for item in value)

    def text(self, key: str) -> str:
        """Return text that is not empty."""
        value = self.values.get(key)
        if not isinstance(value, str) or not value:
            self.refuse(key, "text that is not empty")
        return value

    def flag(self, key: str) -> bool:
        """Return COCO's 0 or 1 (or true and false) as a truth value; false where absent."""
        value = self.values.get(key, 0)
        if value not in (0, 1):
            self.refuse(key, "0 or 1")
        return bool(value)

    def relative_path(self, key: str) -> str:
        """Return a path that stays inside the folder of the file that names it."""
        value = self.text(key)
        if not stays_in_folder(value):
            self.refuse(
                key,
                "a path inside the file's own folder, with / between folders",
                got="one that leaves it or has other separators",
                remedy="Put the image beside the JSON file and name it relative to that.",
            )
        return value

    def child(self, key: str) -> "JsonObject":
        """Return the object under `key`."""
        if key not in self.values:
            self.refuse(key, "an object")
        return JsonObject.at(self.place(key), self.values[key])

    def children(self, key: str) -> list["JsonObject"]:
        """Return the objects of the list under `key`."""
        value = self.values.get(key)
        if not isinstance(value, list):
            self.refuse(key, "a list")
        return [JsonObject.at(self.place(f"{key}[{i}]"), item) for i, item in enumerate(value)]

    def without(self, known: Collection[str]) -> dict[str, Any]:
        """Return the fields that are not among `known`, to be kept as they are."""
        return {key: value for key, value in self.values.items() if key not in known}
