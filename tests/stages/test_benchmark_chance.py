"""benchmark: how far a row lies above chance."""

from dataclasses import replace
from pathlib import Path

import pytest

from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.stages.benchmark_chance import over_chance
from lnmdetect.stages.evaluation_truth import read_truth


def test_boxes_are_held_against_themselves_on_other_patients(
    toy_data: Path, tmp_path: Path
) -> None:
    truth = read_coco(toy_data / "truth.json")
    found = replace(
        truth, annotations=tuple(replace(node, score=0.9) for node in truth.annotations)
    )
    boxes = tmp_path / "boxes.json"
    write_coco(found, boxes)
    of = read_truth([toy_data / "truth.json"], bootstrap=50, seed=0)
    figure = over_chance("detector", of, [boxes], {})["ap50"]
    # Every box is right where it belongs, AP50 1, and some also fit the nodes of somebody else.
    assert figure.value is not None
    assert 0.2 < figure.value < 0.9
    assert figure.interval is not None


def test_an_auc_and_its_intervals_lose_one_half(toy_data: Path) -> None:
    of = read_truth([toy_data / "truth.json"], bootstrap=0, seed=0)
    told = Figure(0.75, interval=(0.7, 0.8), independent_interval=(0.72, 0.78))
    figure = over_chance("classifier", of, [], {"auc": told})["auc"]
    assert figure.value == pytest.approx(0.25)
    assert figure.interval == pytest.approx((0.2, 0.3))
    assert figure.independent_interval == pytest.approx((0.22, 0.28))
    nothing = undefined("one class only")
    assert over_chance("classifier", of, [], {"auc": nothing})["auc"] == nothing
