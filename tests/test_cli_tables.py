"""Tables and sentences of the command line."""

import io

import pytest
from rich.console import Console

from lnmdetect.cli_tables import check_text, models_table, plan_table
from lnmdetect.core.precision import Engine, Precision
from lnmdetect.core.segmenter_config import SegmentationPlan
from lnmdetect.stages.models import InstalledModel
from lnmdetect.stages.models_check import CheckResult


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
    row = ["classifier", "compact", "compact", "phantoms", "fp32", "0.590", "auc 0.895"]
    assert cells == [row, row]


def test_a_bundle_is_listed_with_the_form_in_which_it_answers_by_default_on_each_engine() -> None:
    precisions: dict[Engine, Precision] = {"torch": "bf16", "openvino": "int8"}
    model = InstalledModel(
        "detector", "tiny", "r", False, 0.4, "", {}, 5.3, "", precisions=precisions
    )
    console = Console(file=io.StringIO(), width=100)
    console.print(models_table([model]))
    assert isinstance(console.file, io.StringIO)
    assert "│ bf16, int8 on openvino │" in console.file.getvalue()


def test_a_plan_is_told_in_voxels_mm_and_levels() -> None:
    plan = SegmentationPlan(
        spacing_mm=(2.5, 0.8, 0.8),
        patch=(16, 96, 96),
        strides=((1, 1, 1), (1, 2, 2), (2, 2, 2)),
        kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3)),
        memory_gb=0.4,
        median_shape=(72, 320, 300),
    )
    console = Console(file=io.StringIO(), width=80)
    console.print(plan_table(plan))
    assert isinstance(console.file, io.StringIO)
    rows = [line for line in console.file.getvalue().splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row.split("│")[1:-1]] for row in rows] == [
        ["voxel", "2.5 x 0.8 x 0.8 mm"],
        ["median scan", "72 x 320 x 300 voxels"],
        ["patch", "16 x 96 x 96 voxels, 40 x 77 x 77 mm"],
        ["memory of a step", "0.4 GB, estimated"],
        ["levels", "3"],
        ["level 1", "16 x 96 x 96, stride 1 x 1 x 1, kernel 1 x 3 x 3"],
        ["level 2", "16 x 48 x 48, stride 1 x 2 x 2, kernel 3 x 3 x 3"],
        ["level 3", "8 x 24 x 24, stride 2 x 2 x 2, kernel 3 x 3 x 3"],
    ]


@pytest.mark.parametrize(
    ("held", "told"),
    [(True, "each figure held within 0.005"), (False, "a figure moved by more than 0.005")],
)
def test_a_check_says_in_words_whether_its_figures_held(held: bool, told: str) -> None:
    result = CheckResult("detector", "m", "bf16 on torch", (), 0.005, held, 9.0, 4.5, 2, 30, True)
    assert check_text(result) == f"30 images: {told}; fp32 took 9.0 s, bf16 on torch 4.5 s"
