"""The benchmarks of the package: every row is a sound recipe; numbers are the papers' or null."""

from itertools import pairwise
from pathlib import Path

import pytest

from lnmdetect.core.benchmark_config import BenchmarkChanges, BenchmarkRecipe, BenchmarkRow
from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.io.benchmark_recipes import (
    benchmark_names,
    chosen_rows,
    parse_benchmark,
    read_benchmark,
    row_recipe,
)
from lnmdetect.io.recipes import read_recipe

BENCHMARKS = {name: read_benchmark(name) for name in benchmark_names()}
ROWS = [(found, row) for found in BENCHMARKS.values() for row in found.rows]
TINY = """
name: tiny
title: T
source: S
arm: classifier
split: {test_share: 0.3}
rows:
  - {name: one, label: One}
"""


def test_the_five_tables_have_the_rows_of_the_papers() -> None:
    found = {name: [row.name for row in recipe.rows] for name, recipe in BENCHMARKS.items()}
    assert found == {
        "lee2019-table1": [
            *("resnet50", "inceptionv3", "densenet121", "xception"),
            *("inceptionresnetv2", "densenet169", "vgg19", "vgg16"),
        ],
        "wang2023-fig8": [
            *("mobilenetv2", "shufflenetv2", "densenet121", "efficientnet-b0"),
            *("resnet34", "resnet50", "resnext50", "regnet", "a-resnet50-w"),
        ],
        "wang2023-table2": ["faster-rcnn", "fpn", "roi-align", "anchors"],
        "wang2023-table3": ["faster-rcnn", "ssd", "yolov3", "retinanet", "fcos", "proposed"],
        "wang2023-table4": ["resnet50", "a-resnet50", "resnet50-w", "a-resnet50-w"],
    }


@pytest.mark.parametrize("base", [None, "wang2023"])
@pytest.mark.parametrize(("benchmark", "row"), ROWS, ids=lambda part: part.name)
def test_every_row_is_a_sound_recipe_on_either_base(
    benchmark: BenchmarkRecipe, row: BenchmarkRow, base: str | None
) -> None:
    recipe = row_recipe(benchmark, row, BenchmarkChanges(base=base))
    assert recipe.arm == benchmark.arm
    assert recipe.name == f"{benchmark.name}-{row.name}"
    assert recipe.model.width == (1.0 if base else 0.25)


def published(benchmark: str, figure: str) -> dict[str, float | None]:
    rows = BENCHMARKS[benchmark].rows
    return {row.name: row.published[figure] for row in rows if figure in row.published}


def test_another_base_keeps_its_own_length() -> None:
    table = read_benchmark("wang2023-table2")
    for base, epochs in (("compact", 28), ("wang2023", read_recipe("wang2023", "detector"))):
        recipe = row_recipe(table, table.rows[-1], BenchmarkChanges(base=base))
        expected = epochs if isinstance(epochs, int) else epochs.optimiser.epochs
        assert recipe.optimiser.epochs == expected


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"mine\.yaml: expected a YAML file in UTF-8"):
        read_benchmark(str(path))
    path.unlink()
    with pytest.raises(InputError, match=r"mine\.yaml: .*got FileNotFoundError"):
        read_benchmark(str(path))


def test_published_figures_are_those_the_papers_print() -> None:
    assert published("wang2023-table2", "ap50") == {
        "faster-rcnn": None,  # 72.x: the decimal is not known
        "fpn": 0.745,
        "roi-align": 0.776,
        "anchors": 0.803,
    }
    assert published("wang2023-table3", "ap50") == {
        "faster-rcnn": 0.779,
        "ssd": 0.725,
        "yolov3": 0.762,
        "proposed": 0.803,
    }
    for name in ("wang2023-table4", "wang2023-fig8"):
        proposed = BENCHMARKS[name].proposed
        assert proposed.published == {"auc": 0.894, "accuracy": 0.96, "tpr": 0.988, "tnr": 0.8}
        others = [row for row in BENCHMARKS[name].rows if row is not proposed]
        assert all(set(row.published.values()) == {None} for row in others)
    auc = published("lee2019-table1", "auc")
    assert auc.pop("resnet50") == 0.953
    assert set(auc.values()) == {None}


def test_table_two_takes_one_step_a_row() -> None:
    benchmark = BENCHMARKS["wang2023-table2"]
    models = []
    for row in benchmark.rows:
        recipe = row_recipe(benchmark, row)
        assert isinstance(recipe, DetectorRecipe)
        models.append(recipe.model.model_dump())
    changed = [{key for key in new if new[key] != old[key]} for old, new in pairwise(models)]
    assert changed == [{"fpn"}, {"roi"}, {"anchor_areas_px2"}]


def test_lees_training_is_the_papers() -> None:
    benchmark = BENCHMARKS["lee2019-table1"]
    assert benchmark.correlate
    assert (benchmark.split.test_share, benchmark.split.validation_share) == (0.105, 0.105)
    for row in benchmark.rows:
        recipe = row_recipe(benchmark, row)
        assert isinstance(recipe, ClassifierRecipe)
        optimiser = recipe.optimiser
        assert optimiser.batch_size == 30
        assert optimiser.learning_rate == 0.005 or row.overridden
        assert (optimiser.schedule, optimiser.gamma) == ("plateau", 0.1)
        assert recipe.monitor == "accuracy"
        assert recipe.model.class_balanced
        assert recipe.augmentation.noise_sd == 0


def test_the_command_line_has_the_last_word() -> None:
    benchmark = parse_benchmark(TINY, where="tiny")
    asked = BenchmarkChanges(width=0.5, size_px=48, epochs=3)
    recipe = row_recipe(benchmark, benchmark.rows[0], asked)
    assert isinstance(recipe, ClassifierRecipe)
    assert (recipe.model.width, recipe.model.size_px, recipe.optimiser.epochs) == (0.5, 48, 3)
    detector = read_benchmark("wang2023-table2")
    windows = row_recipe(detector, detector.rows[0], BenchmarkChanges(size_px=128))
    assert isinstance(windows, DetectorRecipe)
    assert windows.sampling.patch_px == 128


def test_a_row_goes_before_its_benchmark_and_that_before_the_base() -> None:
    text = TINY.replace("label: One}", "label: One, overrides: {model: {size_px: 40}}}")
    text += "overrides: {model: {size_px: 80, dropout: 0.5}}\n"
    benchmark = parse_benchmark(text, where="tiny")
    recipe = row_recipe(benchmark, benchmark.rows[0])
    assert isinstance(recipe, ClassifierRecipe)
    assert (recipe.model.size_px, recipe.model.dropout) == (40, 0.5)


def test_rows_are_chosen_in_the_benchmarks_order_and_the_last_is_proposed() -> None:
    benchmark = BENCHMARKS["wang2023-table4"]
    chosen = chosen_rows(benchmark, ("resnet50-w", "resnet50"))
    assert [row.name for row in chosen] == ["resnet50", "resnet50-w"]
    assert chosen_rows(benchmark, ()) == benchmark.rows
    with pytest.raises(UsageError, match=r"a-resnet50-w, got vgg\."):
        chosen_rows(benchmark, ("vgg",))
    assert parse_benchmark(TINY, where="tiny").proposed.name == "one"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("label: One", "lable: One", r"unknown field rows\.0\.lable"),
        ("label: One}", "label: One, published: {ap50: 0.5}}", "published: expected accuracy"),
        ("label: One}", "label: One, published: {auc: 95}}", r"share in \[0, 1\]"),
        ("label: One}", "label: One}\n  - {name: one, label: Two}", "distinct names"),
        ("name: one", "name: ../x", "String should match|string should match"),
        ("test_share: 0.3", "test_share: 0.3, balanced: true", "validation_share: expected"),
        ("arm: classifier", "arm: [", "expected YAML"),
    ],
)
def test_a_faulty_benchmark_is_refused_with_its_fault(old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_benchmark(TINY.replace(old, new), where="tiny")


def test_a_benchmark_is_read_from_a_file_and_unknown_names_list_the_known(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(TINY)
    assert read_benchmark(str(tmp_path / "mine.yaml")).name == "tiny"
    with pytest.raises(UsageError, match="lee2019-table1, wang2023-fig8"):
        read_benchmark("table5")
