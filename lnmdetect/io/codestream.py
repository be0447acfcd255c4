"""The image size that a compressed frame itself declares, to hold it to its DICOM header."""

import struct

_START_OF_IMAGE = b"\xff\xd8"
_J2K_START = b"\xff\x4f\xff\x51"  # SOC, then SIZ (ISO/IEC 15444-1 A.4.1, A.5.1)
_SIZE_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""Start-of-frame codes: JPEG (ISO/IEC 10918-1 table B.1) and JPEG-LS (ISO/IEC 14495-1 C.1)."""


def declared_size(codestream: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) of a JPEG, JPEG-LS or JPEG 2000 frame; None for any other."""
    try:
        if codestream.startswith(_START_OF_IMAGE):
            return _jpeg_size(codestream)
        # A JP2 file holds the bare codestream somewhere behind its boxes.
        at = codestream.find(_J2K_START, 0, 1024)
        return None if at < 0 else _jpeg_2000_size(codestream, at)
    except (struct.error, IndexError):
        return None


def _jpeg_size(codestream: bytes) -> tuple[int, int] | None:
    at = len(_START_OF_IMAGE)
    while codestream[at] == 0xFF:
        marker, length = struct.unpack_from(">xBH", codestream, at)
        if marker in _SIZE_MARKERS:
            rows, columns = struct.unpack_from(">HH", codestream, at + 5)
            return rows, columns
        at += 2 + length
    return None


def _jpeg_2000_size(codestream: bytes, at: int) -> tuple[int, int]:
    # After SOC, SIZ, its length and capabilities: the grid's far corner, then its near one.
    right, bottom, left, top = struct.unpack_from(">IIII", codestream, at + 8)
    return bottom - top, right - left
