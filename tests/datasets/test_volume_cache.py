"""Prepared series: written once, found again, made anew when the scans change."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.core.config_parts import InputConfig
from lnmdetect.core.records import ImageRecord
from lnmdetect.datasets.volume_cache import cache_series, group_series
from lnmdetect.io.coco import read_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.transforms.grid import mask_slice, resample

CONFIG = InputConfig(spacing_mm=0.7, windows_hu=((-160, 240),), slice_offsets_mm=(0.0,))


@pytest.fixture
def images(toy_data: Path) -> tuple[ImageRecord, ...]:
    return group_series(read_coco(toy_data / "truth.json").images)[1]


def test_series_are_grouped_and_ordered_by_position(toy_data: Path) -> None:
    images = read_coco(toy_data / "truth.json").images
    groups = group_series(reversed(images))
    assert [len(group) for group in groups] == [6] * 5
    for group in groups:
        assert len({image.series for image in group}) == 1
        assert [image.slice_index for image in group] == list(range(6))


def test_sizes_and_spacings_of_one_series_never_share_a_volume(
    images: tuple[ImageRecord, ...],
) -> None:
    odd = [replace(images[0], spacing_mm=(0.4, 0.4)), replace(images[1], width=95), *images[2:]]
    assert sorted(len(group) for group in group_series(odd)) == [1, 1, 4]


def test_a_key_image_is_a_series_of_its_own_whose_neighbours_it_stands_for(
    images: tuple[ImageRecord, ...], toy_data: Path, tmp_path: Path
) -> None:
    groups = group_series(images, "key_images")
    assert groups == [(image,) for image in images]
    series = cache_series(groups[2], PixelStore(toy_data / "scan"), CONFIG, tmp_path)
    assert series.stack_indices(0, (-3.0, 0.0, 3.0)) == [0, 0, 0]


def test_the_volume_is_the_masked_slices_on_the_models_grid(
    images: tuple[ImageRecord, ...], toy_data: Path, tmp_path: Path
) -> None:
    store = PixelStore(toy_data / "scan")
    series = cache_series(images, store, CONFIG, tmp_path / "cache")
    volume = series.volume()
    assert volume.dtype == np.int16
    assert volume.shape == (6, *series.grid.size)
    for hu, image in zip(volume, images, strict=True):
        masked, box = mask_slice(store.read(image), image.spacing_mm, CONFIG)
        assert np.array_equal(hu, resample(masked, series.grid))
        x1, y1, x2, y2 = series.grid.crop  # holds every slice's patient
        assert x1 <= box[0] < box[2] <= x2
        assert y1 <= box[1] < box[3] <= y2


def test_a_prepared_series_is_not_read_again(
    images: tuple[ImageRecord, ...],
    toy_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = PixelStore(toy_data / "scan")
    reads: list[int] = []
    read = store.read

    def noted(image: ImageRecord) -> NDArray[np.int16]:
        reads.append(image.image_id)
        return read(image)

    monkeypatch.setattr(store, "read", noted)
    first = cache_series(images, store, CONFIG, tmp_path)
    assert len(set(reads)) == 6
    reads.clear()
    again = cache_series(images, store, CONFIG, tmp_path)
    assert again == first
    assert len(reads) <= 1


@pytest.mark.parametrize("change", [{"spacing_mm": 0.5}, {"body_mask": False}])
def test_another_grid_has_its_own_volume(
    images: tuple[ImageRecord, ...], toy_data: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    store = PixelStore(toy_data / "scan")
    first = cache_series(images, store, CONFIG, tmp_path)
    other = cache_series(images, store, CONFIG.model_copy(update=change), tmp_path)
    assert other.path != first.path


def test_pixels_that_changed_under_the_same_uids_are_prepared_anew(tmp_path: Path) -> None:
    """A phantom that is drawn again with the same seed keeps its uids."""
    meta = CtSeriesMeta("seed", "p", "p", (3.0, 0.5, 0.5), 3.0, (0.0, 0.0, 0.0))

    def prepared(hu: int) -> int:
        voxels = np.full((3, 40, 40), hu, dtype=np.int16)
        written = write_ct_series(voxels, tmp_path / "scan", meta)
        images = tuple(
            ImageRecord(
                i + 1, "x.dcm", 40, 40, "p", "s", w.sop_instance_uid, i, w.position_mm, (0.5, 0.5)
            )
            for i, w in enumerate(written)
        )
        store = PixelStore(tmp_path / "scan")
        return int(cache_series(images, store, CONFIG, tmp_path / "cache").volume()[0, 9, 9])

    assert (prepared(40), prepared(90)) == (40, 90)


def test_offsets_are_looked_up_in_the_series(
    images: tuple[ImageRecord, ...], toy_data: Path, tmp_path: Path
) -> None:
    series = cache_series(images, PixelStore(toy_data / "scan"), CONFIG, tmp_path)
    assert series.stack_indices(2, (-6.0, -3.0, 0.0, 3.0, 6.0)) == [0, 1, 2, 3, 4]
