"""The receiver's door against connections that are no good senders."""

import contextlib
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

from lnmdetect.io.dimse_listen import Door, open_door
from lnmdetect.io.dimse_socket import MeteredSocket
from tests.dcmtk import STORESCU, needs_dcmtk
from tests.orthanc import free_port
from tests.pacs_nodes import CT

pytest.importorskip("pynetdicom")
SENDER = "SCANNER"


@contextlib.contextmanager
def door_of(**changes: Any) -> Iterator[tuple[Door, list[str]]]:
    """Give an open door, and what it says of those who are not let in."""
    door = Door("127.0.0.1", free_port(), "LNMDETECT", (SENDER,), **changes)
    said: list[str] = []
    with open_door(door, lambda received, link, title: 0, said.append):
        yield door, said


def echo(door: Door, calling: str = SENDER) -> bool:
    """Return whether a C-ECHO is answered with success."""
    from pynetdicom import AE

    entity = AE(calling)
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate(door.bind, door.port, ae_title=door.own_ae)
    if not association.is_established:
        return False
    answer = association.send_c_echo()
    association.release()
    return int(answer.Status) == 0


def peak_memory_mb() -> float:
    line = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]
    return int(line) / 1024


def sent_until_cut(connection: socket.socket, megabytes: int) -> int:
    """Return how many megabytes went out before the other side ended the connection."""
    for count in range(megabytes):
        try:
            connection.sendall(bytes(1 << 20))
        except OSError:
            return count
    return megabytes


def test_a_c_echo_is_answered_for_those_who_may_send() -> None:
    with door_of() as (door, said):
        assert echo(door)
        assert not echo(door, "STRANGER")
    assert said == ["STRANGER: not let in, --allow does not name it."]


@pytest.mark.server
@needs_dcmtk
def test_an_identifier_that_is_none_is_refused_and_not_quoted(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.PatientName = UID(CT), "CANARY^NAME"
    name = b"CANARY^NAME "
    dataset[0x00080018] = RawDataElement(Tag(0x00080018), "UI", len(name), name, 0, False, True)
    dataset.save_as(tmp_path / "a.dcm", implicit_vr=False, little_endian=True)
    recwarn.clear()
    with door_of() as (door, _):
        words = ["-v", "-aet", SENDER, "-aec", door.own_ae, door.bind, str(door.port)]
        done = subprocess.run(
            [str(STORESCU), *words, tmp_path / "a.dcm"], capture_output=True, text=True
        )
    assert "Received Store Response (Error: CannotUnderstand)" in done.stdout + done.stderr
    assert "CANARY" not in "".join(capfd.readouterr())
    assert not [str(w.message) for w in recwarn if "CANARY" in str(w.message)]


def test_a_request_that_claims_four_gigabytes_is_cut_off_before_it_fills_memory() -> None:
    before = peak_memory_mb()
    with door_of() as (door, _):
        with socket.create_connection((door.bind, door.port)) as connection:
            connection.sendall(struct.pack(">BBL", 1, 0, 0xFFFFFFFF))
            assert sent_until_cut(connection, 200) < 30
        assert peak_memory_mb() - before < 20
        assert echo(door)


def test_connections_that_stall_amid_their_request_free_their_places() -> None:
    with door_of(associations=2, stalled_s=1.0) as (door, said), contextlib.ExitStack() as held:
        for _ in range(3):
            connection = held.enter_context(socket.create_connection((door.bind, door.port)))
            connection.sendall(struct.pack(">BBL", 1, 0, 256) + b"\0\1")
        time.sleep(0.2)
        assert not echo(door)
        assert said == ["SCANNER: not let in for the moment, 2 connections are open."]
        time.sleep(2.0)
        assert echo(door)


def test_a_request_that_drips_in_is_ended_as_well() -> None:
    with (
        door_of(stalled_s=1.0) as (door, _),
        socket.create_connection((door.bind, door.port)) as connection,
    ):
        connection.sendall(struct.pack(">BBL", 1, 0, 256))
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - begun < 10:
                connection.sendall(b"\0")
                time.sleep(0.1)
        assert time.monotonic() - begun < 5


def test_the_limit_is_an_objects_and_not_the_associations() -> None:
    from pynetdicom import AE

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = UID(CT)
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "1.2"
    dataset.add_new(0x00091001, "OB", bytes(400_000))
    with door_of(object_bytes=1 << 20) as (door, _):
        entity = AE(SENDER)
        entity.add_requested_context(CT, ExplicitVRLittleEndian)
        association = entity.associate(door.bind, door.port, ae_title=door.own_ae)
        for number in range(8):
            dataset.SOPInstanceUID = f"1.2.{number}"
            assert association.send_c_store(dataset).Status == 0
        association.release()


def test_a_metered_socket_takes_so_much_and_no_more_until_it_is_allowed_again() -> None:
    ours, theirs = socket.socketpair()
    with theirs, MeteredSocket(ours, 5.0) as metered:
        metered.allow(10)
        theirs.sendall(b"x" * 10)
        assert metered.recv(100) == b"x" * 10
        metered.allow(3)
        theirs.sendall(b"x" * 4)
        with pytest.raises(OSError, match="more came than"):
            metered.recv(100)
