"""The work of `lnmdetect pacs listen` from start to end: which series waits for whom."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from lnmdetect.io.pacs_inbox import Inbox, SeriesRecord
from lnmdetect.stages.analyst import Finished
from lnmdetect.stages.pacs_analysis import AnalysisRequest
from lnmdetect.stages.pacs_listen_request import LONGEST_WAIT_S, ListenRequest, ListenResult
from lnmdetect.stages.pacs_reception import Reception
from lnmdetect.stages.pacs_workers import Courier, Sent, SeriesAnalyst

ROOM_FOR_RESULTS = 1 << 28
"""Bytes; while the disk has less, no analysis is begun that could not write its results."""
DISK_WAIT_S, LATE_EVERY_S = 5.0, 5.0

Tell = Callable[[SeriesRecord], None]
"""Called with a series' record at each change of its status."""
Say = Callable[[str], None]
"""Called with a sentence for whoever runs the listener."""


@dataclass(frozen=True)
class Parcel:
    """Results to be sent: whose, how long to wait after a try without an answer, and when next."""

    record: SeriesRecord
    wait_s: float
    due: float = 0.0

    def later(self, record: SeriesRecord) -> "Parcel":
        """Return the parcel for the next try."""
        return Parcel(record, min(2 * self.wait_s, LONGEST_WAIT_S), time.monotonic() + self.wait_s)


@dataclass
class Shift:
    """One run of the listener; `step` does what can be done now.

    Attributes:
        waiting: complete series, by uid, the longest waiting first.
        under_way: what the courier has.
        counts: of the series that have finished.
    """

    request: ListenRequest
    inbox: Inbox
    reception: Reception
    analyst: SeriesAnalyst
    courier: Courier | None
    tell: Tell
    say: Say
    stop: Event
    waiting: dict[str, SeriesRecord] = field(default_factory=dict)
    to_send: "deque[Parcel]" = field(default_factory=deque)
    under_way: "Parcel | None" = None
    counts: dict[str, int] = field(default_factory=lambda: {"done": 0, "failed": 0})
    _late_due: float = 0.0
    _said_short: bool = False

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
                self.waiting[record.series_uid] = record

    def step(self) -> bool:
        """Do what can be done now; return whether anything was."""
        worked = False
        for record in self.reception.complete():
            self.tell(record)
            self.waiting[record.series_uid] = record
            worked = True
        if (analysed := self.analyst.finished()) is not None:
            self._analysed(analysed)
            worked = True
        if self.waiting and self.analyst.is_free and self._has_room():
            self._begin(self.waiting.pop(next(iter(self.waiting))))
            worked = True
        if time.monotonic() >= self._late_due:
            self._late_due = time.monotonic() + LATE_EVERY_S
            self._tell_late()
        return self._send() or worked

    def lay_down(self) -> None:
        """End an analysis under way; it begins anew at the next start."""
        if self.courier is not None and not self.courier.is_free:
            self.say("The PACS's answer to a result is waited for, a minute at most.")
        record = self.analyst.abandon()
        if record is not None:
            again = record.to("waiting", attempts=record.attempts - 1)
            self._surely(lambda: self.inbox.save(again))
            self.waiting[record.series_uid] = again
        self._tell_late()

    def _has_room(self) -> bool:
        """Return whether the disk takes the results of an analysis."""
        short = self.inbox.free_bytes() < ROOM_FOR_RESULTS
        if short and not self._said_short:
            self.say("Too little room left on the disk for results: analyses wait.")
        self._said_short = short
        return not short

    def _begin(self, record: SeriesRecord) -> None:
        uid = record.series_uid
        if not self.reception.begin(uid):
            return
        if record.attempts >= self.request.attempts:
            words = f"the listener itself ended in each of {record.attempts} analyses"
            self._finish(record.to("failed", reason=words))
            return
        slices = tuple(self.inbox.slices(uid))
        begun = record.to("waiting", attempts=record.attempts + 1, objects=slices)
        self._surely(lambda: self.inbox.save(begun))
        self.inbox.drop_results(uid)
        request = AnalysisRequest(
            self.inbox.incoming(uid),
            output=self.inbox.draft(begun),
            kinds=self.request.kinds,
            model=self.request.model,
            classifier=self.request.classifier,
            device=self.request.device,
        )
        self.analyst.begin(begun, request)

    def _analysed(self, analysed: Finished[SeriesRecord, int]) -> None:
        record = analysed.item
        if analysed.result is None:
            self.inbox.drop_draft(record)
            self._finish(record.to("failed", reason=analysed.reason))
            return
        if not self._surely(lambda: self.inbox.adopt(record)):
            return
        record = record.to("analysed", boxes=analysed.result)
        if self._save(record):
            self.reception.drop_slices(record.series_uid)
            self._pass_on(record)

    def _pass_on(self, record: SeriesRecord) -> None:
        if self.courier is None:
            self._finish(record.to("done"))
        else:
            self.to_send.append(Parcel(record, self.request.wait_s))

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
        if self._save(record):
            self.reception.drop_slices(record.series_uid)
            self.reception.finish(record)
            self.counts[record.status] += 1

    def _tell_late(self) -> None:
        for record in self.reception.late():
            self.tell(record)

    def _save(self, record: SeriesRecord) -> bool:
        saved = self._surely(lambda: self.inbox.save(record))
        if saved:
            self.tell(record)
        return saved

    def _surely(self, write: Callable[[], None]) -> bool:
        """Return True once the disk has taken it, False where the listener was ended before.

        The next start finds the earlier record then, and does that step again.
        """
        said = False
        while True:
            try:
                write()
            except OSError as error:
                if not said:
                    why = error.strerror or type(error).__name__
                    self.say(f"The disk refuses a result or a record: {why}. Trying again.")
                said = True
            else:
                return True
            if self.stop.wait(DISK_WAIT_S):
                return False
