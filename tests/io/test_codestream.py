import pytest

from lnmdetect.io.codestream import declared_shape

APP0 = b"\xff\xe0\x00\x04ab"
SOS = b"\xff\xda\x00\x08\x01\x01\x00\x01\x00\x00"
SOF = b"\x00\x0b\x0c\x00\x20\x00\x30\x01\x01\x11\x00"  # 12 bits, 32 rows, 48 columns, 1 sample


@pytest.mark.parametrize("marker", [b"\xff\xc0", b"\xff\xc1", b"\xff\xc3", b"\xff\xf7"])
def test_a_jpeg_declares_its_size_in_its_frame_header(marker: bytes) -> None:
    assert declared_shape(b"\xff\xd8" + APP0 + marker + SOF + SOS) == (32, 48, 1)


def test_fill_bytes_before_a_marker_are_passed_over() -> None:
    assert declared_shape(b"\xff\xd8\xff\xff\xff\xc3" + SOF + SOS) == (32, 48, 1)


def test_a_huffman_table_is_no_frame_header() -> None:
    table = b"\xff\xc4\x00\x07\x00\x63\x00\x63\x00"
    assert declared_shape(b"\xff\xd8" + table + b"\xff\xc3" + SOF + SOS) == (32, 48, 1)


def test_a_broken_chain_of_segments_declares_nothing() -> None:
    assert declared_shape(b"\xff\xd8\xff\xc3" + SOF + b"\x00" + SOS) is None
    assert declared_shape(b"\xff\xd8\xff\xc3" + SOF) is None


def test_a_precision_that_jpeg_does_not_have_declares_nothing() -> None:
    assert declared_shape(b"\xff\xd8\xff\xc3" + SOF.replace(b"\x0c", b"\x31") + SOS) is None


@pytest.mark.parametrize("boxes", [b"", b"\x00\x00\x00\x0cjP  \r\n\x87\n"])
def test_a_jpeg_2000_declares_its_size_as_a_grid(boxes: bytes) -> None:
    grid = b"".join(n.to_bytes(4, "big") for n in (49, 34, 1, 2))
    siz = b"\x00\x29\x00\x00" + grid + bytes(16) + b"\x00\x01"
    assert declared_shape(boxes + b"\xff\x4f\xff\x51" + siz) == (32, 48, 1)


@pytest.mark.parametrize("codestream", [b"", b"\x00" * 64, b"\xff\xd8", b"\xff\xd8\xff\xc3\x00"])
def test_another_or_a_cut_codestream_declares_nothing(codestream: bytes) -> None:
    assert declared_shape(codestream) is None
