"""Crops around truth boxes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnmdetect.core.config import CLASS_NAMES_2, CLASS_NAMES_3, ClassifierRecipe
from lnmdetect.core.geometry import as_boxes, pairwise_iou
from lnmdetect.core.records import CocoDataset, ImageRecord
from lnmdetect.datasets.classifier_data import (
    CropReader,
    LabelledBox,
    PlainCrops,
    TrainingCrops,
    background_boxes,
    collate_crops,
    labelled_boxes,
    store_crops,
)
from lnmdetect.datasets.draws import Draw
from lnmdetect.io.coco import read_coco
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.transforms.windows import window_stack

Fields = Callable[..., dict[str, Any]]
IMAGE = ImageRecord(1, "1.dcm", 96, 96, "p", "s", "1", 0, 0.0, (0.5, 0.5))
STILL = {"mirror": 0, "rotation_deg": 0, "contrast": 0, "noise_sd": 0}


@pytest.fixture
def truth(toy_data: Path) -> CocoDataset:
    return read_coco(toy_data / "truth.json")


@pytest.fixture
def store(toy_data: Path) -> PixelStore:
    return PixelStore(toy_data / "scan")


def recipe_of(fields: dict[str, Any]) -> ClassifierRecipe:
    return ClassifierRecipe(**fields)


def test_ignored_boxes_and_boxes_of_unknown_class_are_not_learnt_from(truth: CocoDataset) -> None:
    boxes = labelled_boxes(truth, CLASS_NAMES_2)
    assert Counter(box.label for box in boxes) == {0: 5 * 4, 1: 5 * 3}
    unknown = replace(
        truth, annotations=tuple(replace(a, category_id=3) for a in truth.annotations)
    )
    assert labelled_boxes(unknown, CLASS_NAMES_2) == []


def test_labels_index_the_recipes_classes_and_nodes_are_told_apart_by_patient(
    truth: CocoDataset,
) -> None:
    boxes = labelled_boxes(truth, CLASS_NAMES_3)
    assert {box.label for box in boxes} == {1, 2}
    assert len({box.node for box in boxes}) == 2 * 5


def test_background_boxes_touch_no_node_and_lie_on_the_slice(truth: CocoDataset) -> None:
    found = background_boxes(truth, CLASS_NAMES_3, 2.0, seed=0)
    assert len(found) > 20
    for box in found:
        assert box.label == 0
        nodes = as_boxes([a.box_xyxy for a in truth.by_image()[box.image.image_id]])
        assert pairwise_iou(as_boxes([box.box_xyxy]), nodes).max() == 0
        x1, y1, x2, y2 = box.box_xyxy
        assert 0 <= x1 < x2 <= 96
        assert 0 <= y1 < y2 <= 96
    assert background_boxes(truth, CLASS_NAMES_3, 2.0, seed=0) == found


def test_two_classes_have_no_background(truth: CocoDataset) -> None:
    assert background_boxes(truth, CLASS_NAMES_2, 2.0, seed=0) == []


def test_the_centre_of_a_stored_crop_is_the_crop_the_model_will_meet(
    truth: CocoDataset, store: PixelStore, recipe_fields: Fields, tmp_path: Path
) -> None:
    recipe = recipe_of(recipe_fields("classifier"))
    boxes = labelled_boxes(truth, CLASS_NAMES_2)[:6]
    crops = store_crops(boxes, store, recipe, tmp_path / "new" / "crops.npy")
    assert crops.shape == (6, 1, 48, 48)  # 32 px and half as much again
    data = PlainCrops(crops, boxes, recipe)
    for index, box in enumerate(boxes):
        met = CropReader(store, recipe).read(box.image, box.box_xyxy)
        assert met.shape == (1, 32, 32)
        found, label = data[index]
        assert found == pytest.approx(window_stack(met, recipe.input.windows_hu), abs=0.005)
        assert label == box.label


def test_a_crop_shows_the_node_in_its_middle(
    truth: CocoDataset, store: PixelStore, recipe_fields: Fields
) -> None:
    recipe = recipe_of(recipe_fields("classifier"))
    box = labelled_boxes(truth, CLASS_NAMES_2)[0]  # metastatic, 150 HU in a 12 px disc
    crop = CropReader(store, recipe).read(box.image, box.box_xyxy)[0]
    assert crop[12:20, 12:20].mean() == pytest.approx(150, abs=4)
    # 18 px of the slice are 32 px here, so the disc has a radius of 10.7 px.
    rows, columns = np.mgrid[:32, :32] - 15.5
    outside = crop[(np.hypot(rows, columns) > 13)]
    assert outside.max() < 60


def test_a_key_image_stands_for_its_neighbours_also_where_they_lie_on_disk(
    truth: CocoDataset, store: PixelStore, recipe_fields: Fields, tmp_path: Path
) -> None:
    recipe = recipe_of(recipe_fields("classifier", input={"slice_offsets_mm": [-3.0, 0.0, 3.0]}))
    box = next(b for b in labelled_boxes(truth, CLASS_NAMES_2) if b.image.slice_index == 1)
    below, itself, _ = CropReader(store, recipe).read(box.image, box.box_xyxy)
    assert not np.array_equal(below, itself)
    key = CropReader(store, recipe, coverage="key_images").read(box.image, box.box_xyxy)
    assert np.array_equal(key, [itself] * 3)
    stored = store_crops([box], store, recipe, tmp_path / "c.npy", coverage="key_images")[0]
    assert np.array_equal(stored[0], stored[2])


@pytest.mark.parametrize("number", range(4))
def test_a_draw_without_changes_is_the_plain_crop(
    truth: CocoDataset, store: PixelStore, recipe_fields: Fields, tmp_path: Path, number: int
) -> None:
    recipe = recipe_of(recipe_fields("classifier", augmentation=STILL, model={"box_jitter": 0}))
    boxes = labelled_boxes(truth, CLASS_NAMES_2)
    crops = store_crops(boxes, store, recipe, tmp_path / "crops.npy")
    found, label = TrainingCrops(crops, boxes, recipe)[Draw(0, 0, number)]
    plain = PlainCrops(crops, boxes, recipe)
    same = [i for i in range(len(boxes)) if np.allclose(plain[i][0], found, atol=0.01)]
    assert len(same) == 1
    assert boxes[same[0]].label == label


def test_the_same_draw_gives_the_same_crop(
    truth: CocoDataset, store: PixelStore, recipe_fields: Fields, tmp_path: Path
) -> None:
    recipe = recipe_of(recipe_fields("classifier"))
    boxes = labelled_boxes(truth, CLASS_NAMES_2)
    crops = store_crops(boxes, store, recipe, tmp_path / "crops.npy")
    first, second = (TrainingCrops(crops, boxes, recipe) for _ in range(2))
    second[Draw(9, 9, 9)]
    for number in range(5):
        (a, label_a), (b, label_b) = first[Draw(1, 2, number)], second[Draw(1, 2, number)]
        assert a.shape == (2, 32, 32)
        assert np.array_equal(a, b)
        assert label_a == label_b
    assert len({first[Draw(1, 2, n)][0].tobytes() for n in range(12)}) == 12


def test_mirrored_crops_are_noisy_no_more_often_than_others(recipe_fields: Fields) -> None:
    changes = {**STILL, "mirror": 0.5, "noise_sd": 0.05}
    recipe = recipe_of(recipe_fields("classifier", augmentation=changes, model={"box_jitter": 0}))
    ramp = np.linspace(-100, 180, 48).astype(np.int16)
    boxes = [LabelledBox(IMAGE, (1.0, 1.0, 9.0, 9.0), 0, "a")]
    data = TrainingCrops(np.tile(ramp, (1, 1, 48, 1)), boxes, recipe)
    crops = [data[Draw(0, 0, number)][0][0] for number in range(80)]
    mirrored = np.array([c[:, 0].mean() > c[:, -1].mean() for c in crops])
    noisy = np.array([np.ptp(c, axis=0).max() > 0 for c in crops])
    for side in (mirrored, ~mirrored):
        assert 0.3 < noisy[side].mean() < 0.7  # one in two


def drawn(boxes: list[LabelledBox], recipe: ClassifierRecipe) -> Counter[str]:
    crops = np.zeros((len(boxes), 1, 48, 48), dtype=np.int16)
    crops += np.arange(len(boxes), dtype=np.int16)[:, None, None, None]
    data = TrainingCrops(crops, boxes, recipe)
    weights = np.diff(data._weights, prepend=0)
    share: Counter[str] = Counter()
    for box, weight in zip(boxes, weights / weights.sum(), strict=True):
        share[box.node] += weight
    return share


def test_classes_are_drawn_alike_and_nodes_of_a_class_as_well(recipe_fields: Fields) -> None:
    box = (1.0, 1.0, 9.0, 9.0)
    boxes = [LabelledBox(IMAGE, box, 0, "a")] * 9 + [LabelledBox(IMAGE, box, 0, "b")]
    boxes += [LabelledBox(IMAGE, box, 1, "c")] * 2
    share = drawn(boxes, recipe_of(recipe_fields("classifier")))
    assert share["a"] == pytest.approx(0.25)
    assert share["b"] == pytest.approx(0.25)
    assert share["c"] == pytest.approx(0.5)


def test_without_balance_every_box_is_drawn_alike(recipe_fields: Fields) -> None:
    box = (1.0, 1.0, 9.0, 9.0)
    boxes = [LabelledBox(IMAGE, box, 0, "a")] * 9 + [LabelledBox(IMAGE, box, 1, "c")]
    recipe = recipe_of(recipe_fields("classifier", model={"class_balanced": False}))
    assert drawn(boxes, recipe)["a"] == pytest.approx(0.9)


def test_the_mix_of_the_draws_follows_the_weights(recipe_fields: Fields) -> None:
    box = (1.0, 1.0, 9.0, 9.0)
    boxes = [LabelledBox(IMAGE, box, 0, str(n)) for n in range(9)]
    boxes += [LabelledBox(IMAGE, box, 1, "c")]
    crops = np.zeros((10, 1, 48, 48), dtype=np.int16)
    data = TrainingCrops(crops, boxes, recipe_of(recipe_fields("classifier")))
    labels = [data[Draw(0, 0, number)][1] for number in range(200)]
    assert np.mean(labels) == pytest.approx(0.5, abs=0.1)


def test_one_pass_has_every_box_as_often_as_there_are_copies(recipe_fields: Fields) -> None:
    recipe = recipe_of(recipe_fields("classifier", augmentation={"copies": 20}))
    boxes = [LabelledBox(IMAGE, (1.0, 1.0, 9.0, 9.0), 0, "a")] * 3
    assert len(TrainingCrops(np.zeros((3, 1, 48, 48), np.int16), boxes, recipe)) == 60


def test_crops_join_to_a_batch() -> None:
    items = [(np.full((2, 4, 4), v, dtype=np.float32), label) for v, label in ((0.25, 1), (1, -1))]
    batch = collate_crops(items)
    assert batch.crops.shape == (2, 2, 4, 4)
    assert batch.crops[:, 0, 0, 0].tolist() == [0.25, 1]
    assert batch.labels.tolist() == [1, -1]
