"""Where the other side of a transfer is: a DICOM node, or a DICOMweb service."""

import os
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lnmdetect.core.errors import UsageError

OWN_AE_TITLE = "LNMDETECT"
LOGIN_VARIABLE = "LNMDETECT_PACS_LOGIN"
"""`name:password` for a DICOMweb service; on a command line others could read it."""
_HOST_AND_PORT = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[\w.-]+)):(?P<port>\d{1,5})")
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")  # PS3.5 6.2: 16 characters of the default repertoire


@dataclass(frozen=True)
class DimseAddress:
    """A DICOM node, spoken to with C-STORE, C-FIND, C-GET and C-MOVE.

    Attributes:
        called_ae, calling_ae: its AE title and ours.
    """

    host: str
    port: int
    called_ae: str
    calling_ae: str = OWN_AE_TITLE

    @property
    def words(self) -> str:
        """The address as messages name it."""
        return f"{self.called_ae} at {self.host}:{self.port}"


@dataclass(frozen=True)
class WebAddress:
    """A DICOMweb service, spoken to with STOW-RS, QIDO-RS and WADO-RS.

    Attributes:
        login: name and password, where it wants them.
    """

    url: str
    login: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def words(self) -> str:
        """The address as messages name it."""
        return self.url


Address = DimseAddress | WebAddress


def parse_address(
    text: str, *, called_ae: str | None, calling_ae: str = OWN_AE_TITLE, option: str = "--to"
) -> Address:
    """Return the address that `text` means: `HOST:PORT`, or the URL of a DICOMweb service.

    Args:
        text: `HOST:PORT` or a URL.
        called_ae: the other side's AE title, which HOST:PORT needs and a URL does not.
        calling_ae: our own.
        option: with which `text` was given.

    Raises:
        UsageError: it is neither, or an AE title is missing or cannot be one.
    """
    if text.lower().startswith(("http://", "https://")):
        return WebAddress(_checked_url(text, option), _login())
    found = _HOST_AND_PORT.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise UsageError(
            option,
            expected="HOST:PORT of a DICOM node, or the URL of a DICOMweb service",
            got="something else",
            remedy=f"Give, for example, {option} pacs.example.org:104 --ae PACS.",
        )
    host = found["v6"] or found["name"]
    if not called_ae:
        raise UsageError(
            "--ae",
            expected=f"the AE title of the node that {option} names",
            got="none",
            remedy="Ask who runs the PACS; titles are case-sensitive.",
        )
    titles = checked_ae(called_ae, "--ae"), checked_ae(calling_ae, "--as")
    return DimseAddress(host, int(found["port"]), *titles)


def checked_ae(title: str, option: str) -> str:
    """Return the AE title without blanks around it.

    Raises:
        UsageError: it is empty, too long, or has characters that none may have.
    """
    if not title.strip() or not _AE_TITLE.fullmatch(title):
        raise UsageError(
            option,
            expected="an AE title: 1 to 16 ASCII characters, no backslash",
            got="something else",
            remedy="Ask who runs the PACS; titles are case-sensitive.",
        )
    return title.strip()


def _checked_url(text: str, option: str) -> str:
    try:
        parts = urlsplit(text)
        sound = bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or "@" in parts.netloc:
        raise UsageError(
            option,
            expected="a URL of host, port and path, without login, query or fragment",
            got="another one",
            remedy=f"Give the login as NAME:PASSWORD in {LOGIN_VARIABLE}.",
        )
    return text.rstrip("/")


def _login() -> tuple[str, str] | None:
    given = os.environ.get(LOGIN_VARIABLE)
    if not given:
        return None
    name, colon, password = given.partition(":")
    if not colon:
        raise UsageError(
            LOGIN_VARIABLE,
            expected="NAME:PASSWORD",
            got="a text without a colon",
            remedy="Set it so, or unset it where the service wants no login.",
        )
    return name, password
