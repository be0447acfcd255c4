"""The canary through `lnmdetect pacs`: what push, pull and listen say, log and write.

The objects themselves carry it: they are the scanner's, or results that `test_phi_objects` reads.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from lnmdetect.io.bundles import MODELS_VARIABLE
from lnmdetect.io.quiet import quiet_dicom
from tests import canary
from tests.canary import Said, holders, leaks, overheard, planted_series, typed
from tests.io import torture
from tests.orthanc import AE_TITLE, LOGIN, Orthanc, free_port, missing, running_orthanc
from tests.pacs_nodes import CT, storing_node

pytest.importorskip("pynetdicom")
pytest.importorskip("dicomweb_client")
pytestmark = [pytest.mark.server, pytest.mark.slow]
needs_orthanc = pytest.mark.skipif(missing() is not None, reason=str(missing()))
CANNOT_UNDERSTAND = 0xC000
OTHER_SYNTAX = ["1.2.840.10008.1.2"]
PATIENCE_S = 300.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What is logged, or written past Python's streams; complete when the test has ended."""
    kept: list[str] = []
    with overheard(kept):
        yield kept
    assert [text for text in kept if leaks(text)] == []


def spoiled_series(folder: Path) -> Path:
    for path in sorted(torture.series(folder).iterdir()):
        with quiet_dicom():
            torture.rewrite(path, partial(canary.spoil, patient="P0"))
    return folder


def unheard(*said: Said) -> None:
    assert {one.line: leaks(one.text) for one in said if leaks(one.text)} == {}


@pytest.mark.parametrize("answer", [0, CANNOT_UNDERSTAND])
@pytest.mark.parametrize("syntaxes", [[*OTHER_SYNTAX], ["1.2.840.10008.1.2.1"]])
def test_push_quotes_no_value_in_whatever_way_it_is_written(
    folder: Path, heard: list[str], syntaxes: list[str], answer: int
) -> None:
    spoiled_series(folder / canary.CANARY)
    planted_series(folder / "scan", seed="other")
    (folder / "scan" / "note.dcm").write_text(canary.CANARY)
    with storing_node(lambda event: answer, classes=(CT,), syntaxes=syntaxes) as node:
        to = f"--to 127.0.0.1:{node.port} --ae {node.called_ae} --retries 0"
        said = [typed(f"pacs push {canary.CANARY} scan {to} {form}") for form in ("-v", "--json")]
    assert {one.exit_code for one in said} == {0 if answer == 0 else 5}
    unheard(*(Said("push", one.exit_code, one.text) for one in said))


@needs_orthanc
def test_push_and_pull_say_nothing_of_the_patient_to_or_of_a_real_pacs(
    folder: Path, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LNMDETECT_PACS_LOGIN", ":".join(LOGIN))
    port = free_port()
    us = {"LNMDETECT": ("127.0.0.1", port)}
    scan = planted_series(folder / "scan")
    spoiled = spoiled_series(folder / "spoiled")
    first = dcmread(min(scan.iterdir()), stop_before_pixels=True)
    with running_orthanc(folder / "orthanc", modalities=us) as orthanc:
        said = list(_pushed(orthanc))
        study, series = str(first.StudyInstanceUID), str(first.SeriesInstanceUID)
        said += _pulled(orthanc, study, series, port)
    assert [(one.line, one.text) for one in said if one.exit_code not in (0, 5)] == []
    assert [one.exit_code for one in said if "pull" in one.line][:4] == [0, 0, 0, 0]
    unheard(*said)
    assert len(list(folder.glob("got*.run.json"))) == 5
    for kept in (scan, spoiled, folder / "orthanc"):
        shutil.rmtree(kept)
    assert holders(folder) == {}


def _pushed(orthanc: Orthanc) -> Iterator[Said]:
    for scan in ("scan", "spoiled"):
        for to in (orthanc.web, f"127.0.0.1:{orthanc.dicom_port} --ae {AE_TITLE}"):
            yield typed(f"pacs push {scan} --to {to} --retries 0 -v")
            yield typed(f"pacs push {scan} --to {to} --retries 0 --json")


def _pulled(orthanc: Orthanc, study: str, series: str, port: int) -> Iterator[Said]:
    node = f"127.0.0.1:{orthanc.dicom_port} --ae {AE_TITLE}"
    move = f"{node} --by move --port {port}"
    for number, source in enumerate((orthanc.web, node, move)):
        yield typed(f"pacs pull --study {study} --from {source} -o got{number} -v")
    yield typed(f"pacs pull --series {series} --from {orthanc.web} -o got3 --json")
    yield typed(f"pacs pull --series {series} --from {node} -o got4 -v")
    for source in (orthanc.web, node):
        yield typed(f"pacs pull --study 1.2.3 --from {source} -o none -v --retries 0")


@pytest.mark.parametrize("sound", [True, False], ids=["planted", "of no kind allowed"])
def test_listen_writes_and_says_uids_alone(folder: Path, bundles: Path, sound: bool) -> None:
    scan = planted_series(folder / "in") if sound else spoiled_series(folder / "in")
    broken = torture.series(folder / "broken", seed="broken")
    for path in broken.iterdir():
        torture.rewrite(path, _without_spacing)
    port = free_port()
    with storing_node(lambda event: 0, classes=RESULTS, title="PACS") as pacs:
        words = (
            f"pacs listen -o listen --port {port} --allow SCANNER --to 127.0.0.1:{pacs.port} "
            "--ae PACS --make sr --make gsps --make sc --quiet-time 1 --broken-time 2 "
            "--stop-after 2 --model tiny --classifier tiny --device cpu -v"
        )
        with (folder / "log").open("wb") as log:
            service = subprocess.Popen(
                [sys.executable, "-W", "always::UserWarning", "-m", "lnmdetect", *words.split()],
                stdout=log,
                stderr=log,
                env=_environment(bundles),
            )
        try:
            _wait_for(folder / "log", b" listens at ", service)
            for one in (scan, broken):
                sent = typed(f"pacs push {one} --to 127.0.0.1:{port} --ae LNMDETECT --as SCANNER")
                assert (sent.exit_code, leaks(sent.text)) == (0, [])
            refused = f"pacs push {scan} --to 127.0.0.1:{port} --ae LNMDETECT --as OTHER"
            assert typed(f"{refused} --retries 0").exit_code == 5
            assert service.wait(PATIENCE_S) == 0
        finally:
            if service.poll() is None:
                service.send_signal(signal.SIGKILL)
                service.wait()
    said = (folder / "log").read_bytes()
    assert (leaks(said), b"Warning" in said) == ([], False)
    assert said.count(b", done") == 1
    assert b", failed: IM" not in said
    assert holders(folder / "listen") == {}
    assert [p.name for p in (folder / "listen").rglob("*") if leaks(p.name)] == []
    made = sorted((folder / "listen" / "results").rglob("*.dcm"))
    assert len(made) >= 3
    for path in made:
        assert canary.identity_of(path).keys() <= PATIENT_AND_STUDY


PATIENT_AND_STUDY = {
    *("PatientName", "PatientID", "PatientBirthDate", "ReferringPhysicianName"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
}
RESULTS = (
    "1.2.840.10008.5.1.4.1.1.88.34",
    "1.2.840.10008.5.1.4.1.1.11.1",
    "1.2.840.10008.5.1.4.1.1.7",
)


def _without_spacing(dataset: Any) -> None:
    canary.plant(dataset, "P9")
    del dataset.PixelSpacing


def _environment(bundles: Path) -> dict[str, str]:
    return {**os.environ, MODELS_VARIABLE: str(bundles)}


def _wait_for(log: Path, words: bytes, service: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + PATIENCE_S
    while words not in log.read_bytes():
        assert service.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
