"""Scans that a file lists: whole, or slice by slice."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import CocoDataset
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.listed_scans import open_listed
from lnmdetect.io.pixel_store import PixelStore

Change = Callable[[CocoDataset], CocoDataset]


@pytest.fixture
def listed(toy_data: Path, tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a changed toy truth file, its pixels copied by reference."""

    def write(change: Change) -> Path:
        (tmp_path / "scan").symlink_to(toy_data / "scan")
        write_coco(change(read_coco(toy_data / "truth.json")), tmp_path / "t.json")
        return tmp_path / "t.json"

    return write


def backwards(truth: CocoDataset) -> CocoDataset:
    return replace(truth, images=truth.images[::-1])


def test_each_series_is_a_scan_whatever_the_order_of_its_slices(
    listed: Callable[..., Path], toy_data: Path
) -> None:
    source = open_listed(listed(backwards))
    assert source.coverage == "all_slices"
    assert source.is_phantom
    assert [len(scan.images) for scan in source.scans] == [6] * 5
    store = PixelStore(toy_data / "scan")
    for handle in source.scans:
        scan = handle.load()
        assert scan.spacing_mm == (3.0, 0.5, 0.5)
        assert [image.slice_index for image in scan.images] == list(range(6))
        for hu, image in zip(scan.voxels_hu, scan.images, strict=True):
            assert np.array_equal(hu, store.read(image))


def some_slices(truth: CocoDataset) -> CocoDataset:
    kept = tuple(image for image in truth.images if image.slice_index in (0, 1, 4))
    return CocoDataset(truth.info, kept, ())


def test_slices_with_gaps_are_a_scan_whose_step_is_the_mean(listed: Callable[..., Path]) -> None:
    scan = open_listed(listed(some_slices)).scans[0].load()
    assert scan.spacing_mm[0] == 6.0
    assert [image.position_mm for image in scan.images] == [0.0, 3.0, 12.0]


def without_positions(truth: CocoDataset) -> CocoDataset:
    return replace(truth, images=tuple(replace(i, position_mm=0.0) for i in truth.images))


def test_slices_without_a_position_of_their_own_are_alone(listed: Callable[..., Path]) -> None:
    source = open_listed(listed(without_positions))
    assert [len(scan.images) for scan in source.scans] == [1] * 30
    assert source.scans[0].load().spacing_mm == (3.0, 0.5, 0.5)


def as_key_images(truth: CocoDataset) -> CocoDataset:
    return replace(truth, info={**truth.info, "coverage": "key_images", "split": {"fold": "2"}})


def test_slices_of_a_file_of_key_images_are_alone(listed: Callable[..., Path]) -> None:
    source = open_listed(listed(as_key_images))
    assert source.coverage == "key_images"
    assert source.fold == {"fold": "2"}
    assert [len(scan.images) for scan in source.scans] == [1] * 30


def elsewhere(truth: CocoDataset) -> CocoDataset:
    first = replace(truth.images[0], sop_instance_uid="1.2.3", file_name="1.2.3.dcm")
    return replace(truth, images=(first, *truth.images[1:]))


def test_a_slice_that_is_not_there_is_named_when_its_scan_is_read(
    listed: Callable[..., Path],
) -> None:
    source = open_listed(listed(elsewhere))
    with pytest.raises(InputError, match=r"image 1: .* SOP instance uid 1\.2\.3"):
        source.scans[0].load()
    assert len(source.scans[1].load().images) == 6
