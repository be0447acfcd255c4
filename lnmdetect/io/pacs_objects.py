"""DICOM objects in files, as they are sent: which they are, and what became of each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydicom import Dataset, dcmread
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lnmdetect.core.errors import InputError
from lnmdetect.io.dicom_header import (
    HEAD_BYTES,
    READ_ERRORS,
    looks_like_dicom,
    read_dataset,
)
from lnmdetect.io.dicom_values import text
from lnmdetect.io.input_files import InputFiles, list_input_files, printable
from lnmdetect.io.pacs_uids import is_uid
from lnmdetect.io.pixel_element import is_cut_short
from lnmdetect.io.quiet import quiet_dicom

State = Literal["taken", "refused", "not sent"]
_TAGS = [Tag(name) for name in ("SOPClassUID", "SOPInstanceUID")]
_DICOMDIR = "1.2.840.10008.1.3.10"


@dataclass(frozen=True)
class StoredObject:
    """A DICOM object in a file.

    Attributes:
        name: the file, relative to `files`; it may name a patient, so it is never shown.
        transfer_syntax: how the file is written.
        is_whole: the file does not end within its pixel data.
    """

    files: InputFiles = field(repr=False)
    name: str = field(repr=False)
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str
    is_whole: bool = True

    @property
    def sop_class(self) -> str:
        """The name of its class, its uid where the standard has none."""
        return UID(self.sop_class_uid).name

    def read(self) -> Dataset:
        """Return the whole object.

        Raises:
            READ_ERRORS: the file is damaged, cut short or gone.
        """
        if not self.is_whole:
            raise EOFError
        with quiet_dicom(), self.files.open(self.name) as stream:
            dataset = read_dataset(stream, pixels=True)
        dataset.file_meta.MediaStorageSOPClassUID = UID(self.sop_class_uid)
        dataset.file_meta.MediaStorageSOPInstanceUID = UID(self.sop_instance_uid)
        return dataset


@dataclass(frozen=True)
class Answer:
    """What the other side said to one object, at one attempt.

    Attributes:
        kind: "again" is a refusal that may pass, as of a full disk.
        status: DIMSE status as `0xA700`, or HTTP status; None where none came.
        reason: why it was refused, or a remark on a taken one.
    """

    kind: Literal["taken", "refused", "again"]
    status: str | None
    reason: str = ""


@dataclass(frozen=True)
class ObjectOutcome:
    """What became of one object in the end."""

    sop_instance_uid: str
    sop_class: str
    state: State
    attempts: int
    status: str | None
    reason: str


class ConnectionLostError(Exception):
    """The other side cannot be reached, or went away; trying again may help.

    Args:
        reason: in words, free of anything from an object.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def list_objects(paths: Iterable[Path]) -> tuple[tuple[StoredObject, ...], int]:
    """Return the DICOM objects at the paths, each once, and how many files are none.

    Args:
        paths: files, folders or zip archives. Files beside the objects in a folder or archive are
            passed over; a path that is itself such a file is not.

    Raises:
        InputError: nothing is at a path, or nothing at it is a DICOM object.
    """
    found: dict[str, StoredObject] = {}
    passed_over = 0
    for path in paths:
        files = list_input_files(path)
        here = [_object(files, name) for name in files.names]
        if not any(here):
            raise InputError(
                printable(path.name) or "input",
                expected="DICOM objects to send",
                got=f"none among {len(here)} files",
                remedy="Check the path; results are written by `lnmdetect export`.",
            )
        passed_over += here.count(None)
        found |= {item.sop_instance_uid: item for item in here if item is not None}
    return tuple(found.values()), passed_over


def _object(files: InputFiles, name: str) -> StoredObject | None:
    try:
        with quiet_dicom(), files.open(name) as stream:
            head = stream.read(HEAD_BYTES)
            if not looks_like_dicom(head):
                return None
            stream.seek(0)
            bare = head[128:132] != b"DICM"
            header = dcmread(stream, force=bare, stop_before_pixels=True, specific_tags=_TAGS)
            implicit, _ = header.original_encoding
            sop_class, sop_uid = text(header, "SOPClassUID"), text(header, "SOPInstanceUID")
            bare_syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
            syntax = UID(header.file_meta.get("TransferSyntaxUID", bare_syntax))
            is_whole = not is_cut_short(syntax, stream, files.size(name))
    except (InputError, *READ_ERRORS):
        return None
    if sop_class == _DICOMDIR or not (is_uid(sop_class) and is_uid(sop_uid)):
        return None
    return StoredObject(files, name, sop_uid, sop_class, str(syntax), is_whole)


def grouped(
    objects: Iterable[StoredObject], *, kinds: int
) -> Iterator[tuple[list[StoredObject], list[tuple[str, str]]]]:
    """Yield runs of objects of at most so many (class, transfer syntax) pairs, and these pairs."""
    run: list[StoredObject] = []
    pairs: list[tuple[str, str]] = []
    for item in objects:
        pair = item.sop_class_uid, item.transfer_syntax
        if pair not in pairs and len(pairs) == kinds:
            yield run, pairs
            run, pairs = [], []
        if pair not in pairs:
            pairs.append(pair)
        run.append(item)
    if run:
        yield run, pairs
