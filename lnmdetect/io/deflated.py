"""Deflated DICOM files that would fill the memory: refused before they are unpacked."""

import zlib
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian

MAX_UNPACKED_BYTES = 256 << 20
"""A slice of 8192 x 8192 px of 32 bits; deflate turns 260 KB into as much."""
_BLOCK_BYTES = 1 << 20
_META_START, _META_LENGTH_AT = 144, 140  # preamble, magic word and (0002,0000), PS3.10 7.1


def refuse_bomb(stream: BinaryIO, head: bytes) -> None:
    """Do nothing for a file that is not deflated, or unpacks to no more than a slice can hold.

    Args:
        stream: of the file; left at its start.
        head: its first 132 bytes or more, meta header included.

    Raises:
        ValueError: it would unpack to more.
        zlib.error: it is damaged.
    """
    if DeflatedExplicitVRLittleEndian.encode() not in head:
        return
    length = int.from_bytes(head[_META_LENGTH_AT:_META_START], "little")
    stream.seek(_META_START + length)
    unpack, unpacked = zlib.decompressobj(-zlib.MAX_WBITS), 0
    block = stream.read(_BLOCK_BYTES)
    while block and unpacked <= MAX_UNPACKED_BYTES:
        unpacked += len(unpack.decompress(block, _BLOCK_BYTES))
        block = unpack.unconsumed_tail or stream.read(_BLOCK_BYTES)
    stream.seek(0)
    if unpacked > MAX_UNPACKED_BYTES:
        raise ValueError("a deflated file that unpacks to more than a slice")
