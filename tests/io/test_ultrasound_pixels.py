"""Ultrasound images: the same grey values out of every kind of file, and damaged ones refused."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, RLELossless

from lnmdetect.core.errors import InputError
from lnmdetect.core.ultrasound import ImagePlace
from lnmdetect.io.ultrasound_pixels import read_frame, require_readable

Pixels = NDArray[np.generic]
MakeSlice = Callable[..., Dataset]
Save = Callable[[Dataset, Path], Path]
WriteFrames = Callable[..., ImagePlace]

US_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"
RAMP = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [100, 100, 100]]], dtype=np.uint8)
GREYS = np.array([[0.299, 0.587], [0.114, 100 / 255]])
"""Of `COLOURS`, by ITU-R BT.601."""


def save_picture(values: Pixels, path: Path) -> ImagePlace:
    Image.fromarray(values).save(path)
    return ImagePlace(path.name)


def test_a_png_of_8_bits_is_divided_by_255(tmp_path: Path) -> None:
    grey = read_frame(tmp_path, save_picture(RAMP, tmp_path / "a.png"))
    assert grey.dtype == np.float32
    assert grey == pytest.approx(RAMP / 255, abs=1e-7)


def test_a_png_of_16_bits_is_divided_by_65535(tmp_path: Path) -> None:
    values = np.array([[0, 1, 256], [32768, 65534, 65535]], dtype=np.uint16)
    grey = read_frame(tmp_path, save_picture(values, tmp_path / "a.png"))
    assert grey == pytest.approx(values / 65535, abs=1e-7)


def test_colour_becomes_grey_by_its_luma(tmp_path: Path) -> None:
    grey = read_frame(tmp_path, save_picture(COLOURS, tmp_path / "a.png"))
    assert grey == pytest.approx(GREYS, abs=1e-6)


def test_transparency_and_palettes_do_no_harm(tmp_path: Path) -> None:
    opaque = np.dstack([COLOURS, np.full((2, 2), 255, np.uint8)])
    palette = Image.fromarray(COLOURS).quantize(4)
    palette.save(tmp_path / "p.png")
    for place in (save_picture(opaque, tmp_path / "a.png"), ImagePlace("p.png")):
        assert read_frame(tmp_path, place) == pytest.approx(GREYS, abs=2 / 255)


def test_a_jpeg_is_read_whatever_its_name(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(tmp_path / "a.image", format="JPEG")
    assert read_frame(tmp_path, ImagePlace("a.image")) == pytest.approx(90 / 255, abs=1e-6)


@pytest.fixture
def write_frames(tmp_path: Path, make_slice: MakeSlice, save_dicom: Save) -> WriteFrames:
    """Write (N, H, W) or (N, H, W, 3) uint8 frames as `us.dcm`."""

    def write(
        frames: NDArray[np.uint8],
        kind: str = "MONOCHROME2",
        syntax: str | None = None,
        **more: object,
    ) -> ImagePlace:
        colour = frames.ndim == 4
        dataset = make_slice(
            SOPClassUID=US_MULTI_FRAME if len(frames) > 1 else US_IMAGE,
            Modality="US",
            SamplesPerPixel=3 if colour else 1,
            PhotometricInterpretation=kind,
            BitsAllocated=8,
            BitsStored=8,
            HighBit=7,
            PixelRepresentation=0,
        )
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        if len(frames) > 1:
            dataset.NumberOfFrames = len(frames)
        if colour:
            dataset.PlanarConfiguration = 0
        dataset.Rows, dataset.Columns = frames.shape[1:3]
        dataset.PixelData = frames.tobytes()
        for keyword, value in more.items():
            setattr(dataset, keyword, value)
        if syntax == JPEGBaseline8Bit:
            dataset.PixelData = encapsulate([jpeg(frame) for frame in frames])
            dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        elif syntax is not None:
            dataset.compress(syntax, generate_instance_uid=False)
        return ImagePlace(save_dicom(dataset, tmp_path / "us.dcm").name, 1)

    return write


def jpeg(frame: NDArray[np.uint8]) -> bytes:
    stream = BytesIO()
    Image.fromarray(frame).save(stream, format="JPEG", quality=95)
    return stream.getvalue()


def test_a_single_dicom_frame_needs_no_frame_number(
    tmp_path: Path, write_frames: WriteFrames
) -> None:
    place = write_frames(RAMP[None])
    assert read_frame(tmp_path, ImagePlace(place.file_name)) == pytest.approx(RAMP / 255, abs=1e-7)


def test_frames_count_from_1_and_peak_is_the_brightest(
    tmp_path: Path, write_frames: WriteFrames
) -> None:
    frames = np.stack([RAMP, RAMP + 20, RAMP + 5])
    name = write_frames(frames).file_name
    for frame, expected in ((1, RAMP), (2, RAMP + 20), (3, RAMP + 5), ("peak", RAMP + 20)):
        read = read_frame(tmp_path, ImagePlace(name, frame))  # type: ignore[arg-type]
        assert read == pytest.approx(expected / 255, abs=1e-7)


@pytest.mark.parametrize("syntax", [None, RLELossless])
def test_colour_frames_are_read_compressed_or_not(
    tmp_path: Path, write_frames: WriteFrames, syntax: str | None
) -> None:
    place = write_frames(np.stack([COLOURS, COLOURS[::-1]]), "RGB", syntax)
    assert read_frame(tmp_path, place) == pytest.approx(GREYS, abs=1e-6)


def test_the_luminance_of_ybr_is_the_grey(tmp_path: Path, write_frames: WriteFrames) -> None:
    ybr = np.full((1, 4, 4, 3), 128, np.uint8)
    ybr[..., 0] = 77
    assert read_frame(tmp_path, write_frames(ybr, "YBR_FULL")) == pytest.approx(77 / 255, abs=1e-6)


@pytest.mark.parametrize(("colour", "kind"), [(True, "YBR_FULL_422"), (False, "MONOCHROME2")])
def test_jpeg_frames_are_read_in_colour_and_in_grey(
    tmp_path: Path, write_frames: WriteFrames, colour: bool, kind: str
) -> None:
    frame = np.full((16, 16, 3), (180, 120, 40), np.uint8) if colour else np.full((16, 16), 90)
    expected = (0.299 * 180 + 0.587 * 120 + 0.114 * 40) if colour else 90.0
    place = write_frames(np.asarray(frame, np.uint8)[None], kind, JPEGBaseline8Bit)
    assert read_frame(tmp_path, place) == pytest.approx(expected / 255, abs=2 / 255)


def test_monochrome_1_is_turned_round(tmp_path: Path, write_frames: WriteFrames) -> None:
    grey = read_frame(tmp_path, write_frames(RAMP[None], "MONOCHROME1"))
    assert grey == pytest.approx(1 - RAMP / 255, abs=1e-6)


def test_a_palette_is_applied(tmp_path: Path, write_frames: WriteFrames) -> None:
    tables = {
        f"{name}PaletteColorLookupTable{part}": value
        for name, table in zip(
            ("Red", "Green", "Blue"), np.eye(3, 4, dtype=np.uint8) * 255, strict=True
        )
        for part, value in (("Data", table.tobytes()), ("Descriptor", [4, 0, 8]))
    }
    indices = np.array([[[0, 1], [2, 0]]], dtype=np.uint8)
    grey = read_frame(tmp_path, write_frames(indices, "PALETTE COLOR", **tables))
    assert grey == pytest.approx(np.array([[0.299, 0.587], [0.114, 0.299]]), abs=1e-6)


def test_a_frame_that_is_not_there_is_refused(tmp_path: Path, write_frames: WriteFrames) -> None:
    name = write_frames(np.stack([RAMP] * 3)).file_name
    for read in (read_frame, require_readable):
        with pytest.raises(InputError, match='a frame from 1 to 3, or "peak", got frame 4'):
            read(tmp_path, ImagePlace(name, 4))
        with pytest.raises(InputError, match="got no frame named"):
            read(tmp_path, ImagePlace(name))


def test_signed_values_are_refused(tmp_path: Path, write_frames: WriteFrames) -> None:
    place = write_frames(RAMP[None], PixelRepresentation=1)
    with pytest.raises(InputError, match="cannot be decoded"):
        read_frame(tmp_path, place)


def test_a_missing_file_and_one_of_another_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no picture")
    for read in (read_frame, require_readable):
        with pytest.raises(InputError, match="got no file of that name"):
            read(tmp_path, ImagePlace("none.png"))
        with pytest.raises(InputError, match="cannot be read as one"):
            read(tmp_path, ImagePlace("text"))


@pytest.mark.parametrize("sides", [(8193, 1), (10_000, 10_000)])
def test_an_image_of_absurd_size_is_refused(tmp_path: Path, sides: tuple[int, int]) -> None:
    Image.new("1", sides).save(tmp_path / "a.png")
    expected = f"at most 8192 px a side, got one of {sides[0]} x {sides[1]} px"
    for read in (read_frame, require_readable):
        with pytest.raises(InputError, match=expected):
            read(tmp_path, ImagePlace("a.png"))


def test_an_image_cut_short_is_refused(tmp_path: Path, write_frames: WriteFrames) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (32, 32)).astype(np.uint8)
    names = [save_picture(noise, tmp_path / name).file_name for name in ("a.png", "a.jpg")]
    for name in (*names, write_frames(np.stack([noise] * 3)).file_name):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(InputError):
            read_frame(tmp_path, ImagePlace(name, 1))


def test_a_codestream_of_another_size_than_the_header_is_refused(
    tmp_path: Path, write_frames: WriteFrames
) -> None:
    place = write_frames(np.zeros((1, 16, 16), np.uint8), "MONOCHROME2", JPEGBaseline8Bit, Rows=8)
    with pytest.raises(InputError, match="cannot be decoded"):
        read_frame(tmp_path, place)
