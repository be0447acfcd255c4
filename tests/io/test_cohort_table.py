"""The table of a cohort, as CSV and as Parquet."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from lnmdetect.core.cohort import COLUMNS, CohortFigures, CohortStudy
from lnmdetect.core.errors import MissingExtraError
from lnmdetect.io import cohort_table
from lnmdetect.io.cohort_table import require_parquet, write_cohort_csv, write_cohort_parquet

FIGURES = CohortFigures(("p-1",), 1, 0, 90, 9, 4, 0, 0, None, None, True)
STUDIES = (
    CohortStudy("s-1", "done", figures=FIGURES, seconds=2.5),
    CohortStudy("s-2", "failed", 'a "reason", with a comma'),
)


def test_what_is_not_known_is_empty_in_the_csv(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    write_cohort_csv(STUDIES, path)
    with path.open(newline="") as stream:
        header, first, second = csv.reader(stream)
    assert header == list(COLUMNS)
    assert ",".join(first) == "s-1,done,,p-1,1,0,90,9,4,0,0,,,true,2.5"
    assert second == ["s-2", "failed", 'a "reason", with a comma', *[""] * 12]


@pytest.mark.extra("pyarrow")
def test_the_parquet_has_the_same_rows_with_types_and_nulls(tmp_path: Path) -> None:
    from pyarrow import parquet

    path = tmp_path / "cohort.parquet"
    write_cohort_parquet(STUDIES, path)
    write_cohort_parquet((replace(STUDIES[0], seconds=3.0), STUDIES[1]), path)
    table = parquet.read_table(path)
    assert table.to_pylist() == [{**STUDIES[0].row(), "seconds": 3.0}, STUDIES[1].row()]
    kinds = {field.name: str(field.type) for field in table.schema}
    assert (kinds["case"], kinds["slices"], kinds["phantom"], kinds["seconds"]) == (
        *("string", "int64", "bool"),
        "double",
    )


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str, *, where: str, package: str, extra: str) -> None:
        raise MissingExtraError(where, expected=package, got=module, remedy=extra)

    monkeypatch.setattr(cohort_table, "require_package", absent)
    with pytest.raises(MissingExtraError, match=r"--parquet: expected pyarrow .*got pyarrow"):
        require_parquet()
