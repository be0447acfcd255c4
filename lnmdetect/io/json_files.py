"""JSON files: read with errors that name the place, written whole or not at all."""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from lnmdetect.core.errors import InputError, OutputError
from lnmdetect.io.json_parsing import parse_json, refuse_text

_ITEM = r"(?:[-+.\deE]+|null|\"[\da-f]{16}\")"
_SHORT_ITEMS = re.compile(rf"\[\n\s*{_ITEM}(?:,\n\s*{_ITEM})*\n\s*\]")
"""Numbers or patients' digests in a list as `json` indents it; no text matches, since a line break
in one is escaped."""
_HASH_BLOCK_BYTES = 1 << 20
_MAX_FILE_BYTES = 2 << 30


def read_json(path: Path) -> Any:
    """Return what the JSON file holds.

    Raises:
        InputError: the file cannot be opened, is too large, is not UTF-8, or is not JSON; so is one
            with NaN or Infinity, or with an object that has two fields of one name.
    """
    _check_name(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(
            path.name,
            expected="a JSON file that can be read",
            got=error.strerror or type(error).__name__,
            remedy="Check the path and its permissions.",
        ) from None
    if len(content) > _MAX_FILE_BYTES:
        raise InputError(
            path.name,
            expected=f"a JSON file of at most {_MAX_FILE_BYTES >> 30} GiB",
            got="a larger one",
            remedy="Divide the file by scans.",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse_text(path.name, f"a byte that is not UTF-8 at offset {error.start}")
    del content
    return parse_json(text, path.name)


def _check_name(path: Path) -> None:
    """Refuse a name that no JSON file, which holds where its figures came from, can hold."""
    try:
        path.name.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(
            path.name,
            expected="a file whose name is text in UTF-8",
            got="one with other bytes",
            remedy="Rename the file.",
        ) from None


def json_text(data: Any) -> str:
    """Return `data` as JSON text, the same for the same data.

    An object's keys keep their order; where one of its values is a list of objects (images,
    annotations) each takes one line, so that files can be compared line by line; so does a list of
    numbers or of digests.
    """
    if not isinstance(data, dict):
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    members = (f"{json.dumps(str(key))}: {_member_text(value)}" for key, value in data.items())
    return "{\n" + ",\n".join(members) + "\n}\n"


def _member_text(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        lines = (json.dumps(item, ensure_ascii=False, allow_nan=False) for item in value)
        return "[\n" + ",\n".join(lines) + "\n]"
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return _SHORT_ITEMS.sub(lambda found: " ".join(found.group().split()), text)


def write_json(data: Any, path: Path, *, overwrite: bool = False) -> None:
    """Write `data` as JSON under a temporary name and rename it to `path`.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    text = json_text(data)
    with atomic_output(path, overwrite=overwrite) as stream:
        stream.write(text.encode("utf-8"))


@contextlib.contextmanager
def atomic_output(path: Path, *, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """Give a stream whose bytes become `path` when the block ends, and vanish if it fails.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    refuse_existing(path, overwrite=overwrite)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            yield stream
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path.name, error) from None
    finally:
        if temporary.exists():
            temporary.unlink()


def unwritable(name: str, error: OSError) -> OutputError:
    """Return what to raise where the disk refuses the output of that name."""
    return OutputError(
        name,
        expected="a place that can be written",
        got=error.strerror or type(error).__name__,
        remedy="Choose another --output, or free the disk.",
    )


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Return nothing when `path` may be written; to be asked before the work, not after it.

    Raises:
        OutputError: `path` is a folder, or exists and `overwrite` is false; or its folder is a file
            or may not be written.
    """
    require_folder(path.parent)
    if path.is_dir():
        got, remedy = "a folder of that name", "Choose another --output."
    elif path.exists() and not overwrite:
        got = "a file of that name"
        remedy = "Give --overwrite to replace it, or another --output."
    else:
        return
    raise OutputError(path.name, expected="a new file", got=got, remedy=remedy)


def require_folder(folder: Path) -> None:
    """Return nothing when `folder` can be written into, or made.

    Raises:
        OutputError: it, or a folder above it, is a file or may not be written.
    """
    there = next((part for part in (folder, *folder.parents) if part.exists()), Path())
    if not there.is_dir():
        got = f"{there.name}, which is a file, not a folder"
    elif not os.access(there, os.W_OK | os.X_OK):
        got = "one that may not be written"
    else:
        return
    raise OutputError(
        folder.name,
        expected="a folder for the output",
        got=got,
        remedy="Choose another --output.",
    )


def remove_output(path: Path) -> None:
    """Delete the file of an earlier run, where there is one."""
    path.unlink(missing_ok=True)


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, 64 hexadecimal digits.

    Raises:
        InputError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_HASH_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise InputError(
            path.name,
            expected="a file that can be read",
            got=error.strerror or type(error).__name__,
            remedy="Check the path and its permissions.",
        ) from None
    return digest.hexdigest()
