from pathlib import Path

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.io.readers_csv import ReaderRow, read_readers


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    return tmp_path / "readers.csv"


def test_calls_and_ratings_are_read_with_their_lines(sheet: Path) -> None:
    sheet.write_text(
        "reader,annotation_id,call,rating\nA,7,metastatic,4.5\nA,8,benign,-1\n\nB,7,1,\nB,9,0,\n"
    )
    assert read_readers(sheet).rows == (
        ReaderRow(2, "A", 7, True, 4.5),
        ReaderRow(3, "A", 8, False, -1.0),
        ReaderRow(5, "B", 7, True, None),
        ReaderRow(6, "B", 9, False, None),
    )
    assert read_readers(sheet).other_columns == ()


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_what_spreadsheets_write_is_read(sheet: Path, delimiter: str) -> None:
    lines = ["Annotation_ID|Reader|Comment|Call", "7| Dr. A |see, again|BENIGN"]
    text = "\r\n".join(line.replace("|", delimiter) for line in lines) + "\r\n"
    sheet.write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = read_readers(sheet)
    assert found.rows == (ReaderRow(2, "Dr. A", 7, False, None),)
    assert found.other_columns == ("comment",)


def test_a_quoted_line_break_does_not_shift_the_numbers(sheet: Path) -> None:
    sheet.write_text('reader,annotation_id,call,note\nA,1,0,"two\nlines"\nA,x,0,\n')
    with pytest.raises(InputError, match=r"readers\.csv: line 4: expected a whole number"):
        read_readers(sheet)


HOSTILE = {
    "no header": ("A,7,metastatic\n", "line 1: expected a header with a column reader"),
    "no id": ("reader,call\nA,1\n", "line 1: expected a header with a column annotation_id"),
    "no answer column": ("reader,annotation_id\nA,1\n", "a column call or rating"),
    "column twice": ("reader,annotation_id,call,call\nA,1,0,0\n", "without repeated columns"),
    "no rows": ("reader,annotation_id,call\n\n", "line 1: expected answers below the header"),
    "nothing": ("", "line 1: expected a header with a column reader, got none"),
    "short row": ("reader,annotation_id,call\nA,1\n", "line 2: expected 3 cells, .* got 2"),
    "long row": ("reader,annotation_id,rating\nA,1,0,7\n", "line 2: expected 3 cells, .* got 4"),
    "no reader": ("reader,annotation_id,call\n ,1,0\n", "line 2: expected a reader's name"),
    "escape codes": ("reader,annotation_id,call\n\x1b[31mA,1,0\n", r"got \\x1b\[31mA"),
    "name of a mile": (f"reader,annotation_id,call\n{'A' * 99},1,0\n", r"got A{37}\.\.\."),
    "id as number": ("reader,annotation_id,call\nA,7.0,0\n", "whole number as annotation_id"),
    "id of other digits": ("reader,annotation_id,call\nA,٧,0\n", "whole number"),
    "id without end": (f"reader,annotation_id,call\nA,{'9' * 5000},0\n", "whole number"),
    "call of its own": (
        "reader,annotation_id,call\nA,1,yes\n",
        "benign, metastatic, 0 or 1, got yes",
    ),
    "not a number": ("reader,annotation_id,rating\nA,1,nan\n", "a number as rating, got nan"),
    "without end": ("reader,annotation_id,rating\nA,1,1e999\n", "a number as rating"),
    "decimal comma": (
        'reader,annotation_id,rating\nA,1,"0,7"\n',
        "got 0,7. Write it with a decimal",
    ),
    "no answer": (
        "reader,annotation_id,call,rating\nA,1,,\n",
        "line 2: expected a call or a rating",
    ),
    "twice": ("reader,annotation_id,call\nA,1,0\nB,1,0\nA,1,1\n", "line 4: .* after line 2"),
    "now and then": (
        "reader,annotation_id,call,rating\nA,1,0,3\nA,2,,4\n",
        "line 3: expected a call of A on every row or on none, got none here, unlike line 2",
    ),
    "open quote": ('reader,annotation_id,call\n"A,1,0\n', "a line of CSV"),
    "cell without end": (f"reader,annotation_id,call\n{'A' * 200_000},1,0\n", "a line of CSV"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_line_that_cannot_be_used_is_named(sheet: Path, case: str) -> None:
    text, message = HOSTILE[case]
    sheet.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_readers(sheet)
    assert "readers.csv" in str(caught.value)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def test_a_workbook_or_no_file_is_a_sentence(sheet: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_readers(sheet)
    sheet.write_bytes(b"PK\x03\x04\xff\xfe\x00")
    with pytest.raises(InputError, match="a workbook"):
        read_readers(sheet)
    with pytest.raises(InputError, match="a directory"):
        read_readers(tmp_path)


def test_a_file_beyond_reason_is_not_read_whole(
    sheet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lnmdetect.io.readers_csv._MAX_FILE_BYTES", 1 << 20)
    sheet.write_bytes(b"reader,annotation_id,call\n" + b"A,1,0\n" * 200_000)
    with pytest.raises(InputError, match="at most 1 MiB"):
        read_readers(sheet)
