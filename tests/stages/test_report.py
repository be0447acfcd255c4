"""`lnmdetect report`: what the page says of the files, which slices it shows, what it writes."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.errors import InputError, OutputError, UsageError
from lnmdetect.core.records import (
    BENIGN,
    LYMPH_NODE,
    METASTATIC,
    CocoDataset,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.io.coco import write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.metrics.figure import Figure
from lnmdetect.stages import report_slices
from lnmdetect.stages.evaluate import Evaluation, full_evaluation
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.report import ReportRequest, report
from lnmdetect.stages.report_boxes import shown_boxes, worst_first
from lnmdetect.stages.report_checklist import checklist
from lnmdetect.stages.report_plots import evaluation_plots, write_evaluation_figures
from lnmdetect.stages.report_slices import browser, shown_part
from lnmdetect.stages.report_tables import confusion_table, figure_row, in_brackets
from lnmdetect.stages.report_view import report_view

SIDE, SLICES, PATIENTS = 64, 6, 2
SPACING_MM = (1.0, 0.5)  # row, column
INFO = {
    "phantom": True,
    "scan_root": "scan",
    "coverage": "all_slices",
    "operating_threshold": 0.5,
    "operating_threshold_source": "bundle tiny",
    "detector": {"name": "tiny", "sha256": "ab" * 32, "trained_on_phantoms": True},
    "classifier": {"name": "small", "sha256": "cd" * 32},
}
Box = tuple[float, float, float, float]
NODE: Box = (20, 20, 40, 30)  # 10 mm x 10 mm
OTHER: Box = (44, 40, 56, 52)  # 6 mm x 12 mm
FAR: Box = (4, 4, 12, 12)


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def truth_node(number: int, image: int, box: Box, category: int, **more: object) -> NodeAnnotation:
    return NodeAnnotation(number, image, category, box, short_axis_mm=7.5, **more)  # type: ignore[arg-type]


def found_node(number: int, image: int, box: Box, score: float, p: float) -> NodeAnnotation:
    return NodeAnnotation(
        number,
        image,
        METASTATIC if p >= 0.5 else BENIGN,
        box,
        score=score,
        probabilities={"benign": 1 - p, "metastatic": p},
        threshold=0.5,
    )


TRUTH = (
    truth_node(1, 1, NODE, METASTATIC),  # hit
    truth_node(2, 2, NODE, BENIGN),  # hit, called metastatic
    truth_node(3, 2, OTHER, BENIGN),  # missed, 6 mm
    truth_node(4, 3, NODE, METASTATIC),  # missed, 10 mm
    truth_node(5, 7, NODE, BENIGN),  # hit
    truth_node(6, 8, NODE, METASTATIC, ignored=True),
    truth_node(7, 9, NODE, METASTATIC),  # hit twice
)
FOUND = (
    found_node(1, 1, NODE, 0.9, 0.9),
    found_node(2, 2, NODE, 0.8, 0.7),
    found_node(3, 4, FAR, 0.95, 0.2),  # background
    found_node(4, 5, FAR, 0.6, 0.2),  # background
    found_node(5, 6, FAR, 0.3, 0.2),  # below the threshold
    found_node(6, 7, NODE, 0.7, 0.1),
    found_node(7, 9, NODE, 0.9, 0.8),
    found_node(8, 9, (21, 20, 41, 30), 0.8, 0.8),  # duplicate
)


@pytest.fixture
def images(tmp_path: Path) -> tuple[ImageRecord, ...]:
    """Two patients' scans below scan/, six slices each, ids 1 to 12."""
    records: list[ImageRecord] = []
    for patient in range(PATIENTS):
        voxels = np.full((SLICES, SIDE, SIDE), -1000, np.int16)
        voxels[:, 10:54, 10:60] = 40 + 10 * patient
        meta = CtSeriesMeta(f"r{patient}", "n", "n", (2.0, *SPACING_MM), 2.0, (0.0, 0.0, 0.0))
        written = write_ct_series(voxels, tmp_path / "scan" / str(patient), meta)
        records += [
            ImageRecord(
                len(records) + k + 1,
                f"{item.sop_instance_uid}.dcm",
                SIDE,
                SIDE,
                f"p{patient}",
                f"1.{patient}",
                item.sop_instance_uid,
                k,
                item.position_mm,
                SPACING_MM,
            )
            for k, item in enumerate(written)
        ]
    return tuple(records)


@pytest.fixture
def files(images: tuple[ImageRecord, ...]) -> tuple[ImageRecord, ...]:
    """truth.json and nodes.json of these slices, in the working folder."""
    write(images, TRUTH, "truth.json")
    write(images, FOUND, "nodes.json")
    return images


def write(
    images: Sequence[ImageRecord], nodes: Sequence[NodeAnnotation], name: str, **info: object
) -> None:
    write_coco(CocoDataset({**INFO, **info}, tuple(images), tuple(nodes)), Path(name))


def evaluation(**changes: object) -> Evaluation:
    return full_evaluation(EvalRequest(bootstrap=20, **changes))  # type: ignore[arg-type]


QUICK = EvalRequest(bootstrap=20)


@pytest.mark.usefixtures("files")
def test_the_page_the_record_and_the_figures_are_written() -> None:
    result = report(ReportRequest(QUICK, figures=Path("figures")))
    page = result.output.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert result.bytes == len(page.encode())
    assert (result.slices, result.available, result.pictures) == (7, 7, 7)
    assert {path.name for path in result.figures} >= {"roc.svg", "roc.png", "froc.svg", "sizes.png"}
    record = json.loads(Path("report.run.json").read_text())
    assert record["command"] == "report"
    assert set(record["inputs"]) == {"truth.json", "nodes.json"}


@pytest.mark.usefixtures("files")
def test_the_same_files_give_the_same_page() -> None:
    pages = []
    for name in ("a.html", "b.html"):
        report(ReportRequest(QUICK, output=Path(name)))
        pages.append(Path(name).read_bytes())
    assert pages[0] == pages[1]


@pytest.mark.usefixtures("files")
def test_the_page_says_what_was_run_with_hashes_models_and_thresholds() -> None:
    facts = {fact.name: fact.value for fact in report_view(evaluation()).facts}
    assert re.fullmatch(r"truth\.json, SHA-256 [0-9a-f]{64}", facts["Truth"])
    assert facts["Detector"] == f"tiny, SHA-256 {'ab' * 8}…, trained on phantoms"
    assert facts["Classifier"] == f"small, SHA-256 {'cd' * 8}…"
    assert facts["Threshold of the detector"] == "0.5 (nodes.json, from bundle tiny)"
    assert "20 resamples of the patients (seed 0)" in facts["Intervals"]


@pytest.mark.usefixtures("files")
def test_the_headline_has_the_figures_of_eval() -> None:
    done = evaluation()
    rows = {row.name: row for row in report_view(done).headline.rows}
    point = done.result.detection and done.result.detection.operating_point
    assert point is not None
    assert rows["Sensitivity for boxes at the operating threshold"].value == "0.667"  # 4 of 6
    assert rows["False positives an image there"].value == "0.250"  # 3 on 12
    assert rows["AP50 of the boxes"].value == f"{done.result.ap50.value:.3f}"
    assert rows["Metastatic boxes found and called so"].value == "0.667"  # 2 of 3


@pytest.mark.usefixtures("files")
def test_errors_and_confusion_are_counted_in_tables() -> None:
    tables = {
        table.caption: table.rows
        for section in report_view(evaluation()).sections
        for table in section.tables
    }
    errors = {row[0]: row[1] for row in tables["Errors at the operating thresholds"]}
    assert errors["Truth boxes with no box on them (missed)"] == "2"
    assert errors["Truth boxes hit and called the wrong class"] == "1"
    assert errors["False positives: duplicates of a hit"] == "1"
    assert errors["False positives: background"] == "2"
    confusion = tables["Confusion matrix on predicted boxes scored 0.5 or more that hit a node"]
    assert confusion == (("metastatic", "2", "0", "2"), ("benign", "1", "1", "2"))


@pytest.mark.usefixtures("files")
def test_every_box_is_shown_with_what_became_of_it() -> None:
    shown = shown_boxes(evaluation())
    assert shown is not None
    assert shown.truth.kind.tolist() == [
        *("found", "wrong class", "missed", "missed", "found", "ignored", "found")
    ]
    assert shown.found.kind.tolist() == [
        *("hit", "wrong class", "background", "background", "hit", "hit", "duplicate")
    ]
    # mm for truth (6 mm x 12 mm counts as 6), P of the wrong class, else the score
    assert shown.truth.severity.tolist() == pytest.approx([10, 10, 6, 10, 10, 10, 10])
    assert shown.found.severity.tolist() == pytest.approx([0.9, 0.7, 0.95, 0.6, 0.7, 0.9, 0.8])


@pytest.mark.usefixtures("files")
def test_slices_with_truth_or_predictions_come_worst_first() -> None:
    slices = browser(evaluation(), scan=None).slices
    names = [(item.patient, item.name) for item in slices]
    # The larger miss, the higher-scored background, the wrong class with the smaller miss, the
    # duplicate; then the other background, and slices without an error in their order.
    assert names == [
        *(("p0", "slice 3"), ("p0", "slice 4"), ("p0", "slice 2"), ("p1", "slice 3")),
        *(("p0", "slice 5"), ("p0", "slice 1"), ("p1", "slice 1")),
    ]


def test_errors_of_each_kind_take_turns() -> None:
    none = -np.inf
    missed = np.array([none, 5.0, 9.0, none, none])
    background = np.array([none, none, 0.2, 0.9, none])
    assert worst_first([missed, background]).tolist() == [2, 3, 1, 0, 4]


@pytest.mark.usefixtures("files")
def test_boxes_lie_in_mm_from_the_corner_of_the_shown_part() -> None:
    first = browser(evaluation(), scan=None).slices[0]
    (box,) = first.boxes
    # The body is columns 10 to 60, rows 10 to 54; with 6 mm around it, columns 0 (cut) to 64 and
    # rows 4 to 60, but for the rounding of the mask: a margin of 4 mm is part of it.
    assert first.width_mm == 32
    assert first.height_mm <= 64
    assert (box.width, box.height) == (10, 10)
    assert box.x == pytest.approx(10)
    assert (box.source, box.kind, box.category) == ("truth", "missed", "metastatic")
    assert box.size == "10.0 × 10.0 (7.5)"
    assert box.score is None


def test_the_shown_part_is_the_patient_and_every_box_and_ends_with_the_slice() -> None:
    hu = np.full((200, 200), -1000, np.int16)
    hu[80:120, 90:130] = 40
    alone = shown_part(hu, (1.0, 1.0), [])
    assert all(abs(a - b) <= 3 for a, b in zip(alone, (80, 70, 140, 130), strict=True))
    with_box = shown_part(hu, (1.0, 1.0), [np.array([2.0, 100, 8, 110])])
    assert with_box == (0, *alone[1:])


@pytest.mark.usefixtures("files")
def test_without_pixels_the_page_is_made_and_says_so() -> None:
    Path("scan").rename("elsewhere")
    result = report(ReportRequest(QUICK))
    assert (result.slices, result.pictures) == (7, 0)
    assert "No pictures: the scans are not where the truth file says" in result.output.read_text()
    again = ReportRequest(QUICK, scan=Path("elsewhere"), overwrite=True)
    assert report(again).pictures == 7


@pytest.mark.usefixtures("files")
def test_a_scan_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="--scan: expected a folder"):
        report(ReportRequest(QUICK, scan=Path("nowhere")))
    assert not Path("report.html").exists()


def test_a_slice_without_pixels_is_counted_and_told(files: tuple[ImageRecord, ...]) -> None:
    for path in Path("scan/1").iterdir():
        path.unlink()
    shown = browser(evaluation(), scan=None)
    assert [bool(item.picture) for item in shown.slices].count(False) == 2
    (note,) = shown.notes
    assert note.startswith("2 slices have no picture. image 9: expected a slice with SOP")
    assert files[0].sop_instance_uid not in note


@pytest.mark.usefixtures("files")
def test_a_full_page_leaves_the_least_bad_slices_out(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = browser(evaluation(), scan=None).slices
    room = sum(len(item.picture) for item in whole[:3])
    monkeypatch.setattr(report_slices, "PICTURE_BYTES", room)
    cut = browser(evaluation(), scan=None)
    assert cut.slices == whole[:3]
    assert cut.available == 7


def test_key_images_of_png_are_shown_without_their_files_names() -> None:
    Path("png").mkdir()
    stored = np.full((SIDE, SIDE), 24, np.uint16)
    stored[10:50, 10:50] = 1024 + 60
    Image.fromarray(stored).save("png/Jane_Doe.png")
    image = ImageRecord(7, "png/Jane_Doe.png", SIDE, SIDE, "p0", "s", "", 0, 0.0, (1.0, 1.0))
    truth, found = truth_node(1, 7, FAR, BENIGN), found_node(1, 7, NODE, 0.9, 0.9)
    write([image], [truth], "truth.json", coverage="key_images", scan_root=".")
    write([image], [found], "nodes.json", coverage="key_images", scan_root=".")
    result = report(ReportRequest(QUICK))
    assert (result.slices, result.pictures) == (1, 1)
    page = result.output.read_text(encoding="utf-8")
    assert '"name":"image 7"' in page
    assert "Doe" not in page


def test_without_an_operating_threshold_all_boxes_are_shown(
    images: tuple[ImageRecord, ...],
) -> None:
    write(images, TRUTH, "truth.json")
    write(images, FOUND, "nodes.json", operating_threshold=None)
    shown = browser(evaluation(), scan=None)
    assert shown.available == 8
    assert (
        "No operating threshold of the detector is known: all its boxes are shown." in shown.notes
    )


def test_boxes_that_were_not_classified_have_no_curves_of_classes(
    images: tuple[ImageRecord, ...],
) -> None:
    write(images, TRUTH, "truth.json")
    plain = [replace(n, category_id=LYMPH_NODE, probabilities=None, threshold=None) for n in FOUND]
    write(images, plain, "boxes.json")
    view = report_view(evaluation())
    classes = next(section for section in view.sections if section.ident == "classification")
    assert {plot.missing for plot in classes.plots} == {"no box has class probabilities"}
    assert classes.figures == ()
    assert view.browser.slices[0].boxes


def test_classified_truth_boxes_are_shown_as_hits_and_wrong_classes(
    images: tuple[ImageRecord, ...],
) -> None:
    write(images, TRUTH, "truth.json")
    said = [
        replace(n, probabilities={"benign": 0.2, "metastatic": 0.8}, threshold=0.5, category_id=2)
        for n in TRUTH
    ]
    write(images, said, "nodes.json")
    view = report_view(evaluation())
    detection = next(section for section in view.sections if section.ident == "detection")
    assert detection.plots[0].missing == "no file has boxes with a score"
    kinds = [b.kind for item in view.browser.slices for b in item.boxes if b.source == "found"]
    assert sorted(kinds) == ["hit", "hit", "hit", "wrong class", "wrong class", "wrong class"]


def test_no_box_at_all_still_gives_a_report(images: tuple[ImageRecord, ...]) -> None:
    write(images, (), "truth.json")
    write(images, (), "nodes.json")
    result = report(ReportRequest(QUICK, figures=Path("figures")))
    assert result.slices == 0
    assert result.figures == ()
    assert "undefined" in result.output.read_text()


@pytest.mark.usefixtures("files")
def test_existing_outputs_stay() -> None:
    report(ReportRequest(QUICK))
    with pytest.raises(OutputError, match=r"report\.html: expected a new file"):
        report(ReportRequest(QUICK))
    Path("figures").mkdir()
    Path("figures/froc.png").write_bytes(b"mine")
    other = ReportRequest(QUICK, output=Path("other.html"), figures=Path("figures"))
    with pytest.raises(OutputError, match=r"froc\.png: expected a new file"):
        report(other)
    assert not Path("other.html").exists()
    report(replace(other, overwrite=True))


def test_a_page_that_browsers_would_not_open_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--output: expected a name that ends in \.html"):
        report(ReportRequest(QUICK, output=Path("report.pdf")))


@pytest.mark.usefixtures("files")
def test_figures_do_not_go_into_a_file() -> None:
    Path("figures").write_text("mine")
    with pytest.raises(OutputError, match="figures: expected a folder for the figures"):
        report(ReportRequest(QUICK, figures=Path("figures")))


@pytest.mark.usefixtures("files")
def test_figures_can_be_written_without_a_page() -> None:
    paths = write_evaluation_figures(evaluation(), Path("figures"))
    assert sorted(path.name for path in paths) == sorted(p.name for p in Path("figures").iterdir())
    assert len(paths) == 12


@pytest.mark.usefixtures("files")
def test_figures_are_drawn_from_the_numbers_of_the_evaluation() -> None:
    plots = evaluation_plots(evaluation())
    assert plots.roc is not None
    assert plots.roc.points[0].at == (0.5, 1.0)  # 1 of 2 benign called metastatic, 2 of 2 found
    assert plots.froc is not None
    assert plots.froc.points[0].at == pytest.approx((0.25, 4 / 6))
    assert plots.sizes is not None
    assert plots.sizes.area_percent[0] == pytest.approx(100 * 200 / 64**2)
    assert plots.sizes.aspect.tolist() == pytest.approx([2, 2, 1, 2, 2, 2])
    assert plots.sizes.found is not None
    assert plots.sizes.found.tolist() == [True, True, False, False, True, True]
    assert plots.reliability is not None
    assert plots.reliability.counts.sum() == 4
    assert plots.decision_curve is not None
    assert plots.decision_curve.threshold == 0.5


@pytest.mark.usefixtures("files")
def test_a_caption_tells_of_a_band_only_where_there_is_one() -> None:
    for resamples, told in ((20, "Band: 95 %"), (0, "No band:")):
        view = report_view(full_evaluation(EvalRequest(bootstrap=resamples)))
        plots = [plot for section in view.sections for plot in section.plots]
        captions = [plot.caption for plot in plots if "band" in plot.caption.lower()]
        assert len(captions) == 3
        assert all(told in caption for caption in captions)


def test_a_perfect_classifier_errs_nowhere_and_stands_in_the_upper_left_corner(
    images: tuple[ImageRecord, ...],
) -> None:
    write(images, TRUTH, "truth.json")
    write(images, [node for node in FOUND if node.annotation_id != 2], "nodes.json")
    done = evaluation()
    assert done.result.classification is not None
    counts = confusion_table(done.result.classification).rows
    assert counts == (("metastatic", "2", "0", "2"), ("benign", "0", "1", "1"))
    plots = evaluation_plots(done)
    assert plots.roc is not None
    assert plots.roc.points[0].at == (0.0, 1.0)
    assert plots.precision_recall is not None
    assert plots.precision_recall.points[0].at == (1.0, 1.0)


def test_a_row_tells_its_intervals_and_where_another_than_usual_comes_from() -> None:
    usual = Figure(0.5, None, (0.4, 0.6), "bootstrap over patients", (0.45, 0.55), "Wilson", 9)
    row = figure_row("x", usual)
    assert (row.value, row.interval, row.n, row.reason) == ("0.500", "0.400 to 0.600", "9", "")
    assert row.independent == "0.450 to 0.550 (Wilson)"
    assert figure_row("x", Figure(0.0, "no detection")).reason == "no detection"
    alone = Figure(0.5, interval_method="none: a single patient")
    assert figure_row("x", alone).reason == "none: a single patient"
    assert figure_row("x", Figure(None, "no box")).value == "undefined"


def test_a_cell_tells_value_and_interval_or_the_reason() -> None:
    assert in_brackets(Figure(0.5, interval=(0.4, 0.6))) == "0.500 (0.400 to 0.600)"
    assert in_brackets(Figure(0.5)) == "0.500"
    assert in_brackets(Figure(None, "no box")) == "undefined: no box"


@pytest.mark.usefixtures("files")
def test_the_checklist_has_every_item_of_both_guidelines_once_or_more() -> None:
    items = checklist(evaluation())
    tripod = {int(re.sub(r"\D", "", part)) for i in items for part in i.tripod.split(", ") if part}
    claim = {int(part) for i in items for part in i.claim.split(", ") if part}
    assert tripod == set(range(1, 28))
    assert claim == set(range(1, 43))


@pytest.mark.usefixtures("files")
def test_the_checklist_leaves_to_the_authors_what_files_cannot_tell() -> None:
    told = {item.asks: item for item in checklist(evaluation())}
    assert told["Funding"].told == ""
    assert told["Ethical approval"].told == "No patients: synthetic scans."
    assert not told["Sample size, and why"].complete
    assert told["Sample size, and why"].told.startswith("2 patients, 2 scans, 12 slices")
    assert told["Output and thresholds"].complete
    assert "0.5 (nodes.json, from bundle tiny)" in told["Output and thresholds"].told


def test_of_real_scans_the_checklist_claims_no_ethics_and_no_construction(
    images: tuple[ImageRecord, ...],
) -> None:
    write(images, TRUTH, "truth.json", phantom=False)
    write(images, FOUND, "nodes.json", phantom=False)
    told = {item.asks: item.told for item in checklist(evaluation())}
    assert told["Ethical approval"] == ""
    assert "construction" not in told["Reference standard"]


def test_pseudonyms_and_uids_are_all_that_names_a_patient(files: tuple[ImageRecord, ...]) -> None:
    report(ReportRequest(QUICK))
    page = Path("report.html").read_text(encoding="utf-8")
    assert files[0].sop_instance_uid in page
    assert str(Path.cwd()) not in page


@pytest.mark.usefixtures("files")
def test_the_command_writes_and_prints_what_it_wrote() -> None:
    line = "report --by level --bootstrap 20 --figures figures -o page.html"
    done = CliRunner().invoke(app, line.split())
    # no truth box has a level
    assert done.exit_code == 2
    done = CliRunner().invoke(app, line.replace("--by level", "--by class").split())
    assert done.exit_code == 0, done.output
    assert re.search(r"page\.html: 0\.\d MB, 7 of 7 slices with boxes", done.output)
    assert "figures: 6 figures as SVG and PNG" in done.output
    assert "By class" in Path("page.html").read_text(encoding="utf-8")
    as_json = CliRunner().invoke(app, ["report", "--json", "--bootstrap", "0"])
    assert json.loads(as_json.stdout)["slices"] == 7


def test_a_report_needs_no_torch() -> None:
    code = "import sys, lnmdetect.stages.report; print(*(m for m in sys.modules if m == 'torch'))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
