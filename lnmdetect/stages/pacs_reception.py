"""What `lnmdetect pacs listen` takes in: which objects, until when, and how much of it."""

import threading
import time
import weakref
from dataclasses import dataclass

from lnmdetect.io.dimse_listen import Link
from lnmdetect.io.dimse_retrieve import OUT_OF_RESOURCES, SUCCESS
from lnmdetect.io.pacs_inbox import FINISHED, Inbox, SeriesRecord
from lnmdetect.io.pacs_received import ReceivedObject

TOO_LATE = 0xC001  # PS3.4 table B.2-1, Cannot understand: our own code in its range
FREE_BYTES_LEFT = 1 << 30
RESULTS_KEPT = 1000
"""Of so many finished series the results stay in the folder."""


@dataclass(frozen=True)
class Limits:
    """How long to wait, and how much to hold.

    Attributes:
        quiet_s: without a new slice, after which a series is complete.
        broken_s: the same where the sender broke off, and may come again with the rest.
        series: being received, waiting for their analysis or for the sending of their results.
        slices_bytes: of all slices on the disk.
        remembered: finished series whose objects are known again; beyond, the oldest are forgotten.
    """

    quiet_s: float = 60.0
    broken_s: float = 600.0
    series: int = 100
    slices_bytes: int = 50 << 30
    remembered: int = 10_000


@dataclass
class _Open:
    """A series that is being received."""

    record: SeriesRecord
    arrived: float
    link: Link | None = None
    writing: int = 0


class Reception:
    """Takes objects from several threads, and tells which series are complete.

    Attributes:
        refused_full, refused_late: objects refused for want of room, or because their series had
            been analysed without them.
    """

    def __init__(self, inbox: Inbox, limits: Limits) -> None:
        self._inbox, self._limits = inbox, limits
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._closed: dict[str, bool] = {}
        self._last_of: weakref.WeakKeyDictionary[Link, str] = weakref.WeakKeyDictionary()
        self._bytes: dict[str, int] = {}
        self.refused_full = self.refused_late = 0

    def accept(self, received: ReceivedObject, link: Link, sender: str) -> int:
        """Return the DIMSE status for one object; success means that it is on the disk."""
        uid, size = received.series_uid, len(received.content)
        with self._lock:
            if uid in self._closed:
                return self._known(received)
            if not self._has_room(uid, size):
                self.refused_full += 1
                return OUT_OF_RESOURCES
            series = self._opened(received)
            series.writing += 1
            self._bytes[uid] = self._bytes.get(uid, 0) + size
        try:
            replaced = self._inbox.size(uid, received.sop_uid)
            self._inbox.keep(received)
        except OSError:
            self._written(series, -size)
            return OUT_OF_RESOURCES
        self._written(series, -replaced, link, sender)
        return SUCCESS

    def complete(self) -> list[SeriesRecord]:
        """Return the series that are complete now; from here on they take nothing more."""
        now, found = time.monotonic(), []
        with self._lock:
            for uid, series in list(self._open.items()):
                wait = self._limits.broken_s if self._is_broken(series) else self._limits.quiet_s
                if series.writing or now - series.arrived < wait:
                    continue
                del self._open[uid]
                slices = tuple(self._inbox.slices(uid))
                if not slices:  # the first object of it could not be written
                    continue
                record = series.record.to("waiting", objects=slices)
                self._inbox.save(record)
                self._closed[uid] = False
                found.append(record)
        return found

    def resume(self) -> list[SeriesRecord]:
        """Return what an earlier listener had taken in whole and not finished; reopen the rest."""
        unfinished = []
        for record in self._inbox.records():
            finished = record.status in FINISHED
            if finished or record.status == "analysed":
                self._inbox.drop_slices(record.series_uid)
            if record.status != "receiving":
                self._closed[record.series_uid] = finished
                unfinished += [] if finished else [record]
        for uid in self._inbox.arrived():
            self._bytes[uid] = sum(self._inbox.slices(uid).values())
            if uid not in self._closed:
                age = max(0.0, time.time() - self._inbox.newest(uid))
                record = self._inbox.record(uid) or SeriesRecord(uid, "receiving")
                self._open[uid] = _Open(record, time.monotonic() - age)
        return unfinished

    def drop_slices(self, uid: str) -> None:
        """Delete the slices of a series, and make room for others."""
        self._inbox.drop_slices(uid)
        with self._lock:
            self._bytes.pop(uid, None)

    def finish(self, uid: str) -> None:
        """Make room for another series; beyond those to remember, forget the oldest."""
        with self._lock:
            self._closed.pop(uid, None)
            self._closed[uid] = True
            done = [name for name, finished in self._closed.items() if finished]
            forgotten = done[: max(0, len(done) - self._limits.remembered)]
            for name in forgotten:
                del self._closed[name]
        for name in forgotten:
            self._inbox.forget(name)
        for name in done[-RESULTS_KEPT - 1 : -RESULTS_KEPT]:
            self._inbox.drop_results(name)

    @property
    def receiving(self) -> int:
        """How many series are being received."""
        return len(self._open)

    def _known(self, received: ReceivedObject) -> int:
        """Return success for an object that was analysed, or will be; another is too late."""
        record = self._inbox.record(received.series_uid)
        if record is not None and received.sop_uid in record.objects:
            return SUCCESS
        self.refused_late += 1
        return TOO_LATE

    def _has_room(self, uid: str, size: int) -> bool:
        unfinished = sum(not finished for finished in self._closed.values())
        return (
            (uid in self._open or len(self._open) + unfinished < self._limits.series)
            and sum(self._bytes.values()) + size <= self._limits.slices_bytes
            and self._inbox.free_bytes() - size > FREE_BYTES_LEFT
        )

    def _opened(self, received: ReceivedObject) -> _Open:
        uid = received.series_uid
        if uid not in self._open:
            record = SeriesRecord(uid, "receiving", study_uid=received.study_uid)
            self._open[uid] = _Open(record, time.monotonic())
        return self._open[uid]

    def _written(
        self, series: _Open, more_bytes: int, link: Link | None = None, sender: str = ""
    ) -> None:
        with self._lock:
            uid = series.record.series_uid
            self._bytes[uid] += more_bytes
            series.writing -= 1
            if link is None:
                return
            series.arrived, series.link = time.monotonic(), link
            series.record = SeriesRecord(
                uid, "receiving", study_uid=series.record.study_uid, sender=sender
            )
            self._last_of[link] = uid

    def _is_broken(self, series: _Open) -> bool:
        """Return whether the sender of the last slice went away amid this series."""
        link = series.link
        if link is None:  # it came before a restart, which broke every association off
            return True
        gone = not link.is_established and not link.is_released
        return gone and self._last_of.get(link) == series.record.series_uid
