"""A `detect` that was killed goes on where it stopped, to the same bytes."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lnmdetect.io.detection_spool import Place, spool_path
from lnmdetect.stages.detect import detect
from lnmdetect.stages.detect_request import DetectRequest

KILLED_AT = """
import os, signal
from pathlib import Path
from lnmdetect.io.detection_spool import DetectionSpool
from lnmdetect.stages.detect import detect
from lnmdetect.stages.detect_request import DetectRequest

keep = DetectionSpool.keep

signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run may be deaf to Ctrl-C

def kept_then_killed(spool, place, found):
    keep(spool, place, found)
    if place == ({scan}, {index}):
        os.kill(os.getpid(), signal.SIG{how})

DetectionSpool.keep = kept_then_killed
detect(DetectRequest(Path({path!r}), Path({output!r}), {model!r}, "cpu"))
"""


@pytest.fixture
def asked(toy_data: Path, bundles: Path, tmp_path: Path) -> DetectRequest:
    """To search two toy patients of six slices."""
    scan = tmp_path / "scans"
    for name in ("p0", "p1"):
        (scan / name).mkdir(parents=True)
        for file in (toy_data / "scan" / name).iterdir():
            (scan / name / file.name).write_bytes(file.read_bytes())
    model = str(bundles / "detector-tiny")
    return DetectRequest(scan, tmp_path / "out" / "boxes.json", model, "cpu")


def stop_at(asked: DetectRequest, place: Place, how: str = "KILL") -> str:
    """Search in a process that a signal ends after the slice; what it said."""
    code = KILLED_AT.format(
        scan=place[0],
        index=place[1],
        how=how,
        path=str(asked.scan),
        output=str(asked.output),
        model=asked.model,
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert not asked.output.exists()
    return ended.stderr


@pytest.mark.parametrize("place", [(0, 0), (0, 5), (1, 2)])
def test_a_killed_run_goes_on_to_the_bytes_of_one_that_was_not(
    asked: DetectRequest, place: Place, searched: list[str]
) -> None:
    whole = replace(asked, output=asked.output.with_name("whole.json"))
    result = detect(whole)
    assert (len(searched), result.notes, result.boxes > 0) == (12, (), True)
    stop_at(asked, place)
    searched.clear()
    result = detect(asked)
    done = place[0] * 6 + place[1] + 1
    assert len(searched) == 12 - done
    sort = "slice" if done == 1 else "slices"
    assert result.notes == (f"went on after {done} {sort} that an earlier run had searched",)
    assert asked.output.read_bytes() == whole.output.read_bytes()
    assert not spool_path(asked.output).exists()


def test_ctrl_c_keeps_what_was_found(asked: DetectRequest) -> None:
    assert "the same command goes on" in stop_at(asked, (0, 3), "INT")
    assert detect(asked).notes == ("went on after 4 slices that an earlier run had searched",)


def test_another_model_begins_anew(
    asked: DetectRequest, bundles: Path, searched: list[str]
) -> None:
    stop_at(asked, (1, 2))
    assert detect(replace(asked, model=str(bundles / "detector-blind"))).notes == ()
    assert len(searched) == 12


def test_another_precision_begins_anew(asked: DetectRequest, searched: list[str]) -> None:
    stop_at(asked, (1, 2))
    assert detect(replace(asked, precision="bf16")).notes == ()
    assert len(searched) == 12


def test_a_slice_that_has_changed_since_begins_anew(
    asked: DetectRequest, searched: list[str]
) -> None:
    stop_at(asked, (1, 2))
    file = next((asked.scan / "p0").iterdir())
    os.utime(file, ns=(1, 1))
    assert detect(asked).notes == ()
    assert len(searched) == 12


def test_another_threshold_goes_on(asked: DetectRequest, searched: list[str]) -> None:
    stop_at(asked, (1, 2))
    detect(replace(asked, threshold=0.9))
    assert len(searched) == 3


def test_what_is_kept_names_no_slice_and_no_file(asked: DetectRequest) -> None:
    stop_at(asked, (1, 2))
    kept = spool_path(asked.output).read_text()
    assert "p0" not in kept
    assert "IM0" not in kept
    assert "." not in kept.partition("\n")[0]  # no uid in the identity
    assert kept.count('"place"') == 9
