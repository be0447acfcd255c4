"""Windows of slices with their boxes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.records import ImageRecord
from lnmdetect.datasets.detector_data import (
    DetectorItem,
    TrainingWindows,
    TruthSlice,
    WholeSlices,
    collate_detector,
    truth_slices,
)
from lnmdetect.datasets.draws import Draw
from lnmdetect.datasets.volume_cache import CachedSeries, cache_series, group_series
from lnmdetect.io.coco import read_coco
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.transforms.grid import plan_grid

Fields = Callable[..., dict[str, Any]]
NONE = np.zeros((0, 4))
PLAIN = {"mirror": 0, "rotation_deg": 0, "brightness": 0, "noise_sd": 0}


@pytest.fixture
def recipe(recipe_fields: Fields) -> DetectorRecipe:
    return DetectorRecipe(**recipe_fields("detector"))


@pytest.fixture
def slices(toy_data: Path, recipe: DetectorRecipe, tmp_path: Path) -> list[TruthSlice]:
    truth = read_coco(toy_data / "truth.json")
    store = PixelStore(toy_data / "scan")
    series = [cache_series(s, store, recipe.input, tmp_path) for s in group_series(truth.images)]
    return truth_slices(truth, series)


def test_every_slice_is_there_also_those_without_nodes(slices: list[TruthSlice]) -> None:
    assert [len(s.boxes_xyxy) for s in slices] == [0, 2, 2, 2, 2, 0] * 5
    assert [s.ignored.tolist() for s in slices[1:5]] == [[False, False]] * 3 + [[True, False]]


def test_boxes_lie_on_the_bright_discs_of_the_models_grid(
    slices: list[TruthSlice], recipe: DetectorRecipe
) -> None:
    item = WholeSlices(slices, recipe)[1]
    x1, y1, x2, y2 = item.boxes_xyxy[0].round().astype(int)  # the metastatic one, 150 HU
    centre = item.channels[1]  # offsets -3, 0, 3: the slice itself stands second
    assert centre[y1 + 3 : y2 - 3, x1 + 3 : x2 - 3].mean() == pytest.approx(310 / 400, abs=0.02)
    around = centre[y1 - 4 : y2 + 4, x1 - 4 : x2 + 4].copy()
    around[4:-4, 4:-4] = 0
    assert around.max() < 0.4


def test_neighbours_stand_for_offsets_and_the_slice_itself_at_the_ends(
    slices: list[TruthSlice], recipe: DetectorRecipe
) -> None:
    data = WholeSlices(slices, recipe)
    below, itself, above = data[2].channels
    assert np.array_equal(below, data[1].channels[1])
    assert np.array_equal(above, data[3].channels[1])
    assert np.array_equal(data[0].channels[0], data[0].channels[1])
    assert not np.array_equal(itself, above)


def test_a_validation_item_knows_its_image_and_grid(
    slices: list[TruthSlice], recipe: DetectorRecipe, toy_data: Path
) -> None:
    item = WholeSlices(slices, recipe)[7]
    truth = read_coco(toy_data / "truth.json")
    assert item.image == truth.images[7]
    assert item.grid is not None
    boxes = [node.box_xyxy for node in truth.annotations if node.image_id == 8]
    assert item.grid.to_original(item.boxes_xyxy) == pytest.approx(np.array(boxes))


def test_the_same_draw_gives_the_same_item_and_others_other_ones(
    slices: list[TruthSlice], recipe: DetectorRecipe
) -> None:
    first, second = TrainingWindows(slices, recipe), TrainingWindows(slices, recipe)
    second[Draw(0, 0, 5)]  # what came before must not matter
    for number in range(6):
        a, b = first[Draw(4, 1, number)], second[Draw(4, 1, number)]
        assert np.array_equal(a.channels, b.channels)
        assert np.array_equal(a.boxes_xyxy, b.boxes_xyxy)
        assert np.array_equal(a.ignored, b.ignored)
    pictures = {first[Draw(4, 1, number)].channels.tobytes() for number in range(10)}
    assert len(pictures) == 10


def test_windows_have_the_patch_size_and_boxes_on_them(
    slices: list[TruthSlice], recipe: DetectorRecipe
) -> None:
    data = TrainingWindows(slices, recipe)
    items = [data[Draw(0, 0, number)] for number in range(40)]
    assert {item.channels.shape for item in items} == {(3, 64, 64)}
    boxes = np.concatenate([item.boxes_xyxy for item in items])
    assert len(boxes) > 20
    assert boxes.min() >= 0
    assert boxes.max() <= 64


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 1.0, 1.0), (1.0, 0.0, 0.7)])
def test_the_empty_share_says_how_many_windows_are_not_drawn_around_nodes(
    slices: list[TruthSlice], recipe_fields: Fields, share: float, low: float, high: float
) -> None:
    fields = recipe_fields(
        "detector", sampling={"empty_share": share, "patch_px": 32}, augmentation=PLAIN
    )
    data = TrainingWindows(slices, DetectorRecipe(**fields))
    # Windows jitter by up to 0.4 of their side, so the node's centre is always on them.
    with_node = [len(data[Draw(0, 0, n)].boxes_xyxy) > 0 for n in range(60)]
    assert low <= np.mean(with_node) <= high


def test_windows_are_never_drawn_around_ignored_nodes(
    tmp_path: Path, recipe_fields: Fields
) -> None:
    fields = recipe_fields(
        "detector", sampling={"empty_share": 0.0, "patch_px": 32}, augmentation=PLAIN
    )
    part = lone_slice(
        tmp_path, np.zeros((200, 200), np.int16), [[20, 20, 30, 30], [150, 150, 160, 160]]
    )
    part = replace(part, ignored=np.array([True, False]), node_ids=("a", "b"))
    data = TrainingWindows([part], DetectorRecipe(**fields))
    assert not any(data[Draw(0, 0, number)].ignored.any() for number in range(20))


def test_slices_without_any_node_can_be_trained_on(
    slices: list[TruthSlice], recipe: DetectorRecipe
) -> None:
    empty = [part for part in slices if len(part.boxes_xyxy) == 0]
    item = TrainingWindows(empty, recipe)[Draw(0, 0, 0)]
    assert item.boxes_xyxy.shape == (0, 4)


def test_without_a_window_each_pass_takes_every_slice_once(
    slices: list[TruthSlice], recipe_fields: Fields
) -> None:
    fields = recipe_fields(
        "detector", sampling={"patch_px": None}, augmentation={**PLAIN, "copies": 3}
    )
    recipe = DetectorRecipe(**fields)
    data, plain = TrainingWindows(slices, recipe), WholeSlices(slices, recipe)
    assert len(data) == 3 * len(slices)
    passes = [data[Draw(0, 0, n)].channels.tobytes() for n in range(len(slices))]
    assert sorted(passes) == sorted(plain[n].channels.tobytes() for n in range(len(slices)))


def lone_slice(tmp_path: Path, voxels: NDArray[np.int16], boxes: ArrayLike) -> TruthSlice:
    path = tmp_path / "volume.npy"
    np.save(path, voxels[None])
    height, width = voxels.shape
    image = ImageRecord(1, "1.dcm", width, height, "p", "s", "1", 0, 0.0, (0.5, 0.5))
    series = CachedSeries((image,), plan_grid((0, 0, width, height), (0.5, 0.5), None), path)
    found = as_boxes(boxes)
    count = len(found)
    return TruthSlice(series, 0, found, np.zeros(count, dtype=bool), ("n",) * count)


def test_a_node_whose_centre_is_off_the_window_is_ignored_and_air_lies_beyond_the_slice(
    tmp_path: Path, recipe_fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = recipe_fields("detector", sampling={"patch_px": 32}, augmentation=PLAIN)
    voxels = np.full((40, 40), 240, dtype=np.int16)
    boxes = [[10, 10, 20, 20], [0, 0, 10, 4], [4, 20, 14, 30], [30, 0, 34, 10]]
    part = lone_slice(tmp_path, voxels, boxes)
    data = TrainingWindows([part], DetectorRecipe(**fields))
    monkeypatch.setattr(data, "_choose", lambda *_: (part, (24, 10)))
    item = data[Draw(0, 0, 0)]
    # The window spans x 8 .. 40, y -6 .. 26: whole; centre at x = 5; cut, centre (9, 25); whole.
    assert item.boxes_xyxy == pytest.approx(
        np.array([[2, 16, 12, 26], [0, 6, 2, 10], [0, 26, 6, 32], [22, 6, 26, 16]]), abs=1e-4
    )
    assert item.ignored.tolist() == [False, True, False, False]
    assert (item.channels[:, :6] == 0).all()  # air above the slice
    assert (item.channels[:, 6:] == 1).all()


def test_whole_slices_cut_to_the_patient_do_without_truth_outside_them(
    tmp_path: Path, recipe_fields: Fields
) -> None:
    fields = recipe_fields("detector", sampling={"patch_px": None}, augmentation=PLAIN)
    # As a body mask that cuts the slice to the patient leaves them: whole, on its edge, outside.
    boxes = [[10, 10, 20, 20], [-4, 30, 10, 40], [-9, 5, 3, 15], [-30, -30, -20, -20]]
    part = lone_slice(tmp_path, np.zeros((64, 64), np.int16), boxes)
    item = TrainingWindows([part], DetectorRecipe(**fields))[Draw(0, 0, 0)]
    assert item.boxes_xyxy == pytest.approx(
        np.array([[10, 10, 20, 20], [0, 30, 10, 40], [0, 5, 3, 15]])
    )
    assert item.ignored.tolist() == [False, False, True]  # the last one's centre is outside


def test_mirrored_windows_are_noisy_no_more_often_than_others(
    tmp_path: Path, recipe_fields: Fields
) -> None:
    changes = {**PLAIN, "mirror": 0.5, "noise_sd": 0.05}
    fields = recipe_fields("detector", sampling={"patch_px": None}, augmentation=changes)
    ramp = np.tile(np.linspace(-100, 180, 40), (40, 1)).astype(np.int16)
    data = TrainingWindows([lone_slice(tmp_path, ramp, [])], DetectorRecipe(**fields))
    windows = [data[Draw(0, 0, number)].channels[0] for number in range(80)]
    mirrored = np.array([w[:, 0].mean() > w[:, -1].mean() for w in windows])
    noisy = np.array([np.ptp(w, axis=0).max() > 0 for w in windows])
    for side in (mirrored, ~mirrored):
        assert 0.3 < noisy[side].mean() < 0.7  # one in two


def item_of(height: int, width: int, value: float = 1.0) -> DetectorItem:
    channels = np.full((3, height, width), value, dtype=np.float32)
    return DetectorItem(channels, NONE, np.zeros(0, dtype=bool))


def test_a_batch_is_padded_with_0_to_multiples_of_32() -> None:
    batch = collate_detector([item_of(33, 20), item_of(10, 64, 0.5)])
    assert batch.images.shape == (2, 3, 64, 64)
    assert float(batch.images[0].sum()) == 3 * 33 * 20
    assert float(batch.images[1].sum()) == 3 * 10 * 64 * 0.5
    assert (batch.images[0, :, :33, :20] == 1).all()


def test_targets_part_counted_from_ignored_boxes() -> None:
    boxes = np.array([[0.0, 0, 5, 5], [10, 10, 20, 20], [1, 1, 2, 2]])
    item = replace(item_of(32, 32), boxes_xyxy=boxes, ignored=np.array([False, True, False]))
    (target,) = collate_detector([item]).targets
    assert target["boxes"].tolist() == [[0, 0, 5, 5], [1, 1, 2, 2]]
    assert target["ignored"].tolist() == [[10, 10, 20, 20]]
    assert target["labels"].tolist() == [1, 1]
    (empty,) = collate_detector([item_of(32, 32)]).targets
    assert empty["boxes"].shape == (0, 4)
    assert empty["ignored"].shape == (0, 4)
    assert empty["labels"].dtype == torch.long
