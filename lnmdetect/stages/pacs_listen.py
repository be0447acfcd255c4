"""`lnmdetect pacs listen`: series come in, are analysed once each, and results go out."""

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from lnmdetect.core.errors import UsageError
from lnmdetect.io.dicomweb_session import web_client
from lnmdetect.io.dimse_listen import Door, open_door
from lnmdetect.io.pacs_address import Address, WebAddress
from lnmdetect.io.pacs_inbox import Inbox, SeriesRecord
from lnmdetect.stages.pacs_analysis import AnalysisRequest, Kind, analyse, check_models
from lnmdetect.stages.pacs_reception import Limits, Reception
from lnmdetect.stages.pacs_workers import Analyst, Courier, Finished, Pipeline, Sent

POLL_S = 0.1
MAX_ATTEMPTS = 3
FIRST_WAIT_S, LONGEST_WAIT_S = 10.0, 600.0
"""Between two tries to send results to a PACS that does not answer; doubled each time."""


@dataclass(frozen=True)
class ListenRequest:
    """Who may send what, and what happens to it.

    Attributes:
        folder: for slices, results and records; one listener at a time works in it.
        door: who may come in where.
        to: where results go; None leaves them in the folder.
        kinds: of DICOM objects made of the findings.
        model, classifier, device: as `run` takes them.
        timeout_s: longest analysis of a series.
        stop_after: end when so many series have finished; None goes on.
        pipeline: what is run on a series, importable by name.
        wait_s: before the results are sent again to a PACS that did not answer.
    """

    folder: Path
    door: Door
    to: Address | None = None
    kinds: tuple[Kind, ...] = ("sr",)
    limits: Limits = field(default_factory=Limits)
    model: str = "compact"
    classifier: str = "compact"
    device: str = "auto"
    timeout_s: float = 3600.0
    stop_after: int | None = None
    pipeline: Pipeline = analyse
    wait_s: float = FIRST_WAIT_S


@dataclass(frozen=True)
class ListenResult:
    """What a listener did from its start to its end; the last four are still to be done."""

    done: int
    failed: int
    refused_full: int
    refused_late: int
    receiving: int
    waiting: int
    to_send: int


Tell = Callable[[SeriesRecord], None]
"""Called with a series' record at each change of its status."""


def listen(
    request: ListenRequest,
    stop: Event,
    tell: Tell = lambda record: None,
    refused: Callable[[str], None] = lambda title: None,
    ready: Callable[[], None] = lambda: None,
) -> ListenResult:
    """Return what was done until `stop` was set; what is not finished goes on at the next start.

    Args:
        request: who may send what, and what happens to it.
        stop: set from outside to end.
        tell: called with each series' record as it changes.
        refused: called with the AE title of each node that was not let in.
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
        reception = Reception(inbox, request.limits)
        analyst = held.enter_context(Analyst(request.pipeline, request.timeout_s))
        courier = held.enter_context(Courier(request.to)) if request.to else None
        shift = _Shift(request, inbox, reception, analyst, courier, tell)
        if request.pipeline is analyse:
            analyst.ask(check_models, request.model, request.classifier)
        shift.resume()
        held.enter_context(open_door(request.door, reception.accept, refused))
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


@dataclass(frozen=True)
class _Parcel:
    """Results to be sent: whose, how long to wait after a try without an answer, and when next."""

    record: SeriesRecord
    wait_s: float
    due: float = 0.0

    def later(self, record: SeriesRecord) -> "_Parcel":
        """Return the parcel for the next try."""
        return _Parcel(record, min(2 * self.wait_s, LONGEST_WAIT_S), time.monotonic() + self.wait_s)


@dataclass
class _Shift:
    """The listener's work from start to end: what waits for whom."""

    request: ListenRequest
    inbox: Inbox
    reception: Reception
    analyst: Analyst
    courier: Courier | None
    tell: Tell
    waiting: deque[SeriesRecord] = field(default_factory=deque)
    to_send: "deque[_Parcel]" = field(default_factory=deque)
    under_way: "_Parcel | None" = None
    counts: dict[str, int] = field(default_factory=lambda: {"done": 0, "failed": 0})

    @property
    def is_over(self) -> bool:
        """Whether as many series have finished as were asked for."""
        return self.request.stop_after is not None and (
            sum(self.counts.values()) >= self.request.stop_after
        )

    def result(self) -> ListenResult:
        """Return what was done, and what was not."""
        return ListenResult(
            **self.counts,
            refused_full=self.reception.refused_full,
            refused_late=self.reception.refused_late,
            receiving=self.reception.receiving,
            waiting=len(self.waiting),
            to_send=len(self.to_send) + (self.courier is not None and not self.courier.is_free),
        )

    def resume(self) -> None:
        """Take up what an earlier listener left."""
        for record in self.reception.resume():
            if record.status == "analysed":
                self._pass_on(record)
            else:
                self.waiting.append(record)

    def step(self) -> bool:
        """Do what can be done now; return whether anything was."""
        worked = False
        for record in self.reception.complete():
            self.tell(record)
            self.waiting.append(record)
            worked = True
        if (analysed := self.analyst.finished()) is not None:
            self._analysed(analysed)
            worked = True
        if self.waiting and self.analyst.is_free:
            self._begin(self.waiting.popleft())
            worked = True
        return self._send() or worked

    def lay_down(self) -> None:
        """End an analysis under way; it begins anew at the next start."""
        record = self.analyst.abandon()
        if record is not None:
            self.inbox.save(record.to("waiting", attempts=record.attempts - 1))
            self.waiting.append(record)

    def _begin(self, record: SeriesRecord) -> None:
        if record.attempts >= MAX_ATTEMPTS:
            words = f"the listener itself ended in each of {record.attempts} analyses"
            self._finish(record.to("failed", reason=words))
            return
        begun = record.to("waiting", attempts=record.attempts + 1)
        self.inbox.save(begun)
        self.inbox.drop_results(record.series_uid)
        request = AnalysisRequest(
            self.inbox.incoming(record.series_uid),
            output=self.inbox.draft(begun),
            kinds=self.request.kinds,
            model=self.request.model,
            classifier=self.request.classifier,
            device=self.request.device,
        )
        self.analyst.begin(begun, request)

    def _analysed(self, analysed: Finished) -> None:
        record = analysed.record
        if analysed.boxes is None:
            self.inbox.drop_draft(record)
            self._finish(record.to("failed", reason=analysed.reason))
            return
        self.inbox.adopt(record)
        record = record.to("analysed", boxes=analysed.boxes)
        self._save(record)
        self.reception.drop_slices(record.series_uid)
        self._pass_on(record)

    def _pass_on(self, record: SeriesRecord) -> None:
        if self.courier is None:
            self._finish(record.to("done"))
        else:
            self.to_send.append(_Parcel(record, self.request.wait_s))

    def _send(self) -> bool:
        if self.courier is None:
            return False
        sent = self.courier.finished()
        if sent is not None:
            self._sent(sent)
        due = next((item for item in self.to_send if item.due <= time.monotonic()), None)
        if due is not None and self.courier.is_free:
            self.to_send.remove(due)
            self.under_way = due
            self.courier.begin(due.record, self.inbox.results(due.record.series_uid))
        return sent is not None

    def _sent(self, sent: Sent) -> None:
        assert self.under_way is not None
        if not sent.reason:
            self._finish(sent.record.to("done", reason=""))
        elif sent.again:
            record = sent.record.to("analysed", reason=sent.reason)
            self._save(record)
            self.to_send.append(self.under_way.later(record))
        else:
            self._finish(sent.record.to("failed", reason=sent.reason))

    def _finish(self, record: SeriesRecord) -> None:
        self._save(record)
        self.reception.drop_slices(record.series_uid)
        self.reception.finish(record.series_uid)
        self.counts[record.status] += 1

    def _save(self, record: SeriesRecord) -> None:
        self.inbox.save(record)
        self.tell(record)
