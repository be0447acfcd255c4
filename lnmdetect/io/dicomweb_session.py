"""A DICOMweb service (PS3.18): the client for it, and every refusal in words."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lnmdetect.core.errors import OutputError
from lnmdetect.core.extras import require_package
from lnmdetect.io.pacs_address import LOGIN_VARIABLE, WebAddress
from lnmdetect.io.pacs_objects import ConnectionLostError

if TYPE_CHECKING:
    from dicomweb_client.web import DICOMwebClient

CONNECT_S, ANSWER_S = 10.0, 60.0
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that may be others next time (RFC 9110 15.5, 15.6)."""
_NO_ACCESS = frozenset({401, 403})
_NO_SERVICE = frozenset({404, 405, 501})


def web_client(address: WebAddress, *, chunk_bytes: int) -> "DICOMwebClient":
    """Return a client for the service.

    Args:
        address: where it is.
        chunk_bytes: messages longer than this are sent, and streams read, in such parts.

    Raises:
        MissingExtraError: dicomweb-client is not installed.
    """
    require_package(
        "dicomweb_client",
        where="pacs",
        package="dicomweb-client, which speaks with DICOMweb services",
        extra="dicom",
    )
    from dicomweb_client.session_utils import (
        create_session,
        create_session_from_user_pass,
    )
    from dicomweb_client.web import DICOMwebClient

    logging.getLogger("dicomweb_client").setLevel(logging.CRITICAL + 1)
    session = create_session_from_user_pass(*address.login) if address.login else create_session()
    client = DICOMwebClient(
        address.url, session, chunk_size=chunk_bytes, timeout=(CONNECT_S, ANSWER_S)
    )
    client.set_http_retry_params(retry=False)
    return client


@contextmanager
def web_errors(address: WebAddress) -> Iterator[None]:
    """Turn what the client raises in the block into our errors.

    A refusal of the one thing asked for, as 400 or 409, goes on as it is (an OSError).

    Raises:
        ConnectionLostError: no answer, or one that may be another next time.
        OutputError: there is no such service, or no access to it.
    """
    try:
        yield
    except OSError as error:  # requests.RequestException is one
        status = http_status(error)
        if status is None and _is_about_tls(error):
            remedy = "Name a file with your CA's certificate in REQUESTS_CA_BUNDLE."
            raise _refused(
                address, "one whose certificate is not trusted, or that speaks no TLS", remedy
            ) from None
        if status is None:
            raise ConnectionLostError(f"{address.words}: no answer") from None
        if status in PASSING:
            raise ConnectionLostError(f"{address.words}: HTTP status {status}") from None
        if status in _NO_ACCESS:
            raise _refused(
                address, f"HTTP status {status}", f"Set {LOGIN_VARIABLE} to NAME:PASSWORD."
            ) from None
        if status in _NO_SERVICE:
            remedy = "Give the whole URL, as http://HOST:8042/dicom-web of Orthanc."
            raise _refused(address, f"HTTP status {status}", remedy) from None
        raise


def _is_about_tls(error: OSError) -> bool:
    from requests.exceptions import SSLError

    return isinstance(error, SSLError)


def http_status(error: OSError) -> int | None:
    """Return the HTTP status with which a request failed; None where no answer came."""
    response = getattr(error, "response", None)
    return None if response is None else int(response.status_code)


def _refused(address: WebAddress, got: str, remedy: str) -> OutputError:
    return OutputError(
        address.words, expected="a DICOMweb service that lets us in", got=got, remedy=remedy
    )
