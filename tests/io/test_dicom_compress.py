"""Copies of DICOM files in other transfer syntaxes hold the same pixels."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from lnmdetect.core.errors import InputError, MissingExtraError
from lnmdetect.io.dicom_compress import write_compressed
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.io.scan_source import open_source

LOSSLESS = (ExplicitVRLittleEndian, RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless)


def written(folder: Path) -> list[Path]:
    voxels = np.random.default_rng(0).integers(-1000, 1500, (3, 32, 32), dtype=np.int16)
    meta = CtSeriesMeta("s", "p", "p", (2.0, 1.0, 1.0), 2.0, (0.0, 0.0, 0.0))
    return [file.path for file in write_ct_series(voxels, folder, meta)]


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.keyword)
def test_what_is_read_back_is_what_was_written(tmp_path: Path, syntax: UID) -> None:
    files = written(tmp_path / "plain")
    write_compressed(files, tmp_path / "packed", syntax)
    (plain,), (packed,) = (open_source(tmp_path / n).scans for n in ("plain", "packed"))
    assert [dcmread(f).file_meta.TransferSyntaxUID for f in (tmp_path / "packed").iterdir()] == [
        syntax
    ] * 3
    for index in range(3):
        assert (plain.read_slice(index) == packed.read_slice(index)).all()


def test_a_syntax_that_nothing_encodes_is_named(tmp_path: Path) -> None:
    unknown = UID("1.2.840.10008.1.2.4.57")
    with pytest.raises(MissingExtraError, match=r"JPEG Lossless.*lnmdetect\[codecs\]"):
        write_compressed(written(tmp_path), tmp_path / "packed", unknown)


def test_what_is_no_image_cannot_become_jpeg(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"nothing")
    with pytest.raises(InputError, match="pixels that gdcm encodes"):
        write_compressed([tmp_path / "a.dcm"], tmp_path / "packed", JPEGLosslessSV1)
