"""C-FIND, C-GET and C-MOVE (PS3.4 annex C): a study or series from a DICOM node."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom import Dataset

from lnmdetect.core.errors import OutputError
from lnmdetect.io.dicom_values import text
from lnmdetect.io.dimse_association import (
    open_association,
    own_entity,
    require_pynetdicom,
    status_of,
)
from lnmdetect.io.dimse_syntaxes import accepted_contexts, get_contexts
from lnmdetect.io.pacs_address import DimseAddress
from lnmdetect.io.pacs_objects import ConnectionLostError
from lnmdetect.io.pacs_received import ReceivedObject, parse_received
from lnmdetect.io.pacs_uids import is_uid

if TYPE_CHECKING:
    from pynetdicom.association import Association

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000  # PS3.4 table B.2-1
SUB_OPERATIONS_FAILED = 0xB000  # PS3.4 tables C.4-2, C.4-3
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
"""The Study Root information models, PS3.4 C.6.2.3."""
_PENDING = frozenset({0xFF00, 0xFF01})
Keep = Callable[[ReceivedObject], None]


@dataclass(frozen=True)
class Wanted:
    """What to fetch: a whole study, or one of its series."""

    study_uid: str
    series_uid: str | None = None

    def identifier(self) -> Dataset:
        """Return the identifier of a request for it, PS3.4 C.4.2.1.4."""
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY" if self.series_uid is None else "SERIES"
        query.StudyInstanceUID = self.study_uid
        if self.series_uid is not None:
            query.SeriesInstanceUID = self.series_uid
        return query


@dataclass(frozen=True)
class Listener:
    """Where we take what a C-MOVE makes the node send: an interface of ours and a port."""

    bind: str
    port: int


class _Shelf:
    """Takes the objects that come in and keeps the first error in keeping one."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self.error: OutputError | None = None

    def store(self, event: Any) -> int:
        """Return the status for one C-STORE request."""
        received = parse_received(event.encoded_dataset())
        if received is None:
            return CANNOT_UNDERSTAND
        try:
            self._keep(received)
        except OutputError as error:
            self.error = self.error or error
            return OUT_OF_RESOURCES
        return SUCCESS


def study_of_series(address: DimseAddress, series_uid: str) -> str | None:
    """Return the uid of the study that the node says a series belongs to, None for no such series.

    Raises:
        ConnectionLostError: the node cannot be reached or went away.
        OutputError: the node does not want us, or cannot be asked.
    """
    require_pynetdicom()
    from pynetdicom.presentation import build_context

    query = Wanted("", series_uid).identifier()
    with open_association(address, [build_context(FIND)]) as association:
        _require_service(association, address, "C-FIND", "Give --study too.")
        for response, found in association.send_c_find(query, FIND):
            status = status_of(response)
            if status in _PENDING and found is not None:
                uid = text(found, "StudyInstanceUID")
                if is_uid(uid):
                    return uid
            elif status not in (*_PENDING, SUCCESS):
                raise _failed(address, "C-FIND", status, "Give --study too.")
    return None


def get_pass(address: DimseAddress, wanted: Wanted, keep: Keep) -> int:
    """Return how many objects the node could not send after fetching the others by C-GET.

    Args:
        address: of the node.
        wanted: study or series.
        keep: called with each object.

    Raises:
        ConnectionLostError: the node cannot be reached or went away.
        OutputError: the node does not want us or knows no C-GET, or an object cannot be kept.
    """
    require_pynetdicom()
    from pynetdicom import evt
    from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
    from pynetdicom.presentation import build_context, build_role

    contexts = get_contexts()
    names = dict.fromkeys(str(context.abstract_syntax) for context in contexts)
    roles: list[SCP_SCU_RoleSelectionNegotiation] = [build_role(n, scp_role=True) for n in names]
    shelf = _Shelf(keep)
    with open_association(
        address,
        [build_context(GET), *contexts],
        roles=roles,
        handlers=[(evt.EVT_C_STORE, shelf.store)],
    ) as association:
        _require_service(association, address, "C-GET", "Try --by move.", GET)
        responses = association.send_c_get(wanted.identifier(), GET)
        return _followed(address, "C-GET", responses, shelf)


def move_pass(address: DimseAddress, wanted: Wanted, listener: Listener, keep: Keep) -> int:
    """Return how many objects the node could not send after fetching the others by C-MOVE.

    Args:
        address: of the node, which must know our AE title, address and port.
        wanted: study or series.
        listener: where the node's objects are taken in.
        keep: called with each object, from several threads.

    Raises:
        ConnectionLostError: the node cannot be reached or went away.
        OutputError: the node does not want us or knows no C-MOVE, our port is taken, or an object
            cannot be kept.
    """
    require_pynetdicom()
    from pynetdicom.presentation import build_context

    shelf = _Shelf(keep)
    with (
        _receiving(address, listener, shelf),
        open_association(address, [build_context(MOVE)]) as association,
    ):
        _require_service(association, address, "C-MOVE", "Try --by get.")
        responses = association.send_c_move(wanted.identifier(), address.calling_ae, MOVE)
        return _followed(address, "C-MOVE", responses, shelf)


@contextmanager
def _receiving(address: DimseAddress, listener: Listener, shelf: _Shelf) -> Iterator[None]:
    from pynetdicom import evt

    entity = own_entity(address.calling_ae)
    entity.supported_contexts = accepted_contexts(only_ct=False)
    entity.require_called_aet = True
    entity.require_calling_aet = [address.called_ae]
    try:
        server = entity.start_server(
            (listener.bind, listener.port),
            block=False,
            evt_handlers=[(evt.EVT_C_STORE, shelf.store)],
        )
    except OSError as error:
        raise port_taken(listener.bind, listener.port, error) from None
    try:
        yield
    finally:
        if server is not None:
            server.shutdown()


def port_taken(bind: str, port: int, error: OSError) -> OutputError:
    """Return the error of a port on which we cannot listen."""
    return OutputError(
        f"{bind}:{port}",
        expected="a port on which we can listen",
        got=error.strerror or type(error).__name__,
        remedy="Give another port, or an address of this machine with --bind.",
    )


def _followed(address: DimseAddress, service: str, responses: Any, shelf: _Shelf) -> int:
    """Return the failed sub-operations that the last response tells of."""
    for response, _ in responses:
        status = status_of(response)
        if status in _PENDING:
            continue
        if shelf.error is not None:
            raise shelf.error
        if status in (SUCCESS, SUB_OPERATIONS_FAILED):
            return int(response.get("NumberOfFailedSuboperations") or 0)
        remedy = "Check at the PACS whether it may send to our AE title, address and port."
        raise _failed(address, service, status, remedy)
    raise ConnectionLostError(f"{address.words}: broke off")


def _require_service(
    association: "Association", address: DimseAddress, service: str, remedy: str, model: str = ""
) -> None:
    names = [context.abstract_syntax for context in association.accepted_contexts]
    if not names or (model and model not in names):
        raise OutputError(
            address.words, expected=f"a node that knows {service}", got="one without", remedy=remedy
        )


def _failed(address: DimseAddress, service: str, status: int, remedy: str) -> OutputError:
    return OutputError(
        address.words, expected=f"a {service} that succeeds", got=f"0x{status:04X}", remedy=remedy
    )
