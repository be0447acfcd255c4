"""Tables and sentences of the command line."""

import io

from rich.console import Console

from lnmdetect.cli_tables import models_table
from lnmdetect.stages.models import InstalledModel


def test_each_bundle_takes_one_line_of_80_columns_with_its_main_figure() -> None:
    figures = {
        "auc": 0.8951,
        "epoch": 13,
        "validation_boxes": 1740,
        "tpr_at_threshold": 0.829,
        "tnr_at_threshold": 0.817,
    }
    model = InstalledModel("classifier", "compact", "compact", True, 0.59, "", figures, 8.8, "")
    console = Console(file=io.StringIO(), width=80)
    console.print(models_table([model, model]))
    assert isinstance(console.file, io.StringIO)
    rows = [line for line in console.file.getvalue().splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row.split("│")[1:-1]] for row in rows]
    row = ["classifier", "compact", "compact", "phantoms", "0.590", "8.8", "auc 0.895"]
    assert cells == [row, row]
