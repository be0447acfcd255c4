"""Whether a file's pixel data are there to their end, told without reading them."""

import struct
from typing import BinaryIO

from pydicom import Dataset
from pydicom.uid import UID

from lnmdetect.io.dicom_slices import pixel_bytes, transfer_syntax

_PIXEL_DATA = 0x7FE00010
_ITEM, _DELIMITER = 0xFFFEE000, 0xFFFEE0DD  # PS3.5 7.5
_UNDEFINED = 0xFFFFFFFF
_HEADER_BYTES = {True: 8, False: 12}  # by whether the VR is implicit, PS3.5 7.1.2, 7.1.3
_MAX_FRAGMENTS = 100_000
"""Of a file whose fragments are followed; a chest of 1 mm slices in one file has a hundredth."""


def pixel_shortfall(dataset: Dataset, stream: BinaryIO, size: int) -> str | None:
    """Return what is missing at the end of a file, None where nothing is seen to be.

    Args:
        dataset: its header.
        stream: of the file, at the first element after the header.
        size: of the file, bytes.
    """
    syntax = UID(transfer_syntax(dataset))
    if not syntax.is_transfer_syntax or syntax.is_deflated:
        return None
    start = stream.tell()
    if size <= start:
        return "one that ends before its pixel data"
    element = _next_element(stream, syntax)
    if element is None:
        return _cut_short(0, dataset)
    tag, length = element
    if tag != _PIXEL_DATA:
        return "one without pixel data in whole numbers"
    if syntax.is_encapsulated:
        whole = length != _UNDEFINED or _ends(stream)
        return None if whole else "one cut short within its compressed pixel data"
    present = size - stream.tell()
    present = present if length == _UNDEFINED else min(present, length)
    return _cut_short(present, dataset) if present < pixel_bytes(dataset) else None


def is_cut_short(syntax: UID, stream: BinaryIO, size: int) -> bool:
    """Return whether a file ends within the element at which the stream stands.

    Args:
        syntax: transfer syntax of the file; of a deflated one the answer is False.
        stream: of the file, at the first element after the header, or at its end.
        size: of the file, bytes.
    """
    if not syntax.is_transfer_syntax or syntax.is_deflated or size <= stream.tell():
        return False
    element = _next_element(stream, syntax)
    if element is None:
        return True
    tag, length = element
    if length == _UNDEFINED:
        return tag == _PIXEL_DATA and not _ends(stream)
    return stream.tell() + length > size


def _next_element(stream: BinaryIO, syntax: UID) -> tuple[int, int] | None:
    """Return tag and length of the element that comes, None where the file ends within them."""
    header = stream.read(_HEADER_BYTES[syntax.is_implicit_VR])
    if len(header) < _HEADER_BYTES[syntax.is_implicit_VR]:
        return None
    order = "<" if syntax.is_little_endian else ">"
    group, element = struct.unpack_from(f"{order}HH", header)
    (length,) = struct.unpack_from(f"{order}I", header, len(header) - 4)
    return group << 16 | element, length


def _cut_short(present: int, dataset: Dataset) -> str:
    return f"one cut short, with {present} of {pixel_bytes(dataset)} pixel data bytes"


def _ends(stream: BinaryIO) -> bool:
    """Return whether the fragments that follow end with their delimiter (PS3.5 A.4)."""
    for _ in range(_MAX_FRAGMENTS):
        head = stream.read(8)
        if len(head) < 8:
            return False
        group, element, length = struct.unpack("<HHI", head)
        if group << 16 | element == _DELIMITER:
            return True
        if group << 16 | element != _ITEM:
            return False
        stream.seek(length, 1)  # beyond the end nothing is read
    return True
