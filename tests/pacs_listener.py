"""A listener in a process of its own, which can be killed and whose memory can be read."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from lnmdetect.io.dimse_listen import Door
from lnmdetect.io.pacs_address import DimseAddress
from lnmdetect.stages.pacs_listen import listen
from lnmdetect.stages.pacs_listen_request import ListenRequest
from lnmdetect.stages.pacs_reception import Limits
from tests import pacs_pipelines

SENDER = "SCANNER"
PATIENCE_S = 300.0


def serve(folder: str, port: str, pipeline: str, limits: str, to: str) -> None:
    """Listen until SIGTERM, with a line on stdout for each change of a series."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    request = ListenRequest(
        Path(folder),
        Door("127.0.0.1", int(port), "LNMDETECT", (SENDER,)),
        to=DimseAddress("127.0.0.1", int(to), "PACS") if to else None,
        kinds=(),
        limits=Limits(**json.loads(limits)),
        pipeline=getattr(pacs_pipelines, pipeline),
        wait_s=0.2,
        attempts=20,  # it is killed more often than the worst series would end it
    )
    result = listen(request, stop, lambda record: print(json.dumps(record.to_event()), flush=True))
    print(json.dumps({"result": asdict(result)}), flush=True)


class Listener:
    """A running `serve`; `events` are the lines that it printed."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self.process, self.port = process, port
        self.events: list[dict[str, object]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def address(self) -> DimseAddress:
        return DimseAddress("127.0.0.1", self.port, "LNMDETECT", SENDER)

    def ended(self) -> dict[str, str]:
        """Return uid to status of the series that have finished."""
        pairs = [(str(e.get("series_uid")), str(e.get("status"))) for e in self.events]
        return {uid: status for uid, status in pairs if status in ("done", "failed")}

    def wait(self, ready: Callable[[], bool]) -> None:
        """Return when `ready()` is true."""
        until = time.monotonic() + PATIENCE_S
        while not ready():
            assert time.monotonic() < until, self.events[-3:]
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def stop(self) -> int:
        """End it with SIGTERM; return its exit status."""
        self.process.terminate()
        status = self.process.wait(60)
        self._reader.join()
        return status

    def memory_mb(self) -> float:
        """Return the resident memory of the process itself, without its child's."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))


@contextlib.contextmanager
def started(
    folder: Path, port: int, pipeline: str, *, to: int | None = None, **limits: float
) -> Iterator[Listener]:
    """Give a listener that takes associations; it is killed at the end of the block."""
    words = [str(folder), str(port), pipeline, json.dumps(limits), str(to or "")]
    root = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.pacs_listener", *words],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    listener = Listener(process, port)
    try:
        listener.wait(lambda: _answers(port) or process.poll() is not None)
        yield listener
    finally:
        listener.kill()
        assert process.stdout is not None
        process.stdout.close()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    serve(*sys.argv[1:])
