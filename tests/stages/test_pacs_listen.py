"""The receiver: real associations from senders that are good, killed, unknown or too many."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from lnmdetect.core.errors import OutputError, UsageError
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.io.dimse_listen import Door
from lnmdetect.io.pacs_address import DimseAddress, WebAddress
from lnmdetect.io.pacs_inbox import Inbox, SeriesRecord
from lnmdetect.io.pacs_received import ReceivedObject
from lnmdetect.stages.pacs_analysis import analyse
from lnmdetect.stages.pacs_listen import listen
from lnmdetect.stages.pacs_listen_request import ListenRequest, ListenResult
from lnmdetect.stages.pacs_push import PushRequest, PushResult, push
from lnmdetect.stages.pacs_reception import Limits
from tests import pacs_pipelines
from tests.orthanc import AE_TITLE as ORTHANC
from tests.orthanc import LOGIN, free_port, missing, running_orthanc
from tests.pacs_nodes import start_sender, storing_node

pytest.importorskip("pynetdicom")
pytestmark = pytest.mark.server
needs_orthanc = pytest.mark.skipif(missing() is not None, reason=str(missing()))
PATIENCE_S = 600.0
SENDER = "SCANNER"


@dataclass
class Service:
    """A listener in a thread of the test's, and what it has told."""

    request: ListenRequest
    told: list[SeriesRecord] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    result: ListenResult | None = None

    @property
    def address(self) -> DimseAddress:
        door = self.request.door
        return DimseAddress(door.bind, door.port, door.own_ae, SENDER)

    def ended(self) -> dict[str, SeriesRecord]:
        """Return the series that have finished."""
        return {r.series_uid: r for r in self.told if r.status in ("done", "failed")}

    def wait(self, ready: Callable[[], bool]) -> None:
        """Return when `ready()` is true."""
        until = time.monotonic() + PATIENCE_S
        while not ready():
            assert time.monotonic() < until, [(r.status, r.reason) for r in self.told]
            time.sleep(0.02)

    def wait_for(self, *uids: str) -> None:
        """Return when these series have finished."""
        self.wait(lambda: set(uids) <= set(self.ended()))

    def send(self, path: Path, **options: Any) -> PushResult:
        """Send to it as SCANNER."""
        return push(PushRequest((path,), self.address, wait_s=0.2, **options))


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file to which each analysis adds a line."""
    path = tmp_path / "analyses.log"
    path.touch()
    monkeypatch.setenv(pacs_pipelines.LOG, str(path))
    return path


@contextlib.contextmanager
def running(request: ListenRequest) -> Iterator[Service]:
    """Give a listener that takes associations; it is ended with the block."""
    service, stop = Service(request), threading.Event()

    def serve() -> None:
        service.result = listen(request, stop, service.told.append, service.said.append)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        service.wait(lambda: knock(request.door.port) or not thread.is_alive())
        yield service
    finally:
        stop.set()
        thread.join(PATIENCE_S)


def knock(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def request_for(tmp_path: Path, **changes: Any) -> ListenRequest:
    door = Door("127.0.0.1", free_port(), "LNMDETECT", (SENDER,))
    limits = Limits(quiet_s=1.0, broken_s=6.0)
    request = ListenRequest(
        tmp_path / "listen", door, kinds=(), limits=limits, pipeline=pacs_pipelines.count_slices
    )
    return replace(request, **changes)


def make_series(folder: Path, name: str, slices: int) -> tuple[Path, str]:
    """Return where a series of tiny slices lies, and its uid."""
    meta = CtSeriesMeta(
        seed=name,
        patient_id="CANARY-ID-0001",
        patient_name="CANARY^NAME",
        spacing_mm=(2.0, 0.5, 0.5),
        thickness_mm=2.0,
        origin_mm=(0.0, 0.0, 0.0),
    )
    written = write_ct_series(np.zeros((slices, 16, 16), np.int16), folder / name, meta)
    return folder / name, str(dcmread(written[0].path).SeriesInstanceUID)


def analyses(log: Path) -> Counter[str]:
    return Counter(log.read_text().splitlines())


def test_a_series_is_analysed_once_it_is_quiet_and_its_slices_go(tmp_path: Path, log: Path) -> None:
    path, uid = make_series(tmp_path, "a", 5)
    with running(request_for(tmp_path)) as service:
        assert service.send(path).counts["taken"] == 5
        service.wait_for(uid)
    record = service.ended()[uid]
    assert (record.status, record.boxes, record.sender) == ("done", 5, SENDER)
    assert [r.status for r in service.told] == ["waiting", "analysed", "done"]
    assert analyses(log) == {f"{uid} 5": 1}
    folder = service.request.folder
    names = json.loads((folder / "results" / uid / "slices.json").read_text())
    assert names == sorted(str(dcmread(p).SOPInstanceUID) for p in path.iterdir())
    assert not (folder / "incoming" / uid).exists()
    assert service.result == ListenResult(1, 0, 0, 0, 0, 0, 0)


def test_what_comes_again_is_acknowledged_and_not_analysed_again(tmp_path: Path, log: Path) -> None:
    path, uid = make_series(tmp_path, "a", 4)
    late, _ = make_series(tmp_path / "longer", "a", 6)
    with running(request_for(tmp_path)) as service:
        service.send(path)
        service.wait_for(uid)
        assert service.send(path).counts["taken"] == 4
        counts = service.send(late, retries=0).counts
        assert counts == {"taken": 4, "refused": 2, "not sent": 0}
        time.sleep(1.5)
    with running(request_for(tmp_path)) as service:
        assert service.send(path).counts["taken"] == 4
        time.sleep(1.5)
    assert analyses(log) == {f"{uid} 4": 1}


def test_the_record_of_a_series_fits_its_schema_before_and_after_its_analysis(
    tmp_path: Path,
) -> None:
    from tests.test_data_specs import errors

    path, uid = make_series(tmp_path, "a", 2)
    with running(request_for(tmp_path)) as service:
        service.send(path)
        service.wait_for(uid)
    written = json.loads((service.request.folder / "state" / f"{uid}.json").read_text())
    assert errors("pacs_series", written) == []
    assert [errors("pacs_series", asdict(record)) for record in service.told] == [[], [], []]


def test_an_unknown_or_wrongly_calling_sender_is_not_let_in(tmp_path: Path, log: Path) -> None:
    path, uid = make_series(tmp_path, "a", 2)
    with running(request_for(tmp_path)) as service:
        stranger = replace(service.address, calling_ae="STRANGER")
        with pytest.raises(OutputError, match=r"Calling AE title not recognised.*--as"):
            push(PushRequest((path,), stranger))
        with pytest.raises(OutputError, match="Called AE title not recognised"):
            push(PushRequest((path,), replace(service.address, called_ae="OTHER")))
        service.wait(lambda: len(service.said) == 2)
        assert service.said == [
            "STRANGER: not let in, --allow does not name it.",
            "SCANNER: not let in, it called another AE title than LNMDETECT.",
        ]
    assert not list((service.request.folder / "incoming").iterdir())
    door = replace(request_for(tmp_path).door, allowed=None)
    with running(request_for(tmp_path, door=door)) as service:
        push(PushRequest((path,), replace(service.address, calling_ae="STRANGER")))
        service.wait_for(uid)


def test_a_listener_that_lets_nobody_in_is_wrong_usage(tmp_path: Path) -> None:
    door = Door("127.0.0.1", free_port(), "LNMDETECT", ())
    with pytest.raises(UsageError, match="--allow"):
        listen(request_for(tmp_path, door=door), threading.Event())


def test_one_bad_series_after_the_other_stops_nothing(tmp_path: Path, log: Path) -> None:
    made = {n: make_series(tmp_path, f"s{n}", n) for n in (1, 2, 3, 4, 5)}
    request = request_for(tmp_path, pipeline=pacs_pipelines.go_wrong, timeout_s=6.0)
    stale = request.folder / "results" / made[1][1]
    stale.mkdir(parents=True)
    with running(request) as service:
        for path, _ in made.values():
            service.send(path)
        service.wait(lambda: len(service.ended()) == 5)
    ended = {n: service.ended()[uid] for n, (_, uid) in made.items()}
    assert [ended[n].status for n in made] == ["failed"] * 4 + ["done"]
    assert not stale.exists()
    assert ended[1].reason == "series: expected more, got 1 slice. Send more."
    assert ended[2].reason == "internal error: an unexpected ValueError"
    assert "died" in ended[3].reason
    assert "took longer than 6 s" in ended[4].reason
    assert analyses(log) == {f"{made[5][1]} 5": 1}
    assert not list((request.folder / "incoming").iterdir())


def test_a_full_listener_refuses_for_the_moment_and_loses_nothing(
    tmp_path: Path, log: Path
) -> None:
    made = [make_series(tmp_path, f"s{n}", 3) for n in range(4)]
    limits = Limits(quiet_s=0.5, broken_s=3.0, series=1)
    with running(request_for(tmp_path, limits=limits)) as service:
        for path, _ in made:
            assert service.send(path, retries=60).counts["taken"] == 3
        service.wait(lambda: len(service.ended()) == 4)
    assert service.result is not None
    assert service.result.refused_full > 0
    assert analyses(log) == {f"{uid} 3": 1 for _, uid in made}


def test_a_listener_out_of_disk_refuses_and_keeps_within_its_bytes(tmp_path: Path) -> None:
    path, _ = make_series(tmp_path, "a", 6)
    size = max(p.stat().st_size for p in path.iterdir())
    limits = Limits(quiet_s=60.0, slices_bytes=3 * size + size // 2)
    with running(request_for(tmp_path, limits=limits)) as service:
        result = service.send(path, retries=0)
        said = service.said
    assert result.counts == {"taken": 3, "refused": 3, "not sent": 0}
    assert {item.status for item in result.objects} == {"0x0000", "0xA700"}
    assert said == [
        "Full, objects are refused for the moment: too many slices unfinished (--max-disk)."
    ]


def test_an_object_beyond_all_bounds_is_not_gathered_in_memory(tmp_path: Path, log: Path) -> None:
    path, uid = make_series(tmp_path, "a", 2)
    huge, _ = make_series(tmp_path, "huge", 1)
    (file,) = huge.iterdir()
    dataset = dcmread(file)
    dataset.Rows = dataset.Columns = 2048
    dataset.PixelData = bytes(2 * 2048 * 2048)
    dataset.save_as(file)
    door = replace(request_for(tmp_path).door, object_bytes=1 << 20)
    with running(request_for(tmp_path, door=door)) as service:
        assert service.send(huge, retries=1).counts["not sent"] == 1
        assert service.send(path).counts["taken"] == 2
        service.wait_for(uid)
    assert analyses(log) == {f"{uid} 2": 1}


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_a_sender_killed_amid_a_series_may_come_again_with_the_rest(
    tmp_path: Path, log: Path
) -> None:
    path, uid = make_series(tmp_path, "a", 30)
    limits = Limits(quiet_s=3.0, broken_s=200.0)
    with running(request_for(tmp_path, limits=limits)) as service:
        sender = start_sender(service.address, path, tmp_path / "acknowledged")
        service.wait(lambda: len(lines(tmp_path / "acknowledged")) >= 5)
        sender.kill()
        sender.wait()
        time.sleep(6.0)
        assert service.told == []
        assert service.send(path).counts["taken"] == 30
        service.wait_for(uid)
    assert analyses(log) == {f"{uid} 30": 1}


def test_what_a_killed_sender_left_is_analysed_after_the_longer_wait(
    tmp_path: Path, log: Path
) -> None:
    path, uid = make_series(tmp_path, "a", 30)
    with running(request_for(tmp_path)) as service:
        sender = start_sender(service.address, path, tmp_path / "acknowledged")
        service.wait(lambda: len(lines(tmp_path / "acknowledged")) >= 5)
        sender.kill()
        sender.wait()
        service.wait_for(uid)
    acknowledged = lines(tmp_path / "acknowledged")
    uids = {str(dcmread(path / name).SOPInstanceUID) for name in acknowledged}
    assert uids <= set(service.ended()[uid].objects)
    assert sum(analyses(log).values()) == 1


LISTENER = """
import sys, threading
from pathlib import Path
from lnmdetect.io.dimse_listen import Door
from lnmdetect.stages.pacs_listen import listen
from lnmdetect.stages.pacs_listen_request import ListenRequest
from lnmdetect.stages.pacs_reception import Limits
from tests import pacs_pipelines
if __name__ == "__main__":
    folder, port, name = sys.argv[1:]
    door = Door("127.0.0.1", int(port), "LNMDETECT", ("SCANNER",))
    listen(ListenRequest(Path(folder), door, kinds=(), limits=Limits(0.5, 3.0),
        pipeline=getattr(pacs_pipelines, name)), threading.Event())
"""


def test_a_listener_killed_amid_an_analysis_goes_on_when_restarted(
    tmp_path: Path, log: Path
) -> None:
    path, uid = make_series(tmp_path, "a", 5)
    script = tmp_path / "listener.py"
    script.write_text(LISTENER)
    request = request_for(tmp_path)
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, str(script), str(request.folder), str(request.door.port), "take_long"],
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    service = Service(request)
    service.wait(lambda: knock(request.door.port))
    assert service.send(path).counts["taken"] == 5
    service.wait(lambda: lines(log) == [f"{uid} begun"])
    with pytest.raises(OutputError, match="one that another listener works in"):
        listen(request, threading.Event())
    process.send_signal(signal.SIGKILL)
    process.wait()
    with running(request) as again:
        again.wait_for(uid)
    assert again.ended()[uid].attempts == 2
    assert lines(log) == [f"{uid} begun", f"{uid} 5"]
    assert not list((request.folder / "results").glob("*.part"))


def test_a_listener_that_is_ended_amid_an_analysis_does_not_count_it(
    tmp_path: Path, log: Path
) -> None:
    path, uid = make_series(tmp_path, "a", 5)
    with running(request_for(tmp_path, pipeline=pacs_pipelines.take_long)) as service:
        service.send(path)
        service.wait(lambda: lines(log) == [f"{uid} begun"])
    assert service.result is not None
    assert (service.result.waiting, service.result.done) == (1, 0)
    record = Inbox(service.request.folder).record(uid)
    assert record is not None
    assert (record.status, record.attempts) == ("waiting", 0)


def test_slices_of_a_series_that_was_not_complete_survive_a_restart(
    tmp_path: Path, log: Path
) -> None:
    path, uid = make_series(tmp_path, "a", 6)
    patient = Limits(quiet_s=60.0, broken_s=60.0)
    first, second = tmp_path / "first", tmp_path / "second"
    for number, part in enumerate(sorted(path.iterdir())):
        folder = first if number < 3 else second
        folder.mkdir(exist_ok=True)
        part.rename(folder / part.name)
    with running(request_for(tmp_path, limits=patient)) as service:
        service.send(first)
    assert service.result is not None
    assert service.result.receiving == 1
    with running(request_for(tmp_path, limits=Limits(0.5, 60.0))) as service:
        service.send(second)
        service.wait_for(uid)
    assert analyses(log) == {f"{uid} 6": 1}


def test_results_wait_for_a_pacs_that_is_down_and_are_sent_once(tmp_path: Path, log: Path) -> None:
    path, uid = make_series(tmp_path, "a", 3)
    statuses = iter([0xA700, 0x0000])
    taken: list[str] = []

    def store(event: Any) -> int:
        status = next(statuses)
        if status == 0:
            taken.append(str(event.request.AffectedSOPInstanceUID))
        return status

    with storing_node(store, title="PACS") as node:
        request = request_for(tmp_path, to=node, pipeline=pacs_pipelines.give_back, wait_s=0.2)
        with running(request) as service:
            service.send(path)
            service.wait_for(uid)
    assert service.ended()[uid].status == "done"
    assert "0xA7" not in service.ended()[uid].reason
    assert [r.status for r in service.told] == ["waiting", "analysed", "analysed", "done"]
    assert taken == [service.ended()[uid].objects[0]]
    assert sum(analyses(log).values()) == 1


def test_a_series_that_ended_the_listener_itself_three_times_is_the_last_time_given_up(
    tmp_path: Path, log: Path
) -> None:
    made = [make_series(tmp_path, name, 2) for name in "ab"]
    inbox = Inbox(tmp_path / "listen")
    with inbox.locked():
        for number, (path, uid) in enumerate(made):
            slices = {str(dcmread(p).SOPInstanceUID): p.read_bytes() for p in path.iterdir()}
            for sop_uid, content in slices.items():
                inbox.keep(ReceivedObject(content, sop_uid, uid, "1"))
            inbox.save(SeriesRecord(uid, "waiting", objects=tuple(slices)[:1], attempts=2 + number))
    with running(request_for(tmp_path)) as service:
        service.wait_for(*(uid for _, uid in made))
    third, fourth = (service.ended()[uid] for _, uid in made)
    assert (third.status, third.attempts, len(third.objects)) == ("done", 3, 2)
    assert fourth.status == "failed"
    assert fourth.reason == "the listener itself ended in each of 3 analyses"
    assert not list((inbox.folder / "incoming").iterdir())


def test_a_disk_that_is_full_at_the_end_of_an_analysis_is_waited_for(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lnmdetect.stages.pacs_shift.DISK_WAIT_S", 0.1)
    path, uid = make_series(tmp_path, "a", 3)
    refusals = iter([OSError(errno.ENOSPC, "No space left on device")] * 3)
    save = Inbox.save

    def full_for_a_while(self: Inbox, record: SeriesRecord) -> None:
        if record.status == "analysed" and (error := next(refusals, None)) is not None:
            raise error
        save(self, record)

    monkeypatch.setattr(Inbox, "save", full_for_a_while)
    with running(request_for(tmp_path)) as service:
        service.send(path)
        service.wait_for(uid)
    assert [r.status for r in service.told] == ["waiting", "analysed", "done"]
    assert service.said == [
        "The disk refuses a result or a record: No space left on device. Trying again."
    ]
    assert analyses(log) == {f"{uid} 3": 1}


def test_no_analysis_begins_that_could_not_write_its_results(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, uid = make_series(tmp_path, "a", 3)
    free = [10 << 30]
    monkeypatch.setattr(Inbox, "free_bytes", lambda self: free[0])
    with running(request_for(tmp_path)) as service:
        service.send(path)
        free[0] = 1 << 20
        service.wait(lambda: bool(service.said))
        time.sleep(0.5)
        assert lines(log) == []
        free[0] = 10 << 30
        service.wait_for(uid)
    assert service.said == ["Too little room left on the disk for results: analyses wait."]
    assert analyses(log) == {f"{uid} 3": 1}


def test_a_hanging_analysis_is_ended_also_when_its_process_is_not_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lnmdetect.stages.analyst.ANALYSES_A_PROCESS", 1)
    (first, one), (second, two) = make_series(tmp_path, "a", 5), make_series(tmp_path, "b", 4)
    request = request_for(tmp_path, pipeline=pacs_pipelines.go_wrong, timeout_s=6.0)
    with running(request) as service:
        service.send(first)
        service.wait_for(one)
        service.send(second)
        service.wait_for(two)
    assert [service.ended()[uid].status for uid in (one, two)] == ["done", "failed"]
    assert "took longer than 6 s" in service.ended()[two].reason


def test_a_result_that_a_power_cut_damaged_fails_its_series_and_is_not_tried_for_ever(
    tmp_path: Path,
) -> None:
    inbox = Inbox(tmp_path / "listen")
    with inbox.locked():
        inbox.save(SeriesRecord("1.2", "analysed", boxes=1))
        inbox.results("1.2").mkdir()
        (inbox.results("1.2") / "sr.dcm").touch()
    with storing_node(lambda event: 0, title="PACS") as node:
        request = request_for(tmp_path, to=node, wait_s=0.1)
        with running(request) as service:
            service.wait_for("1.2")
    assert service.ended()["1.2"].status == "failed"
    assert "sr.dcm" in service.ended()["1.2"].reason


def test_results_that_the_pacs_will_not_have_fail_that_series_alone(
    tmp_path: Path, log: Path
) -> None:
    made = [make_series(tmp_path, name, 2) for name in "ab"]
    statuses = iter([0xC000, 0x0000])
    with storing_node(lambda event: next(statuses), title="PACS") as node:
        request = request_for(tmp_path, to=node, pipeline=pacs_pipelines.give_back)
        with running(request) as service:
            for path, uid in made:
                service.send(path)
                service.wait_for(uid)
    first, second = (service.ended()[uid] for _, uid in made)
    assert (first.status, first.reason) == ("failed", "1 result not taken: Cannot Understand")
    assert second.status == "done"


@needs_orthanc
@pytest.mark.parametrize("way", ["C-STORE", "STOW-RS"])
def test_a_result_is_visible_in_orthanc(tmp_path: Path, way: str) -> None:
    pytest.importorskip("dicomweb_client")
    path, uid = make_series(tmp_path, "a", 3)
    with running_orthanc(tmp_path / "orthanc") as orthanc:
        dimse = DimseAddress("127.0.0.1", orthanc.dicom_port, ORTHANC)
        to = dimse if way == "C-STORE" else WebAddress(orthanc.web, LOGIN)
        request = request_for(tmp_path, to=to, pipeline=pacs_pipelines.give_back)
        with running(request) as service:
            service.send(path)
            service.wait_for(uid)
        assert service.ended()[uid].status == "done"
        assert orthanc.uids() == {service.ended()[uid].objects[0]}


def test_nothing_that_is_written_or_said_names_the_patient(tmp_path: Path) -> None:
    path, uid = make_series(tmp_path, "a", 2)
    request = request_for(tmp_path, pipeline=pacs_pipelines.go_wrong)
    with running(request) as service:
        service.send(path)
        service.wait_for(uid)
    assert "CANARY" not in repr(service.told)
    for file in request.folder.rglob("*"):
        assert "CANARY" not in str(file)
        if file.is_file():
            assert b"CANARY" not in file.read_bytes()


@needs_orthanc
@pytest.mark.slow
def test_the_pipelines_own_report_is_visible_in_orthanc_and_refers_to_the_slices(
    tmp_path: Path, toy_data: Path, bundles: Path
) -> None:
    pytest.importorskip("highdicom")
    sent = toy_data / "scan" / "p0"
    slices = [dcmread(path, stop_before_pixels=True) for path in sent.iterdir()]
    with running_orthanc(tmp_path / "orthanc") as orthanc:
        to = DimseAddress("127.0.0.1", orthanc.dicom_port, ORTHANC)
        request = request_for(
            tmp_path,
            to=to,
            kinds=("sr",),
            model=str(bundles / "detector-tiny"),
            classifier=str(bundles / "classifier-tiny"),
            pipeline=analyse,
        )
        with running(request) as service:
            service.send(sent)
            service.wait_for(str(slices[0].SeriesInstanceUID))
        (name,) = orthanc.get("/instances")
        report = dcmread(DicomBytesIO(orthanc.get(f"/instances/{name}/file")))
    (record,) = service.ended().values()
    assert (record.status, record.reason) == ("done", "")
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    assert report.StudyInstanceUID == slices[0].StudyInstanceUID
    assert report.PatientID == slices[0].PatientID
    results = request.folder / "results" / record.series_uid
    assert {"boxes.json", "nodes.json", "sr.dcm"} <= {path.name for path in results.iterdir()}
