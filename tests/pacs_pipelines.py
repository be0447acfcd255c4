"""Pipelines for the listener's tests, importable by its child process, and quick."""

import json
import os
import signal
import time
from pathlib import Path

from lnmdetect.core.errors import InputError
from lnmdetect.stages.pacs_analysis import AnalysisRequest

LOG = "LNMDETECT_TEST_ANALYSES"
"""Names a file to which each analysis adds a line."""


def count_slices(request: AnalysisRequest) -> int:
    """Return how many slices came in, after writing their names and a line into the log."""
    names = sorted(path.stem for path in request.scan.glob("*.dcm"))
    request.output.mkdir(parents=True)
    (request.output / "slices.json").write_text(json.dumps(names))
    with Path(os.environ[LOG]).open("a") as log:
        log.write(f"{request.scan.name} {len(names)}\n")
    return len(names)


def give_back(request: AnalysisRequest) -> int:
    """Do the same, with the first slice as the result to be sent."""
    count = count_slices(request)
    first = min(request.scan.glob("*.dcm"))
    (request.output / "sr.dcm").write_bytes(first.read_bytes())
    return count


def go_wrong(request: AnalysisRequest) -> int:
    """Refuse a series of 1 slice, fail at 2, die at 3, hang at 4, else do the same."""
    count = len(list(request.scan.glob("*.dcm")))
    if count == 1:
        raise InputError("series", expected="more", got="1 slice", remedy="Send more.")
    if count == 2:
        raise ValueError("CANARY^NAME")
    if count == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if count == 4:
        time.sleep(600)
    return count_slices(request)


def take_long(request: AnalysisRequest) -> int:
    """Say that it has begun, then never end."""
    with Path(os.environ[LOG]).open("a") as log:
        log.write(f"{request.scan.name} begun\n")
    time.sleep(600)
    return 0
