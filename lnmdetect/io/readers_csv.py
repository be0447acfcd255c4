"""Human readers' answers, a row each: readers.csv."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lnmdetect.core.errors import InputError
from lnmdetect.core.wording import visible

READER, NODE, CALL, RATING = "reader", "annotation_id", "call", "rating"
_CALLS = {"benign": False, "0": False, "metastatic": True, "1": True}
_DELIMITERS = (",", ";", "\t")
"""Spreadsheets of some countries write semicolons."""
_MAX_FILE_BYTES = 64 << 20
_MAX_NAME = 64
_MAX_ID_DIGITS = 18
_SHOWN = 40
_REMEDY = "data_specs/readers.example.csv shows the form of the file."


@dataclass(frozen=True)
class ReaderRow:
    """One reader's answer on one truth box.

    Attributes:
        line: of the file, from 1.
        annotation_id: of the box in the truth file.
        called_metastatic: None where the reader gives no calls.
        rating: higher means more likely metastatic; None where the reader gives no ratings.
    """

    line: int
    reader: str
    annotation_id: int
    called_metastatic: bool | None
    rating: float | None


@dataclass(frozen=True)
class ReaderSheet:
    """A whole file.

    Attributes:
        rows: in the order of the file; no reader answers a box twice.
        other_columns: columns that mean nothing here, and were not read.
    """

    rows: tuple[ReaderRow, ...]
    other_columns: tuple[str, ...]


def read_readers(path: Path) -> ReaderSheet:
    """Return the rows of a readers.csv: columns reader, annotation_id, and call, rating or both.

    A reader gives a call on every row or on none, and so a rating.

    Raises:
        InputError: the file cannot be read, or a line of it cannot be used; names the line.
    """
    text = _text(path)
    lines = _lines(path.name, text)
    header_line, names = next(lines, (1, ()))
    columns = tuple(name.lower() for name in names)
    _check_header(_Place(path.name, header_line), columns)
    rows = []
    for line, cells in lines:
        place = _Place(path.name, line)
        if len(cells) != len(columns):
            place.refuse(f"{len(columns)} cells, as in the header", f"{len(cells)}")
        rows.append(_row(place, dict(zip(columns, cells, strict=True))))
    if not rows:
        _Place(path.name, header_line).refuse("answers below the header", "none")
    _check_repeated(path.name, rows)
    _check_alike(path.name, rows)
    known = (READER, NODE, CALL, RATING)
    return ReaderSheet(tuple(rows), tuple(name for name in columns if name not in known))


@dataclass(frozen=True)
class _Place:
    """A line of a file."""

    file: str
    line: int

    def refuse(self, expected: str, got: str, remedy: str = _REMEDY) -> NoReturn:
        where = f"{self.file}: line {self.line}"
        raise InputError(where, expected=expected, got=got, remedy=remedy)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(
            path.name or "--readers",
            expected="a CSV file that can be read",
            got=error.strerror or type(error).__name__,
            remedy="Check the path and its permissions.",
        ) from None
    if len(content) > _MAX_FILE_BYTES:
        expected = f"a CSV file of at most {_MAX_FILE_BYTES >> 20} MiB"
        raise InputError(path.name, expected=expected, got="a larger one", remedy=_REMEDY)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            path.name,
            expected="a CSV file in UTF-8",
            got=f"a byte that is not UTF-8 at offset {error.start}",
            remedy="Save it as CSV UTF-8; a workbook (.xlsx) is no CSV.",
        ) from None


def _lines(name: str, text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Give the number and the cells of each line that is not blank."""
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, tuple(cell.strip() for cell in cells)
    except csv.Error as error:
        _Place(name, reader.line_num).refuse("a line of CSV", str(error))


def _check_header(place: _Place, columns: Sequence[str]) -> None:
    told = _shown(", ".join(columns)) if columns else "none"
    for name in (READER, NODE):
        if name not in columns:
            place.refuse(f"a header with a column {name}", told)
    if CALL not in columns and RATING not in columns:
        place.refuse(f"a header with a column {CALL} or {RATING}", told)
    if len(set(columns)) != len(columns):
        place.refuse("a header without repeated columns", told)


def _row(place: _Place, cells: dict[str, str]) -> ReaderRow:
    reader = cells[READER]
    if not (0 < len(reader) <= _MAX_NAME and reader.isprintable()):
        place.refuse(f"a reader's name of 1 to {_MAX_NAME} letters", _shown(reader) or "none")
    digits = cells[NODE]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_ID_DIGITS):
        place.refuse(f"a whole number as {NODE}", _shown(digits) or "none")
    called, rating = _call(place, cells.get(CALL, "")), _rating(place, cells.get(RATING, ""))
    if called is None and rating is None:
        place.refuse(f"a {CALL} or a {RATING}", "neither", "Leave out rows without an answer.")
    return ReaderRow(place.line, reader, int(digits), called, rating)


def _call(place: _Place, cell: str) -> bool | None:
    if cell and cell.lower() not in _CALLS:
        place.refuse(f"{CALL} benign, metastatic, 0 or 1", _shown(cell))
    return _CALLS[cell.lower()] if cell else None


def _rating(place: _Place, cell: str) -> float | None:
    if not cell:
        return None
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        place.refuse(f"a number as {RATING}", _shown(cell), "Write it with a decimal point.")
    return number


def _check_repeated(name: str, rows: Sequence[ReaderRow]) -> None:
    first: dict[tuple[str, int], int] = {}
    for row in rows:
        line = first.setdefault((row.reader, row.annotation_id), row.line)
        if line != row.line:
            _Place(name, row.line).refuse(
                "one answer of a reader on a box",
                f"a second one of {_shown(row.reader)} on {NODE} {row.annotation_id}, after line "
                f"{line}",
                "Keep one of the two.",
            )


def _check_alike(name: str, rows: Sequence[ReaderRow]) -> None:
    first: dict[str, ReaderRow] = {}
    for row in rows:
        begun = first.setdefault(row.reader, row)
        for column, has, had in (
            (CALL, row.called_metastatic is not None, begun.called_metastatic is not None),
            (RATING, row.rating is not None, begun.rating is not None),
        ):
            if has != had:
                _Place(name, row.line).refuse(
                    f"a {column} of {_shown(row.reader)} on every row or on none",
                    f"{'one' if has else 'none'} here, unlike line {begun.line}",
                    "Leave out rows without an answer, or empty the column.",
                )


def _shown(text: str) -> str:
    """Return the text short and harmless in a message."""
    return visible(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
