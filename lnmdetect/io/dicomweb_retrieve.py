"""QIDO-RS and WADO-RS (PS3.18 10.6, 10.4): a study or series from a DICOMweb service."""

from lnmdetect.core.errors import OutputError
from lnmdetect.io.dicom_header import READ_ERRORS
from lnmdetect.io.dicomweb_session import http_status, web_client, web_errors
from lnmdetect.io.dimse_retrieve import Keep, Wanted
from lnmdetect.io.pacs_address import WebAddress
from lnmdetect.io.pacs_objects import ConnectionLostError
from lnmdetect.io.pacs_received import encoded, parse_received
from lnmdetect.io.pacs_uids import is_uid
from lnmdetect.io.quiet import quiet_dicom

_CHUNK = 1 << 20
_AS_STORED = (("application/dicom", "*"),)
_STUDY_UID = "0020000D"


def study_of_series(address: WebAddress, series_uid: str) -> str | None:
    """Return the uid of the study that the service says a series belongs to, None for no such one.

    Raises:
        ConnectionLostError: the service cannot be reached or is overloaded.
        OutputError: there is no such service, or no access to it.
    """
    client = web_client(address, chunk_bytes=_CHUNK)
    try:
        with web_errors(address):
            found = client.search_for_series(
                fields=["StudyInstanceUID"], search_filters={"SeriesInstanceUID": series_uid}
            )
    except OSError as error:
        raise _refused(address, error) from None
    values = [item.get(_STUDY_UID, {}).get("Value", [""])[0] for item in found]
    return next((uid for uid in values if is_uid(str(uid))), None)


def wado_pass(address: WebAddress, wanted: Wanted, keep: Keep) -> int:
    """Return how many objects came without sound UIDs after fetching the others by WADO-RS.

    Raises:
        ConnectionLostError: the service cannot be reached, or broke off.
        OutputError: there is no such service or study, no access, or an object cannot be kept.
    """
    client = web_client(address, chunk_bytes=_CHUNK)
    failed = 0
    try:
        with web_errors(address), quiet_dicom():
            parts = (
                client.iter_study(wanted.study_uid, media_types=_AS_STORED)
                if wanted.series_uid is None
                else client.iter_series(wanted.study_uid, wanted.series_uid, media_types=_AS_STORED)
            )
            for dataset in parts:
                received = parse_received(encoded(dataset))
                failed += received is None
                if received is not None:
                    keep(received)
    except OSError as error:
        raise _refused(address, error) from None
    except READ_ERRORS:
        raise ConnectionLostError(f"{address.words}: a damaged answer") from None
    return failed


def _refused(address: WebAddress, error: OSError) -> OutputError:
    return OutputError(
        address.words,
        expected="an answer to the request",
        got=f"HTTP status {http_status(error)}",
        remedy="Check the UID, and at the PACS whether it may be fetched.",
    )
