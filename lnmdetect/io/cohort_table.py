"""The table of a cohort: a row a study, as CSV and, where that is wanted, as Parquet."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lnmdetect.core.cohort import COLUMNS, CohortStudy
from lnmdetect.core.extras import require_package
from lnmdetect.io.json_files import atomic_output


def write_cohort_csv(studies: Sequence[CohortStudy], path: Path) -> None:
    """Write a row a study under `COLUMNS`; what is not known is empty. A file there is replaced.

    Raises:
        OutputError: the folder cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in study.row().values()] for study in studies)
    with atomic_output(path, overwrite=True) as stream:
        stream.write(text.getvalue().encode("utf-8"))


def require_parquet() -> None:
    """Do nothing where Parquet files can be written.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    require_package(
        "pyarrow", where="--parquet", package="pyarrow (Parquet files)", extra="parquet"
    )


def write_cohort_parquet(studies: Sequence[CohortStudy], path: Path) -> None:
    """Write the same table with typed columns; what is not known is null.

    Raises:
        MissingExtraError: pyarrow is not installed.
        OutputError: the folder cannot be written.
    """
    require_parquet()
    import pyarrow
    from pyarrow import parquet

    kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    kinds[bool] = pyarrow.bool_()
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    table = pyarrow.Table.from_pylist([study.row() for study in studies], schema=schema)
    with atomic_output(path, overwrite=True) as stream:
        parquet.write_table(table, stream)


def _cell(value: Any) -> Any:
    """Return a cell as a spreadsheet reads it."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value
