"""What a report shows of masks, from the example files."""

import re
from pathlib import Path

import numpy as np
import pytest

from lnmdetect.core.errors import OutputError
from lnmdetect.stages.evaluate import Evaluation, full_evaluation
from lnmdetect.stages.evaluation_masks import MaskFigures
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.report import ReportRequest, report
from lnmdetect.stages.report_masks import masks_section, overlap_plot, size_rates_plot
from lnmdetect.stages.report_plots import evaluation_plots, write_evaluation_figures

SPECS = Path(__file__).parents[2] / "data_specs"
REQUEST = EvalRequest(
    (SPECS / "truth.example.json",), nodes=(SPECS / "nodes.example.json",), bootstrap=50
)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return full_evaluation(REQUEST)


@pytest.fixture(scope="module")
def masks(evaluation: Evaluation) -> MaskFigures:
    assert evaluation.result.masks is not None
    return evaluation.result.masks


def test_a_curve_is_drawn_for_each_class_that_has_nodes(masks: MaskFigures) -> None:
    plot = overlap_plot(masks)
    assert plot is not None
    labels = [curve.label for curve in plot.curves]
    assert labels == [
        "all as one (2)",
        "negative (1)",
        "positive (1)",
        "positive + extranodal (1)",
    ]
    assert plot.curves[1].y.tolist() == [1.0] * 18 + [0.0] * 2


def test_sizes_have_a_mark_for_each_class_and_none_without_a_node(masks: MaskFigures) -> None:
    plot = size_rates_plot(masks)
    assert plot is not None
    assert plot.groups == ("under 5", "5 to 10", "10 to 15", "15 or more")
    assert plot.nodes == (0, 1, 1, 0)
    np.testing.assert_array_equal(plot.series[0].rate, [np.nan, 1, 1, np.nan])
    np.testing.assert_array_equal(plot.series[1].rate, [np.nan, 1, np.nan, np.nan])
    assert np.isnan(plot.series[0].low).all()


def test_the_figures_of_masks_are_drawn_with_the_others(evaluation: Evaluation) -> None:
    assert evaluation_plots(evaluation).names()[-2:] == ("overlap", "mask_sizes")


def test_the_section_has_the_figures_of_all_classes_and_of_each(masks: MaskFigures) -> None:
    section = masks_section(masks, ())
    assert section.text.startswith("Masks: 2 nodes of truth (0 more ignored), 2 nodes answered")
    rows = {row.name: row.value for table in section.figures for row in table.rows}
    assert rows["Dice, whole volumes"] == "0.934"
    by_class = next(table for table in section.tables if table.columns[0] == "figure")
    assert by_class.columns[2:5] == ("negative", "positive", "extranodal extension")
    cells = {row[0]: row[2:5] for row in by_class.rows}
    assert cells["nodes"] == ("1", "1", "0")
    assert cells["Dice a volume"][0] == "0.889"
    assert cells["found, over 0 %"] == ("1.000", "1.000", "-")
    assert rows["AUC, negative against the others (chance: 0.5)"] == "1.000"


def test_the_page_has_a_part_about_masks(tmp_path: Path) -> None:
    report(ReportRequest(REQUEST, output=tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert re.search(r'<h2[^>]*id="masks"', page)
    assert "Detection rate over the least overlap" in page


def test_the_tables_are_written_beside_the_figures_as_markdown(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    paths = write_evaluation_figures(evaluation, tmp_path)
    assert paths[-1].name == "masks.md"
    lines = paths[-1].read_text().splitlines()
    start = lines.index("**Nodes of truth by short axis and class, phantom figures**")
    head = "| short axis | all as one | negative | positive | extranodal extension |"
    assert lines[start + 2].startswith(head)
    assert lines[start + 3] == "|---|---:|---:|---:|---:|---:|"
    rows = [line.split(" | ")[:3] for line in lines[start + 4 : start + 10]]
    assert rows[0] == ["| under 5 mm", "0 (0 %)", "0 (0 %)"]
    assert rows[1] == ["| 5 to 10 mm", "1 (50 %)", "1 (100 %)"]
    assert rows[4] == ["| of these under 10 mm", "1 (50 %)", "1 (100 %)"]
    assert rows[5] == ["| all", "2 (100 %)", "1 (100 %)"]
    assert "**Masks by class of the node in truth, phantom figures**" in lines
    assert sum(line.startswith("**") for line in lines) == 8
    with pytest.raises(OutputError, match=r"masks\.md"):
        write_evaluation_figures(evaluation, tmp_path)
