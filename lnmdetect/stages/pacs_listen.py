"""`lnmdetect pacs listen`: series come in, are analysed once each, and results go out."""

from collections.abc import Callable
from contextlib import ExitStack
from threading import Event

from lnmdetect.core.errors import UsageError
from lnmdetect.io.dicomweb_session import web_client
from lnmdetect.io.dimse_listen import open_door
from lnmdetect.io.pacs_address import WebAddress
from lnmdetect.io.pacs_inbox import Inbox
from lnmdetect.stages.pacs_analysis import analyse, check_models
from lnmdetect.stages.pacs_listen_request import ListenRequest, ListenResult
from lnmdetect.stages.pacs_reception import Reception
from lnmdetect.stages.pacs_shift import Say, Shift, Tell
from lnmdetect.stages.pacs_workers import Courier, SeriesAnalyst

POLL_S = 0.1


def listen(
    request: ListenRequest,
    stop: Event,
    tell: Tell = lambda record: None,
    say: Say = lambda text: None,
    ready: Callable[[], None] = lambda: None,
) -> ListenResult:
    """Return what was done until `stop` was set; what is not finished goes on at the next start.

    Args:
        request: who may send what, and what happens to it.
        stop: set from outside to end.
        tell: called with each series' record as it changes.
        say: called with a sentence on who is not let in, and on what waits for room.
        ready: called once, when objects can be sent.

    Raises:
        OutputError: the folder or the port is in use.
        ModelError: a bundle is absent or damaged.
        UsageError: nobody is allowed to send.
        MissingExtraError: a package that is needed is not installed.
    """
    if request.door.allowed == ():
        raise UsageError(
            "--allow",
            expected="the AE title of each node that may send",
            got="none",
            remedy="Give --allow TITLE for each, or --allow-any where the network itself is safe.",
        )
    _require_parts(request)
    inbox = Inbox(request.folder)
    with ExitStack() as held:
        held.enter_context(inbox.locked())
        reception = Reception(inbox, request.limits, say)
        analyst = held.enter_context(SeriesAnalyst(request.pipeline, request.timeout_s))
        courier = held.enter_context(Courier(request.to)) if request.to else None
        shift = Shift(request, inbox, reception, analyst, courier, tell, say, stop)
        if request.pipeline is analyse:
            analyst.ask(check_models, request.model, request.classifier)
        shift.resume()
        held.enter_context(open_door(request.door, reception.accept, say))
        ready()
        while not stop.is_set() and not shift.is_over:
            if not shift.step():
                stop.wait(POLL_S)
        shift.lay_down()
        return shift.result()


def _require_parts(request: ListenRequest) -> None:
    """Refuse at the start, not at the first series, what cannot end well."""
    if request.kinds:
        from lnmdetect.io.dicom_derived import require_highdicom

        require_highdicom()
    if isinstance(request.to, WebAddress):
        web_client(request.to, chunk_bytes=1 << 20)
