import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import ImageRecord
from lnmdetect.io import pixel_store
from lnmdetect.io.dicom_header import SliceHeader
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.pseudonym import load_key, pseudonymise_image
from lnmdetect.io.scan_source import open_source

MakeSlice = Callable[..., Dataset]
Save = Callable[[Dataset, Path], Path]
WriteSeries = Callable[..., list[Path]]

HU_OF_SLICE_0 = np.arange(24).reshape(4, 6) - 24


def image(index: int, **changes: object) -> ImageRecord:
    uid = f"1.2.1.1.{index + 1}"
    plain = ImageRecord(
        1, f"{uid}.dcm", 6, 4, "p-1", "1.2.1.1", uid, index, 3.0 * index, (0.5, 0.4)
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def slices_in(stack: np.ndarray) -> list[int]:
    """Which slices a stack is made of."""
    return [int(hu[0, 0] + 24) // 10 for hu in stack]


@pytest.fixture
def store(tmp_path: Path, write_series: WriteSeries) -> PixelStore:
    write_series(count=5)
    return PixelStore(tmp_path / "scan")


def test_a_slice_is_read_by_its_uid(store: PixelStore) -> None:
    hu = store.read(image(2))
    assert hu.dtype == np.int16
    assert np.array_equal(hu, HU_OF_SLICE_0 + 20)


def test_the_store_reads_what_the_scan_reads(store: PixelStore, tmp_path: Path) -> None:
    scan = open_source(tmp_path / "scan").scans[0].load()
    assert np.array_equal(np.stack([store.read(i) for i in scan.images]), scan.voxels_hu)


def test_stacks_in_the_order_of_slices_read_each_slice_once(
    store: PixelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    pixels = PixelStore._pixels

    def counted(store: PixelStore, header: SliceHeader) -> NDArray[np.int16]:
        read.append(header.sop_uid)
        return pixels(store, header)

    monkeypatch.setattr(PixelStore, "_pixels", counted)
    for index in range(5):
        store.read_stack(image(index), (-3.0, 0.0, 3.0))
    assert sorted(read) == [f"1.2.1.1.{number}" for number in range(1, 6)]


def test_only_a_few_slices_are_kept(store: PixelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_store, "SLICES_KEPT", 2)
    for index in (0, 1, 2, 0, 1):
        assert slices_in(store.read_stack(image(index), (0.0,))) == [index]
        assert len(store._recent) <= 2


def test_what_is_done_to_a_stack_stays_there(store: PixelStore) -> None:
    store.read_stack(image(2), (-3.0, 0.0, 3.0))[:] = 0
    assert slices_in(store.read_stack(image(2), (-3.0, 0.0, 3.0))) == [1, 2, 3]


@pytest.mark.parametrize(
    ("index", "offsets_mm", "expected"),
    [
        (2, (-3.0, 0.0, 3.0), [1, 2, 3]),
        (2, (0.0,), [2]),
        (2, (-6.0, -2.0, 4.0), [0, 1, 3]),
        (0, (-3.0, 0.0, 3.0), [0, 0, 1]),
        (4, (3.0, 6.0), [4, 4]),
    ],
)
def test_a_stack_holds_the_slices_nearest_to_the_offsets(
    store: PixelStore, index: int, offsets_mm: tuple[float, ...], expected: list[int]
) -> None:
    stack = store.read_stack(image(index), offsets_mm)
    assert stack.shape == (len(offsets_mm), 4, 6)
    assert slices_in(stack) == expected


def test_across_a_gap_the_slice_stands_for_its_neighbours(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    paths = write_series(count=9)
    for index in (1, 2, 3, 4, 5, 6):
        paths[index].unlink()
    store = PixelStore(tmp_path / "scan")
    assert slices_in(store.read_stack(image(0), (-3.0, 0.0, 3.0))) == [0, 0, 0]
    assert slices_in(store.read_stack(image(7), (-3.0, 0.0, 3.0))) == [7, 7, 8]


def test_neighbours_come_from_the_same_series(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(count=1, series=1)
    write_series(count=5, series=2)
    store = PixelStore(tmp_path / "scan")
    assert slices_in(store.read_stack(image(0), (0.0, 3.0))) == [0, 0]


def test_neighbours_on_another_grid_are_not_taken(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series(count=3, each={1: {"Rows": 2}})
    store = PixelStore(tmp_path / "scan")
    assert slices_in(store.read_stack(image(0), (0.0, 3.0, 6.0))) == [0, 0, 2]


def test_each_file_of_a_stack_is_opened_once(
    store: PixelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    original = type(store.index.files).open

    def counting(files: object, name: str) -> object:
        opened.append(name)
        return original(files, name)  # type: ignore[arg-type]

    monkeypatch.setattr(type(store.index.files), "open", counting)
    store.read_stack(image(0), (-3.0, -1.0, 0.0, 3.0))
    assert sorted(opened) == ["s1_IM004", "s1_IM005"]


def test_an_unknown_uid_is_refused(store: PixelStore) -> None:
    with pytest.raises(
        InputError,
        match=r"image 1: expected a slice with SOP instance uid 9\.9 below the scan root, "
        r"got none among 5 CT slices\. Point to the folder of the scans with --scan",
    ):
        store.read(image(0, sop_instance_uid="9.9"))


def test_another_size_is_refused(store: PixelStore) -> None:
    with pytest.raises(InputError, match="expected 512 x 4 px as the file says, got 6 x 4 px"):
        store.read(image(0, width=512))


def test_another_pixel_spacing_is_refused(store: PixelStore) -> None:
    with pytest.raises(
        InputError,
        match=r"image 1: expected a pixel spacing of 0\.5 x 0\.41 mm as the file says, "
        r"got 0\.5 x 0\.4 mm in the slice's header",
    ):
        store.read(image(0, spacing_mm=(0.5, 0.41)))
    with pytest.raises(InputError, match="pixel spacing"):
        store.read_stack(image(0, spacing_mm=(0.4, 0.5)), (0.0,))
    assert np.array_equal(store.read(image(0, spacing_mm=(0.503, 0.398))), HU_OF_SLICE_0)


def test_pseudonymised_uids_are_found(store: PixelStore) -> None:
    renamed = pseudonymise_image(image(2), load_key())
    assert np.array_equal(store.read(renamed), HU_OF_SLICE_0 + 20)


def test_a_file_damaged_after_the_headers_were_read_is_refused(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    paths = write_series(count=2)
    store = PixelStore(tmp_path / "scan")
    paths[0].write_bytes(paths[0].read_bytes()[:-9])
    with pytest.raises(
        InputError, match="s1_IM002: expected 4 x 6 intact pixels, got pixel data that"
    ):
        store.read(image(0))
    paths[1].unlink()
    with pytest.raises(InputError, match="s1_IM001: expected a file that can be read"):
        store.read(image(1))


def test_a_store_goes_to_other_processes(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(count=2)
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for path in (tmp_path / "scan").iterdir():
            archive.write(path, path.name)
    store = PixelStore(tmp_path / "scan.zip")
    store.read(image(0))
    copy = pickle.loads(pickle.dumps(store))
    assert np.array_equal(copy.read(image(1)), HU_OF_SLICE_0 + 10)


def test_frames_are_found_by_uid_and_number(
    tmp_path: Path, make_enhanced: MakeSlice, save_dicom: Save
) -> None:
    save_dicom(make_enhanced([6.0, 0.0, 3.0]), tmp_path / "scan" / "a")
    store = PixelStore(tmp_path / "scan")
    frame = image(0, sop_instance_uid="1.2.1.1.1#3")
    assert np.array_equal(store.read(frame), HU_OF_SLICE_0 + 22)
    # In order of position the frames are 2, 3, 1.
    stack = store.read_stack(frame, (-3.0, 0.0, 3.0))
    assert np.array_equal(stack, [HU_OF_SLICE_0 + 11 * i for i in (1, 2, 0)])


def test_pngs_are_found_by_name_below_the_root_or_beside_the_json(tmp_path: Path) -> None:
    for folder in ("root", "json"):
        (tmp_path / folder).mkdir()
        stored = np.full((4, 6), 1064, dtype=np.uint16)
        Image.fromarray(stored).save(tmp_path / folder / f"{folder}.png")
    store = PixelStore(tmp_path / "root", png_folder=tmp_path / "json")
    for name in ("root.png", "json.png"):
        png = image(0, sop_instance_uid="", file_name=name)
        assert np.array_equal(store.read(png), np.full((4, 6), 40))
        assert store.read_stack(png, (-3.0, 0.0)).shape == (2, 4, 6)
    with pytest.raises(InputError, match=r"other\.png: expected a file that can be read"):
        store.read(image(0, sop_instance_uid="", file_name="other.png"))
    with pytest.raises(InputError, match="expected its PNG file below the scan root"):
        PixelStore(tmp_path / "root").read(image(0, sop_instance_uid="", file_name="other.png"))


def test_a_png_of_another_size_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((5, 5), dtype=np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="expected 6 x 4 px as the file says, got 5 x 5 px"):
        PixelStore(tmp_path).read(image(0, sop_instance_uid="", file_name="a.png"))
