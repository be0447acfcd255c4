"""Deflated files are read, and bombs among them refused before they fill the memory."""

import zlib
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from lnmdetect.io import deflated
from lnmdetect.io.deflated import refuse_bomb
from lnmdetect.io.dicom_index import index_dicom
from lnmdetect.io.scan_source import open_source
from tests.io.torture import neck, rewrite, series

HEAD_BYTES = 1024


def deflate(dataset: Dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


def content_of(folder: Path) -> bytes:
    path = series(folder) / "IM0001.dcm"
    rewrite(path, deflate)
    return path.read_bytes()


def body_bytes(content: bytes) -> int:
    """How many bytes the data set behind the meta header unpacks to, by zlib alone."""
    start = 144 + int.from_bytes(content[140:144], "little")
    return len(zlib.decompress(content[start:], -zlib.MAX_WBITS))


def test_a_deflated_series_is_read_whole(tmp_path: Path) -> None:
    for path in series(tmp_path / "scan").iterdir():
        rewrite(path, deflate)
    (handle,) = open_source(tmp_path / "scan").scans
    assert (handle.load().voxels_hu == neck()).all()


def test_the_limit_is_on_what_a_file_unpacks_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = content_of(tmp_path)
    size = body_bytes(content)
    stream = BytesIO(content)
    monkeypatch.setattr(deflated, "MAX_UNPACKED_BYTES", size)
    refuse_bomb(stream, content[:HEAD_BYTES])
    assert stream.tell() == 0
    monkeypatch.setattr(deflated, "MAX_UNPACKED_BYTES", size - 1)
    with pytest.raises(ValueError, match="unpacks to more than a slice"):
        refuse_bomb(BytesIO(content), content[:HEAD_BYTES])


def test_a_slice_of_the_largest_kind_stays_below_the_limit() -> None:
    assert deflated.MAX_UNPACKED_BYTES >= 8192 * 8192 * 4


def test_a_bomb_in_a_folder_is_a_fault_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = series(tmp_path / "scan") / "IM0005.dcm"
    rewrite(path, deflate)
    monkeypatch.setattr(deflated, "MAX_UNPACKED_BYTES", 1000)
    (entry,) = index_dicom(tmp_path / "scan").left_out
    assert (entry.file, entry.reason) == ("IM0005.dcm", "faulty")


def test_a_file_that_is_not_deflated_is_left_alone() -> None:
    content = bytes(128) + b"DICM" + bytes(2000)
    refuse_bomb(BytesIO(content), content[:HEAD_BYTES])


def test_a_damaged_stream_is_the_codecs_error(tmp_path: Path) -> None:
    content = content_of(tmp_path)
    start = 144 + int.from_bytes(content[140:144], "little")
    damaged = content[:start] + b"\xff" * 40
    with pytest.raises(zlib.error):
        refuse_bomb(BytesIO(damaged), damaged[:HEAD_BYTES])
