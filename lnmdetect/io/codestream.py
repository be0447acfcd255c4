"""The image shape that a compressed frame itself declares, to hold it to its DICOM header."""

import struct

_START_OF_IMAGE = b"\xff\xd8"
_START_OF_SCAN = 0xDA
_PRECISIONS = range(2, 17)  # bits a sample, ISO/IEC 10918-1 table B.2
_J2K_START = b"\xff\x4f\xff\x51"  # SOC, then SIZ (ISO/IEC 15444-1 A.4.1, A.5.1)
_SIZE_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""Start-of-frame codes: JPEG (ISO/IEC 10918-1 table B.1) and JPEG-LS (ISO/IEC 14495-1 C.1)."""


def declared_shape(codestream: bytes) -> tuple[int, int, int] | None:
    """Return (rows, columns, samples) of a JPEG, JPEG-LS or JPEG 2000 frame; None of any other."""
    try:
        if codestream.startswith(_START_OF_IMAGE):
            return _jpeg_shape(codestream)
        # A JP2 file holds the bare codestream somewhere behind its boxes.
        at = codestream.find(_J2K_START, 0, 1024)
        return None if at < 0 else _jpeg_2000_shape(codestream, at)
    except (struct.error, IndexError):
        return None


def _jpeg_shape(codestream: bytes) -> tuple[int, int, int] | None:
    """Walk all segments up to the first scan; a broken chain of them declares nothing."""
    shape = None
    at = len(_START_OF_IMAGE)
    while codestream[at] == 0xFF:
        marker, length = struct.unpack_from(">xBH", codestream, at)
        if marker == _START_OF_SCAN:
            return shape
        if marker in _SIZE_MARKERS and codestream[at + 4] in _PRECISIONS:
            shape = struct.unpack_from(">HHB", codestream, at + 5)
        is_fill = marker == 0xFF  # ISO/IEC 10918-1 B.1.1.2
        at += 1 if is_fill else 2 + length
    return None


def _jpeg_2000_shape(codestream: bytes, at: int) -> tuple[int, int, int]:
    # After SOC, SIZ, its length and capabilities: the grid's far and near corner, the tiles' size
    # and corner, the number of components.
    right, bottom, left, top, samples = struct.unpack_from(">IIII16xH", codestream, at + 8)
    return bottom - top, right - left, samples
