"""What `lnmdetect pacs listen` takes in: which objects, until when, and how much of it."""

import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lnmdetect.core.wording import counted
from lnmdetect.io.dimse_listen import Link
from lnmdetect.io.dimse_retrieve import OUT_OF_RESOURCES, SUCCESS
from lnmdetect.io.pacs_inbox import FINISHED, Inbox, SeriesRecord
from lnmdetect.io.pacs_received import ReceivedObject

TOO_LATE = 0xC001  # PS3.4 table B.2-1, Cannot understand: our own code in its range
FREE_BYTES_LEFT = 1 << 30
RESULTS_KEPT = 1000
"""Of so many finished series the results stay in the folder."""
NEW_SHARE = 0.5
"""Of the room for slices, to which new series are let in; the rest is for those begun.

Else several could be begun that fill it all, and none of them ever be complete.
"""
SAY_EVERY_S = 60.0
TURNED_AWAY = 1000
"""Of so many series that were refused before any of their objects was taken, these are known."""


@dataclass(frozen=True)
class Limits:
    """How long to wait, and how much to hold.

    Attributes:
        quiet_s: without a new slice, after which a series is complete.
        broken_s: the same where the sender broke off or was refused a slice for want of room, and
            may come again with the rest.
        series: being received, waiting for their analysis or for the sending of their results.
        slices_bytes: of all slices on the disk; a new series is let in up to half of it.
        remembered: finished series whose objects are known again; beyond, the oldest are forgotten.
    """

    quiet_s: float = 60.0
    broken_s: float = 600.0
    series: int = 100
    slices_bytes: int = 50 << 30
    remembered: int = 10_000


@dataclass
class _Open:
    """A series that is being received; `missing` slices were refused and not sent again so far."""

    record: SeriesRecord
    arrived: float
    link: Link | None = None
    writing: int = 0
    missing: set[str] = field(default_factory=set)


class Reception:
    """Takes objects from several threads, and tells which series are complete.

    Args:
        inbox: where the objects go.
        limits: how much of it.
        say: called with a sentence when objects begin to be refused.

    Attributes:
        refused_full, refused_late: objects refused for want of room, or because the analysis of
            their series had begun without them.
    """

    def __init__(
        self, inbox: Inbox, limits: Limits, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self._inbox, self._limits, self._say = inbox, limits, say
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._unfinished: dict[str, bool] = {}  # uid: whether its analysis has begun
        self._finished: dict[str, SeriesRecord] = {}  # without their objects, the oldest first
        self._late: dict[str, int] = {}
        self._turned_away: dict[str, set[str]] = {}
        self._last_of: weakref.WeakKeyDictionary[Link, str] = weakref.WeakKeyDictionary()
        self._bytes: dict[str, int] = {}
        self._said = -SAY_EVERY_S
        self.refused_full = self.refused_late = 0

    def accept(self, received: ReceivedObject, link: Link, sender: str) -> int:
        """Return the DIMSE status for one object; success means that it is on the disk."""
        uid, size = received.series_uid, len(received.content)
        with self._lock:
            known = self._known(received)
            if known is not None:
                return known
            if (want := self._wanting(uid, size)) is not None:
                return self._refuse(received, want)
            try:
                series = self._opened(received)
            except OSError as error:
                return self._refuse(received, error.strerror or type(error).__name__)
            series.writing += 1
            self._bytes[uid] = self._bytes.get(uid, 0) + size
        try:
            replaced = self._inbox.size(uid, received.sop_uid)
            self._inbox.keep(received)
        except OSError as error:
            with self._lock:
                self._written(series, -size)
                return self._refuse(received, error.strerror or type(error).__name__)
        with self._lock:
            self._written(series, -replaced)
            self._taken(series, received, link, sender)
        return SUCCESS

    def complete(self) -> list[SeriesRecord]:
        """Return the series that are complete now; until its analysis begins one may grow again."""
        now, found = time.monotonic(), []
        with self._lock:
            for uid, series in list(self._open.items()):
                wait = self._limits.broken_s if self._is_broken(series) else self._limits.quiet_s
                if series.writing or now - series.arrived < wait:
                    continue
                slices = tuple(self._inbox.slices(uid))
                if slices:  # else the first object of it could not be written
                    record = series.record.to("waiting", objects=slices)
                    if not self._saved(record):
                        continue
                    self._unfinished[uid] = False
                    found.append(record)
                del self._open[uid]
        return found

    def _saved(self, record: SeriesRecord) -> bool:
        """Return whether the disk has taken the record; where not, it is tried again."""
        try:
            self._inbox.save(record)
        except OSError as error:
            self._warn(f"The disk refuses a record: {error.strerror or type(error).__name__}.")
            return False
        return True

    def begin(self, uid: str) -> bool:
        """Return whether the analysis of a complete series may begin; it takes no more slices then.

        False where slices have come since: it will be complete once more.
        """
        with self._lock:
            if self._unfinished.get(uid) is not False:
                return False
            self._unfinished[uid] = True
            return True

    def resume(self) -> list[SeriesRecord]:
        """Return what an earlier listener had taken in whole and not finished; reopen the rest."""
        unfinished = []
        for record in self._inbox.records():
            uid = record.series_uid
            if record.status in FINISHED:
                self._finished[uid] = record
            elif record.status != "receiving":
                self._unfinished[uid] = record.status == "analysed"
                unfinished.append(record)
            if record.status in (*FINISHED, "analysed"):
                self._inbox.drop_slices(uid)
        for uid in self._inbox.arrived():
            self._bytes[uid] = sum(self._inbox.slices(uid).values())
            if uid not in self._unfinished and uid not in self._finished:
                age = max(0.0, time.time() - self._inbox.newest(uid))
                record = self._inbox.record(uid) or SeriesRecord(uid, "receiving")
                self._open[uid] = _Open(record, time.monotonic() - age)
        return unfinished

    def drop_slices(self, uid: str) -> None:
        """Delete the slices of a series, and make room for others."""
        self._inbox.drop_slices(uid)
        with self._lock:
            self._bytes.pop(uid, None)

    def finish(self, record: SeriesRecord) -> None:
        """Make room for another series; beyond those to remember, forget the oldest."""
        with self._lock:
            self._unfinished.pop(record.series_uid, None)
            self._finished[record.series_uid] = record.brief()
            done = list(self._finished)
            forgotten = done[: max(0, len(done) - self._limits.remembered)]
            for name in forgotten:
                del self._finished[name]
        for name in forgotten:
            self._inbox.forget(name)
        for name in done[-RESULTS_KEPT - 1 : -RESULTS_KEPT]:
            self._inbox.drop_results(name)

    def late(self) -> list[SeriesRecord]:
        """Return finished series of which slices have come too late since the last call."""
        found = []
        with self._lock:
            for uid, count in list(self._late.items()):
                record = self._inbox.record(uid) if uid in self._finished else None
                if record is None:
                    continue
                record = replace(record, late=record.late + count)
                if self._saved(record):
                    del self._late[uid]
                    found.append(record)
        return found

    @property
    def receiving(self) -> int:
        """How many series are being received."""
        return len(self._open)

    def _known(self, received: ReceivedObject) -> int | None:
        """Return the status for an object of a series that had been complete; None to take it."""
        uid = received.series_uid
        if uid not in self._unfinished and uid not in self._finished:
            return None
        record = self._inbox.record(uid)
        again = record is not None and received.sop_uid in record.objects
        if self._unfinished.get(uid) is False:
            return SUCCESS if again else None
        failed = uid in self._finished and self._finished[uid].status == "failed"
        if again:
            return None if failed else SUCCESS
        self.refused_late += 1
        self._late[uid] = self._late.get(uid, 0) + 1
        return TOO_LATE

    def _wanting(self, uid: str, size: int) -> str | None:
        """Return what there is too little of for an object, None where it may come in."""
        limits, new = self._limits, uid not in self._open and uid not in self._unfinished
        if new and len(self._open) + len(self._unfinished) >= limits.series:
            return f"{counted(limits.series, 'series', 'series')} unfinished (--max-series)"
        share = NEW_SHARE if new else 1.0
        if sum(self._bytes.values()) + size > share * limits.slices_bytes:
            return "too many slices unfinished (--max-disk)"
        if self._inbox.free_bytes() - size <= FREE_BYTES_LEFT / share:
            return "too little room left on the disk"
        return None

    def _refuse(self, received: ReceivedObject, want: str) -> int:
        """Return the status that says so, and remember that the sender still has the object."""
        self.refused_full += 1
        uid = received.series_uid
        if uid in self._open:
            self._open[uid].missing.add(received.sop_uid)
        else:
            self._turned_away.setdefault(uid, set()).add(received.sop_uid)
            if len(self._turned_away) > TURNED_AWAY:
                del self._turned_away[next(iter(self._turned_away))]
        self._warn(f"Full, objects are refused for the moment: {want}.")
        return OUT_OF_RESOURCES

    def _warn(self, text: str) -> None:
        if time.monotonic() - self._said >= SAY_EVERY_S:
            self._said = time.monotonic()
            self._say(text)

    def _opened(self, received: ReceivedObject) -> _Open:
        """Return the series of an object, which is opened, or opened again, for it.

        Raises:
            OSError: the disk refuses.
        """
        uid = received.series_uid
        if uid not in self._open:
            record = self._inbox.record(uid) if uid in self._unfinished else None
            if uid in self._finished:  # it failed; a restart would take its slices for analysed
                self._inbox.save(SeriesRecord(uid, "receiving"))
            self._unfinished.pop(uid, None)
            self._finished.pop(uid, None)
            self._late.pop(uid, None)
            missing = self._turned_away.pop(uid, set())
            record = record or SeriesRecord(uid, "receiving")
            self._open[uid] = _Open(record, time.monotonic(), missing=missing)
        return self._open[uid]

    def _written(self, series: _Open, more_bytes: int) -> None:
        self._bytes[series.record.series_uid] += more_bytes
        series.writing -= 1

    def _taken(self, series: _Open, received: ReceivedObject, link: Link, sender: str) -> None:
        series.missing.discard(received.sop_uid)
        series.arrived, series.link = time.monotonic(), link
        series.record = replace(series.record, study_uid=received.study_uid, sender=sender)
        self._last_of[link] = series.record.series_uid

    def _is_broken(self, series: _Open) -> bool:
        """Return whether the sender may still hold slices of this series.

        It went away amid it, or was refused some for want of room.
        """
        link = series.link
        if link is None:  # it came before a restart, which broke every association off
            return True
        gone = not link.is_established and not link.is_released
        return bool(series.missing) or (
            gone and self._last_of.get(link) == series.record.series_uid
        )
