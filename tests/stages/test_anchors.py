"""`lnmdetect anchors`: the fit of a truth file, its table and its files."""

import json
from pathlib import Path

import pytest

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.errors import InputError, OutputError, UsageError
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import write_coco
from lnmdetect.io.recipes import read_recipe
from lnmdetect.models.anchors import AnchorSet
from lnmdetect.stages.anchor_coverage import cover, missed_nodes, nodes_on_grid, summarise
from lnmdetect.stages.anchors import AnchorRequest, fit_anchors_stage


def image(image_id: int, spacing_mm: tuple[float, float] = (1.0, 1.0)) -> ImageRecord:
    uid = f"1.2.{image_id}"
    return ImageRecord(
        image_id, f"{uid}.dcm", 512, 256, "p1", "1.2", uid, image_id, 2.0 * image_id, spacing_mm
    )


def node(number: int, box: tuple[float, float, float, float], **more: object) -> NodeAnnotation:
    return NodeAnnotation(number, 1, 2, box, **more)  # type: ignore[arg-type]


def truth_file(folder: Path, *nodes: NodeAnnotation) -> Path:
    path = folder / "truth.json"
    write_coco(CocoDataset({"phantom": True}, (image(1),), nodes), path)
    return path


def squares(*sides: float) -> list[NodeAnnotation]:
    return [node(k, (100, 100, 100 + s, 100 + s), node_id=f"n{k}") for k, s in enumerate(sides, 1)]


def test_boxes_are_taken_to_the_models_grid_in_both_directions() -> None:
    # rows 0.4 mm, columns 0.8 mm: x scales by 0.8 / 0.5, y by 0.4 / 0.5
    data = CocoDataset({}, (image(1, (0.4, 0.8)),), (node(1, (10, 20, 20, 40)),))
    nodes = nodes_on_grid(data, 0.5)
    assert nodes.boxes_px.tolist() == [[16, 16, 32, 32]]
    assert nodes.sides_mm.tolist() == [[8, 8]]
    assert nodes.image_shares.tolist() == [10 * 20 / (512 * 256)]


def test_without_a_model_spacing_the_scans_own_pixels_stay() -> None:
    data = CocoDataset({}, (image(1, (0.4, 0.8)),), (node(1, (10, 20, 20, 40)),))
    assert nodes_on_grid(data, None).boxes_px.tolist() == [[10, 20, 20, 40]]


def test_coverage_is_counted_at_both_limits_and_by_size() -> None:
    # squares of 4, 8 and 12 mm against one 8 px anchor at 1 mm, by shape: 16/64, 1, 64/144
    data = CocoDataset({}, (image(1),), tuple(squares(4, 8, 12)))
    nodes = nodes_on_grid(data, 1.0)
    five_alike = AnchorSet((8,) * 5, (1.0,))
    row = summarise(cover("eight", five_alike, nodes), nodes)
    assert row.by_shape.mean_iou == pytest.approx((0.25 + 1 + 64 / 144) / 3, abs=1e-4)
    assert row.by_shape.reached == pytest.approx(1 / 3, abs=1e-4)
    assert {name: c.boxes for name, c in row.by_size_mm.items()} == {
        "< 5": 1,
        "5-10": 1,
        "10-15": 1,
        ">= 15": 0,
    }
    assert row.by_size_mm[">= 15"].mean_iou is None


def test_a_node_is_missed_only_when_no_cross_section_is_reached() -> None:
    crossed = [
        node(1, (100, 100, 140, 140), node_id="seen"),
        node(2, (96, 96, 104, 104), node_id="seen"),
        node(4, (100, 100, 150, 150), node_id="seen"),
        node(3, (100, 100, 140, 140), node_id="missed", short_axis_mm=38.0),
    ]
    data = CocoDataset({}, (image(1),), tuple(crossed))
    nodes = nodes_on_grid(data, 1.0)
    missed = missed_nodes(nodes, cover("eight", AnchorSet((8,) * 5, (1.0,)), nodes))
    assert [(item.node, item.short_axis_mm) for item in missed] == [("missed", 38.0)]
    assert missed[0].best_iou == pytest.approx(64 / 1600)


def test_the_fit_is_written_with_keys_that_a_recipe_takes(tmp_path: Path) -> None:
    path = truth_file(tmp_path, *squares(6, 7, 8, 9, 11, 14, 20))
    request = AnchorRequest(path, output=tmp_path / "anchors.json", spacing_mm=0.5)
    result = fit_anchors_stage(request)
    written = json.loads((tmp_path / "anchors.json").read_text())
    assert written["recipe"]["base"] == "compact"
    recipe = read_recipe(str(result.recipe_file), "detector")
    assert isinstance(recipe, DetectorRecipe)
    assert (recipe.name, result.recipe_file.name) == ("compact-anchors", "anchors.yaml")
    model = recipe.model
    assert model.anchor_areas_px2 == tuple(result.recipe["model"]["anchor_areas_px2"])
    assert [row["name"] for row in written["sets"]] == [
        "fitted",
        "recipe compact",
        "Wang 2023",
        "torchvision",
    ]
    assert written["sets"][0]["on_grid"]["mean_iou"] >= written["sets"][3]["on_grid"]["mean_iou"]


def test_a_recipe_of_yolov3_gets_its_nine_shapes_too(tmp_path: Path) -> None:
    base = tmp_path / "yolo.yaml"
    base.write_text("base: compact\nname: yolo\nmodel: {architecture: yolov3}\n")
    path = truth_file(tmp_path, *squares(3, 4, 5, 6, 7, 8, 9, 10, 11))
    request = AnchorRequest(path, tmp_path / "anchors.json", spacing_mm=0.5, recipe=str(base))
    recipe = read_recipe(str(fit_anchors_stage(request).recipe_file), "detector")
    assert isinstance(recipe, DetectorRecipe)
    expected = tuple((2.0 * side, 2.0 * side) for side in (3, 4, 5, 6, 7, 8, 9, 10, 11))
    assert recipe.model.anchor_shapes_px == expected  # a pixel of 1 mm is two of 0.5 mm


def test_the_picture_stands_beside_the_json(tmp_path: Path) -> None:
    path = truth_file(tmp_path, *squares(6, 8, 12))
    result = fit_anchors_stage(AnchorRequest(path, output=tmp_path / "fit.json"))
    assert result.picture == tmp_path / "fit.png"
    assert result.picture.read_bytes().startswith(b"\x89PNG")


def test_ignored_cross_sections_take_no_part(tmp_path: Path) -> None:
    pole = node(9, (0, 0, 1, 1), ignored=True)
    path = truth_file(tmp_path, *squares(8, 8, 8), pole)
    result = fit_anchors_stage(AnchorRequest(path, output=tmp_path / "anchors.json"))
    assert result.sets[0].on_grid.boxes == 3


def test_a_truth_file_without_a_counting_node_is_refused(tmp_path: Path) -> None:
    path = truth_file(tmp_path, node(1, (0, 0, 1, 1), ignored=True))
    with pytest.raises(InputError, match=r"truth.json: expected annotations .* got 1 annotations"):
        fit_anchors_stage(AnchorRequest(path, output=tmp_path / "anchors.json"))


def test_an_existing_output_is_refused_before_the_fit(tmp_path: Path) -> None:
    path = truth_file(tmp_path, *squares(8))
    (tmp_path / "anchors.png").write_bytes(b"")
    with pytest.raises(OutputError, match=r"anchors.png: expected a new file"):
        fit_anchors_stage(AnchorRequest(path, output=tmp_path / "anchors.json"))
    assert not (tmp_path / "anchors.json").exists()


def test_an_output_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = truth_file(tmp_path, *squares(8))
    with pytest.raises(UsageError, match=r"--output: expected a name that ends in .json"):
        fit_anchors_stage(AnchorRequest(path, output=tmp_path / "anchors.png"))


def test_the_same_truth_gives_the_same_bytes(tmp_path: Path) -> None:
    path = truth_file(tmp_path, *squares(6, 8, 12))
    for name in ("a", "b"):
        fit_anchors_stage(AnchorRequest(path, output=tmp_path / f"{name}.json"))
    for suffix in ("json", "png"):
        first, second = (tmp_path / f"{name}.{suffix}" for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()
