"""Tables of figures as CSV: one figure a row."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from lnmdetect.io.json_files import atomic_output

COLUMNS = ("part", "figure", "of", "file", "value", "low", "high", "n", "reason")
"""`low` and `high`: 95 % interval over patients; `reason`: why there is no value."""


def write_rows(
    rows: Iterable[Mapping[str, object]], path: Path, *, overwrite: bool = False
) -> None:
    """Write rows of `COLUMNS`; numbers with a point, nothing where there is no number.

    Raises:
        OutputError: the file exists and `overwrite` is not set, or cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_output(path, overwrite=overwrite) as stream:
        stream.write(text.getvalue().encode("utf-8"))
