"""The receiver killed at each of its moments, and its memory over many studies."""

import subprocess
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.io.pacs_inbox import Inbox
from lnmdetect.stages.pacs_push import PushRequest, push
from tests import pacs_pipelines
from tests.dcmtk import ECHOSCU, STORESCU, needs_dcmtk
from tests.orthanc import free_port
from tests.pacs_listener import Listener, started
from tests.pacs_nodes import start_sender, storing_node

pytest.importorskip("pynetdicom")
pytestmark = pytest.mark.server
QUICK: dict[str, Any] = {"quiet_s": 0.5, "broken_s": 4.0}


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file to which each analysis adds a line."""
    path = tmp_path / "analyses.log"
    path.touch()
    monkeypatch.setenv(pacs_pipelines.LOG, str(path))
    return path


def make_series(folder: Path, name: str, slices: int, side: int = 16) -> tuple[Path, str]:
    """Return where a series lies, and its uid."""
    meta = CtSeriesMeta(
        seed=name,
        patient_id="CANARY-ID-0001",
        patient_name="CANARY^NAME",
        spacing_mm=(2.0, 0.5, 0.5),
        thickness_mm=2.0,
        origin_mm=(0.0, 0.0, 0.0),
    )
    voxels = np.zeros((slices, side, side), np.int16)
    written = write_ct_series(voxels, folder / name, meta)
    return folder / name, str(dcmread(written[0].path).SeriesInstanceUID)


def send(listener: Listener, *paths: Path, retries: int = 200) -> dict[str, int]:
    request = PushRequest(paths, listener.address, retries=retries, wait_s=0.05)
    return dict(push(request).counts)


def analyses(log: Path) -> Counter[str]:
    return Counter(log.read_text().splitlines())


def slices_in(folder: Path) -> int:
    return sum(1 for _ in (folder / "incoming").glob("*/*.dcm"))


@needs_dcmtk
def test_a_series_that_dcmtk_sends_is_taken_whole_and_analysed_once(
    tmp_path: Path, log: Path
) -> None:
    path, uid = make_series(tmp_path, "a", 12)
    inbox, port = tmp_path / "listen", free_port()
    with started(inbox, port, "count_slices", **QUICK) as listener:
        place = ["-aec", "LNMDETECT", "127.0.0.1", str(port)]
        echo = subprocess.run([str(ECHOSCU), "-aet", "SCANNER", *place], capture_output=True)
        stranger = subprocess.run([str(ECHOSCU), "-aet", "ELSE", *place], capture_output=True)
        words = ["-v", "-aet", "SCANNER", "+sd", "+r", *place]
        sent = subprocess.run([str(STORESCU), *words, path], capture_output=True, text=True)
        listener.wait(lambda: listener.ended() == {uid: "done"})
        assert listener.stop() == 0
    assert (echo.returncode, stranger.returncode != 0, sent.returncode) == (0, True, 0)
    assert (sent.stdout + sent.stderr).count("Received Store Response (Success)") == 12
    assert analyses(log) == {f"{uid} 12": 1}


def test_killed_amid_reception_it_loses_nothing_that_it_acknowledged(
    tmp_path: Path, log: Path
) -> None:
    path, uid = make_series(tmp_path, "a", 60)
    inbox, port = tmp_path / "listen", free_port()
    counts: list[dict[str, int]] = []
    with started(inbox, port, "count_slices", **QUICK) as listener:
        sender = threading.Thread(target=lambda: counts.append(send(listener, path)))
        sender.start()
        listener.wait(lambda: slices_in(inbox) >= 10)
        listener.kill()
        held = slices_in(inbox)
        assert 10 <= held < 60
        with started(inbox, port, "count_slices", **QUICK) as again:
            sender.join()
            again.wait(lambda: again.ended() == {uid: "done"})
            assert again.stop() == 0
    assert counts == [{"taken": 60, "refused": 0, "not sent": 0}]
    assert analyses(log) == {f"{uid} 60": 1}


def test_killed_amid_sending_it_sends_the_same_result_again_and_analyses_nothing_twice(
    tmp_path: Path, log: Path
) -> None:
    path, uid = make_series(tmp_path, "a", 3)
    inbox, port = tmp_path / "listen", free_port()
    came: list[str] = []
    asked, go_on = threading.Event(), threading.Event()

    def store(event: Any) -> int:
        came.append(str(event.request.AffectedSOPInstanceUID))
        asked.set()
        go_on.wait(60)
        return 0

    with storing_node(store, title="PACS") as pacs:
        with started(inbox, port, "give_back", to=pacs.port, **QUICK) as listener:
            send(listener, path)
            assert asked.wait(60)
            listener.kill()
            record = Inbox(inbox).record(uid)
            assert record is not None
            assert record.status == "analysed"
        go_on.set()
        with started(inbox, port, "give_back", to=pacs.port, **QUICK) as again:
            again.wait(lambda: again.ended() == {uid: "done"})
            assert send(again, path)["taken"] == 3
            time.sleep(1.5)
            assert again.stop() == 0
    assert len(came) == 2
    assert len(set(came)) == 1
    assert analyses(log) == {f"{uid} 3": 1}


@pytest.mark.slow
def test_killed_again_and_again_at_any_moment_it_ends_with_each_study_done_once(
    tmp_path: Path, log: Path
) -> None:
    made = [make_series(tmp_path / "made", f"s{n}", 4) for n in range(24)]
    inbox, port = tmp_path / "listen", free_port()
    came: Counter[str] = Counter()

    def store(event: Any) -> int:
        came[str(event.request.AffectedSOPInstanceUID)] += 1
        return 0

    draw = np.random.default_rng(5)
    with storing_node(store, title="PACS") as pacs:
        taken: list[int] = []

        def send_all(listener: Listener) -> None:
            for path, _ in made:
                taken.append(send(listener, path)["taken"])

        sender: threading.Thread | None = None
        ended: dict[str, str] = {}
        for life in range(9):
            with started(inbox, port, "give_back", to=pacs.port, **QUICK) as listener:
                if sender is None:
                    sender = threading.Thread(target=send_all, args=(listener,))
                    sender.start()
                if life < 8:
                    time.sleep(float(draw.uniform(0.3, 2.5)))
                else:
                    sender.join()
                    listener.wait(lambda: _all_done(Inbox(inbox), made))
                listener.kill()
                ended |= listener.ended()
    assert taken == [4] * 24
    per_series = Counter(line.split()[0] for line in log.read_text().splitlines())
    assert set(per_series) == {uid for _, uid in made}
    # An analysis that was under way at one of eight kills is begun anew; a finished one never is.
    assert sum(per_series.values()) <= 24 + 8
    assert len(came) == 24


def _all_done(inbox: Inbox, made: list[tuple[Path, str]]) -> bool:
    records = [inbox.record(uid) for _, uid in made]
    return all(record is not None and record.status == "done" for record in records)


class Sampler:
    """Reads the listener's memory after each 20 studies."""

    def __init__(self, listener: Listener, studies: int) -> None:
        self.curve_mb: list[float] = []
        self._listener, self._studies = listener, studies
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> list[float]:
        """Return the curve once all studies have finished."""
        self._thread.join()
        return self.curve_mb

    def _run(self) -> None:
        for count in range(20, self._studies + 1, 20):
            self._listener.wait(partial(self._has_done, count))
            self.curve_mb.append(self._listener.memory_mb())

    def _has_done(self, count: int) -> bool:
        return len(self._listener.ended()) >= count


@pytest.mark.slow
def test_200_studies_of_four_senders_two_of_them_killed_are_each_done_once_in_bounded_memory(
    tmp_path: Path, log: Path
) -> None:
    made = [make_series(tmp_path / "made", f"s{n}", 4, side=128) for n in range(200)]
    quarters = [made[50 * n : 50 * n + 50] for n in range(4)]
    taken: list[int] = []
    limits: dict[str, Any] = {"quiet_s": 10.0, "broken_s": 60.0, "series": 60}
    with started(tmp_path / "listen", free_port(), "count_slices", **limits) as listener:

        def send_all(quarter: list[tuple[Path, str]]) -> None:
            for path, _ in quarter:
                taken.append(send(listener, path, retries=500)["taken"])

        sampler = Sampler(listener, 200)
        threads = [threading.Thread(target=send_all, args=(q,)) for q in quarters[2:]]
        for thread in threads:
            thread.start()
        for number in range(2):
            folder, noted = tmp_path / f"quarter{number}", tmp_path / f"acknowledged{number}"
            _link_slices(quarters[number][:10], folder)
            sender = start_sender(listener.address, folder, noted)
            listener.wait(partial(_has_lines, noted, 10))  # amid its third series
            sender.kill()
            sender.wait()
        for quarter in quarters[:2]:  # their people start them again
            threads.append(threading.Thread(target=send_all, args=(quarter,)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        curve_mb = sampler.join()
        assert listener.stop() == 0
    assert taken == [4] * 200
    assert set(listener.ended().values()) == {"done"}
    assert analyses(log) == {f"{uid} 4": 1 for _, uid in made}
    # The studies are 26 MB; what stays of each is a line of its record.
    print("resident MB after each 20 studies:", [round(value, 1) for value in curve_mb])
    assert curve_mb[-1] - curve_mb[0] < 10


def _link_slices(made: list[tuple[Path, str]], folder: Path) -> None:
    folder.mkdir()
    for path, _ in made:
        for file in path.iterdir():
            (folder / f"{path.name}-{file.name}").symlink_to(file)


def _has_lines(path: Path, count: int) -> bool:
    return path.exists() and len(path.read_text().splitlines()) >= count
