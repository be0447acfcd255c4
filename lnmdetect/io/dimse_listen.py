"""The C-STORE receiver of `lnmdetect pacs listen` (PS3.4 annex B, as SCP): CT images only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from lnmdetect.core.wording import visible
from lnmdetect.io.dimse_association import own_entity, require_pynetdicom
from lnmdetect.io.dimse_retrieve import CANNOT_UNDERSTAND, port_taken
from lnmdetect.io.dimse_socket import allow, meter
from lnmdetect.io.dimse_syntaxes import accepted_contexts
from lnmdetect.io.pacs_received import ReceivedObject, parse_received
from lnmdetect.io.quiet import quiet_dicom

IDLE_S = 300.0
"""An association on which nothing comes for so long is ended."""


class Link(Protocol):
    """The association over which an object came."""

    @property
    def is_established(self) -> bool:
        """Whether it is still open."""

    @property
    def is_released(self) -> bool:
        """Whether it ended as agreed; one that broke off did not."""


Accept = Callable[[ReceivedObject, Link, str], int]
"""Takes an object, its association and the sender's AE title; returns the DIMSE status."""


@dataclass(frozen=True)
class Door:
    """Who may come in where.

    Attributes:
        bind, port: our interface and port.
        own_ae: the title by which we must be called.
        allowed: calling AE titles that are let in; None lets all in.
        associations: at most so many at once; each may hold one object in memory.
        object_bytes: largest object; an association that sends a larger one is aborted.
        stalled_s: longest pause amid a message, and longest time until an association is asked for.
    """

    bind: str
    port: int
    own_ae: str
    allowed: tuple[str, ...] | None
    associations: int = 8
    object_bytes: int = 1 << 29
    stalled_s: float = 30.0


@contextmanager
def open_door(door: Door, accept: Accept, refused: Callable[[str], None]) -> Iterator[None]:
    """Receive while the block runs.

    Args:
        door: who may come in where.
        accept: called with each object, from several threads.
        refused: called with a sentence about each node that was not let in.

    Raises:
        OutputError: the port is taken, or the address is not ours.
        MissingExtraError: pynetdicom is not installed.
    """
    require_pynetdicom()
    from pynetdicom import evt

    def store(event: Any) -> int:
        allow(event.assoc, door.object_bytes)
        received = parse_received(event.encoded_dataset())
        if received is None:
            return CANNOT_UNDERSTAND
        return accept(received, event.assoc, _title(event))

    entity = own_entity(door.own_ae)
    entity.supported_contexts = accepted_contexts(only_ct=True)
    entity.maximum_associations = door.associations
    entity.require_called_aet = True
    entity.require_calling_aet = list(door.allowed or ())
    entity.maximum_pdu_size = 1 << 17
    entity.network_timeout, entity.acse_timeout = IDLE_S, door.stalled_s
    try:
        server = entity.start_server(
            (door.bind, door.port),
            block=False,
            evt_handlers=[
                (evt.EVT_C_STORE, store),
                (evt.EVT_CONN_OPEN, lambda event: meter(event.assoc, door.stalled_s)),
                (evt.EVT_ACCEPTED, lambda event: allow(event.assoc, door.object_bytes)),
                (evt.EVT_REJECTED, lambda event: refused(_rejection(event, door))),
            ],
        )
    except OSError as error:
        raise port_taken(door.bind, door.port, error) from None
    try:
        with quiet_dicom():  # an identifier that is none is quoted as it comes in
            yield
    finally:
        if server is not None:
            server.shutdown()
        for association in entity.active_associations:
            association.abort()


def _rejection(event: Any, door: Door) -> str:
    """Return in a sentence who was not let in, and why."""
    title = _title(event) or "A node without a title"
    request = event.assoc.requestor.primitive
    if request is not None and str(request.called_ae_title).strip() != door.own_ae:
        return f"{title}: not let in, it called another AE title than {door.own_ae}."
    if door.allowed is not None and title not in door.allowed:
        return f"{title}: not let in, --allow does not name it."
    return f"{title}: not let in for the moment, {door.associations} connections are open."


def _title(event: Any) -> str:
    primitive = event.assoc.requestor.primitive
    return visible(str(primitive.calling_ae_title).strip()) if primitive is not None else ""
