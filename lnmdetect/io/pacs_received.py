"""An object that came over a network: whose it is, and where it is kept."""

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.tag import Tag

from lnmdetect.io.dicom_header import READ_ERRORS
from lnmdetect.io.dicom_values import text
from lnmdetect.io.pacs_uids import is_uid
from lnmdetect.io.quiet import quiet_dicom

_TAGS = [Tag(name) for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")]
PART = ".part"


@dataclass(frozen=True)
class ReceivedObject:
    """One object as it will lie in a file; its UIDs are sound, so safe as names."""

    content: bytes = field(repr=False)
    sop_uid: str
    series_uid: str
    study_uid: str


def parse_received(content: bytes) -> ReceivedObject | None:
    """Return the object that a file of these bytes holds; None where its UIDs are not sound."""
    try:
        with quiet_dicom():
            header = dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=_TAGS)
            uids = [text(header, tag) for tag in ("SOPInstanceUID", "SeriesInstanceUID")]
            uids.append(text(header, "StudyInstanceUID"))
    except READ_ERRORS:
        return None
    return ReceivedObject(content, *uids) if all(map(is_uid, uids)) else None


def encoded(dataset: Dataset) -> bytes:
    """Return the bytes of a file that holds the data set.

    Raises:
        READ_ERRORS: it cannot be written.
    """
    stream = BytesIO()
    with quiet_dicom():
        dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def write_durably(path: Path, content: bytes) -> None:
    """Write the file so that it is there, whole, also after a power cut; its folder is made.

    Raises:
        OSError: the disk refuses; nothing is left then.
    """
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        sync(path.parent.parent)
    with _part_of(path) as part:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Return when a folder's list of names, or a file's content, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Return when every file in the folder and below is on the disk."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)


@contextlib.contextmanager
def _part_of(path: Path) -> Iterator[Path]:
    """Give a name for the file while it is written, and delete what an error leaves of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}{PART}")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)
