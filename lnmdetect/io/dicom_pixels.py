"""Stored values to Hounsfield units: the only place where slope and intercept are applied."""

from collections.abc import Sequence
from io import BytesIO
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, RLELossless

from lnmdetect.core.errors import InputError, MissingExtraError
from lnmdetect.io.codestream import declared_shape
from lnmdetect.io.dicom_header import READ_ERRORS, SliceHeader, read_dataset
from lnmdetect.io.dicom_values import whole
from lnmdetect.io.input_files import printable
from lnmdetect.io.quiet import quiet_dicom

AIR_HU = -1024
"""What pixel padding becomes; the lowest value of the 12-bit CT scale."""
LAST_RESORTS = ("gdcm", "pillow")
"""gdcm ends the whole process on some damaged JPEG 2000 frames; pillow reads 8 bits of JPEG."""
_HU_RANGE = (np.iinfo(np.int16).min, np.iinfo(np.int16).max)


def read_hu(stream: BinaryIO, slices: Sequence[SliceHeader]) -> list[NDArray[np.int16]]:
    """Return (rows, columns) int16 HU for each slice of one open file.

    Values are rounded to whole HU and clipped to int16; pixel padding becomes `AIR_HU`.

    Raises:
        MissingExtraError: no installed codec reads the file's compression.
        InputError: the pixels are damaged, or are not of the size the header gives.
    """
    first = slices[0]
    require_codec(first)
    try:
        with quiet_dicom():
            stored = _stored_values(stream, slices)
    except READ_ERRORS as error:
        raise _undecodable(first, type(error).__name__) from None
    return [_to_hu(values, header) for values, header in zip(stored, slices, strict=True)]


def require_codec(header: SliceHeader) -> None:
    """Do nothing where the slice's transfer syntax can be decoded.

    Raises:
        MissingExtraError: a codec is missing; the message names the extra.
    """
    require_codec_of(_syntax(header), header.file)


def require_codec_of(syntax: UID, file: str) -> None:
    """Do nothing where a transfer syntax can be decoded.

    Raises:
        MissingExtraError: a codec is missing; the message names the extra, and `file`.
    """
    try:
        with quiet_dicom():
            available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise MissingExtraError(
            printable(file),
            expected="pixel data that an installed codec reads",
            got=f"{syntax.name if syntax.is_transfer_syntax else 'an unknown compression'}",
            remedy="Install the codecs with: pip install 'lnmdetect[codecs]'; "
            "or decompress the files first (gdcmconv --raw, dcmdjpeg).",
            is_path=True,
        )


def _stored_values(stream: BinaryIO, slices: Sequence[SliceHeader]) -> list[NDArray[np.integer]]:
    frames = [header.frame or 0 for header in slices]
    syntax = _syntax(slices[0])
    if slices[0].frame is not None and len(frames) == 1 and not _is_packed(syntax):
        return [pixel_array(stream, index=frames[0], raw=True)]  # reads only this frame's bytes
    # In one piece: an archive compares its checksum only when nothing is skipped.
    dataset = read_dataset(BytesIO(stream.read()), pixels=True)
    plugin = ""
    if syntax.is_encapsulated:
        plugin = codec_of(syntax)
        if syntax != RLELossless:  # its frames declare nothing; the decoder counts their bytes
            for header in slices:
                _check_declared_shape(dataset, header)
    if len(frames) == 1:
        return [pixel_array(dataset, index=frames[0], raw=True, decoding_plugin=plugin)]
    every = pixel_array(dataset, raw=True, decoding_plugin=plugin)
    return [every if every.ndim == 2 else every[frame] for frame in frames]


def codec_of(syntax: UID) -> str:
    """Return the codec to use for a compressed transfer syntax, and no other if it fails."""
    available = get_decoder(syntax).available_plugins
    return min(available, key=lambda name: (name in LAST_RESORTS, name))


def _check_declared_shape(dataset: Dataset, header: SliceHeader) -> None:
    """Do nothing where the frame is what the header says; gdcm ends the process on some others.

    Raises:
        ValueError: it is not.
    """
    count = whole(dataset, "NumberOfFrames") or 1
    frame = get_frame(dataset.PixelData, header.frame or 0, number_of_frames=count)
    if declared_shape(frame) != (header.rows, header.columns, 1):
        raise ValueError("a codestream of another shape, or none")


def _syntax(header: SliceHeader) -> UID:
    return UID(header.transfer_syntax, validation_mode=IGNORE)


def _is_packed(syntax: UID) -> bool:
    return syntax.is_compressed or syntax.is_deflated


def _to_hu(stored: NDArray[np.integer], header: SliceHeader) -> NDArray[np.int16]:
    if stored.shape != (header.rows, header.columns):
        raise _undecodable(header, f"pixels of shape {stored.shape}")
    hu = _rescaled(stored, header.slope, header.intercept)
    if header.padding is not None:
        low, high = header.padding
        hu[(stored >= low) & (stored <= high)] = AIR_HU
    return hu


def _rescaled(stored: NDArray[np.integer], slope: float, intercept: float) -> NDArray[np.int16]:
    if stored.itemsize <= 2 and slope.is_integer() and intercept.is_integer():
        # Whole numbers, three times faster; |slope| <= 1000 keeps them within 32 bits.
        scaled = stored.astype(np.int32)
        scaled *= int(slope)
        scaled += int(intercept)
        return np.clip(scaled, *_HU_RANGE, out=scaled).astype(np.int16)
    exact = stored.astype(np.float64) * slope + intercept
    return np.clip(np.rint(exact), *_HU_RANGE).astype(np.int16)


def _undecodable(header: SliceHeader, got: str) -> InputError:
    where = printable(header.file)
    if header.frame is not None:
        where += f", frame {header.frame + 1}"
    return InputError(
        where,
        expected=f"{header.rows} x {header.columns} intact pixels",
        got=f"pixel data that cannot be decoded ({got})",
        remedy="Copy the file again from its source; if it is whole, decompress it first "
        "(gdcmconv --raw, dcmdjpeg).",
        is_path=True,
    )
