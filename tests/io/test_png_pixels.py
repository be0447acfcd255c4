from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from lnmdetect.core.errors import InputError
from lnmdetect.io.png_pixels import is_png, read_png_hu, read_png_size


def png(values: np.ndarray) -> BytesIO:
    stream = BytesIO()
    Image.fromarray(values).save(stream, format="PNG")
    stream.seek(0)
    return stream


def test_a_stored_value_is_hu_plus_1024() -> None:
    stored = np.array([[0, 1024, 1064], [4095, 1000, 1]], dtype=np.uint16)
    hu = read_png_hu(png(stored), "a.png")
    assert hu.dtype == np.int16
    assert hu.tolist() == [[-1024, 0, 40], [3071, -24, -1023]]


def test_values_beyond_int16_are_clipped() -> None:
    assert read_png_hu(png(np.array([[0, 0, 65535]], dtype=np.uint16)), "a").max() == 32767


def test_the_size_is_read_from_the_header_as_rows_and_columns() -> None:
    assert read_png_size(png(np.zeros((4, 6), dtype=np.uint16)), "a.png") == (4, 6)


def test_an_8_bit_png_is_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"a\.png: expected a 16-bit grey PNG .* stores HU \+ 1024, got a 8-bit grey one",
    ):
        read_png_size(png(np.zeros((4, 6), dtype=np.uint8)), "a.png")


def test_a_colour_png_is_refused() -> None:
    with pytest.raises(InputError, match="got a 8-bit colour or transparent one"):
        read_png_size(png(np.zeros((4, 6, 3), dtype=np.uint8)), "a.png")


def test_another_offset_is_refused() -> None:
    with pytest.raises(InputError, match="got values around 32808: another offset"):
        read_png_hu(png(np.full((4, 6), 32808, dtype=np.uint16)), "a.png")


@pytest.mark.parametrize("content", [b"", b"no png", b"\x89PNG\r\n\x1a\n" + bytes(30)])
def test_what_is_no_png_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="got one whose header is damaged"):
        read_png_size(BytesIO(content), "a.png")


def test_a_png_of_absurd_size_is_refused_before_it_is_decoded() -> None:
    content = bytearray(png(np.zeros((4, 6), dtype=np.uint16)).getvalue())
    content[16:24] = (100_000).to_bytes(4, "big") * 2
    with pytest.raises(InputError, match="got one of 100000 x 100000 px"):
        read_png_hu(BytesIO(content), "a.png")


def test_every_cut_of_a_png_is_refused() -> None:
    values = np.random.default_rng(1).integers(0, 3000, (16, 16)).astype(np.uint16)
    content = png(values).getvalue()
    data_ends = content.index(b"IEND") - 12  # before the checksums of the last pixels
    for length in range(0, data_ends, 7):
        with pytest.raises(InputError, match=r"a\.png: expected a 16-bit grey PNG"):
            read_png_hu(BytesIO(content[:length]), "a.png")


def test_a_png_is_known_by_its_name() -> None:
    assert is_png("A/B.PNG")
    assert not is_png("png")
