"""Checks of a whole column of JSON values at once; in doubt they say `UnusualError`, never yes."""

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from lnmdetect.core.columns import Numbers, Places, Values
from lnmdetect.io.json_fields import LARGEST_WHOLE

LARGEST_NUMBER = 1e300
"""Whole numbers from here on are refused record by record; so any number is left to that reader."""


class UnusualError(Exception):
    """A column holds what these checks cannot vouch for; the record reader has to decide."""


def require(plain: bool) -> None:
    """Return nothing where the check holds, else leave the file to the record reader."""
    if not plain:
        raise UnusualError


def field(records: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    """Return the value of `key` of each record, None where it is absent or null."""
    return [record.get(key) for record in records]


def required(records: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    """Return the value of `key` of each record; every record has it."""
    try:
        return list(map(itemgetter(key), records))
    except KeyError:
        raise UnusualError from None


def objects(values: Any) -> list[dict[str, Any]]:
    """Return a list whose entries are all objects."""
    require(type(values) is list and set(map(type, values)) <= {dict})
    return list(values)


def numbers(values: Sequence[Any]) -> Numbers:
    """Return (N,) finite numbers, none of them true or false."""
    require(set(map(type, values)) <= {int, float})
    try:
        found = np.array(values, dtype=np.float64)
    except OverflowError:
        raise UnusualError from None
    require(bool((np.abs(found) < LARGEST_NUMBER).all()))
    return found


def optional(values: Sequence[Any], check: Callable[[Sequence[Any]], Numbers]) -> Numbers:
    """Return (N,) checked numbers, NaN where the value is None."""
    if None not in values:
        return check(values)
    found = np.full(len(values), math.nan)
    given = [index for index, value in enumerate(values) if value is not None]
    found[given] = check([values[index] for index in given])
    return found


def positive(values: Sequence[Any]) -> Numbers:
    """Return (N,) finite numbers above 0."""
    found = numbers(values)
    require(bool((found > 0).all()))
    return found


def shares(values: Sequence[Any]) -> Numbers:
    """Return (N,) numbers in [0, 1]."""
    found = numbers(values)
    require(bool(((found >= 0) & (found <= 1)).all()))
    return found


def wholes(values: Sequence[Any], *, at_least: int = 0) -> Places:
    """Return (N,) whole numbers not below `at_least`; 512.0 is left to the record reader."""
    require(set(map(type, values)) <= {int})
    try:
        found = np.array(values, dtype=np.int64)
    except OverflowError:
        raise UnusualError from None
    require(bool(((found >= at_least) & (found <= LARGEST_WHOLE)).all()))
    return found


def rows(values: Sequence[Any], length: int) -> Numbers:
    """Return (N, length) finite numbers of a column of lists."""
    require(set(map(type, values)) <= {list} and set(map(len, values)) <= {length})
    return numbers(list(chain.from_iterable(values))).reshape(-1, length)


def texts(values: Sequence[Any]) -> list[str]:
    """Return texts that are not empty, equal ones as one object."""
    require(set(map(type, values)) <= {str} and all(values))
    return shared(values)


def optional_texts(values: Sequence[Any]) -> list[str | None]:
    """Return texts that are not empty, or None, equal ones as one object."""
    require(set(map(type, values)) <= {str, type(None)} and "" not in values)
    return shared(values)


def shared(values: Iterable[Any]) -> list[Any]:
    """Return hashable values with equal ones as one object, so that a long column stays small."""
    seen: dict[Any, Any] = {}
    return [seen.setdefault(value, value) for value in values]


class OtherFields:
    """The fields of a file's records that have no column of their own, kept by name.

    Only the values that are there are kept, each with its row, however many names there are.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._at: dict[str, array[int]] = {}
        self._values: dict[str, list[Any]] = {}
        self._texts: dict[str, str] = {}

    def add(self, row: int, fields: Mapping[str, Any]) -> None:
        """Keep the fields of one record that are not null."""
        for name, value in fields.items():
            if value is None:
                continue
            kept = self._texts.setdefault(value, value) if type(value) is str else value
            self._at.setdefault(name, array("q")).append(row)
            self._values.setdefault(name, []).append(kept)

    def column(self, name: str) -> Values | None:
        """Return one value a row, None where the row has none; None where no row has one."""
        if name not in self._at:
            return None
        column: list[Any] = [None] * self._rows
        for row, value in zip(self._at[name], self._values[name], strict=True):
            column[row] = value
        return column
