from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from lnmdetect.core.errors import InputError, MissingExtraError
from lnmdetect.io import dicom_pixels
from lnmdetect.io.dicom_index import index_dicom
from lnmdetect.io.dicom_pixels import read_hu, require_codec

MakeSlice = Callable[..., Dataset]
Save = Callable[[Dataset, Path], Path]
ReadBack = Callable[[Dataset], NDArray[np.int16]]

HU_OF_SLICE_0 = np.arange(24).reshape(4, 6) - 24  # stored 1000 .. 1023, intercept -1024


@pytest.fixture
def read_back(tmp_path: Path, save_dicom: Save) -> ReadBack:
    def read(dataset: Dataset) -> NDArray[np.int16]:
        path = save_dicom(dataset, tmp_path / "scan" / "a")
        (header,) = index_dicom(tmp_path / "scan").slices
        with path.open("rb") as stream:
            (hu,) = read_hu(stream, [header])
        return hu

    return read


def put_stored(dataset: Dataset, values: NDArray[np.generic]) -> Dataset:
    dataset.Rows, dataset.Columns = values.shape
    dataset.PixelData = values.tobytes()
    return dataset


def test_slope_and_intercept_are_applied_once(make_slice: MakeSlice, read_back: ReadBack) -> None:
    hu = read_back(make_slice())
    assert hu.dtype == np.int16
    assert np.array_equal(hu, HU_OF_SLICE_0)


def test_fractional_slopes_are_rounded_to_whole_hu(
    make_slice: MakeSlice, read_back: ReadBack
) -> None:
    dataset = make_slice(RescaleSlope="0.75", RescaleIntercept="-700.5")
    hu = read_back(put_stored(dataset, np.array([[1000, 1001, 1002, 934]], dtype=np.uint16)))
    # 750 - 700.5 = 49.5 (to even), 50.25, 51.0, 700.5 - 700.5
    assert hu.tolist() == [[50, 50, 51, 0]]


def test_signed_values_keep_their_sign(make_slice: MakeSlice, read_back: ReadBack) -> None:
    dataset = make_slice(PixelRepresentation=1, RescaleIntercept=0)
    assert read_back(put_stored(dataset, np.array([[-1000, 40]], dtype=np.int16))).tolist() == [
        [-1000, 40]
    ]


def test_values_beyond_int16_are_clipped(make_slice: MakeSlice, read_back: ReadBack) -> None:
    dataset = make_slice(RescaleSlope=2)
    hu = read_back(put_stored(dataset, np.array([[0, 65535]], dtype=np.uint16)))
    assert hu.tolist() == [[-1024, 32767]]


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (32, np.uint32)])
def test_other_widths_of_samples_are_read(
    make_slice: MakeSlice, read_back: ReadBack, bits: int, dtype: type[np.integer]
) -> None:
    dataset = make_slice(BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1)
    top = min(np.iinfo(dtype).max, 3_000_000)
    hu = read_back(put_stored(dataset, np.array([[0, 100, 254, top]], dtype=dtype)))
    assert hu.tolist() == [[-1024, -924, -770, min(int(top) - 1024, 32767)]]


def test_unused_high_bits_are_ignored(make_slice: MakeSlice, read_back: ReadBack) -> None:
    dataset = make_slice(BitsStored=12, HighBit=11)
    hu = read_back(put_stored(dataset, np.array([[0xF000 | 1064, 1064]], dtype=np.uint16)))
    assert hu.tolist() == [[40, 40]]


def test_pixel_padding_becomes_air(make_slice: MakeSlice, read_back: ReadBack) -> None:
    dataset = make_slice(PixelRepresentation=1, RescaleIntercept=-1024)
    dataset.add_new("PixelPaddingValue", "SS", -2000)
    hu = read_back(put_stored(dataset, np.array([[-2000, 1064]], dtype=np.int16)))
    assert hu.tolist() == [[-1024, 40]]


def test_a_range_of_padding_becomes_air(make_slice: MakeSlice, read_back: ReadBack) -> None:
    dataset = make_slice()
    dataset.add_new("PixelPaddingValue", "US", 4090)
    dataset.add_new("PixelPaddingRangeLimit", "US", 4095)
    hu = read_back(put_stored(dataset, np.array([[4089, 4090, 4093, 4095]], dtype=np.uint16)))
    assert hu.tolist() == [[3065, -1024, -1024, -1024]]


def test_padding_in_implicit_vr_becomes_air(make_slice: MakeSlice, read_back: ReadBack) -> None:
    dataset = make_slice(PixelRepresentation=1)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.add_new("PixelPaddingValue", "SS", -2000)
    hu = read_back(put_stored(dataset, np.array([[-2000, 1064]], dtype=np.int16)))
    assert hu.tolist() == [[-1024, 40]]


def test_padding_beyond_the_stored_bits_is_compared_as_stored(
    make_slice: MakeSlice, read_back: ReadBack
) -> None:
    dataset = make_slice(BitsStored=12, HighBit=11)
    dataset.add_new("PixelPaddingValue", "US", 63536)
    hu = read_back(put_stored(dataset, np.array([[63536, 1064]], dtype=np.uint16)))
    assert hu.tolist() == [[-1024, 40]]


def test_monochrome1_changes_the_display_and_not_the_hu(
    make_slice: MakeSlice, read_back: ReadBack
) -> None:
    hu = read_back(make_slice(PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(hu, HU_OF_SLICE_0)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("signed", [0, 1])
def test_compressed_pixels_give_the_same_hu(
    make_slice: MakeSlice, read_back: ReadBack, syntax: str, signed: int
) -> None:
    dataset = make_slice(PixelRepresentation=signed)
    noise = np.random.default_rng(3).integers(0, 3000, (32, 48)).astype(np.int16) - 1024 * signed
    put_stored(dataset, noise)
    dataset.compress(syntax, generate_instance_uid=False)
    assert np.array_equal(read_back(dataset), noise - 1024)


def test_a_deflated_file_gives_the_same_hu(make_slice: MakeSlice, read_back: ReadBack) -> None:
    dataset = make_slice()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert np.array_equal(read_back(dataset), HU_OF_SLICE_0)


def test_a_file_without_preamble_gives_the_same_hu(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save
) -> None:
    dataset = make_slice()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path = save_dicom(dataset, tmp_path / "scan" / "a")
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"\x08\x00\x08\x00") :])
    (header,) = index_dicom(tmp_path / "scan").slices
    with path.open("rb") as stream:
        assert np.array_equal(read_hu(stream, [header])[0], HU_OF_SLICE_0)


@pytest.mark.parametrize("compressed", [False, True])
def test_frames_are_read_one_by_one_or_together(
    tmp_path: Path, make_enhanced: MakeSlice, save_dicom: Save, compressed: bool
) -> None:
    dataset = make_enhanced([0.0, 3.0, 6.0])
    if compressed:
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    path = save_dicom(dataset, tmp_path / "scan" / "a")
    headers = index_dicom(tmp_path / "scan").slices
    # Frame i stores slice 0's values + 10 i, and its own intercept is higher by i.
    expected = [HU_OF_SLICE_0 + 11 * index for index in range(3)]
    with path.open("rb") as stream:
        together = read_hu(stream, headers[::-1])
    assert np.array_equal(together, expected[::-1])
    for header, hu in zip(headers, expected, strict=True):
        with path.open("rb") as stream:
            assert np.array_equal(read_hu(stream, [header])[0], hu)


def test_a_missing_codec_is_named_with_its_extra(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_slice()
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    save_dicom(dataset, tmp_path / "scan" / "a")
    (header,) = index_dicom(tmp_path / "scan").slices

    class NoPlugin:
        is_available = False

    monkeypatch.setattr(dicom_pixels, "get_decoder", lambda syntax: NoPlugin)
    with pytest.raises(
        MissingExtraError,
        match=r"a: expected pixel data that an installed codec reads, got JPEG-LS Lossless.*"
        r"pip install 'lnmdetect\[codecs\]'",
    ):
        require_codec(header)


def test_an_unknown_compression_is_refused(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save
) -> None:
    dataset = make_slice()
    dataset.file_meta.TransferSyntaxUID = UID("1.2.3.4")
    save_dicom(dataset, tmp_path / "scan" / "a")
    (header,) = index_dicom(tmp_path / "scan").slices
    with pytest.raises(MissingExtraError, match="got an unknown compression"):
        require_codec(header)


def test_damaged_compressed_pixels_are_refused_by_name(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save
) -> None:
    dataset = make_slice()
    put_stored(dataset, np.random.default_rng(3).integers(0, 3000, (32, 48)).astype(np.uint16))
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    path = save_dicom(dataset, tmp_path / "scan" / "a")
    (header,) = index_dicom(tmp_path / "scan").slices
    content = path.read_bytes()
    for damaged in (content[:-500], content[:-500] + bytes(500)):
        path.write_bytes(damaged)
        with (
            path.open("rb") as stream,
            pytest.raises(
                InputError, match="a: expected 32 x 48 intact pixels, got pixel data that"
            ),
        ):
            read_hu(stream, [header])


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_pixels_of_another_size_than_the_header_are_refused(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save, syntax: str
) -> None:
    dataset = make_slice()
    put_stored(dataset, np.zeros((32, 48), dtype=np.uint16))
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.Rows, dataset.Columns = 48, 32
    path = save_dicom(dataset, tmp_path / "scan" / "a")
    (header,) = index_dicom(tmp_path / "scan").slices
    with path.open("rb") as stream, pytest.raises(InputError, match="expected 48 x 32 intact"):
        read_hu(stream, [header])


def test_a_frame_fewer_than_the_header_says_is_refused(
    tmp_path: Path, make_enhanced: MakeSlice, save_dicom: Save
) -> None:
    dataset = make_enhanced([0.0, 3.0, 6.0])
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.PixelData = encapsulate(
        list(generate_frames(dataset.PixelData, number_of_frames=3))[:2]
    )
    path = save_dicom(dataset, tmp_path / "scan" / "a")
    headers = index_dicom(tmp_path / "scan").slices
    for wanted in (headers, headers[2:]):
        with path.open("rb") as stream, pytest.raises(InputError, match="cannot be decoded"):
            read_hu(stream, wanted)


@pytest.mark.parametrize(
    ("syntax", "codec"),
    [(JPEG2000Lossless, "pylibjpeg"), (JPEGLSLossless, "pyjpegls"), (RLELossless, "pydicom")],
)
def test_the_codec_that_survives_damage_is_used(
    make_slice: MakeSlice,
    read_back: ReadBack,
    monkeypatch: pytest.MonkeyPatch,
    syntax: str,
    codec: str,
) -> None:
    used: list[str] = []
    original = pixel_array

    def spying(dataset: Dataset, **options: str) -> NDArray[np.integer]:
        used.append(options["decoding_plugin"])
        return original(dataset, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(dicom_pixels, "pixel_array", spying)
    dataset = put_stored(make_slice(), np.zeros((32, 48), dtype=np.uint16))
    dataset.compress(syntax, generate_instance_uid=False)
    read_back(dataset)
    assert used == [codec]
