"""A scan's slices as the detector meets them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.records import Scan
from lnmdetect.datasets import scan_slices
from lnmdetect.datasets.detector_data import DetectorBatch, DetectorItem, WholeSlices, truth_slices
from lnmdetect.datasets.scan_slices import scan_batches
from lnmdetect.datasets.volume_cache import cache_series, group_series
from lnmdetect.io.coco import read_coco
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.transforms.grid import mask_slice

Fields = Callable[..., dict[str, Any]]


@pytest.fixture
def scan(toy_data: Path) -> Scan:
    truth = read_coco(toy_data / "truth.json").select_patients({"p2"})
    store = PixelStore(toy_data / "scan")
    voxels = np.stack([store.read(image) for image in truth.images])
    return Scan(voxels, (3.0, 0.5, 0.5), truth.images)


@pytest.fixture
def recipe(recipe_fields: Fields) -> DetectorRecipe:
    return DetectorRecipe(**recipe_fields("detector"))


def batches_of(scan: Scan, recipe: DetectorRecipe) -> Iterator[DetectorBatch]:
    return scan_batches(scan.images, lambda index: scan.voxels_hu[index], recipe.input)


def items_of(scan: Scan, recipe: DetectorRecipe) -> list[DetectorItem]:
    return [item for batch in batches_of(scan, recipe) for item in batch.items]


def test_there_is_one_batch_a_slice_in_order(scan: Scan, recipe: DetectorRecipe) -> None:
    batches = list(batches_of(scan, recipe))
    assert [len(batch.items) for batch in batches] == [1] * 6
    assert [batch.items[0].image for batch in batches] == list(scan.images)
    assert all(side % 32 == 0 for batch in batches for side in batch.images.shape[2:])


def test_neighbours_are_masked_slices_at_the_offsets(scan: Scan, recipe: DetectorRecipe) -> None:
    below, itself, above = items_of(scan, recipe)[3].channels
    for channel, index in ((below, 2), (itself, 3), (above, 4)):
        masked, _ = mask_slice(scan.voxels_hu[index], (0.5, 0.5), recipe.input)
        grid = items_of(scan, recipe)[3].grid
        assert grid is not None
        x1, y1, x2, y2 = grid.crop
        part = np.clip((masked[y1:y2, x1:x2].astype(np.float32) + 160) / 400, 0, 1)
        assert channel == pytest.approx(part, abs=1e-6)


def test_prediction_sees_what_training_saw(
    scan: Scan, recipe: DetectorRecipe, toy_data: Path, tmp_path: Path
) -> None:
    """The same pixels, though training crops a whole series alike and prediction each slice."""
    store = PixelStore(toy_data / "scan")
    series = [cache_series(s, store, recipe.input, tmp_path) for s in group_series(scan.images)]
    truth = read_coco(toy_data / "truth.json")
    trained = WholeSlices(truth_slices(truth, series), recipe)
    for index, met in enumerate(items_of(scan, recipe)):
        learnt = trained[index]
        assert met.grid is not None
        assert learnt.grid is not None
        left, top = (met.grid.crop[axis] - learnt.grid.crop[axis] for axis in (0, 1))
        height, width = met.channels.shape[1:]
        part = learnt.channels[:, top : top + height, left : left + width]
        assert met.channels[1] == pytest.approx(part[1], abs=1e-6)


def test_each_slice_is_masked_once(
    scan: Scan, recipe: DetectorRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counted(*args: Any) -> Any:
        calls.append(1)
        return mask_slice(*args)

    monkeypatch.setattr(scan_slices, "mask_slice", counted)
    items_of(scan, recipe)
    assert len(calls) == 6


def test_each_slice_is_read_once_and_none_before_it_is_needed(
    scan: Scan, recipe: DetectorRecipe
) -> None:
    read: list[int] = []

    def counted(index: int) -> NDArray[np.int16]:
        read.append(index)
        hu: NDArray[np.int16] = scan.voxels_hu[index]
        return hu

    batches = scan_batches(scan.images, counted, recipe.input)
    assert read == []
    next(batches)
    assert sorted(read) == [0, 1]  # itself and the neighbour above
    assert len(list(batches)) == 5
    assert sorted(read) == [0, 1, 2, 3, 4, 5]
