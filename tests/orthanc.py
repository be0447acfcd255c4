"""A real Orthanc on loopback ports of its own, with its data in a folder of the test's."""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AE_TITLE = "ORTHANC"
LOGIN = ("tester", "loopback-only")
_PLUGINS = ("/usr/share/orthanc/plugins/libOrthancDicomWeb.so",)
_START_S = 30


def missing() -> str | None:
    """Return what is not installed, None where nothing is missing."""
    if shutil.which("Orthanc") is None:
        return "no Orthanc is installed (Debian: orthanc)"
    if not all(Path(plugin).exists() for plugin in _PLUGINS):
        return "Orthanc has no DICOMweb (Debian: orthanc-dicomweb)"
    return None


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Orthanc:
    """A running server; `modalities` are the nodes that it may send to."""

    dicom_port: int
    http_port: int
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def web(self) -> str:
        """Return the address of its DICOMweb service."""
        return f"{self.url}/dicom-web"

    def get(self, path: str) -> Any:
        """Return the answer to a GET of Orthanc's own interface: parsed JSON, else bytes."""
        return self._ask(urllib.request.Request(self.url + path))

    def post(self, path: str, data: bytes) -> Any:
        """Return the answer to a POST."""
        return self._ask(urllib.request.Request(self.url + path, data=data))

    def _ask(self, request: urllib.request.Request) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        manager.add_password(None, self.url, *LOGIN)
        opener.add_handler(urllib.request.HTTPBasicAuthHandler(manager))
        with opener.open(request, timeout=20) as response:
            body = response.read()
            is_json = response.headers.get_content_type() == "application/json"
        return json.loads(body) if is_json else body

    def uids(self, level: str = "instances") -> set[str]:
        """Return the UIDs of all it holds: of studies, series or instances."""
        keyword = {"instances": "SOP", "series": "Series", "studies": "Study"}[level]
        found = self.get(f"/{level}?expand")
        return {item["MainDicomTags"][f"{keyword}InstanceUID"] for item in found}


@contextlib.contextmanager
def running_orthanc(
    folder: Path, *, modalities: Mapping[str, tuple[str, int]] | None = None, **settings: Any
) -> Iterator[Orthanc]:
    """Give a server that answers; it is ended with the block.

    Args:
        folder: for its data and configuration.
        modalities: AE title to (host, port) of the nodes that it may send to.
        settings: of its configuration, besides.
    """
    folder.mkdir(parents=True)
    dicom_port, http_port = free_port(), free_port()
    config = {
        "Name": "test",
        "StorageDirectory": str(folder / "data"),
        "IndexDirectory": str(folder / "data"),
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": AE_TITLE,
        "DicomCheckCalledAet": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": dict([LOGIN]),
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "ConcurrentJobs": 1,
        "HttpThreadsCount": 4,
        "Plugins": list(_PLUGINS),
        "DicomModalities": {
            title: [title, host, port] for title, (host, port) in (modalities or {}).items()
        },
        **settings,
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
        )
    server = Orthanc(dicom_port, http_port, process)
    try:
        _wait_until_it_answers(server, folder / "log")
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_it_answers(server: Orthanc, log: Path) -> None:
    for _ in range(10 * _START_S):
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            server.get("/system")
            return
        if server.process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"Orthanc did not start: {log.read_text()[-2000:]}")
