"""DICOM nodes of the tests' own: real pynetdicom associations on loopback ports."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from lnmdetect.io.pacs_address import DimseAddress
from tests.orthanc import free_port

CT = "1.2.840.10008.5.1.4.1.1.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
PLAIN = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]

SLOW_SENDER = """
import sys, time
from pathlib import Path
from pynetdicom import AE
from pydicom import dcmread
host, port, called, calling, log, *paths = sys.argv[1:]
ae = AE(calling)
ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
assoc = ae.associate(host, int(port), ae_title=called)
for path in paths:
    if assoc.send_c_store(dcmread(path)).Status == 0:
        with open(log, "a") as stream:
            stream.write(Path(path).name + "\\n")
    time.sleep(0.05)
time.sleep(600)
"""


def start_sender(to: DimseAddress, folder: Path, log: Path) -> "subprocess.Popen[bytes]":
    """Return a process that sends a folder slowly, and notes what was acknowledged."""
    words = [to.host, str(to.port), to.called_ae, to.calling_ae, str(log)]
    return subprocess.Popen(
        [sys.executable, "-c", SLOW_SENDER, *words, *map(str, sorted(folder.iterdir()))]
    )


@contextlib.contextmanager
def storing_node(
    answer: Callable[[Any], int],
    *,
    classes: Sequence[str] = (CT,),
    syntaxes: Sequence[str] = PLAIN,
    title: str = "NODE",
) -> Iterator[DimseAddress]:
    """Give the address of a node that answers each C-STORE with `answer(event)`."""
    entity = AE(ae_title=title)
    entity.supported_contexts = [build_context(uid, list(syntaxes)) for uid in classes]
    entity.require_called_aet = True
    port = free_port()
    handlers: Any = [(evt.EVT_C_STORE, answer)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield DimseAddress("127.0.0.1", port, title)
    finally:
        server.shutdown()


@contextlib.contextmanager
def giving_node(objects: Sequence[Any], *, title: str = "NODE") -> Iterator[DimseAddress]:
    """Give the address of a node that answers each C-GET with these objects, asked for or not."""

    def give(event: Any) -> Iterator[Any]:
        yield len(objects)
        for item in objects:
            yield 0xFF00, item

    entity = AE(ae_title=title)
    entity.add_supported_context(GET)
    entity.add_supported_context(CT, PLAIN, scu_role=True, scp_role=True)
    port = free_port()
    handlers: Any = [(evt.EVT_C_GET, give)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield DimseAddress("127.0.0.1", port, title)
    finally:
        server.shutdown()
