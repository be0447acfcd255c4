"""Figures as CSV."""

from pathlib import Path

import pytest

from lnmdetect.core.errors import OutputError
from lnmdetect.io.figure_rows import write_rows

ROW = {"part": "nodes", "figure": "auc", "of": "A - B", "file": None, "value": 0.25, "low": None,
       "high": None, "n": 3, "reason": "none, or two"}  # fmt: skip


def test_what_is_not_known_is_empty_and_text_with_a_comma_is_quoted(tmp_path: Path) -> None:
    write_rows([ROW], tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_bytes() == (
        b'part,figure,of,file,value,low,high,n,reason\nnodes,auc,A - B,,0.25,,,3,"none, or two"\n'
    )


def test_a_table_is_not_replaced_unasked(tmp_path: Path) -> None:
    write_rows([], tmp_path / "table.csv")
    with pytest.raises(OutputError, match=r"table\.csv"):
        write_rows([ROW], tmp_path / "table.csv")
    write_rows([ROW], tmp_path / "table.csv", overwrite=True)
