"""docs/benchmarks.md says what the tables beside it say."""

import csv
import re
from pathlib import Path

import pytest

from lnmdetect.core.benchmark_config import FIGURES
from lnmdetect.io.benchmark_recipes import benchmark_names, read_benchmark

DOCS = Path(__file__).parents[1] / "docs"
TABLES = sorted((DOCS / "benchmarks").glob("*/table.csv"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def cell(row: dict[str, str], figure: str) -> str:
    value, low, high = (float(row[name]) for name in (figure, f"{figure} low", f"{figure} high"))
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def test_every_published_table_is_there_with_every_row() -> None:
    found = {rows_of(path)[0]["benchmark"]: rows_of(path) for path in TABLES}
    assert sorted(found) == sorted(benchmark_names())
    for name, rows in found.items():
        assert [row["name"] for row in rows] == [row.name for row in read_benchmark(name).rows]
    seeds = [path for path in TABLES if rows_of(path)[0]["benchmark"] == "wang2023-table2"]
    assert len(seeds) == 3


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parent.name)
def test_the_page_has_the_figures_of_the_table(path: Path) -> None:
    lines = (DOCS / "benchmarks.md").read_text(encoding="utf-8").splitlines()
    for row in rows_of(path):
        assert (row["status"], row["phantom"]) == ("done", "true")
        arm = "detector" if "ap50" in row else "classifier"
        figures = [cell(row, figure) for figure in FIGURES[arm]]
        label = f"| {row['label']} | {figures[0]} |"
        assert any(
            line.startswith(label) and all(figure in line for figure in figures) for line in lines
        ), (path.parent.name, row["name"])


def test_every_picture_of_the_page_is_there() -> None:
    named = re.findall(r"\]\(([^)]+\.png)\)", (DOCS / "benchmarks.md").read_text(encoding="utf-8"))
    assert len(named) >= 9
    assert all((DOCS / name).is_file() for name in named)
    drawn = {path.relative_to(DOCS).as_posix() for path in (DOCS / "benchmarks").glob("*/*.png")}
    assert drawn == set(named)
