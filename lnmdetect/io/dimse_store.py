"""C-STORE (PS3.4 annex B): objects sent to a DICOM node, an answer for each."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lnmdetect.io.dicom_header import READ_ERRORS
from lnmdetect.io.dimse_association import (
    MAX_CONTEXTS,
    open_association,
    require_pynetdicom,
    status_of,
)
from lnmdetect.io.pacs_address import DimseAddress
from lnmdetect.io.pacs_objects import Answer, ConnectionLostError, StoredObject, grouped
from lnmdetect.io.quiet import quiet_dicom

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

SUCCESS = 0x0000
_WARNINGS = range(0xB000, 0xC000)  # PS3.7 annex C, as all statuses here
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_PROCESSING_FAILURE = 0x0110


def store_pass(
    address: DimseAddress, objects: Iterable[StoredObject]
) -> Iterator[tuple[StoredObject, Answer]]:
    """Yield each object with the answer to it, in their order.

    Raises:
        ConnectionLostError: the node cannot be reached or went away; what has not been yielded has
            no answer.
        OutputError: the node does not want us.
    """
    require_pynetdicom()
    for run, pairs in grouped(objects, kinds=MAX_CONTEXTS):
        contexts = [_context(sop_class, syntax) for sop_class, syntax in pairs]
        with open_association(address, contexts) as association:
            for item in run:
                yield item, _store(association, item)


def _context(sop_class: str, syntax: str) -> "PresentationContext":
    """Return what is proposed: as the file is written, else any plain way to write it."""
    from pynetdicom.presentation import build_context

    if UID(syntax).is_compressed:
        return build_context(sop_class, [syntax])
    plain = [syntax, ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    return build_context(sop_class, list(dict.fromkeys(map(str, plain))))


def _store(association: "Association", item: StoredObject) -> Answer:
    if not _is_wanted(association, item):
        name = UID(item.transfer_syntax).name
        return Answer("refused", None, f"the node does not take {item.sop_class} in {name}")
    try:
        dataset = item.read()
    except READ_ERRORS as error:
        return Answer("refused", None, f"the file cannot be read ({type(error).__name__})")
    return _answer(_sent(association, dataset))


def _sent(association: "Association", dataset: "Dataset") -> int | None:
    """Return the response's status; None where the object cannot be written for sending.

    Raises:
        ConnectionLostError: no response came.
    """
    if not association.is_established:
        raise ConnectionLostError("the other side broke off")
    try:
        with quiet_dicom():  # elements that are written in another way are looked at, and quoted
            return status_of(association.send_c_store(dataset))
    except (ValueError, AttributeError):
        return None
    except RuntimeError:  # the association ended after it was looked at
        raise ConnectionLostError("the other side broke off") from None


def _is_wanted(association: "Association", item: StoredObject) -> bool:
    """Return whether a context was accepted in which the file can be sent."""
    syntax = UID(item.transfer_syntax)
    for context in association.accepted_contexts:
        accepted = context.transfer_syntax[0]
        plain = not syntax.is_compressed and not accepted.is_compressed
        if context.abstract_syntax == item.sop_class_uid and (accepted == syntax or plain):
            return True
    return False


def _answer(status: int | None) -> Answer:
    if status is None:
        return Answer("refused", None, "the object cannot be encoded; check it with dciodvfy")
    code = f"0x{status:04X}"
    if status == SUCCESS:
        return Answer("taken", code)
    meaning = _meaning(status)
    if status in _WARNINGS:
        return Answer("taken", code, meaning)
    passing = status in _OUT_OF_RESOURCES or status == _PROCESSING_FAILURE
    return Answer("again" if passing else "refused", code, meaning)


def _meaning(status: int) -> str:
    from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

    known = STORAGE_SERVICE_CLASS_STATUS.get(status)
    return known[1] if known else "a status that the standard does not know"
