"""benchmark: rows trained, kept, trained anew, failed; and the table's files."""

import csv
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.progress import SILENT
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, NodeAnnotation
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.metrics.figure import Figure
from lnmdetect.stages import benchmark_checks, benchmark_row
from lnmdetect.stages.benchmark import benchmark, failures
from lnmdetect.stages.benchmark_request import BenchmarkRequest, changes_of
from lnmdetect.stages.benchmark_result import BenchmarkResult
from lnmdetect.stages.benchmark_row import RowResult, store_result, stored_result
from lnmdetect.stages.train_classifier import train_classifier
from lnmdetect.stages.training_run import TrainRequest, TrainResult
from tests.test_data_specs import errors as schema_errors

Bench = Callable[..., tuple[BenchmarkResult, list[str]]]

CLASSIFIERS: dict[str, Any] = {
    "name": "tiny-classes",
    "title": "Two tiny classifiers",
    "source": "a test",
    "arm": "classifier",
    "overrides": {
        "input": {"slice_offsets_mm": [0.0], "windows_hu": [[-160, 240]]},
        "model": {"width": 0.125, "size_px": 32},
        "optimiser": {"epochs": 1, "steps_an_epoch": 2, "batch_size": 4},
        "validation_share": 0.34,
    },
    "split": {"test_share": 0.4},
    "rows": [
        {
            "name": "plain",
            "label": "Plain",
            "overrides": {"model": {"bottleneck_factor": 1, "attention": False}},
            "published": {"accuracy": 0.9, "tnr": None},
            "network": {"depth": 50},
            "published_note": "of others",
        },
        {"name": "whole", "label": "Whole", "published": {"auc": 0.95}},
    ],
}
BLOWN = {"learning_rate": 1e30, "name": "sgd", "gradient_clip": None, "steps_an_epoch": 9}
DETECTORS: dict[str, Any] = {
    "name": "tiny-boxes",
    "title": "Two tiny detectors",
    "source": "a test",
    "arm": "detector",
    "overrides": {
        "input": {"slice_offsets_mm": [0.0]},
        "model": {"width": 0.125, "proposals_train": 40, "proposals_test": 20, "roi_samples": 16},
        "sampling": {"patch_px": 64},
        "optimiser": {"epochs": 1, "steps_an_epoch": 2, "batch_size": 2},
        "validation_share": 0.34,
        "validation_images": 4,
    },
    "split": {"test_share": 0.4},
    "steps": True,
    "rows": [
        {
            "name": "large-anchors",
            "label": "Large anchors",
            "overrides": {"model": {"anchor_areas_px2": [1024, 4096, 16384, 65536, 262144]}},
            "published": {"ap50": 0.7},
        },
        {"name": "fitted", "label": "Fitted anchors", "note": "ours"},
    ],
}


@pytest.fixture
def bench(toy_data: Path, tmp_path: Path) -> Bench:
    """A function that runs a benchmark of given fields, and gives its result and what it told."""

    def call(
        fields: dict[str, Any], *, progress: Any = SILENT, **options: Any
    ) -> tuple[BenchmarkResult, list[str]]:
        recipe = tmp_path / "bench.yaml"
        recipe.write_text(yaml.safe_dump(fields))
        told: list[str] = []
        request = BenchmarkRequest(
            str(recipe),
            **{
                "data": toy_data / "truth.json",
                "output": tmp_path / "out",
                "device": "cpu",
                "bootstrap": 50,
                **options,
            },
        )
        return benchmark(request, progress, told.append), told

    return call


def test_a_nodes_file_that_lies_here_is_not_taken_for_a_rows(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nodes.json").write_text("{}")
    result, _ = bench(CLASSIFIERS, only=("plain",))
    assert result.rows[0].status == "done"


def test_two_classifiers_are_trained_tested_and_compared(bench: Bench, tmp_path: Path) -> None:
    result, told = bench(CLASSIFIERS)
    assert [row.status for row in result.rows] == ["done", "done"]
    assert [text.split(":")[0] for text in told] == [
        *["plain (1 of 2)"] * 2,
        *["whole (2 of 2)"] * 2,
    ]
    plain, whole = result.rows
    assert set(plain.figures) == {"auc", "accuracy", "tpr", "tnr", "ppv", "npv"}
    auc = [row.figures["auc"].value for row in result.rows]
    assert auc[0] is not None
    assert auc[1] is not None
    # The proposed model is the last: its figure minus the row's.
    assert plain.difference["auc"].value == pytest.approx(auc[1] - auc[0])
    assert dict(whole.difference) == {}
    assert dict(whole.step) == {}
    assert plain.result is not None
    assert plain.result.parameters is not None
    assert plain.result.steps == 2
    assert plain.result.deterministic
    out = tmp_path / "out"
    tested = {image.patient for image in read_coco(out / "parts" / "truth_test.json").images}
    split = json.loads((out / "rows" / "plain" / "split.json").read_text())
    assert len(tested) == 2
    assert not tested & {*split["training"], *split["validation"]}
    for file in ("result.json", "recipe.yaml", "nodes.json", "curves.png", "curves.csv", "bundle"):
        assert (out / "rows" / "plain" / file).exists(), file
    assert not (out / "rows" / "plain" / "last.pt").exists()
    assert (out / "roc.png").is_file()
    assert (out / "curves.png").is_file()
    over = plain.over_chance["auc"]
    assert over.value == pytest.approx(auc[0] - 0.5)
    of_auc = plain.figures["auc"]
    if of_auc.interval is not None:
        assert over.interval == pytest.approx([end - 0.5 for end in of_auc.interval])
    assert (out / "run.json").is_file()
    assert_tables(out, result)


def assert_tables(out: Path, result: BenchmarkResult) -> None:
    """The table's three files say what the result says."""
    with (out / "table.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["plain", "whole"]
    auc = result.rows[0].figures["auc"]
    assert auc.value is not None
    assert float(rows[0]["auc"]) == pytest.approx(auc.value)
    assert rows[0]["published (other data): accuracy"] == "0.9"
    assert rows[0]["network as published: depth"] == "50.0"
    assert rows[0]["published (other data): tnr"] == ""
    assert {row["phantom"] for row in rows} == {"true"}
    text = (out / "table.md").read_text()
    assert text.startswith("# Two tiny classifiers, phantom figures\n")
    assert "| model | AUC | published (other data) | accuracy | TPR |" in text
    assert "| accuracy 0.900; TNR: not known here |" in text
    assert "| 50 (50) |" in text
    assert "- Plain: of others" in text
    assert "Phantom figures: all scans are synthetic." in text
    assert "- Chance, an AUC of 0.5: " in text
    assert "Trained here, all rows: recipe compact with the table's changes, width 0.125 of" in text
    assert "1 channels, crops of 32 px, adamw 0.002 (cosine), batches of 4, 1 x 2 steps" in text
    assert "In brackets beside parameters and depth: the network as published" in text
    data = json.loads((out / "table.json").read_text())
    assert data == json.loads(json.dumps(result.to_json()))
    assert data["info"]["proposed"] == "whole"


def test_a_finished_row_is_kept_and_another_option_trains_it_anew(
    bench: Bench, tmp_path: Path
) -> None:
    bench(CLASSIFIERS, only=("plain",))
    file = tmp_path / "out" / "rows" / "plain" / "bundle" / "weights.safetensors"
    before = (file.stat().st_mtime_ns, file.read_bytes())
    result, told = bench(CLASSIFIERS)
    assert told[0] == "plain (1 of 2): finished before, kept"
    assert [row.kept for row in result.rows] == [True, False]
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before
    changed, told = bench(CLASSIFIERS, only=("plain",), seed=1)
    assert "anew because recipe, data or options have changed" in told[0]
    assert file.read_bytes() != before[1]
    # What was asked for now is not what the other row was trained with.
    assert [row.status for row in changed.rows] == ["done", "not run"]
    assert "not run" in (tmp_path / "out" / "table.md").read_text()
    assert changed.rows[0].difference["auc"].reason == "the other model has no result"


def test_each_row_starts_from_its_own_file_of_weights(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str | None] = []

    def train(request: TrainRequest, progress: Any) -> TrainResult:
        started.append(request.init)
        return train_classifier(replace(request, init=None), progress)

    monkeypatch.setattr(benchmark_row, "train_classifier", train)
    monkeypatch.setattr(benchmark_checks, "imagenet_weights", lambda _: None)  # of width 1 only
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "whole.pth").write_bytes(b"one")
    with pytest.raises(UsageError, match=r"--init: .* got none for plain\. Add plain\.saf"):
        bench(CLASSIFIERS, init=str(weights))
    bench(CLASSIFIERS, init=str(weights), only=("whole",))
    _, told = bench(CLASSIFIERS, init=str(weights), only=("whole",))
    assert told == ["whole (1 of 1): finished before, kept"]
    (weights / "whole.pth").write_bytes(b"other")
    _, told = bench(CLASSIFIERS, init=str(weights), only=("whole",))
    assert "anew" in told[0]
    result, told = bench(CLASSIFIERS, init="imagenet", only=("whole",))
    assert "anew" in told[0]
    assert started == [str(weights / "whole.pth")] * 2 + ["imagenet"]
    assert result.info.options["init"] == "imagenet"
    assert "Each row starts from ImageNet weights, its head from random ones." in result.info.notes


def test_what_no_row_could_do_is_refused_before_the_first_is_trained(
    bench: Bench, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"--init imagenet: expected a recipe of width 1"):
        bench(CLASSIFIERS, init="imagenet")
    with pytest.raises(UsageError, match=r"--init: expected networks of width 1.*got width 0\.125"):
        bench(DETECTORS, init="imagenet")
    unknown = json.loads(json.dumps(CLASSIFIERS))
    unknown["rows"][1]["overrides"] = {"model": {"backbone": "resnet5"}}
    with pytest.raises(UsageError, match="resnet5"):
        bench(unknown)
    with pytest.raises(UsageError, match=r"--only: .* got no name"):
        bench(CLASSIFIERS, only=("",))
    assert not (tmp_path / "out" / "rows").exists()


@pytest.mark.parametrize("ignored", [False, True])
def test_truth_of_one_class_that_counts_is_refused_for_classifiers(
    bench: Bench, toy_data: Path, tmp_path: Path, ignored: bool
) -> None:
    truth = read_coco(toy_data / "truth.json")
    benign = tuple(
        node
        if node.category_id != METASTATIC
        else replace(node, ignored=True)
        if ignored
        else replace(node, category_id=BENIGN)
        for node in truth.annotations
    )
    path = tmp_path / "benign.json"
    write_coco(replace(truth, annotations=benign), path)
    with pytest.raises(InputError, match=r"benign\.json: .* got no metastatic ones in part train"):
        bench(CLASSIFIERS, data=path, scan=toy_data / "scan")


@pytest.mark.parametrize("content", ["{}", "[]", '{"figures": {}, "roc": null, "other": 1}'])
def test_a_damaged_result_of_a_row_is_named(bench: Bench, tmp_path: Path, content: str) -> None:
    folder = tmp_path / "out" / "rows" / "plain"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(content)
    with pytest.raises(InputError, match=r"plain/result\.json: .*Delete the folder plain"):
        bench(CLASSIFIERS, only=("plain",))


def test_a_note_or_published_figure_changes_without_training(bench: Bench) -> None:
    bench(CLASSIFIERS, only=("whole",))
    changed = json.loads(json.dumps(CLASSIFIERS))
    changed["rows"][1]["published"] = {"auc": 0.5}
    result, told = bench(changed, only=("whole",))
    assert told == ["whole (1 of 1): finished before, kept"]
    assert result.rows[1].row.published == {"auc": 0.5}


def test_two_detectors_are_compared_with_each_other_and_step_by_step(
    bench: Bench, tmp_path: Path
) -> None:
    result, _ = bench(DETECTORS)
    assert [row.status for row in result.rows] == ["done", "done"], failures(result)
    first, second = result.rows
    assert set(first.figures) == {"ap50", "ap", "sensitivity_at_1_fp_per_image"}
    values = [row.figures["ap50"].value or 0.0 for row in result.rows]
    assert first.difference["ap50"].value == pytest.approx(values[1] - values[0])
    assert all(row.over_chance["ap50"].value is not None for row in result.rows)
    text = (tmp_path / "out" / "table.md").read_text()
    assert "| this − chance, AP50 |" in text
    # Two steps of training teach nothing.
    assert "not shown to be better (95 % interval): Fitted anchors; no interval" in text
    assert "no interval to tell by: Large anchors." in text
    assert second.step["ap50"].value == pytest.approx(values[1] - values[0])
    assert dict(first.step) == {}
    assert result.rows[0].result is not None
    assert (result.rows[0].result.depth or 0) > 50
    text = (tmp_path / "out" / "table.md").read_text()
    assert "| this − row above, AP50 |" in text
    assert "| ms a slice |" in text
    assert "AP50 0.700" in text
    assert "not in the paper" in text
    assert (tmp_path / "out" / "rows" / "fitted" / "boxes.json").is_file()


def test_a_row_that_fails_does_not_stop_the_others(bench: Bench, tmp_path: Path) -> None:
    broken = json.loads(json.dumps(CLASSIFIERS))
    broken["rows"][0]["overrides"]["optimiser"] = BLOWN
    result, told = bench(broken)
    assert [row.status for row in result.rows] == ["failed", "done"]
    (failure,) = failures(result)
    assert "finite loss terms" in str(failure)
    assert "failed. " in told[1]
    assert "Plain failed: training step" in (tmp_path / "out" / "table.md").read_text()
    again, told = bench(broken)
    assert "training" in told[0]
    assert [row.status for row in again.rows] == ["failed", "done"]


class PressCtrlC:
    """A progress that counts steps of training and presses Ctrl-C before the second, if asked."""

    def __init__(self, *, presses: bool) -> None:
        self.presses, self.steps = presses, 0

    def track(
        self, items: Iterable[Any], *, description: str, total: int | None = None
    ) -> Iterator[Any]:
        for item in items:
            if description == "plain: training":
                self.steps += 1
                if self.presses and self.steps == 2:
                    os.kill(os.getpid(), signal.SIGINT)
            yield item


def test_an_interrupted_row_goes_on_where_it_was(bench: Bench, tmp_path: Path) -> None:
    bench(CLASSIFIERS, output=tmp_path / "whole", only=("plain",))
    with pytest.raises(KeyboardInterrupt):
        bench(CLASSIFIERS, only=("plain",), progress=PressCtrlC(presses=True))
    begun = stored_result(tmp_path / "out" / "rows" / "plain")
    assert begun is not None
    assert begun.status == "begun"
    watch = PressCtrlC(presses=False)
    bench(CLASSIFIERS, only=("plain",), progress=watch)
    assert watch.steps < 2  # the rest alone
    name = "rows/plain/bundle/weights.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_folds_are_pooled_and_a_budget_is_shared_by_them(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets: list[float | None] = []

    def watched(request: TrainRequest, *rest: Any) -> TrainResult:
        budgets.append(request.budget_minutes)
        return train_classifier(request, *rest)

    monkeypatch.setattr(benchmark_row, "train_classifier", watched)
    fields = json.loads(json.dumps(CLASSIFIERS))
    fields["overrides"]["optimiser"] = {"epochs": 500, "steps_an_epoch": 2, "batch_size": 4}
    result, _ = bench(fields, only=("whole",), folds=2, budget_minutes=0.05)
    row = result.rows[1]
    assert row.status == "done", failures(result)
    assert budgets == [0.025, 0.025]
    assert (result.info.test_patients, row.figures["auc"].n) == (5, 5 * 7)
    assert row.result is not None
    assert not row.result.deterministic
    assert (row.result.training_minutes or 1) < 0.2
    folder = tmp_path / "out" / "rows" / "whole"
    assert sorted(f.name for f in folder.glob("fold*")) == ["fold1", "fold2"]
    assert any("the answers of 2 models a row" in note for note in result.info.notes)
    assert any("do not come out alike again" in note for note in result.info.notes)


def test_pixels_elsewhere_are_named_once(bench: Bench, toy_data: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved" / "truth.json"
    moved.parent.mkdir()
    moved.write_bytes((toy_data / "truth.json").read_bytes())
    result, _ = bench(CLASSIFIERS, only=("plain",), data=moved, scan=toy_data / "scan")
    assert result.rows[0].status == "done", failures(result)


def test_unknown_names_and_options_out_of_range_are_refused(bench: Bench) -> None:
    with pytest.raises(UsageError, match=r"got nobody\.") as refused:
        bench(CLASSIFIERS, only=("plain", "nobody"))
    assert "plain, whole" in str(refused.value)
    with pytest.raises(UsageError, match="wang2023-table2"):
        benchmark(BenchmarkRequest("table9", Path("truth.json"), Path("out")))
    for wrong in ({"folds": 1}, {"budget_minutes": 0.0}, {"test_share": 1.5}):
        with pytest.raises(UsageError):
            bench(CLASSIFIERS, **wrong)
    with pytest.raises(UsageError, match="--size: expected greater than or equal to 16, got 3"):
        changes_of(size_px=3)


def test_a_result_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    result = RowResult(
        "0" * 64,
        "done",
        figures={"auc": Figure(0.5, interval=(0.4, 0.6), interval_method="m", n=3)},
        roc=((0.0, 1.0), (0.0, 1.0)),
        validation={"auc": 0.25},
        parameters=3,
    )
    store_result(result, tmp_path)
    assert stored_result(tmp_path) == result
    assert stored_result(tmp_path / "none") is None


def test_the_table_fits_its_schema_with_correlations_and_failed_rows(
    bench: Bench, tmp_path: Path
) -> None:
    fields = json.loads(json.dumps(CLASSIFIERS))
    fields["correlate"] = True
    fields["rows"].append({"name": "blown", "label": "Blown", "overrides": {"optimiser": BLOWN}})
    fields["rows"][1]["proposed"] = True
    result, _ = bench(fields)
    assert [row.status for row in result.rows] == ["done", "done", "failed"]
    data = json.loads((tmp_path / "out" / "table.json").read_text())
    assert schema_errors("benchmark", data) == []
    assert data["correlations"]["depth"]["reason"] == "fewer than 3 models"
    assert data["rows"][0]["published"] == {"accuracy": 0.9, "tnr": None}
    assert data["rows"][0]["network"] == {"depth": 50}


def rewrite(path: Path, change: Callable[[NodeAnnotation], NodeAnnotation]) -> None:
    found = read_coco(path)
    write_coco(
        replace(found, annotations=tuple(map(change, found.annotations))), path, overwrite=True
    )


def turned(node: NodeAnnotation) -> NodeAnnotation:
    """The node with what was said of it turned round."""
    said = node.probabilities
    assert said is not None
    return replace(node, probabilities={"benign": said["metastatic"], "metastatic": said["benign"]})


def test_the_difference_of_classes_is_the_proposed_models_minus_the_rows(
    bench: Bench, tmp_path: Path
) -> None:
    first, _ = bench(CLASSIFIERS)
    rewrite(tmp_path / "out" / "rows" / "plain" / "nodes.json", turned)
    result, told = bench(CLASSIFIERS)
    assert all(text.endswith("kept") for text in told)
    plain, whole = (row.figures["auc"].value or 0.0 for row in first.rows)
    assert plain > 0.5
    found = result.rows[0].difference["auc"]
    assert found.value == pytest.approx(whole - (1 - plain))


def test_the_difference_of_boxes_and_the_step_have_their_signs(
    bench: Bench, tmp_path: Path
) -> None:
    bench(DETECTORS)
    out = tmp_path / "out"
    truth = read_coco(out / "parts" / "truth_test.json")
    boxes = read_coco(out / "rows" / "fitted" / "boxes.json")
    key = {image.image_id: image.join_key for image in truth.images}
    image_of = {image.join_key: image.image_id for image in boxes.images}
    perfect = tuple(
        NodeAnnotation(k, image_of[key[node.image_id]], LYMPH_NODE, node.box_xyxy, score=0.9)
        for k, node in enumerate(truth.annotations, start=1)
        if not node.ignored
    )
    for row, annotations in (("large-anchors", ()), ("fitted", perfect)):
        path = out / "rows" / row / "boxes.json"
        write_coco(replace(read_coco(path), annotations=annotations), path, overwrite=True)
    result, _ = bench(DETECTORS)
    assert result.rows[0].difference["ap50"].value == pytest.approx(1)
    assert result.rows[1].step["ap50"].value == pytest.approx(1)
    bench({**DETECTORS, "rows": [{**DETECTORS["rows"][0], "proposed": True}, DETECTORS["rows"][1]]})
    table = json.loads((out / "table.json").read_text())
    assert table["rows"][1]["difference"]["ap50"]["value"] == pytest.approx(-1)
    assert table["rows"][1]["step"]["ap50"]["value"] == pytest.approx(1)
