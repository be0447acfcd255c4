"""16-bit grey PNG slices: a stored value is HU + 1024."""

import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnmdetect.core.errors import InputError
from lnmdetect.io.input_files import printable

PNG_OFFSET_HU = 1024
"""Stored value of 0 HU: the 12-bit CT scale then starts at 0, as in unsigned DICOM CT."""
MAX_SIDE_PX = 8192
MAX_MEDIAN_HU = 4000
"""No tissue comes near; a PNG stored with another offset (DeepLesion's is 32768) does."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY = 0  # colour type, PNG specification 11.2.1


def is_png(name: str) -> bool:
    """Return whether a file is PNG by its name."""
    return name.lower().endswith(".png")


def read_png_size(stream: BinaryIO, name: str) -> tuple[int, int]:
    """Return (rows, columns) from the header alone.

    Raises:
        InputError: the file is not a 16-bit grey PNG of a usable size.
    """
    head = stream.read(26)
    if len(head) < 26 or not head.startswith(_SIGNATURE) or head[12:16] != b"IHDR":
        raise _refusal(name, got="one whose header is damaged")
    columns, rows, bits, colour = struct.unpack(">IIBB", head[16:26])
    if colour != _GREY or bits != 16:
        kind = "grey" if colour == _GREY else "colour or transparent"
        raise _refusal(name, got=f"a {bits}-bit {kind} one, which no longer holds HU")
    if not (0 < rows <= MAX_SIDE_PX and 0 < columns <= MAX_SIDE_PX):
        raise _refusal(name, got=f"one of {columns} x {rows} px")
    return rows, columns


def read_png_hu(stream: BinaryIO, name: str) -> NDArray[np.int16]:
    """Return the (H, W) int16 HU of a PNG, clipped to int16.

    Raises:
        InputError: the file is damaged, not 16-bit grey, or stored with another offset.
    """
    read_png_size(stream, name)
    stream.seek(0)
    try:
        with Image.open(stream, formats=["PNG"]) as image:
            stored = np.asarray(image).astype(np.int32)
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise _refusal(name, got=f"a damaged one ({type(error).__name__})") from None
    hu = stored - PNG_OFFSET_HU
    if np.median(hu) > MAX_MEDIAN_HU:
        raise _refusal(name, got=f"values around {int(np.median(stored))}: another offset")
    return np.clip(hu, *(np.iinfo(np.int16).min, np.iinfo(np.int16).max)).astype(np.int16)


def _refusal(name: str, *, got: str) -> InputError:
    return InputError(
        printable(name),
        expected=f"a 16-bit grey PNG of at most {MAX_SIDE_PX} px a side that stores "
        f"HU + {PNG_OFFSET_HU}",
        got=got,
        remedy="Write the key image again from its DICOM slice, or give the DICOM slice.",
    )
