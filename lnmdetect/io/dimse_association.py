"""Associations with a DICOM node (PS3.8): opened with our timeouts, every refusal in words."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lnmdetect import __version__
from lnmdetect.core.errors import OutputError
from lnmdetect.core.extras import require_package
from lnmdetect.io.dicom_write import IMPLEMENTATION_UID
from lnmdetect.io.pacs_address import DimseAddress
from lnmdetect.io.pacs_objects import ConnectionLostError
from lnmdetect.io.quiet import quiet_dicom

if TYPE_CHECKING:
    from pynetdicom import AE
    from pynetdicom.association import Association
    from pynetdicom.events import EventHandlerType
    from pynetdicom.presentation import PresentationContext

MAX_CONTEXTS = 128
"""Odd numbers below 256, PS3.8 9.3.2.2."""
CONNECT_S, ANSWER_S = 10.0, 60.0
_PERMANENT = 1  # PS3.8 table 9-21, Result
_NOT_RECOGNISED = {3: "--as", 7: "--ae"}  # Reason of source 1: calling, called AE title
_REMEDIES = {
    "--as": "Have our AE title entered at the PACS, or give another one with --as.",
    "--ae": "Give the PACS's AE title with --ae; titles are case-sensitive.",
}


def require_pynetdicom() -> None:
    """Do nothing where pynetdicom is installed; silence its log, which can quote data sets.

    Raises:
        MissingExtraError: it is not; the message names the extra.
    """
    require_package(
        "pynetdicom",
        where="pacs",
        package="pynetdicom, which speaks with DICOM nodes",
        extra="dicom",
    )
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)


def own_entity(ae_title: str) -> "AE":
    """Return our side of an association."""
    require_pynetdicom()
    from pynetdicom import AE

    entity = AE(ae_title=ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_UID
    entity.implementation_version_name = f"LNMDETECT {__version__}"[:16]  # PS3.7 D.3.3.2
    entity.connection_timeout = CONNECT_S
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = ANSWER_S
    return entity


@contextmanager
def open_association(
    address: DimseAddress,
    contexts: "Sequence[PresentationContext]",
    *,
    roles: Sequence[Any] = (),
    handlers: "Sequence[EventHandlerType]" = (),
) -> Iterator["Association"]:
    """Give an open association, released at the end of the block; aborted where that raises.

    Raises:
        ConnectionLostError: nobody answers, or the other side is busy.
        OutputError: the other side does not want us.
    """
    entity = own_entity(address.calling_ae)
    association = entity.associate(
        address.host,
        address.port,
        contexts=list(contexts),
        ae_title=address.called_ae,
        ext_neg=list(roles),
        evt_handlers=list(handlers),
    )
    if not association.is_established:
        _explain(association, address)
    whole = False
    try:
        with quiet_dicom():  # the other side's identifiers are quoted where they are none
            yield association
        whole = True
    finally:
        if association.is_established and whole:
            association.release()
        elif association.is_established:
            association.abort()


def _explain(association: "Association", address: DimseAddress) -> None:
    """Raise what fits an association that did not come about."""
    if not association.is_rejected:
        raise ConnectionLostError(f"{address.words}: no answer")
    refusal: Any = association.acceptor.primitive
    if refusal is None or refusal.result != _PERMANENT:
        raise ConnectionLostError(f"{address.words}: busy, rejected for the moment")
    option = _NOT_RECOGNISED.get(refusal.diagnostic) if refusal.result_source == 1 else None
    raise OutputError(
        address.words,
        expected="an association",
        got=f"a lasting rejection ({refusal.reason_str})",
        remedy=_REMEDIES.get(option or "", "Ask who runs the PACS."),
    )


def status_of(response: Any) -> int:
    """Return the status of a response.

    Raises:
        ConnectionLostError: none came: the other side broke off, or took too long.
    """
    if "Status" not in response:
        raise ConnectionLostError("the other side broke off or stopped answering")
    return int(response.Status)
