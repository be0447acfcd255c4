"""The figures of an evaluation: files for a paper, and pictures within a page."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lnmdetect.core.errors import OutputError
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC
from lnmdetect.io.figures_curves import fraction, thinned
from lnmdetect.io.figures_data import (
    Band,
    Curve,
    CurvePlot,
    DecisionPlot,
    EvaluationPlots,
    NamedPoint,
    OverlapPlot,
    ReliabilityPlot,
    SizeRates,
    SizeRatesPlot,
    SizesPlot,
)
from lnmdetect.io.figures_evaluation import draw, svg_bytes, write_figures
from lnmdetect.io.figures_inline import inline_svg

UNIT = np.array([0.0, 0.5, 1.0])
RISING = np.array([0.0, 0.8, 1.0])
BAND = Band(UNIT, RISING - 0.1, RISING + 0.1)
ROC = CurvePlot(Curve(UNIT, RISING, "AUC 0.65", BAND), (NamedPoint((0.2, 0.6), "threshold"),))
FROC = CurvePlot(Curve(np.array([0.1, 1.0, 9.0]), RISING, "mean 0.61", BAND), per="scan")
SIZES = SizesPlot(
    np.array([0.1, 0.2, 0.4]),
    np.array([1.0, 0.5, 2.0]),
    np.array([METASTATIC, BENIGN, METASTATIC]),
    np.array([True, False, False]),
)
EDGES = np.array([[0.0, 0.5], [0.5, 1.0]])
RELIABILITY = ReliabilityPlot(
    np.array([0.2, 0.7]),
    np.array([0.1, 0.8]),
    np.array([0.0, np.nan]),
    np.array([0.3, np.nan]),
    np.array([4.0, 12.0]),
    EDGES,
)
DECISION = DecisionPlot(Curve(UNIT, RISING / 4, "model"), Curve(UNIT, -RISING, "all"), 0.59)
OVERLAP = OverlapPlot(
    (Curve(UNIT, 1 - UNIT, "all as one (9)", BAND), Curve(UNIT, UNIT, "positive (4)"))
)
MASK_SIZES = SizeRatesPlot(
    ("under 5 mm", "5 to 10 mm"),
    (3, 6),
    (
        SizeRates(
            "all as one", np.array([0.5, np.nan]), np.array([0.2, np.nan]), np.array([0.7, np.nan])
        ),
    ),
)
ALL = EvaluationPlots(
    True,
    roc=ROC,
    froc=FROC,
    precision_recall=replace(ROC, baseline=0.5),
    reliability=RELIABILITY,
    decision_curve=DECISION,
    sizes=SIZES,
    overlap=OVERLAP,
    mask_sizes=MASK_SIZES,
)
NAMES = (
    *("roc", "froc", "precision_recall", "reliability", "decision_curve", "sizes"),
    *("overlap", "mask_sizes"),
)


def texts(svg: bytes | str) -> list[str]:
    return [e.text or "" for e in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_every_figure_is_written_as_svg_and_as_png_of_one_column(tmp_path: Path) -> None:
    paths = write_figures(ALL, tmp_path / "figures")
    assert [path.name for path in paths] == [f"{n}.{k}" for n in NAMES for k in ("svg", "png")]
    assert all(path.is_file() for path in paths)
    png = (tmp_path / "figures" / "roc.png").read_bytes()
    width_px = int.from_bytes(png[16:20], "big")
    assert width_px == pytest.approx(85 / 25.4 * 300, abs=1)
    svg = ET.parse(tmp_path / "figures" / "roc.svg").getroot()
    assert float(svg.get("width", "").removesuffix("pt")) == pytest.approx(85 / 25.4 * 72)


def test_a_figure_that_cannot_be_drawn_is_left_out(tmp_path: Path) -> None:
    paths = write_figures(EvaluationPlots(False, froc=FROC), tmp_path)
    assert [path.name for path in paths] == ["froc.svg", "froc.png"]


def test_an_existing_figure_is_refused_before_any_is_written(tmp_path: Path) -> None:
    (tmp_path / "sizes.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"sizes\.png: expected a new file"):
        write_figures(ALL, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["sizes.png"]
    write_figures(ALL, tmp_path, overwrite=True)


def test_the_same_data_give_the_same_bytes_and_no_date() -> None:
    assert svg_bytes(ALL, "roc") == svg_bytes(ALL, "roc")
    assert b"dc:date" not in svg_bytes(ALL, "roc")
    assert svg_bytes(ALL, "roc") != svg_bytes(replace(ALL, roc=FROC), "roc")


@pytest.mark.parametrize("name", NAMES)
def test_phantom_figures_say_so_inside(name: str) -> None:
    assert "phantom data" in texts(svg_bytes(ALL, name))
    assert "phantom data" not in texts(svg_bytes(replace(ALL, phantom=False), name))


def test_axes_say_what_false_positives_are_counted_by() -> None:
    assert "false positives per scan" in texts(svg_bytes(ALL, "froc"))
    per_image = replace(ALL, froc=replace(FROC, per="image"))
    assert "false positives per image" in texts(svg_bytes(per_image, "froc"))


def test_no_false_positive_at_all_stands_at_the_end_of_the_axis() -> None:
    plot = replace(FROC, points=(NamedPoint((0.0, 0.9), "operating threshold"),))
    drawn = texts(svg_bytes(EvaluationPlots(False, froc=plot), "froc"))  # warnings are errors here
    assert "operating threshold" in drawn


@pytest.mark.parametrize(
    ("false_positives", "last", "at"), [(35.0, "64", 35.0), (1.0, "8", 1.0), (0.0, "8", 1 / 8)]
)
def test_the_operating_point_is_on_the_froc_axis_wherever_it_lies(
    false_positives: float, last: str, at: float
) -> None:
    point = NamedPoint((false_positives, 0.5), "operating threshold")
    axes = draw(replace(ALL, froc=replace(FROC, points=(point,))), "froc").axes[0]
    assert axes.get_xlim() == (1 / 8, float(last))
    assert axes.lines[1].get_xdata()[0] == at  # type: ignore[index]


def test_letters_are_eight_points_and_a_legend_seven() -> None:
    sizes = set(re.findall(r"font-size: ([\d.]+)px", svg_bytes(ALL, "roc").decode()))
    assert sizes <= {"7", "8"}


def test_sizes_are_told_apart_by_class_and_by_whether_they_were_found() -> None:
    shown = texts(svg_bytes(ALL, "sizes"))
    for label in ("benign, missed (1)", "metastatic, found (1)", "metastatic, missed (1)"):
        assert label in shown
    assert not [text for text in shown if text.startswith("benign, found")]
    unsought = replace(ALL, sizes=replace(SIZES, found=None))
    assert {"benign (1)", "metastatic (2)"} <= set(texts(svg_bytes(unsought, "sizes")))
    unknown = replace(SIZES, category=np.full(3, LYMPH_NODE))
    shown = texts(svg_bytes(replace(ALL, sizes=unknown), "sizes"))
    assert "status unknown, found (1)" in shown


def test_of_very_many_boxes_a_share_is_drawn_which_is_said() -> None:
    many = SizesPlot(np.full(8001, 0.1), np.ones(8001), np.full(8001, BENIGN), None)
    figure = draw(replace(ALL, sizes=many), "sizes")
    assert len(figure.axes[0].lines[0].get_xydata()) == 2667  # type: ignore[arg-type]
    svg = svg_bytes(replace(ALL, sizes=many), "sizes")
    assert {"one in 3 boxes is drawn", "benign (8001)"} <= set(texts(svg))
    assert len(svg) < 100_000


def test_a_bin_without_an_interval_has_a_point_and_no_bar() -> None:
    axes = draw(ALL, "reliability").axes[0]
    bars = axes.containers[1].lines[2][0].get_segments()  # type: ignore[attr-defined]
    assert [segment[:, 1].tolist() for segment in bars] == [[0.0, 0.3], [0.8, 0.8]]


def test_no_box_at_all_still_gives_a_figure() -> None:
    none = SizesPlot(
        np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_)
    )
    assert svg_bytes(replace(ALL, sizes=none), "sizes").startswith(b"<?xml")


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    x = np.linspace(0, 1, 5000)
    shown = thinned(Curve(x, x**2, "long"), 100)
    assert len(shown.x) == 100
    assert (shown.x[0], shown.x[-1]) == (0.0, 1.0)
    assert thinned(ROC.curve) is ROC.curve


@pytest.mark.parametrize(("value", "text"), [(0.125, "1/8"), (0.5, "1/2"), (1.0, "1"), (8.0, "8")])
def test_false_positives_below_one_are_fractions(value: float, text: str) -> None:
    assert fraction(value) == text


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"curve: expected y of \(3,\), got \(2,\)"):
        Curve(UNIT, UNIT[:2], "short")
    with pytest.raises(ValueError, match="band: expected three columns"):
        Band(UNIT, UNIT, UNIT[:2])


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_within_a_page_has_no_styles_and_keeps_its_text(name: str) -> None:
    svg = svg_bytes(ALL, name)
    inline = inline_svg(svg, name=name, description="what it shows")
    assert not re.search("[ <]style", inline)
    assert not re.search("#(000000|222222)", inline)
    assert texts(inline) == texts(svg)
    root = ET.fromstring(inline)
    assert (root.get("role"), root.get("aria-label")) == ("img", "what it shows")


def test_ids_of_two_pictures_on_a_page_differ_and_references_lead_somewhere() -> None:
    found: list[str] = []
    for name in ("roc", "froc"):
        inline = inline_svg(svg_bytes(ALL, name), name=name, description="")
        ids = re.findall(r' id="([^"]+)"', inline)
        assert set(re.findall(r"#([a-z_]+-[\w-]+)", inline)) == set(ids)
        found += ids
    assert len(found) == len(set(found)) > 0


def test_curves_beside_the_first_have_other_colours_and_lines_and_no_band() -> None:
    x = np.array([0.0, 0.5, 1.0])
    others = tuple(Curve(x, x ** (k / 10), f"model {k}") for k in range(1, 8))
    plot = CurvePlot(Curve(x, np.sqrt(x), "triple"), others=others)
    axes = draw(EvaluationPlots(phantom=False, roc=plot), "roc").axes[0]
    lines = [line for line in axes.lines if str(line.get_label()).startswith(("triple", "model"))]
    looks = {(line.get_color(), line.get_linestyle()) for line in lines}
    assert len(lines) == len(looks) == 8
    assert not axes.collections
    np.testing.assert_array_equal(lines[2].get_ydata(), x**0.2)
