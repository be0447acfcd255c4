"""The receiver killed at each of its moments, and its memory over many studies."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.io.pacs_inbox import Inbox
from lnmdetect.stages.pacs_push import PushRequest, push
from tests import pacs_pipelines
from tests.orthanc import free_port
from tests.pacs_listener import Listener, started
from tests.pacs_nodes import storing_node

pytest.importorskip("pynetdicom")
pytestmark = [
    pytest.mark.server,
    # pynetdicom leaves the socket of a refused connection to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
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


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_studies(tmp_path: Path) -> None:
    def sent_in_turn(listener: Listener) -> Iterator[None]:
        for number in range(200):
            path, uid = make_series(tmp_path / "made", f"s{number}", 4, side=256)
            assert send(listener, path)["taken"] == 4
            for file in path.iterdir():
                file.unlink()
            yield
            assert uid

    curve = []
    with started(
        tmp_path / "listen", free_port(), "count_slices", quiet_s=0.3, broken_s=4.0
    ) as listener:
        for number, _ in enumerate(sent_in_turn(listener), 1):
            if number % 20 == 0:
                listener.wait(lambda sent=number: len(listener.ended()) == sent)  # type: ignore[misc]
                curve.append(listener.memory_mb())
        assert set(listener.ended().values()) == {"done"}
        assert listener.stop() == 0
    # 200 studies are 100 MB of slices; 20 have warmed every pool and cache.
    print("resident MB after each 20 studies:", [round(value, 1) for value in curve])
    assert curve[-1] - curve[0] < 10
