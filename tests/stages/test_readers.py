import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score

from lnmdetect.core.errors import InputError, LnmDetectError, OutputError
from lnmdetect.core.patient_digests import PatientDigests, chosen_on
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.metrics.delong import compare_delong
from lnmdetect.stages.readers import ReadersRequest, compare_readers
from lnmdetect.stages.readers_figure import roc_with_readers
from lnmdetect.stages.readers_result import ReadersResult
from lnmdetect.stages.readers_tables import readers_tables

RNG = np.random.default_rng(5)
CATEGORY = [int(c) for c in RNG.integers(1, 3, 60)]
P = [round(float(1 / (1 + np.exp(-x))), 6) for x in RNG.normal(1.5 * (2 * np.array(CATEGORY) - 3))]
RATING = [float(x) for x in np.round(RNG.normal(2.0 * np.array(CATEGORY)), 1)]
METASTATIC = np.array(CATEGORY) == 2
NODES, CSV = Path("truth_nodes.json"), Path("readers.csv")


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Truth of 60 boxes on 30 slices of 10 patients, ids from 101 on; the model's answers."""
    monkeypatch.chdir(tmp_path)
    images = tuple(
        ImageRecord(k, f"{k}.dcm", 99, 99, f"p{k // 3}", f"s{k // 3}", f"1.{k}", k % 3, k, (1, 1))
        for k in range(30)
    )
    boxes = ((10.0, 10.0, 30.0, 30.0), (50.0, 50.0, 80.0, 80.0))
    truth = [
        NodeAnnotation(101 + k, k // 2, CATEGORY[k], boxes[k % 2], ignored=k == 59)
        for k in range(60)
    ]
    truth[58] = replace(truth[58], category_id=3)
    said = tuple(
        replace(
            node,
            category_id=2 if p >= 0.5 else 1,
            probabilities={"benign": 1 - p, "metastatic": p},
            threshold=0.5,
        )
        for node, p in zip(truth, P, strict=True)
    )
    write_coco(CocoDataset({"phantom": True}, images, tuple(truth)), Path("truth.json"))
    write_coco(CocoDataset({}, images, said), NODES)


def write_rows(*rows: tuple[Any, ...], header: str = "reader,annotation_id,call,rating") -> None:
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    CSV.write_text("\n".join(lines) + "\n")


def write_two_readers() -> None:
    """A rates and calls all boxes; B only calls, and only the first 40."""
    of_a = [("A", 101 + k, int(RATING[k] >= 3), RATING[k]) for k in range(60)]
    of_b = [("B", 101 + k, "metastatic" if k % 3 else "benign", "") for k in range(40)]
    write_rows(*of_a, *of_b)


def request(**changes: Any) -> ReadersRequest:
    return ReadersRequest(**{"readers": CSV, "model": NODES, "bootstrap": 100, **changes})


def printed(result: ReadersResult) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(readers_tables(result))
    return " ".join(capture.get().split())


def test_each_reader_stands_beside_the_model_on_the_same_boxes() -> None:
    write_two_readers()
    result = compare_readers(request())
    a, b = result.readers
    known = slice(0, 58)
    assert (a.reader, a.n, a.unanswered, a.auc_of) == ("A", 58, 0, "ratings")
    assert a.auc.value == pytest.approx(roc_auc_score(METASTATIC[known], RATING[known]))
    assert a.against_model is not None
    assert a.against_model.auc.a == result.model.auc
    delong = compare_delong(METASTATIC[known], np.array(P[known]), np.array(RATING[known]))
    assert a.against_model.delong == delong
    calls = np.array(RATING[known]) >= 3
    assert a.sensitivity.value == pytest.approx(calls[METASTATIC[known]].mean())
    assert a.specificity.value == pytest.approx((~calls)[~METASTATIC[known]].mean())
    assert (b.n, b.unanswered, b.auc_of) == (40, 18, "calls")
    assert b.against_model is not None
    assert b.against_model.n == 40
    assert b.against_model.mcnemar is not None


def test_answers_on_boxes_that_do_not_count_are_left_out_and_counted() -> None:
    write_two_readers()
    result = compare_readers(request())
    assert (result.info.nodes, result.info.answers, result.info.answers_left_out) == (58, 100, 2)
    notes = " ".join(result.info.notes)
    assert "2 answers are left out" in notes
    assert "B has no answer on 18 of 58 boxes." in notes
    assert "Phantom figures" in notes


def test_columns_that_mean_nothing_are_named() -> None:
    write_rows(("A", 101, 1, "new"), header="reader,annotation_id,call,comment")
    notes = compare_readers(request()).info.notes
    assert "readers.csv: not read: comment." in notes


def test_predicted_boxes_answer_only_where_they_hit_above_their_threshold() -> None:
    said = read_coco(NODES)
    boxes = tuple(replace(n, score=0.9 if k < 30 else 0.2) for k, n in enumerate(said.annotations))
    write_coco(CocoDataset({"operating_threshold": 0.5}, said.images, boxes), Path("nodes.json"))
    write_two_readers()
    result = compare_readers(request(model=Path("nodes.json")))
    assert (result.model.n, result.model.unanswered) == (30, 28)
    assert result.readers[0].n == 58
    assert result.readers[0].against_model is not None
    assert result.readers[0].against_model.n == 30
    assert any("no answer on 28 truth boxes of 58" in note for note in result.info.notes)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("A", 101, 1, 2), ("A", 7, 1, 2)], "readers.csv: line 3: .* got 7, which it does not"),
        ([("A", 101, 1, 2), ("A", 101, 0, 2)], "line 3: expected one answer of a reader"),
        ([("A", 101, 1, 2), ("A", 102, 1, "high")], "line 3: expected a number as rating"),
        ([("A", 101, 1, 2), ("A", 102, "", 3)], "line 3: expected a call of A on every row"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(rows: list[tuple[Any, ...]], message: str) -> None:
    write_rows(*rows)
    with pytest.raises(InputError, match=message):
        compare_readers(request())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"readers": Path("no.csv")}, InputError, "no.csv: .* got none there. .* --readers"),
        ({"model": Path("no.json")}, InputError, "no.json: .* --nodes"),
        ({"model": Path("truth.json")}, InputError, "truth.json: expected boxes with class prob"),
        ({"output": NODES}, OutputError, "a file of that name"),
    ],
)
def test_files_that_are_missing_or_wrong_are_a_sentence(
    changes: dict[str, Any], error: type[LnmDetectError], message: str
) -> None:
    write_two_readers()
    with pytest.raises(error, match=message):
        compare_readers(replace(request(), **changes))


def test_a_model_that_was_calibrated_on_these_patients_is_refused_unless_said() -> None:
    write_two_readers()
    said = read_coco(NODES)
    digests = chosen_on("classifier_threshold", PatientDigests.of(["p0", "p1"], "0" * 64))
    write_coco(replace(said, info=digests), NODES, overwrite=True)
    with pytest.raises(InputError, match="2 patients it is evaluated on"):
        compare_readers(request())
    notes = compare_readers(request(optimistic=True)).info.notes
    assert notes[0].startswith("Optimistic: ")


def test_the_figure_has_the_curve_and_a_point_for_each_reader_who_calls(tmp_path: Path) -> None:
    write_two_readers()
    result = compare_readers(request(figures=Path("figures")))
    plot = roc_with_readers(result).roc
    assert plot is not None
    a, b = result.readers
    assert [point.at for point in plot.points] == [
        (1 - (r.specificity.value or 0), r.sensitivity.value) for r in (a, b)
    ]
    assert plot.points[0].label == f"A, AUC {a.auc.value:.3f}"
    assert plot.curve.label == f"model, AUC {result.model.auc.value:.3f}"
    svg = Path("figures/roc.svg").read_text()
    assert ">A, AUC " in svg
    assert ">B, AUC " in svg
    assert "phantom data" in svg
    assert Path("figures/roc.png").stat().st_size > 1000


def test_ratings_alone_have_no_point() -> None:
    write_rows(
        *(("C", 101 + k, RATING[k]) for k in range(58)), header="reader,annotation_id,rating"
    )
    result = compare_readers(request())
    plot = roc_with_readers(result).roc
    assert plot is not None
    assert plot.points == ()
    assert result.readers[0].sensitivity.reason == "the reader gives ratings and no calls"
    assert "McNemar" not in printed(result)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (r"$\frac$", r"$\frac$, AUC "),  # matplotlib's formulas
        ("_hidden", "hidden, AUC "),  # no legend entry for a leading underscore
        ("A" * 64, "A" * 19 + "…, AUC "),
    ],
)
def test_a_name_is_shown_as_it_is_and_not_set_as_a_formula(name: str, shown: str) -> None:
    write_rows(*((name, 101 + k, k % 2, RATING[k]) for k in range(58)))
    compare_readers(request(figures=Path("figures")))
    assert f">{shown}" in Path("figures/roc.svg").read_text()


def test_a_crowd_of_readers_shares_a_legend_entry() -> None:
    write_rows(*((f"r{r}", 101 + k, (k + r) % 2, "") for r in range(30) for k in range(58)))
    plot = roc_with_readers(compare_readers(request(bootstrap=20, figures=Path("figures")))).roc
    assert plot is not None
    labels = [point.label for point in plot.points]
    assert len(labels) == 30
    assert labels[7] == "23 more readers"
    assert set(labels[8:]) == {""}


def test_the_table_names_everyone_and_the_published_readers_as_other_data() -> None:
    write_two_readers()
    shown = printed(compare_readers(request()))
    assert "2 readers of readers.csv beside truth_nodes.json, on 58 truth boxes" in shown
    assert "Model - A, AUC on 58 truth boxes that both answered" in shown
    assert "Model - B, AUC on 40 truth boxes that both answered" in shown
    assert "other data): radiologist 1 0.719, radiologist 2 0.695, radiologist 3 0.779" in shown
    assert "model alone" in shown


def test_one_class_or_no_common_box_is_told_and_nothing_fails() -> None:
    benign = [101 + k for k in range(58) if CATEGORY[k] == 1][:4]
    write_rows(*(("A", key, 0, 1.5) for key in benign))
    result = compare_readers(request(figures=Path("figures")))
    assert result.readers[0].auc.reason == "no metastatic node"
    json.dumps(result.to_json(), allow_nan=False)
    printed(result)
    write_rows(("A", 159, 0, 1.5))
    lone = compare_readers(request())
    assert lone.readers[0].against_model is None
    assert "no truth box that both answered" in printed(lone)


def test_the_result_is_written_with_its_record_and_the_same_each_time() -> None:
    write_two_readers()
    compare_readers(request(output=Path("one.json")))
    compare_readers(request(output=Path("two.json")))
    assert Path("one.json").read_bytes() == Path("two.json").read_bytes()
    written = json.loads(Path("one.json").read_text())
    assert [reader["reader"] for reader in written["readers"]] == ["A", "B"]
    assert [one["auc"] for one in written["published"]] == [0.719, 0.695, 0.779]
    record = json.loads(Path("one.run.json").read_text())
    assert set(record["inputs"]) == {"truth.json", "truth_nodes.json", "readers.csv"}
