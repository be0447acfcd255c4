"""Objects sent to a real Orthanc and to nodes that refuse, fill up or break off."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.uid import UID
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.errors import InputError, OutputError
from lnmdetect.io.pacs_address import Address, DimseAddress, WebAddress
from lnmdetect.stages.pacs_push import PushRequest, PushResult, push
from tests.orthanc import AE_TITLE, LOGIN, Orthanc, free_port, missing, running_orthanc
from tests.pacs_nodes import storing_node
from tests.test_data_specs import errors

pytest.importorskip("pynetdicom")
pytest.importorskip("dicomweb_client")
pytestmark = pytest.mark.server
needs_orthanc = pytest.mark.skipif(missing() is not None, reason=str(missing()))
OUT_OF_RESOURCES, CANNOT_UNDERSTAND, COERCED = 0xA700, 0xC000, 0xB000


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("pacs") / "orthanc") as server:
        yield server


def patient(toy_data: Path, number: int) -> Path:
    return toy_data / "scan" / f"p{number}"


def uid_of(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def send(path: Path, to: Address, **options: Any) -> PushResult:
    result = push(PushRequest((path,), to, wait_s=0.01, **options))
    assert errors("push", result.to_json()) == []
    return result


@needs_orthanc
@pytest.mark.parametrize("way", ["C-STORE", "STOW-RS"])
def test_orthanc_holds_what_was_sent_to_the_last_pixel(
    orthanc: Orthanc, toy_data: Path, way: str
) -> None:
    folder = patient(toy_data, 0 if way == "C-STORE" else 1)
    dimse = DimseAddress("127.0.0.1", orthanc.dicom_port, AE_TITLE)
    result = send(folder, dimse if way == "C-STORE" else WebAddress(orthanc.web, LOGIN))
    files = {uid_of(path): path for path in sorted(folder.iterdir())}
    assert result.counts == {"taken": 6, "refused": 0, "not sent": 0}
    assert [item.sop_instance_uid for item in result.objects] == list(files)
    assert {item.sop_class for item in result.objects} == {"CT Image Storage"}
    held = {}
    for name in orthanc.get("/instances"):
        dataset = dcmread(DicomBytesIO(orthanc.get(f"/instances/{name}/file")))
        held[str(dataset.SOPInstanceUID)] = dataset
    for uid, path in files.items():
        assert held[uid].PixelData == dcmread(path).PixelData
        assert held[uid].PatientName == dcmread(path).PatientName


@needs_orthanc
def test_a_lasting_rejection_names_the_option_that_mends_it(
    orthanc: Orthanc, toy_data: Path
) -> None:
    with pytest.raises(OutputError, match=r"Called AE title not recognised.*with --ae"):
        send(patient(toy_data, 0), DimseAddress("127.0.0.1", orthanc.dicom_port, "OTHER"))


@needs_orthanc
def test_a_service_that_wants_a_login_says_how_to_give_it(orthanc: Orthanc, toy_data: Path) -> None:
    with pytest.raises(OutputError, match=r"HTTP status 401\. Set LNMDETECT_PACS_LOGIN"):
        send(patient(toy_data, 0), WebAddress(orthanc.web))


@needs_orthanc
def test_a_url_without_a_service_is_told_from_a_refused_object(
    orthanc: Orthanc, toy_data: Path
) -> None:
    with pytest.raises(OutputError, match="HTTP status 404"):
        send(patient(toy_data, 0), WebAddress(orthanc.url + "/nothing", LOGIN))


@needs_orthanc
def test_a_service_that_is_not_trusted_is_told_from_one_that_is_down(
    orthanc: Orthanc, toy_data: Path
) -> None:
    plain_http = f"https://127.0.0.1:{orthanc.http_port}/dicom-web"
    with pytest.raises(OutputError, match=r"certificate is not trusted, or.*REQUESTS_CA_BUNDLE"):
        send(patient(toy_data, 0), WebAddress(plain_http, LOGIN))


def test_a_full_node_is_asked_again_and_a_remark_is_kept(toy_data: Path) -> None:
    statuses = iter([OUT_OF_RESOURCES, 0, 0, 0, 0, CANNOT_UNDERSTAND, COERCED])
    with storing_node(lambda event: next(statuses)) as node:
        result = send(patient(toy_data, 0), node)
    first, *others, last = result.objects
    assert (first.state, first.attempts, first.status) == ("taken", 2, "0xB000")
    assert first.reason == "Coercion of Data Elements"
    assert {(item.state, item.attempts, item.status) for item in others} == {("taken", 1, "0x0000")}
    assert (last.state, last.attempts, last.status) == ("refused", 1, "0xC000")


def test_a_node_that_stays_full_is_left_after_the_retries(toy_data: Path) -> None:
    asked: list[str] = []

    def refuse(event: Any) -> int:
        asked.append(event.request.AffectedSOPInstanceUID)
        return OUT_OF_RESOURCES

    with storing_node(refuse) as node:
        result = send(patient(toy_data, 0), node, retries=2)
    assert len(asked) == 3 * 6
    assert {(item.state, item.attempts) for item in result.objects} == {("refused", 3)}


def test_a_connection_that_breaks_off_again_and_again_loses_nothing(toy_data: Path) -> None:
    stored: list[str] = []
    broken_after: set[int] = set()

    def break_off_at_every_second(event: Any) -> int:
        if len(stored) % 2 and len(stored) not in broken_after:
            broken_after.add(len(stored))
            event.assoc.abort()
            return CANNOT_UNDERSTAND
        stored.append(event.request.AffectedSOPInstanceUID)
        return 0

    with storing_node(break_off_at_every_second) as node:
        result = send(patient(toy_data, 0), node, retries=1)
    assert {item.state for item in result.objects} == {"taken"}
    assert broken_after == {1, 3, 5}
    assert len(stored) == len(set(stored)) == 6


def test_an_object_at_which_the_node_falls_over_does_not_keep_the_others_from_it(
    toy_data: Path,
) -> None:
    first = uid_of(min(patient(toy_data, 0).iterdir()))

    def fall_over_at_the_first(event: Any) -> int:
        if event.request.AffectedSOPInstanceUID == first:
            event.assoc.abort()
        return 0

    with storing_node(fall_over_at_the_first) as node:
        result = send(patient(toy_data, 0), node, retries=1)
    assert result.counts == {"taken": 5, "refused": 0, "not sent": 1}
    assert [item.sop_instance_uid for item in result.objects if item.state != "taken"] == [first]


def test_what_a_node_does_not_take_is_refused_and_the_rest_is_taken(
    toy_data: Path, tmp_path: Path
) -> None:
    odd = dcmread(next(patient(toy_data, 0).iterdir()))
    odd.SOPClassUID = odd.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.4")
    odd.SOPInstanceUID = UID("1.2.3")
    odd.save_as(tmp_path / "odd.dcm")
    with storing_node(lambda event: 0) as node:
        request = PushRequest((tmp_path / "odd.dcm", patient(toy_data, 1)), node)
        result = push(request)
    assert result.counts == {"taken": 6, "refused": 1, "not sent": 0}
    reason = "the node does not take MR Image Storage in Explicit VR Little Endian"
    assert result.objects[0].reason == reason


def test_nobody_at_the_address_is_five_and_says_so_object_by_object(toy_data: Path) -> None:
    words = ["pacs", "push", str(patient(toy_data, 0)), "--to", f"127.0.0.1:{free_port()}"]
    done = CliRunner().invoke(app, [*words, "--ae", "PACS", "--retries", "0", "--json"])
    assert done.exit_code == 5
    assert "6 of 6 objects were not taken by PACS at 127.0.0.1:" in done.stderr
    said = json.loads(done.stdout)
    assert errors("push", said) == []
    assert said["not_sent"] == 6
    assert {item["state"] for item in said["objects"]} == {"not sent"}
    assert all(item["reason"].endswith("no answer") for item in said["objects"])


def test_nothing_said_holds_a_name_or_a_path(toy_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "CANARY^FOLDER"
    folder.mkdir()
    dataset = dcmread(next(patient(toy_data, 0).iterdir()))
    dataset.PatientName, dataset.PatientID = "CANARY^NAME", "CANARY-ID"
    dataset.StudyDescription = "CANARY TEXT"
    dataset.save_as(folder / "CANARY_FILE.dcm")
    with storing_node(lambda event: CANNOT_UNDERSTAND) as node:
        to = ["--to", f"127.0.0.1:{node.port}", "--ae", node.called_ae]
        for form in (["--json"], ["-v"]):
            done = CliRunner().invoke(app, ["pacs", "push", str(folder), *to, *form])
            assert done.exit_code == 5
            assert "CANARY" not in done.stdout + done.stderr


def test_a_path_without_dicom_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no DICOM")
    with pytest.raises(InputError, match="expected DICOM objects to send, got none among 1 files"):
        push(PushRequest((tmp_path,), DimseAddress("127.0.0.1", 1, "X")))
