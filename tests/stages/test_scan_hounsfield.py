"""Three slices tell Hounsfield units from other numbers, in a scan and in a file that lists one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import LYMPH_NODE, CocoDataset, NodeAnnotation
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.scan_source import open_source
from lnmdetect.stages.scan_hounsfield import check_hounsfield, check_listed
from tests.io.torture import each, neck, series, setting


def tissue(**hu: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """(1, 10, 100) HU of soft tissue, with a row of each other value."""
    volume = np.full((1, 10, 100), 50, dtype=np.int16)
    for row, value in enumerate(hu.values()):
        volume[0, row] = value
    return volume


def test_a_view_within_the_neck_needs_air_or_fat_and_not_both() -> None:
    assert check_hounsfield(tissue(fat=-100), "1").air == 0
    assert check_hounsfield(tissue(air=-1000), "1").fat == 0
    with pytest.raises(InputError, match="neither air nor fat"):
        check_hounsfield(tissue(), "1")


def test_half_a_percent_of_soft_tissue_is_enough_and_less_is_none() -> None:
    few = np.full((1, 10, 100), -1000, dtype=np.int16)
    few[0, 0, :5] = 50
    assert check_hounsfield(few, "1").soft == 0.005
    few[0, 0, 0] = -1000
    with pytest.raises(InputError, match="no soft tissue"):
        check_hounsfield(few, "1")


def listed(scan: Path, *, boxed: bool = True, coverage: str = "all_slices") -> CocoDataset:
    images = open_source(scan, key_images=True).scans
    records = tuple(replace(h.images[0], image_id=at) for at, h in enumerate(images, start=1))
    box = NodeAnnotation(1, records[0].image_id, LYMPH_NODE, (1.0, 1.0, 5.0, 5.0))
    return CocoDataset({"coverage": coverage}, records, (box,) if boxed else ())


def test_a_listed_scan_with_boxes_is_held_to_hounsfield_units(tmp_path: Path) -> None:
    scan = each(setting(RescaleSlope="100"))(tmp_path)
    dataset = listed(scan)
    with pytest.raises(InputError, match="no soft tissue in three of its slices"):
        check_listed(PixelStore(scan), dataset)


def test_key_images_and_scans_without_boxes_are_not_looked_at(tmp_path: Path) -> None:
    scan = each(setting(RescaleSlope="100"))(tmp_path)
    check_listed(PixelStore(scan), listed(scan, coverage="key_images"))
    check_listed(PixelStore(scan), listed(scan, boxed=False))


def test_the_slices_looked_at_are_those_at_the_quarters_of_the_position(tmp_path: Path) -> None:
    """Of eight, the third, fifth and seventh; the file may list them in any order."""
    scan = series(tmp_path / "scan")
    dataset = listed(scan)
    shuffled = replace(dataset, images=tuple(reversed(dataset.images)))
    read: list[int] = []

    class Watched(PixelStore):
        def read(self, image):  # type: ignore[no-untyped-def]
            read.append(round(image.position_mm / 3))
            return super().read(image)

    check_listed(Watched(scan), shuffled)
    assert read == [2, 4, 6]
    assert neck().shape[0] == 8
