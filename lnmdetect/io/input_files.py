"""The files a user hands in: a folder, one file, or a zip archive that is read where it lies."""

import os
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from lnmdetect.core.errors import InputError

MAX_ENTRY_BYTES = 4 * 2**30
"""Largest single file taken from an archive; a whole-body enhanced CT object stays below it."""
MAX_EXPANSION = 1100
"""Deflate cannot expand more than 1032-fold (zlib's technical notes): above is a forged archive."""
_ENCRYPTED = 0x1  # general purpose bit 0, PKWARE APPNOTE 4.4.4


class InputFiles(Protocol):
    """A set of files under relative names; nothing is written anywhere to read them."""

    @property
    def names(self) -> tuple[str, ...]:
        """The files' paths relative to the input, sorted."""

    def open(self, name: str) -> BinaryIO:
        """Return a seekable binary stream of one file; the caller closes it."""

    def size(self, name: str) -> int:
        """Return the file's length in bytes."""


def printable(name: str) -> str:
    """Return `name` fit for a terminal: control characters and undecodable bytes become `?`."""
    return "".join(c if c.isprintable() else "?" for c in name)


@dataclass(frozen=True)
class FolderFiles:
    """Files on disk under `root`."""

    root: Path
    names: tuple[str, ...]

    def open(self, name: str) -> BinaryIO:
        """Return a binary stream of one file.

        Raises:
            InputError: the file cannot be opened.
        """
        try:
            return (self.root / name).open("rb")
        except OSError as error:
            raise _unreadable(name, error) from None

    def size(self, name: str) -> int:
        """Return the file's length in bytes."""
        return (self.root / name).stat().st_size


@dataclass
class ZipFiles:
    """Entries of a zip archive, decompressed in memory when they are read; nothing is unpacked.

    The open archive belongs to one process: it is not pickled, and a forked worker opens its own,
    because processes that share a file descriptor move each other's read position.
    """

    archive: Path
    names: tuple[str, ...]
    _handle: zipfile.ZipFile | None = field(default=None, init=False, repr=False)
    _owner: int = field(default=0, init=False, repr=False)

    def __getstate__(self) -> dict[str, object]:
        return {"archive": self.archive, "names": self.names, "_handle": None, "_owner": 0}

    def _zip(self) -> zipfile.ZipFile:
        if self._handle is None or self._owner != os.getpid():
            self._handle, self._owner = zipfile.ZipFile(self.archive), os.getpid()
        return self._handle

    def open(self, name: str) -> BinaryIO:
        """Return a stream that decompresses the entry as it is read.

        Raises:
            InputError: the entry is damaged or stored in a way that cannot be read.
        """
        try:
            return cast(BinaryIO, self._zip().open(name))
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
            raise _unreadable(name, error) from None

    def size(self, name: str) -> int:
        """Return the entry's decompressed length in bytes."""
        return self._zip().getinfo(name).file_size


def list_input_files(path: Path) -> InputFiles:
    """Return the files at `path`: everything in a folder, one file, or a zip archive's entries.

    Raises:
        InputError: nothing is there, the path is no text, or the archive is broken, encrypted or
            forged.
    """
    require_text(path)
    if path.is_dir():
        return FolderFiles(path, tuple(sorted(_walk(path))))
    if not path.is_file():
        raise InputError(
            printable(path.name) or "input",
            expected="a folder, a file or a .zip archive",
            got="a path at which there is none",
            remedy="Check the path.",
        )
    if path.suffix.lower() == ".zip" or _starts_like_zip(path):
        return _open_zip(path)
    return FolderFiles(path.parent, (path.name,))


def require_text(path: Path) -> None:
    """Do nothing for a path that is text: results name it, and JSON holds nothing else.

    Raises:
        InputError: it holds bytes that are not UTF-8.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(
            printable(path.name),
            expected="a path that is text in UTF-8",
            got="one with other bytes",
            remedy="Rename the folder or file; the names of files within it may be anything.",
        ) from None


def _walk(root: Path) -> Iterator[str]:
    """Yield regular files below `root`; linked folders are followed once, so loops end."""
    seen: set[tuple[int, int]] = set()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders.sort()
        for file in files:
            path = Path(folder, file)
            # A named pipe or device would block the reader for ever.
            if _is_regular(path):
                yield path.relative_to(root).as_posix()


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:  # a dangling link
        return False


def _starts_like_zip(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PK\x03\x04"
    except OSError as error:
        raise _unreadable(path.name, error) from None


def _open_zip(path: Path) -> ZipFiles:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError, EOFError) as error:
        raise InputError(
            printable(path.name),
            expected="a complete zip archive",
            got=f"one that cannot be read ({type(error).__name__})",
            remedy="Copy or download the archive again, or unpack it and give the folder.",
        ) from None
    _check_archive(path, entries)
    return ZipFiles(path, tuple(sorted({entry.filename for entry in entries})))


def _check_archive(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    where = printable(path.name)
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise InputError(
            where,
            expected="a zip archive without a password",
            got="an encrypted one",
            remedy="Unpack it with its password and give the folder.",
        )
    total = sum(entry.file_size for entry in entries)
    largest = max((entry.file_size for entry in entries), default=0)
    if largest > MAX_ENTRY_BYTES or total > MAX_EXPANSION * max(path.stat().st_size, 1):
        raise InputError(
            where,
            expected=f"files of at most {MAX_ENTRY_BYTES // 2**30} GiB that unpack to at most "
            f"{MAX_EXPANSION} times the archive's size",
            got=f"{total / 2**30:.1f} GiB in all, the largest {largest / 2**30:.1f} GiB",
            remedy="Unpack the archive yourself and give the folder, if you trust it.",
        )


def _unreadable(name: str, error: Exception) -> InputError:
    return InputError(
        printable(name),
        expected="a file that can be read",
        got=f"{type(error).__name__}",
        remedy="Check its permissions and that it was copied whole.",
        is_path=True,
    )
