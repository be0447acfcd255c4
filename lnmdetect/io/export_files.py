"""Files of one thing in one folder: told by their hashes, each written whole or not at all."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from lnmdetect.io.json_files import atomic_output


def sha256_of_files(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each content, by name."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def write_files(folder: Path, files: Mapping[str, bytes], *, overwrite: bool = False) -> None:
    """Write each content to its name in the folder, which is made where it is missing.

    Raises:
        OutputError: a file exists and `overwrite` is false, or the folder cannot be written.
    """
    for name, content in files.items():
        with atomic_output(folder / name, overwrite=overwrite) as stream:
            stream.write(content)
