"""All CT slices below a path, from one pass over the headers."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydicom import Dataset

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
from lnmdetect.io.dicom_slices import faulty, slices_of
from lnmdetect.io.dicom_values import text
from lnmdetect.io.input_files import InputFiles, list_input_files
from lnmdetect.io.pixel_element import pixel_shortfall
from lnmdetect.io.quiet import quiet_dicom

Progress = Callable[[int, int], None]
"""Called with (files read, files in all)."""

_DICOMDIR = "1.2.840.10008.1.3.10"


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


class _Source(NamedTuple):
    """An open file, its size in bytes and its first bytes."""

    stream: BinaryIO
    size: int
    head: bytes


def _read_entries(files: InputFiles, name: str) -> tuple[SliceHeader | LeftOut, ...] | None:
    """Return the file's entries, None for a file that is not DICOM or is a DICOMDIR."""
    head = b""
    try:
        opened = files.open(name)
    except InputError as error:  # it may be a slice, and nothing would tell that one is missing
        return (LeftOut(name, "", "", "faulty", error.expected, error.got),)
    try:
        with opened as stream:
            head = stream.read(HEAD_BYTES)
            if not looks_like_dicom(head):
                return _unreadable(name, head)
            stream.seek(0)
            dataset = read_dataset(stream)
            return _entries(dataset, name, _Source(stream, files.size(name), head))
    except READ_ERRORS:
        return _unreadable(name, head)


def _entries(
    dataset: Dataset, name: str, source: _Source
) -> tuple[SliceHeader | LeftOut, ...] | None:
    if dataset.file_meta.get("MediaStorageSOPClassUID") == _DICOMDIR:
        return None
    # Every image names its series and modality; one cut short before them names neither.
    if "SeriesInstanceUID" not in dataset and "Modality" not in dataset:
        return _unreadable(name, source.head)
    ends_early = source.size <= source.stream.tell()
    entries = slices_of(dataset, name)
    wanted = any(isinstance(entry, SliceHeader) or entry.reason == "faulty" for entry in entries)
    # Of a header cut short even the kind of image is not certain.
    if wanted or (ends_early and text(dataset, "SOPClassUID") in CT_CLASSES):
        shortfall = pixel_shortfall(dataset, source.stream, source.size)
        if shortfall is not None:
            return (faulty(dataset, name, "a complete file", shortfall),)
    return entries


def _unreadable(name: str, head: bytes) -> tuple[LeftOut, ...] | None:
    """Return the entry of a damaged DICOM file; None where it may as well be something else."""
    if head[128:132] != b"DICM":
        return None
    reason: Reason = "faulty" if names_ct(head) else "unreadable"
    return (LeftOut(name, "", "", reason, "a complete DICOM file", "an unreadable header"),)
