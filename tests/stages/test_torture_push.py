"""`pacs push` over the torture set: each object arrives as it is stored, or is refused."""

import json
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import RLELossless
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.io.quiet import quiet_dicom
from tests.io.torture import SLICES, SMALL_FILES, TORTURES, Torture
from tests.pacs_nodes import CT, PLAIN, storing_node

pytest.importorskip("pynetdicom")
pytestmark = pytest.mark.server

REFUSED = {"truncated": 1, "bits of others": 0, "compressed and cut": 1, "deflated bomb": 1}
"""Objects that say how long they are and are shorter, or would fill the memory."""
PASSED_OVER = {"cut in the header": 1, "empty file beside": 1, "10,000 small files": SMALL_FILES}
NOTHING = {"empty file", "empty folder", "zip bomb", "undecodable folder"}
STORED = {
    "gap": SLICES - 1,
    "cut in the header": SLICES - 1,
    "duplicate": SLICES + 1,
    "mixed series": 3 * SLICES + 3,
    "bone beside": 2 * SLICES + 1,
    "localiser inside": SLICES + 1,
    "overlapped acquisitions": 2 * SLICES,
    "shifted acquisitions": 2 * SLICES,
    "interleaved acquisitions": 2 * SLICES,
}
"""Objects at the path, where they are not as many as slices of the phantom."""
CLASSES = (CT, "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7")


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[pytest.mark.slow] if c.slow else [], id=c.name) for c in TORTURES],
)
def test_each_object_arrives_as_it_is_stored_or_is_refused(tmp_path: Path, case: Torture) -> None:
    (tmp_path / "input").mkdir()
    scan = case.build(tmp_path / "input")
    before = files_below(tmp_path)
    taken: dict[str, Dataset] = {}
    syntaxes = [RLELossless] if case.name == "compressed and cut" else PLAIN
    with storing_node(partial(keep, taken), classes=CLASSES, syntaxes=syntaxes) as node:
        to = f"{node.host}:{node.port}"
        words = ("pacs", "push", str(scan), "--to", to, "--ae", node.called_ae, "--retries", "0")
        done = CliRunner().invoke(app, [*words, "--json"])
    assert files_below(tmp_path) == before
    if case.name in NOTHING:
        assert (done.exit_code, taken) == (3, {}), done.output
        return
    refused, stored = REFUSED.get(case.name, 0), STORED.get(case.name, SLICES)
    assert done.exit_code == (5 if refused else 0), done.output
    said = json.loads(done.stdout)
    assert (said["taken"], said["refused"], said["not_sent"]) == (stored - refused, refused, 0)
    assert said["passed_over"] == PASSED_OVER.get(case.name, 0)
    assert len(taken) == stored - refused
    for path in filter(Path.is_file, scan.rglob("*.dcm")) if scan.is_dir() else ():
        check_unchanged(path, taken)


def check_unchanged(path: Path, taken: dict[str, Dataset]) -> None:
    """Hold what arrived to the file, where the file is an object that was taken."""
    try:
        with quiet_dicom():
            stored = dcmread(path)
            uid = str(stored.get("SOPInstanceUID"))
    except (InvalidDicomError, OSError, EOFError, zlib.error):
        return
    arrived = taken.get(uid)
    if arrived is not None:
        assert arrived.PixelData == stored.PixelData
        assert arrived.get("ImagePositionPatient") == stored.get("ImagePositionPatient")


def keep(taken: dict[str, Dataset], event: Any) -> int:
    dataset = event.dataset
    dataset.decode()
    taken[str(dataset.SOPInstanceUID)] = dataset
    return 0


def files_below(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
