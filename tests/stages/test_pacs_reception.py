"""What the receiver takes, refuses and calls complete, without a network."""

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.io.pacs_inbox import Inbox, SeriesRecord
from lnmdetect.io.pacs_received import ReceivedObject
from lnmdetect.stages import pacs_reception
from lnmdetect.stages.pacs_reception import TOO_LATE, Limits, Reception
from lnmdetect.stages.pacs_shift import Parcel

OUT_OF_RESOURCES = 0xA700
NEVER = 1000.0
AT_ONCE = Limits(quiet_s=0.0, broken_s=NEVER)


class Wire:
    """An association that is open, or has ended as agreed or otherwise."""

    def __init__(self) -> None:
        self.is_established, self.is_released = True, False


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    folder = Inbox(tmp_path / "listen")
    with folder.locked():
        yield folder


def item(series: int, number: int, size: int = 100) -> ReceivedObject:
    return ReceivedObject(bytes(size), f"1.{series}.{number}", f"1.{series}", "1")


def send(reception: Reception, series: int, *numbers: int, size: int = 100) -> list[int]:
    """Return the status of each slice of a series, sent over one association."""
    wire = Wire()
    return [reception.accept(item(series, n, size), wire, "CT") for n in numbers]


def only(records: list[SeriesRecord]) -> SeriesRecord:
    (record,) = records
    return record


def end(reception: Reception, inbox: Inbox, record: SeriesRecord) -> None:
    inbox.save(record)
    reception.drop_slices(record.series_uid)
    reception.finish(record)


def test_a_series_that_waits_for_its_analysis_still_grows(inbox: Inbox) -> None:
    reception = Reception(inbox, AT_ONCE)
    assert send(reception, 7, 1, 2) == [0, 0]
    assert only(reception.complete()).objects == ("1.7.1", "1.7.2")
    assert send(reception, 7, 1) == [0]
    assert reception.complete() == []
    assert send(reception, 7, 3) == [0]
    assert not reception.begin("1.7")
    assert only(reception.complete()).objects == ("1.7.1", "1.7.2", "1.7.3")
    assert reception.begin("1.7")
    assert not reception.begin("1.7")
    assert (reception.refused_late, reception.receiving) == (0, 0)


def test_slices_after_the_analysis_began_are_refused_and_counted_in_the_record(
    inbox: Inbox,
) -> None:
    reception = Reception(inbox, AT_ONCE)
    send(reception, 7, 1)
    record = only(reception.complete())
    assert reception.begin("1.7")
    assert send(reception, 7, 1, 2) == [0, TOO_LATE]
    assert reception.late() == []
    end(reception, inbox, record.to("done", boxes=1))
    assert send(reception, 7, 3) == [TOO_LATE]
    assert only(reception.late()).late == 2
    assert reception.late() == []
    assert send(reception, 7, 3) == [TOO_LATE]
    assert only(reception.late()).late == 3
    kept = inbox.record("1.7")
    assert kept is not None
    assert (kept.status, kept.late, kept.objects) == ("done", 3, ("1.7.1",))


def test_a_failed_series_that_is_sent_again_is_analysed_anew(inbox: Inbox) -> None:
    reception = Reception(inbox, AT_ONCE)
    send(reception, 7, 1, 2)
    record = only(reception.complete())
    reception.begin("1.7")
    end(reception, inbox, record.to("failed", reason="the disk was full", attempts=1))
    assert send(reception, 7, 3) == [TOO_LATE]
    assert send(reception, 7, 1) == [0]
    again = Reception(inbox, AT_ONCE)
    assert again.resume() == []
    assert again.receiving == 1
    assert list(inbox.slices("1.7")) == ["1.7.1"]
    assert send(again, 7, 2, 3) == [0, 0]
    record = only(again.complete())
    assert (record.objects, record.attempts) == (("1.7.1", "1.7.2", "1.7.3"), 0)


def test_a_series_with_a_slice_that_found_no_room_waits_for_its_sender(inbox: Inbox) -> None:
    said: list[str] = []
    limits = replace(AT_ONCE, slices_bytes=250)
    reception = Reception(inbox, limits, said.append)
    assert send(reception, 7, 1, 2, 3, 4) == [0, 0, OUT_OF_RESOURCES, OUT_OF_RESOURCES]
    assert reception.complete() == []
    assert said == [
        "Full, objects are refused for the moment: too many slices unfinished (--max-disk)."
    ]
    assert send(reception, 7, 3, size=20) == [0]
    assert reception.complete() == []
    assert send(reception, 7, 4, size=20) == [0]
    assert len(only(reception.complete()).objects) == 4


def test_a_series_whose_first_slices_were_turned_away_waits_for_them(inbox: Inbox) -> None:
    reception = Reception(inbox, replace(AT_ONCE, series=1))
    send(reception, 1, 1)
    assert send(reception, 2, 1) == [OUT_OF_RESOURCES]
    record = only(reception.complete())
    reception.begin("1.1")
    end(reception, inbox, record.to("done"))
    assert send(reception, 2, 2) == [0]
    assert reception.complete() == []
    assert send(reception, 2, 1) == [0]
    assert len(only(reception.complete()).objects) == 2


def test_new_series_leave_half_of_the_room_to_those_begun(inbox: Inbox) -> None:
    reception = Reception(inbox, replace(AT_ONCE, slices_bytes=1000))
    assert send(reception, 1, 1, 2, 3, 4, 5) == [0] * 5
    assert send(reception, 2, 1) == [OUT_OF_RESOURCES]
    assert send(reception, 1, 6, 7, 8, 9, 10) == [0] * 5
    assert send(reception, 1, 11) == [OUT_OF_RESOURCES]


def test_the_free_disk_is_looked_at_before_each_object(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 3 << 30
    monkeypatch.setattr(Inbox, "free_bytes", lambda self: free)
    reception = Reception(inbox, AT_ONCE)
    assert send(reception, 1, 1) == [0]
    free = (2 << 30) + 100
    assert send(reception, 2, 1) == [OUT_OF_RESOURCES]
    assert send(reception, 1, 2) == [0]
    free = (1 << 30) + 100
    assert send(reception, 1, 3) == [OUT_OF_RESOURCES]


def test_a_disk_that_refuses_is_out_of_resources_and_nothing_is_acknowledged(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    reception = Reception(inbox, AT_ONCE, said.append)
    send(reception, 7, 1)

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("lnmdetect.io.pacs_inbox.write_durably", refuse)
        assert send(reception, 7, 2) == [OUT_OF_RESOURCES]
        assert send(reception, 8, 1) == [OUT_OF_RESOURCES]
    assert said == ["Full, objects are refused for the moment: No space left on device."]
    assert send(reception, 7, 2) == [0]
    with monkeypatch.context() as patch:
        patch.setattr("lnmdetect.io.pacs_inbox.write_durably", refuse)
        assert reception.complete() == []
    record = only(reception.complete())
    assert record.objects == ("1.7.1", "1.7.2")


def test_bytes_are_counted_once_and_given_back(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    reception = Reception(inbox, replace(AT_ONCE, slices_bytes=1000))

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("lnmdetect.io.pacs_inbox.write_durably", refuse)
        assert send(reception, 1, 1, size=400) == [OUT_OF_RESOURCES]
    assert send(reception, 1, 1, size=400) == [0]
    assert send(reception, 1, 1, 1, 1, size=400) == [0] * 3
    assert send(reception, 1, 2, 3, size=300) == [0] * 2
    assert send(reception, 1, 4, size=1) == [OUT_OF_RESOURCES]
    assert send(reception, 1, 4, size=0) == [0]
    record = only(reception.complete())
    reception.begin("1.1")
    assert send(reception, 2, 1, size=400) == [OUT_OF_RESOURCES]
    end(reception, inbox, record.to("done"))
    assert send(reception, 2, 1, size=400) == [0]
    assert send(Reception(inbox, replace(AT_ONCE, slices_bytes=1000)), 3, 1, size=400) == [0]
    again = Reception(inbox, replace(AT_ONCE, slices_bytes=1000))
    again.resume()
    assert send(again, 3, 1, size=400) == [OUT_OF_RESOURCES]


def test_a_restart_waits_from_the_last_slice_on_and_no_longer_than_for_a_broken_sender(
    inbox: Inbox,
) -> None:
    send(Reception(inbox, AT_ONCE), 7, 1, 2)
    long_ago = time.time() - 500
    for path in inbox.incoming("1.7").iterdir():
        os.utime(path, (long_ago, long_ago))
    patient = Reception(inbox, Limits(quiet_s=0.0, broken_s=520.0))
    patient.resume()
    assert patient.complete() == []
    quick = Reception(inbox, Limits(quiet_s=0.0, broken_s=480.0))
    quick.resume()
    assert len(only(quick.complete()).objects) == 2


@pytest.mark.parametrize(("status", "left"), [("analysed", 0), ("done", 0), ("waiting", 1)])
def test_slices_that_a_killed_listener_had_no_time_to_delete_go_at_the_restart(
    inbox: Inbox, status: Any, left: int
) -> None:
    send(Reception(inbox, AT_ONCE), 7, 1)
    inbox.save(SeriesRecord("1.7", status, objects=("1.7.1",)))
    Reception(inbox, AT_ONCE).resume()
    assert len(inbox.slices("1.7")) == left


def test_success_is_said_only_after_the_slice_and_its_name_are_on_the_disk(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    assert send(Reception(inbox, AT_ONCE), 7, 1) == [0]
    folder, part, again = synced
    assert (folder, again) == ("incoming", "1.7")
    assert part.startswith(".1.7.1.dcm")


@pytest.mark.parametrize(
    ("established", "released", "complete"),
    [(True, False, True), (False, True, True), (False, False, False)],
)
def test_only_an_association_that_broke_off_makes_a_series_wait_longer(
    inbox: Inbox, established: bool, released: bool, complete: bool
) -> None:
    reception, wire = Reception(inbox, AT_ONCE), Wire()
    reception.accept(item(7, 1), wire, "CT")
    wire.is_established, wire.is_released = established, released
    assert bool(reception.complete()) is complete


def test_an_association_that_broke_off_amid_the_next_series_had_sent_this_one(
    inbox: Inbox,
) -> None:
    reception, wire = Reception(inbox, AT_ONCE), Wire()
    reception.accept(item(7, 1), wire, "CT")
    reception.accept(item(8, 1), wire, "CT")
    wire.is_established = False
    assert [record.series_uid for record in reception.complete()] == ["1.7"]


def test_the_oldest_finished_series_are_forgotten_and_their_results_go(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacs_reception, "RESULTS_KEPT", 1)
    reception = Reception(inbox, replace(AT_ONCE, remembered=2))
    for number in (1, 2, 3):
        send(reception, number, 1)
        record = only(reception.complete())
        reception.begin(record.series_uid)
        inbox.results(record.series_uid).mkdir()
        end(reception, inbox, record.to("done"))
    assert [path.name for path in sorted((inbox.folder / "state").iterdir())] == [
        "1.2.json",
        "1.3.json",
    ]
    assert [path.name for path in (inbox.folder / "results").iterdir()] == ["1.3"]
    assert send(reception, 3, 1) == [0]
    assert send(reception, 2, 2) == [TOO_LATE]


def test_results_are_adopted_again_where_the_disk_refused_after_the_first_half(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = SeriesRecord("1.7", "waiting", attempts=1)
    inbox.draft(record).mkdir()
    (inbox.draft(record) / "boxes.json").write_text("{}")
    fsync = os.fsync

    def refuse_results(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "results":
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse_results)
        with pytest.raises(OSError, match="Input/output"):
            inbox.adopt(record)
    inbox.adopt(record)
    assert [path.name for path in inbox.results("1.7").iterdir()] == ["boxes.json"]


def test_the_wait_before_results_are_sent_again_doubles_up_to_ten_minutes() -> None:
    waits, parcel = [], Parcel(SeriesRecord("1.7", "analysed"), wait_s=10.0)
    for _ in range(8):
        waits.append(parcel.wait_s)
        parcel = parcel.later(parcel.record)
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0]
    assert parcel.due - time.monotonic() == pytest.approx(600.0, abs=5.0)


def test_a_restart_keeps_no_names_of_slices_of_finished_series(inbox: Inbox) -> None:
    inbox.save(SeriesRecord("1.1", "done", objects=("1.1.1",)))
    inbox.save(SeriesRecord("1.2", "waiting", objects=("1.2.1",)))
    held: Any = {record.series_uid: record.objects for record in inbox.records()}
    assert held == {"1.1": (), "1.2": ("1.2.1",)}
