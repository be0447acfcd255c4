"""The torture set: every scan is read whole and in order, or refused with its reason."""

import resource
import time
from pathlib import Path

import numpy as np
import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.io.scan_source import open_source
from lnmdetect.stages.scan_hounsfield import check_hounsfield, sample_places
from tests.io.torture import SLICES, TORTURES, Torture, neck

LONGEST_S = 120.0
"""A hang is far longer; on a machine that is busy the slowest case takes tens of seconds."""
MOST_MEMORY_MB = 1000
"""More than before the scan is opened; a bomb unpacked whole would take several times that."""


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[pytest.mark.slow] if c.slow else [], id=c.name) for c in TORTURES],
)
def test_a_tortured_scan_is_read_whole_or_refused_with_its_reason(
    tmp_path: Path, case: Torture
) -> None:
    (tmp_path / "input").mkdir()
    path = case.build(tmp_path / "input")
    before = files_below(tmp_path)
    memory_before = peak_memory_mb()
    start = time.monotonic()
    if case.refusal is None:
        (handle,) = open_source(path).scans
        assert np.array_equal(handle.load().voxels_hu, neck())
    else:
        with pytest.raises(InputError, match=case.refusal):
            read(path)
    assert time.monotonic() - start < LONGEST_S
    assert files_below(tmp_path) - before <= {Path("key/pseudonym.key")}
    assert peak_memory_mb() - memory_before < MOST_MEMORY_MB


def peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def read(path: Path) -> None:
    """Read as `detect` does, the look at Hounsfield units included."""
    for handle in open_source(path).scans:
        scan = handle.load()
        check_hounsfield(scan.voxels_hu[sample_places(len(scan.images))], scan.images[0].series)


def files_below(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def test_the_set_holds_what_is_read_and_what_is_refused() -> None:
    read_whole = [case for case in TORTURES if case.refusal is None]
    assert len(read_whole) > 10
    assert len(TORTURES) - len(read_whole) > 20
    assert len(neck()) == SLICES
