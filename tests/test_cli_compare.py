"""`eval --compare` and `eval --readers` on the command line."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import write_coco


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Truth of eight nodes of four patients, two models' answers on them, two readers'."""
    monkeypatch.chdir(tmp_path)
    images = tuple(
        ImageRecord(k, f"{k}.dcm", 99, 99, f"p{k}", f"s{k}", f"1.{k}", 0, 0.0, (1.0, 1.0))
        for k in range(4)
    )
    truth = tuple(
        NodeAnnotation(k, k % 4, 1 + k // 4, (10.0 + 40 * (k // 4), 10, 40.0 + 40 * (k // 4), 40))
        for k in range(8)
    )
    write_coco(CocoDataset({}, images, truth), Path("truth.json"))
    for name, p in (("a.json", [0.1] * 4 + [0.9] * 4), ("b.json", [0.6, 0.2] * 4)):
        said = tuple(
            replace(
                node,
                category_id=2 if value >= 0.5 else 1,
                score=round(0.9 - 0.01 * node.annotation_id, 6),
                probabilities={"benign": 1 - value, "metastatic": value},
                threshold=0.5,
            )
            for node, value in zip(truth, p, strict=True)
        )
        info = {"operating_threshold": 0.5}
        write_coco(CocoDataset(info, images, said[:7] if name == "b.json" else said), Path(name))
    rows = [
        f"{reader},{k},{(k + shift) // 4}"
        for reader, shift in (("A", 0), ("B", 1))
        for k in range(7)
    ]
    Path("readers.csv").write_text("reader,annotation_id,call\n" + "\n".join(rows) + "\n")


def run(*words: str) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, ["eval", *words])
    return found.exit_code, found.stdout, " ".join(found.stderr.split())


def test_compare_prints_both_and_writes_what_json_prints() -> None:
    words = ("--compare", "a.json", "b.json", "--bootstrap", "50")
    code, shown, said = run(*words, "-o", "comparison.json")
    assert code == 0
    assert "A: a.json" in shown
    assert "B: b.json" in shown
    assert "A - B" in shown
    assert "Written: comparison.json, comparison.csv and comparison.run.json" in said
    rows = list(csv.DictReader(Path("comparison.csv").read_text().splitlines()))
    assert [row["of"] for row in rows[:3]] == ["A", "B", "A - B"]
    assert [row["file"] for row in rows[:3]] == ["a.json", "b.json", ""]
    code, shown, _ = run(*words, "--json")
    assert json.loads(shown) == json.loads(Path("comparison.json").read_text())


def test_readers_prints_them_and_writes_the_figure() -> None:
    words = ("--readers", "readers.csv", "--nodes", "a.json", "--bootstrap", "50")
    code, shown, said = run(*words, "-o", "readers.json", "--figures", "drawn")
    assert code == 0
    assert "2 readers of readers.csv beside a.json" in shown
    assert "Written: drawn/roc.svg and drawn/roc.png" in said
    assert Path("drawn/roc.png").is_file()
    code, shown, _ = run(*words, "--json")
    assert json.loads(shown) == json.loads(Path("readers.json").read_text())


def test_the_model_beside_the_readers_is_that_of_classified_truth_boxes_if_given() -> None:
    code, shown, _ = run("--readers", "readers.csv", "--truth-nodes", "b.json")
    assert code == 0
    assert "beside b.json" in shown


def test_an_evaluation_draws_its_figures_where_it_is_told() -> None:
    code, _, said = run("--nodes", "a.json", "--bootstrap", "20", "--figures", "drawn", "--ap50")
    assert code == 0
    assert "drawn/roc.svg" in said
    assert Path("drawn/froc.png").is_file()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("--compare a.json", 2, "requires 2 arguments"),
        ("--compare a.json a.json", 2, "the same content twice (a.json and a.json)"),
        ("--compare a.json no.json", 3, "no.json: expected a file, got none there"),
        ("--compare a.json truth.json", 2, "truth.json, which is the truth file"),
        ("--compare a.json b.json --by level", 2, "expected no --by beside it"),
        ("--compare a.json b.json --nodes a.json", 2, "expected no --nodes beside it"),
        ("--compare a.json b.json --readers readers.csv", 2, "expected no --readers beside it"),
        ("--compare a.json b.json --ap50", 2, "Leave out --ap50"),
        ("--readers readers.csv", 3, "nodes.json: expected a file"),
        ("--readers readers.csv --nodes a.json --nodes b.json", 2, "got 2"),
        ("--readers readers.csv --nodes a.json --fp-per-scan 2", 2, "no --fp-per-scan"),
        ("--readers a.json --nodes b.json", 3, "a.json: line 1: expected a header with a column"),
    ],
)
def test_wrong_use_is_one_sentence_and_a_code(words: str, code: int, message: str) -> None:
    found, shown, said = run(*words.split())
    assert found == code
    assert message in said
    assert shown == ""


def test_more_resamples_than_memory_holds_are_a_usage_error() -> None:
    for arguments in ([], ["--compare", "a.json", "b.json"]):
        result = CliRunner().invoke(app, ["eval", "--bootstrap", "1000000000", *arguments])
        assert result.exit_code == 2
