"""The files of a benchmark: its table as text, CSV and JSON, and its pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lnmdetect.io.benchmark_files import plot_roc_curves, write_csv, write_table_text
from lnmdetect.io.figures_data import Curve
from lnmdetect.io.figures_training import plot_curves_of_models
from lnmdetect.io.json_files import write_json
from lnmdetect.io.learning_curves import load_curves
from lnmdetect.stages.benchmark_result import BenchmarkResult, TableRow
from lnmdetect.stages.benchmark_row import RowJob
from lnmdetect.stages.benchmark_tables import csv_rows, markdown

TABLE_CSV, TABLE_MD, TABLE_JSON = "table.csv", "table.md", "table.json"
ROC, CURVES = "roc.png", "curves.png"


def write_benchmark(result: BenchmarkResult, jobs: Sequence[RowJob], folder: Path) -> None:
    """Write the table and the pictures, in place of earlier ones.

    Args:
        result: of all rows.
        jobs: of the same rows; their folders hold the learning curves.
        folder: that of the benchmark.

    Raises:
        InputError: a row's learning curves are damaged.
        OutputError: the folder cannot be written.
    """
    write_csv(csv_rows(result), folder / TABLE_CSV)
    write_table_text(markdown(result), folder / TABLE_MD)
    write_json(result.to_json(), folder / TABLE_JSON, overwrite=True)
    _draw_roc(result, folder)
    _draw_learning(result, jobs, folder)


def _draw_roc(result: BenchmarkResult, folder: Path) -> None:
    curves = [
        Curve(np.array(found.roc[0]), np.array(found.roc[1]), _roc_label(row))
        for row in result.rows
        if (found := row.result) is not None and found.roc is not None
    ]
    if curves:
        plot_roc_curves(
            curves, folder / ROC, title=result.info.benchmark, phantom=result.info.phantom
        )


def _roc_label(row: TableRow) -> str:
    auc = row.figures["auc"].value
    return row.row.label if auc is None else f"{row.row.label} ({auc:.3f})"


def _draw_learning(result: BenchmarkResult, jobs: Sequence[RowJob], folder: Path) -> None:
    models = {
        row.row.label: [load_curves(job.run_folder(part)) for part in job.parts.tested]
        for row, job in zip(result.rows, jobs, strict=True)
        if row.status == "done"
    }
    if models:
        plot_curves_of_models(
            models, folder / CURVES, title=result.info.benchmark, phantom=result.info.phantom
        )
