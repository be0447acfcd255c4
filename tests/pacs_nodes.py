"""DICOM nodes of the tests' own: real pynetdicom associations on loopback ports."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from lnmdetect.io.pacs_address import DimseAddress
from tests.orthanc import free_port

CT = "1.2.840.10008.5.1.4.1.1.2"
PLAIN = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]


@contextlib.contextmanager
def storing_node(
    answer: Callable[[Any], int], *, classes: Sequence[str] = (CT,), title: str = "NODE"
) -> Iterator[DimseAddress]:
    """Give the address of a node that answers each C-STORE with `answer(event)`."""
    entity = AE(ae_title=title)
    entity.supported_contexts = [build_context(uid, PLAIN) for uid in classes]
    entity.require_called_aet = True
    port = free_port()
    handlers: Any = [(evt.EVT_C_STORE, answer)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield DimseAddress("127.0.0.1", port, title)
    finally:
        server.shutdown()
