import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from lnmdetect.core.errors import InputError
from lnmdetect.io.key_images import open_key_images
from lnmdetect.io.scan_source import open_source

MakeSlice = Callable[..., Dataset]
Save = Callable[[Dataset, Path], Path]
WriteSeries = Callable[..., list[Path]]

HU_OF_SLICE_0 = np.arange(24).reshape(4, 6) - 24


def write_png(path: Path, hu: int, size: tuple[int, int] = (4, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, hu + 1024, dtype=np.uint16)).save(path)


def test_slices_with_gaps_and_other_sizes_are_each_a_scan(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    paths = write_series(count=9, each={8: {"Rows": 2, "ImagePositionPatient": [0, 0, 99]}})
    for index in (1, 2, 5):
        paths[index].unlink()
    source = open_source(tmp_path / "scan", key_images=True)
    assert [len(scan.images) for scan in source.scans] == [1] * 6
    assert [scan.images[0].image_id for scan in source.scans] == [1, 2, 3, 4, 5, 6]
    assert [scan.images[0].sop_instance_uid[-1] for scan in source.scans] == list("145789")
    scan = source.scans[1].load()
    assert np.array_equal(scan.voxels_hu, [HU_OF_SLICE_0 + 30])
    assert scan.spacing_mm == (3.0, 0.5, 0.4)
    assert (source.notes, source.failures) == ((), ())


def test_without_a_thickness_the_depth_of_a_key_image_is_1_mm(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series(count=1, SliceThickness=None)
    (handle,) = open_key_images(tmp_path / "scan").scans
    assert handle.load().spacing_mm[0] == 1.0


def test_pngs_are_read_with_the_given_spacing(tmp_path: Path) -> None:
    write_png(tmp_path / "keys" / "a.png", 40)
    source = open_source(tmp_path / "keys", key_images=True, pixel_spacing_mm=(0.5, 0.4))
    (handle,) = source.scans
    image = handle.images[0]
    assert (image.file_name, image.sop_instance_uid, image.series) == ("a.png", "", "a.png")
    assert (image.width, image.height, image.spacing_mm) == (6, 4, (0.5, 0.4))
    assert (image.image_id, image.slice_index, image.position_mm) == (1, 0, 0.0)
    assert np.array_equal(handle.load().voxels_hu, np.full((1, 4, 6), 40))
    assert source.notes == ()


def test_pngs_without_a_spacing_are_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "keys" / "a.png", 40)
    with pytest.raises(InputError, match=r"a pixel spacing for the PNGs, .* Give --pixel-spacing"):
        open_source(tmp_path / "keys", key_images=True)


def test_pngs_of_one_folder_are_one_patient(tmp_path: Path) -> None:
    for name in ("one/a.png", "one/b.png", "two/a.png", "c.png", "d.png"):
        write_png(tmp_path / "keys" / name, 40)
    source = open_key_images(tmp_path / "keys", spacing_mm=(0.5, 0.4))
    patients = [scan.images[0].patient for scan in source.scans]
    names = [scan.images[0].file_name for scan in source.scans]
    assert names == ["c.png", "d.png", "one/a.png", "one/b.png", "two/a.png"]
    assert len(set(patients)) == 4
    assert patients[2] == patients[3]


def test_a_bad_key_image_is_a_failure_beside_the_good_ones(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series("keys", 2, each={1: {"PixelSpacing": None}})
    write_png(tmp_path / "keys" / "a.png", 40)
    (tmp_path / "keys" / "b.png").write_bytes(b"no png")
    source = open_key_images(tmp_path / "keys", spacing_mm=(0.5, 0.4))
    assert [scan.images[0].file_name for scan in source.scans] == ["1.2.1.1.1.dcm", "a.png"]
    assert [failure.where for failure in source.failures] == ["s1_IM001", "b.png"]


def test_coronal_slices_are_no_key_images(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(count=2, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    with pytest.raises(InputError, match="expected an axial CT series, got coronal or sagittal"):
        open_key_images(tmp_path / "scan")


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match="expected DICOM files, got none among"):
        open_key_images(tmp_path / "a.txt")


def test_the_images_that_a_truth_file_lists_are_read(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series("cohort/scan", 5)
    write_png(tmp_path / "cohort" / "pngs" / "a.png", 40)
    common = {"patient": "p-1", "spacing_mm": [0.5, 0.4]}
    dicom = {**common, "series": "1.2.1.1", "sop_instance_uid": "1.2.1.1.3", "position_mm": 6.0}
    images = [
        {"id": 7, "file_name": "1.2.1.1.3.dcm", "width": 6, "height": 4, "lnmdetect": dicom},
        {"id": 9, "file_name": "pngs/a.png", "width": 6, "height": 4, "lnmdetect": common},
    ]
    truth = {
        "info": {"scan_root": "scan", "coverage": "key_images"},
        "images": images,
        "categories": [],
        "annotations": [],
    }
    (tmp_path / "cohort" / "truth.json").write_text(json.dumps(truth))
    source = open_source(tmp_path / "cohort" / "truth.json")
    assert [scan.images[0].image_id for scan in source.scans] == [7, 9]
    assert np.array_equal(source.scans[0].load().voxels_hu, [HU_OF_SLICE_0 + 20])
    assert np.array_equal(source.scans[1].load().voxels_hu, np.full((1, 4, 6), 40))
