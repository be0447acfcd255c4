"""Keyed pseudonyms: the same patient and key give the same name, and no key no way back."""

import hashlib
import hmac
import os
import secrets
import time
from dataclasses import replace
from pathlib import Path

from lnmdetect.core.errors import OutputError
from lnmdetect.core.records import ImageRecord

KEY_FILE_VARIABLE = "LNMDETECT_KEY_FILE"
KEY_BYTES = 32
_SHORTEST_KEY = 16
_UUID_BITS = 128  # a UID under 2.25 is the decimal form of a 128-bit UUID, DICOM PS3.5 B.2


def key_file() -> Path:
    """Return where the key lies: `LNMDETECT_KEY_FILE`, else the user's configuration folder.

    Raises:
        OutputError: the user has no home folder and no variable names a place.
    """
    if named := os.environ.get(KEY_FILE_VARIABLE):
        return Path(named)
    if configured := os.environ.get("XDG_CONFIG_HOME"):
        return Path(configured) / "lnmdetect" / "pseudonym.key"
    try:
        return Path.home() / ".config" / "lnmdetect" / "pseudonym.key"
    except RuntimeError:
        raise _no_key("no home folder") from None


def load_key() -> bytes:
    """Return the pseudonym key; it is made on first use, readable by its owner only.

    Raises:
        OutputError: the key can neither be read nor made, or its file is damaged.
    """
    path = key_file()
    try:
        _create_once(path)
        key = _read_when_written(path)
    except OSError as error:
        raise _no_key(type(error).__name__) from None
    if len(key) < _SHORTEST_KEY:
        raise _no_key(f"a key file of {len(key)} bytes")
    return key


def patient_pseudonym(patient_id: str, study_uid: str, key: bytes) -> str:
    """Return `p-` and 16 hex digits of HMAC-SHA256 over the patient id, else over the study uid."""
    identity = patient_id.strip()
    message = f"patient:{identity}" if identity else f"study:{study_uid}"
    return "p-" + hmac.new(key, message.encode(), hashlib.sha256).hexdigest()[:16]


def keyed_digest(kind: str, text: str, key: bytes) -> str:
    """Return 64 hex digits of HMAC-SHA256 over a text, which may hold bytes that are no UTF-8."""
    content = f"{kind}:{text}".encode("utf-8", "surrogateescape")
    return hmac.new(key, content, hashlib.sha256).hexdigest()


def pseudonymise_uid(uid: str, key: bytes) -> str:
    """Return the keyed `2.25.<integer>` that stands for `uid`; a `#<frame>` suffix is kept."""
    base, hash_sign, frame = uid.partition("#")
    digest = hmac.new(key, f"uid:{base}".encode(), hashlib.sha256).digest()
    number = int.from_bytes(digest[: _UUID_BITS // 8], "big")
    return f"2.25.{number}{hash_sign}{frame}"


def pseudonymise_image(image: ImageRecord, key: bytes) -> ImageRecord:
    """Return the record with its UIDs mapped (`--pseudonymise-uids`); a PNG is left as it is."""
    if not image.sop_instance_uid:
        return image
    uid = pseudonymise_uid(image.sop_instance_uid, key)
    series = pseudonymise_uid(image.series, key)
    return replace(image, sop_instance_uid=uid, series=series, file_name=f"{uid}.dcm")


def _create_once(path: Path) -> None:
    """Make the key unless it exists; of several processes exactly one makes it."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_hex(KEY_BYTES) + "\n")


def _read_when_written(path: Path) -> bytes:
    """Return the key, waiting up to a second for the process that is just writing it."""
    for _ in range(20):
        key = path.read_bytes().strip()
        if len(key) >= _SHORTEST_KEY:
            return key
        time.sleep(0.05)
    return key


def _no_key(got: str) -> OutputError:
    return OutputError(
        "pseudonym key",
        expected="a key file that can be read, or made, with at least 16 bytes",
        got=got,
        remedy=f"Set {KEY_FILE_VARIABLE} to a file in a folder you may write to, "
        "or restore the key from a copy.",
    )
