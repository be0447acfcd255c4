"""STOW-RS (PS3.18 10.5): objects sent to a DICOMweb service, an answer for each."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pydicom import Dataset

from lnmdetect.io.dicom_header import READ_ERRORS
from lnmdetect.io.dicom_values import item as first_item
from lnmdetect.io.dicom_values import whole
from lnmdetect.io.dicomweb_session import http_status, web_client, web_errors
from lnmdetect.io.pacs_address import WebAddress
from lnmdetect.io.pacs_objects import Answer, StoredObject
from lnmdetect.io.quiet import quiet_dicom

if TYPE_CHECKING:
    from dicomweb_client.web import DICOMwebClient

_ONE_PART = 1 << 31
"""Bytes; an object is posted whole, since several servers take no chunked requests."""
_OUT_OF_RESOURCES = range(0xA700, 0xA800)  # PS3.18 table I.2-2


def store_pass(
    address: WebAddress, objects: Iterable[StoredObject]
) -> Iterator[tuple[StoredObject, Answer]]:
    """Yield each object with the answer to it; each is a request of its own.

    Raises:
        ConnectionLostError: the service cannot be reached or is overloaded; what has not been
            yielded has no answer.
        OutputError: there is no such service, or no access to it.
    """
    client = web_client(address, chunk_bytes=_ONE_PART)
    for item in objects:
        yield item, _store(client, address, item)


def _store(client: "DICOMwebClient", address: WebAddress, item: StoredObject) -> Answer:
    try:
        dataset = item.read()
    except READ_ERRORS as error:
        return Answer("refused", None, f"the file cannot be read ({type(error).__name__})")
    try:
        with web_errors(address), quiet_dicom():
            response = client.store_instances([dataset])
    except OSError as error:
        return Answer("refused", str(http_status(error)), _named(getattr(error, "response", None)))
    except (ValueError, AttributeError, TypeError, KeyError):
        return Answer("refused", None, "the object cannot be encoded; check it with dciodvfy")
    return _answer(response)


def _answer(response: Dataset) -> Answer:
    """Return what a Store Instances Response (PS3.18 table I.1-1) says of its one object."""
    failure = whole(first_item(response, "FailedSOPSequence"), "FailureReason")
    if failure is not None:
        return Answer(
            "again" if failure in _OUT_OF_RESOURCES else "refused",
            f"0x{failure:04X}",
            "the service names this failure reason",
        )
    warning = whole(first_item(response, "ReferencedSOPSequence"), "WarningReason")
    remark = "" if warning is None else f"with the warning 0x{warning:04X}"
    return Answer("taken", "200", remark)


def _named(response: Any) -> str:
    """Return the failure reason that a refusal's body holds, in words."""
    try:
        body = Dataset.from_json(response.json())
    except (*READ_ERRORS, AssertionError):
        return "refused by the service"
    failure = whole(first_item(body, "FailedSOPSequence"), "FailureReason")
    return "refused by the service" if failure is None else f"failure reason 0x{failure:04X}"
