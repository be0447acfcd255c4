"""All CT slices below a path, from one pass over the headers."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID

from lnmdetect.core.errors import InputError
from lnmdetect.io.dicom_header import (
    CT_CLASSES,
    HEAD_BYTES,
    READ_ERRORS,
    LeftOut,
    Reason,
    SliceHeader,
    looks_like_dicom,
    names_ct,
    read_dataset,
)
from lnmdetect.io.dicom_slices import faulty, pixel_bytes, slices_of, transfer_syntax
from lnmdetect.io.dicom_values import text
from lnmdetect.io.input_files import InputFiles, list_input_files
from lnmdetect.io.quiet import quiet_dicom

Progress = Callable[[int, int], None]
"""Called with (files read, files in all)."""

_DICOMDIR = "1.2.840.10008.1.3.10"
_PIXEL_HEADER = {True: 8, False: 12}  # bytes by whether the VR is implicit, PS3.5 7.1.2, 7.1.3


@dataclass(frozen=True)
class DicomIndex:
    """The slices found, what is DICOM but no usable slice, and the files that are neither."""

    files: InputFiles
    slices: tuple[SliceHeader, ...]
    left_out: tuple[LeftOut, ...]
    unrelated: tuple[str, ...]

    def faults(self) -> list[LeftOut]:
        """Return the CT files or frames that are damaged or lack what a slice needs."""
        return [entry for entry in self.left_out if entry.reason == "faulty"]

    def unread(self) -> list[str]:
        """Return the files that may be slices but say neither so nor of which series."""
        lost = [entry.file for entry in self.left_out if not entry.series_uid]
        return lost + [name for name in self.unrelated if name.lower().endswith(".dcm")]

    def left_out_counts(self) -> Counter[str]:
        """Return how many entries were left out for each reason."""
        return Counter(entry.reason for entry in self.left_out)


def index_dicom(path: Path, *, progress: Progress | None = None) -> DicomIndex:
    """Return what lies at `path`: a folder (nested, mixed), one file, or a zip archive.

    Raises:
        InputError: nothing is there, or an archive cannot be read.
    """
    files = list_input_files(path)
    slices: list[SliceHeader] = []
    left_out: list[LeftOut] = []
    unrelated: list[str] = []
    with quiet_dicom():
        for done, name in enumerate(files.names, start=1):
            entries = _read_entries(files, name)
            if entries is None:
                unrelated.append(name)
            slices += [entry for entry in entries or () if isinstance(entry, SliceHeader)]
            left_out += [entry for entry in entries or () if isinstance(entry, LeftOut)]
            if progress is not None:
                progress(done, len(files.names))
    return DicomIndex(files, tuple(slices), tuple(left_out), tuple(unrelated))


def _read_entries(files: InputFiles, name: str) -> tuple[SliceHeader | LeftOut, ...] | None:
    """Return the file's entries, None for a file that is not DICOM or is a DICOMDIR."""
    head = b""
    try:
        with files.open(name) as stream:
            head = stream.read(HEAD_BYTES)
            if not looks_like_dicom(head):
                return _unreadable(name, head)
            stream.seek(0)
            dataset = read_dataset(stream)
            rest = files.size(name) - stream.tell()
            return _entries(dataset, name, rest, head)
    except (InputError, *READ_ERRORS):
        return _unreadable(name, head)


def _entries(
    dataset: Dataset, name: str, rest: int, head: bytes
) -> tuple[SliceHeader | LeftOut, ...] | None:
    if dataset.file_meta.get("MediaStorageSOPClassUID") == _DICOMDIR:
        return None
    # Every image names its series and modality; one cut short before them names neither.
    if "SeriesInstanceUID" not in dataset and "Modality" not in dataset:
        return _unreadable(name, head)
    shortfall = _shortfall(dataset, rest)
    entries = slices_of(dataset, name)
    wanted = any(isinstance(entry, SliceHeader) or entry.reason == "faulty" for entry in entries)
    # Of a header cut short even the kind of image is not certain.
    if shortfall and (wanted or (rest <= 0 and text(dataset, "SOPClassUID") in CT_CLASSES)):
        return (faulty(dataset, name, "a complete file", shortfall),)
    return entries


def _shortfall(dataset: Dataset, rest: int) -> str | None:
    """Return what is missing at the end of the file; `rest` bytes follow the header."""
    syntax = UID(transfer_syntax(dataset))
    if not syntax.is_transfer_syntax or syntax.is_deflated:
        return None
    if rest <= 0:
        return "one that ends before its pixel data"
    # Compressed pixels have no length that the header gives away; decoding tells.
    needed = 0 if syntax.is_encapsulated else pixel_bytes(dataset)
    present = rest - _PIXEL_HEADER[syntax.is_implicit_VR]
    if present < needed:
        return f"one cut short, with {max(present, 0)} of {needed} pixel data bytes"
    return None


def _unreadable(name: str, head: bytes) -> tuple[LeftOut, ...] | None:
    """Return the entry of a damaged DICOM file; None where it may as well be something else."""
    if head[128:132] != b"DICM":
        return None
    reason: Reason = "faulty" if names_ct(head) else "unreadable"
    return (LeftOut(name, "", "", reason, "a complete DICOM file", "an unreadable header"),)
