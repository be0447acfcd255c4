"""Studies and series fetched from a real Orthanc by C-GET, C-MOVE and WADO-RS."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.errors import OutputError, UsageError
from lnmdetect.io.dimse_retrieve import Listener
from lnmdetect.io.pacs_address import DimseAddress, WebAddress
from lnmdetect.io.scan_source import open_source
from lnmdetect.stages.pacs_pull import PullRequest, PullResult, pull
from lnmdetect.stages.pacs_push import PushRequest, push
from tests.orthanc import AE_TITLE, LOGIN, Orthanc, free_port, missing, running_orthanc
from tests.pacs_nodes import giving_node
from tests.test_data_specs import errors

pytest.importorskip("pynetdicom")
pytest.importorskip("dicomweb_client")
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]
WAYS = ("C-GET", "C-MOVE", "WADO-RS")
MOVE_PORT = free_port()


@pytest.fixture(scope="module")
def orthanc(toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc that holds the toy patients 0 and 1."""
    us = {"LNMDETECT": ("127.0.0.1", MOVE_PORT)}
    with running_orthanc(tmp_path_factory.mktemp("pacs") / "orthanc", modalities=us) as server:
        paths = tuple(toy_data / "scan" / f"p{number}" for number in (0, 1))
        push(PushRequest(paths, DimseAddress("127.0.0.1", server.dicom_port, AE_TITLE)))
        yield server


def fetch(orthanc: Orthanc, way: str, output: Path, **wanted: Any) -> PullResult:
    dimse = DimseAddress("127.0.0.1", orthanc.dicom_port, AE_TITLE)
    source = WebAddress(orthanc.web, LOGIN) if way == "WADO-RS" else dimse
    by: Any = "move" if way == "C-MOVE" else "get"
    listener = Listener("127.0.0.1", MOVE_PORT)
    request = PullRequest(source, output=output, by=by, listener=listener, wait_s=0.01, **wanted)
    return pull(request)


def first_slice(toy_data: Path, number: int) -> Any:
    return dcmread(min((toy_data / "scan" / f"p{number}").iterdir()))


@pytest.mark.parametrize("way", WAYS)
def test_a_fetched_study_is_the_one_that_was_sent(
    orthanc: Orthanc, toy_data: Path, tmp_path: Path, way: str
) -> None:
    sent = [dcmread(path) for path in sorted((toy_data / "scan" / "p0").iterdir())]
    result = fetch(orthanc, way, tmp_path / "scan", study=str(sent[0].StudyInstanceUID))
    assert errors("pull", result.to_json()) == []
    assert (result.objects, result.series, result.failed, result.attempts) == (6, 1, 0, 1)
    folder = tmp_path / "scan" / str(sent[0].SeriesInstanceUID)
    assert {path.name for path in folder.iterdir()} == {f"{s.SOPInstanceUID}.dcm" for s in sent}
    for dataset in sent:
        stored = dcmread(folder / f"{dataset.SOPInstanceUID}.dcm")
        assert stored.PixelData == dataset.PixelData
        assert stored.ImagePositionPatient == dataset.ImagePositionPatient
    assert len(open_source(tmp_path / "scan").scans[0].images) == 6
    record = json.loads((tmp_path / "scan.run.json").read_text())
    assert errors("run", record) == []
    assert record["command"] == "pacs pull"


@pytest.mark.parametrize("way", WAYS)
def test_of_a_series_alone_the_study_is_asked_for(
    orthanc: Orthanc, toy_data: Path, tmp_path: Path, way: str
) -> None:
    wanted = first_slice(toy_data, 1)
    result = fetch(orthanc, way, tmp_path / "scan", series=str(wanted.SeriesInstanceUID))
    assert result.objects == 6
    assert result.study == wanted.StudyInstanceUID


@pytest.mark.parametrize("way", WAYS)
def test_what_the_pacs_does_not_hold_is_an_error(
    orthanc: Orthanc, tmp_path: Path, way: str
) -> None:
    with pytest.raises(OutputError):
        fetch(orthanc, way, tmp_path / "scan", study="1.2.3")
    with pytest.raises(OutputError, match="expected a series of that UID, got none"):
        fetch(orthanc, way, tmp_path / "scan", series="1.2.3")
    assert not (tmp_path / "scan").exists()
    assert not (tmp_path / "scan.run.json").exists()


def test_the_command_fetches_what_detect_reads(
    orthanc: Orthanc, toy_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LNMDETECT_PACS_LOGIN", ":".join(LOGIN))
    uid = str(first_slice(toy_data, 0).StudyInstanceUID)
    words = ["pacs", "pull", "--study", uid, "--from", orthanc.web]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "scan: 6 objects in 1 series\n"
    assert "Next: lnmdetect detect scan" in done.stderr
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 5
    assert "expected a new or empty folder" in again.stderr
    replaced = CliRunner().invoke(app, [*words, "--overwrite", "--json"])
    assert replaced.exit_code == 0
    assert errors("pull", json.loads(replaced.stdout)) == []


@pytest.mark.parametrize("asked_for", ["study", "series"])
def test_an_object_that_nobody_asked_for_is_not_put_among_the_patients(
    toy_data: Path, tmp_path: Path, asked_for: str
) -> None:
    wanted, other = first_slice(toy_data, 0), first_slice(toy_data, 1)
    if asked_for == "series":
        other.StudyInstanceUID = wanted.StudyInstanceUID
    series = str(wanted.SeriesInstanceUID) if asked_for == "series" else None
    with giving_node([wanted, other]) as node:
        request = PullRequest(
            node, study=str(wanted.StudyInstanceUID), series=series, output=tmp_path / "scan"
        )
        result = pull(request)
    assert errors("pull", result.to_json()) == []
    assert (result.objects, result.strays, result.failed) == (1, 1, 0)
    kept = [dcmread(path).SOPInstanceUID for path in (tmp_path / "scan").rglob("*.dcm")]
    assert kept == [wanted.SOPInstanceUID]


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.*", "1..2", ""])
def test_what_is_no_uid_is_wrong_usage(tmp_path: Path, uid: str) -> None:
    source = DimseAddress("127.0.0.1", 1, "X")
    with pytest.raises(UsageError):
        pull(PullRequest(source, study=uid, output=tmp_path / "scan"))
