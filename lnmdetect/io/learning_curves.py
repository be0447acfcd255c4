"""curves.csv: losses and validation figures of a training, a line an epoch; read without torch."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from lnmdetect.core.errors import InputError
from lnmdetect.io.json_files import atomic_output

CURVES = "curves.csv"


def save_curves(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write `folder/curves.csv`, one line an epoch."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    with atomic_output(folder / CURVES, overwrite=True) as stream:
        stream.write(text.getvalue().encode())


def load_curves(folder: Path) -> list[dict[str, float]]:
    """Return what `save_curves` wrote, nothing where there is no such file.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / CURVES
    if not path.is_file():
        return []
    try:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
        found = [{name: float(value) for name, value in row.items()} for row in rows]
        if not all("epoch" in row for row in found):
            raise ValueError("no column epoch")
        return found
    except (ValueError, TypeError) as error:  # UnicodeDecodeError is a ValueError
        raise InputError(
            CURVES,
            expected="a table of numbers, one line an epoch",
            got=f"something else ({error})",
            remedy="Train again.",
        ) from None
