"""Header values taken from a data set with their kind checked; absent or malformed is None."""

import math
from collections.abc import Iterable
from functools import cache
from typing import Any

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from lnmdetect.io.dicom_header import READ_ERRORS
from lnmdetect.io.pacs_uids import is_uid


def text(dataset: Dataset, keyword: str) -> str:
    """Return one text value without surrounding blanks, empty where there is none."""
    value = _value(dataset, keyword)
    if value is None:
        return ""
    whole_text = "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value)
    return whole_text.strip(" \0")


def uid_text(dataset: Dataset, keyword: str) -> str:
    """Return one uid, empty where there is none or other text stands in its place."""
    found = text(dataset, keyword)
    return found if is_uid(found) else ""


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return all text values of an element, upper case."""
    value = _value(dataset, keyword)
    if value is None:
        return ()
    values = value if isinstance(value, MultiValue) else [value]
    return tuple(str(item).strip().upper() for item in values)


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return one finite number."""
    values = numbers(dataset, keyword, 1)
    return values[0] if values else None


def whole(dataset: Dataset, keyword: str) -> int | None:
    """Return one whole number."""
    value = number(dataset, keyword)
    return int(value) if value is not None and value == int(value) else None


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return exactly `count` finite numbers."""
    value = _value(dataset, keyword)
    if value is None or isinstance(value, str | bytes):
        return None
    items = list(value) if isinstance(value, Iterable) else [value]
    try:
        parsed = tuple(float(item) for item in items)
    except (TypeError, ValueError, OverflowError):
        return None
    if len(parsed) != count or not all(math.isfinite(item) for item in parsed):
        return None
    return parsed


def item(dataset: Dataset, sequence: str) -> Dataset:
    """Return the first item of a sequence, an empty data set where there is none."""
    value = _value(dataset, sequence)
    if value is None or not hasattr(value, "__len__") or len(value) == 0:
        return Dataset()
    first = value[0]
    return first if isinstance(first, Dataset) else Dataset()


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        element = dataset.get(_tag(keyword))
    except READ_ERRORS:  # the raw bytes do not parse as the element's value representation
        return None
    return None if element is None or element.value in (None, "") else element.value


@cache
def _tag(keyword: str) -> BaseTag:
    """Return the keyword's tag; looked up once, because a cohort asks for it 10^5 times."""
    return Tag(keyword)
