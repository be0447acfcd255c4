"""What an unfinished `detect` leaves beside its output."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from lnmdetect.core.errors import InputError, OutputError
from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.records import Detections
from lnmdetect.io.detection_spool import detection_spool, spool_identity, spool_path

SOME = Detections(as_boxes([[1 / 3, 2.5, 10, 20.125], [0, 0, 1e-17 + 3, 4]]), np.array([0.7, 0.1]))
NONE = Detections(as_boxes([]), np.zeros(0))


class KilledError(Exception):
    """Ends a block without a chance to tidy up."""


def leave(output: Path, identity: str = "one", slices: int = 2) -> bytes:
    """A spool whose run has died; what it holds."""
    with suppress(KilledError), detection_spool(output, identity) as spool:
        for index in range(slices):
            spool.keep((0, index), SOME if index % 2 == 0 else NONE)
        raise KilledError
    return spool_path(output).read_bytes()


def test_the_next_run_has_every_slice_to_the_last_bit(tmp_path: Path) -> None:
    output = tmp_path / "deeper" / "boxes.json"
    leave(output)
    with detection_spool(output, "one") as spool:
        assert list(spool.found) == [(0, 0), (0, 1)]
        np.testing.assert_array_equal(spool.found[0, 0].boxes_xyxy, SOME.boxes_xyxy)
        np.testing.assert_array_equal(spool.found[0, 0].scores, SOME.scores)
        assert spool.found[0, 1].boxes_xyxy.shape == (0, 4)


def test_a_run_that_ends_leaves_nothing(tmp_path: Path) -> None:
    output = tmp_path / "boxes.json"
    with detection_spool(output, "one") as spool:
        spool.keep((0, 0), SOME)
        assert spool_path(output).name == ".boxes.json.resume"
        assert spool_path(output).is_file()
    assert list(tmp_path.iterdir()) == []


def test_a_run_on_bad_input_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError), detection_spool(tmp_path / "boxes.json", "one"):
        raise InputError("scan", expected="slices", got="none", remedy="Look.")
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_another_identity_begins_anew(tmp_path: Path) -> None:
    output = tmp_path / "boxes.json"
    leave(output, slices=5)
    assert leave(output, "two", slices=1).count(b"\n") == 2  # its identity and one slice
    with detection_spool(output, "one") as spool:
        assert spool.found == {}


@pytest.mark.parametrize("torn", [1, 20])
def test_a_line_that_was_not_ended_is_dropped_and_written_again(tmp_path: Path, torn: int) -> None:
    output = tmp_path / "boxes.json"
    whole = leave(output, slices=3)
    spool_path(output).write_bytes(whole[:-torn])
    with suppress(KilledError), detection_spool(output, "one") as spool:
        assert list(spool.found) == [(0, 0), (0, 1)]
        spool.keep((0, 2), SOME)
        raise KilledError
    assert spool_path(output).read_bytes() == whole


@pytest.mark.parametrize(
    "line",
    [
        b"[]\n",
        b"{}\n",
        b"\xff\n",
        b'{"place": [0], "boxes": [], "scores": []}\n',
        b'{"place": [0, 1], "boxes": [[1, 2, 3, 4]], "scores": []}\n',
        b'{"place": [0, 1], "boxes": [[1, 2, 3, 4]], "scores": [7]}\n',
        b'{"place": [0, "1"], "boxes": [], "scores": []}\n',
    ],
)
def test_nothing_after_a_damaged_line_is_believed(tmp_path: Path, line: bytes) -> None:
    output = tmp_path / "boxes.json"
    identity, first, second, _ = leave(output).split(b"\n")
    lines = identity + b"\n" + first + b"\n" + line + second + b"\n"
    spool_path(output).write_bytes(lines)
    with detection_spool(output, "one") as spool:
        assert list(spool.found) == [(0, 0)]


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    output = tmp_path / "boxes.json"
    with spool_path(output).open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with (
            pytest.raises(OutputError, match=r"boxes.json: .* another run works on"),
            detection_spool(output, "one"),
        ):
            pass
    assert spool_path(output).is_file()


def test_an_interrupted_run_says_that_the_same_command_goes_on(tmp_path: Path) -> None:
    output = tmp_path / "boxes.json"
    with (
        pytest.raises(KeyboardInterrupt, match="the same command goes on"),
        detection_spool(output, "one"),
    ):
        raise KeyboardInterrupt
    assert spool_path(output).is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with (
        pytest.raises(OutputError, match="a place that can be written"),
        detection_spool(tmp_path / "boxes.json", "one"),
    ):
        pass


def test_a_file_that_changes_comes_or_goes_gives_another_identity(tmp_path: Path) -> None:
    scan = tmp_path / "scan"
    scan.mkdir()
    (scan / "a").write_bytes(b"1")
    first = spool_identity(scan, {"model": "m"})
    assert spool_identity(scan, {"model": "m"}) == first
    assert spool_identity(scan, {"model": "n"}) != first
    (scan / "b").write_bytes(b"2")
    second = spool_identity(scan, {"model": "m"})
    (scan / "b").write_bytes(b"23")
    assert len({first, second, spool_identity(scan, {"model": "m"})}) == 3
