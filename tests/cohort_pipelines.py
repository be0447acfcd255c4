"""Pipelines for the cohort's tests, importable by its child processes, and quick."""

import os
import signal
import time
from pathlib import Path

from lnmdetect.core.cohort import CohortFigures, CohortStudy
from lnmdetect.core.errors import InputError, ModelError, OutputError, UsageError
from lnmdetect.io.cohort_cases import input_stamp
from lnmdetect.io.cohort_folder import CohortFolder
from lnmdetect.stages.cohort_study import StudyRequest

LOG = "LNMDETECT_TEST_STUDIES"
"""Names a file to which each analysis adds a line."""


def count_names(request: StudyRequest) -> int:
    """Return the number of files; one folder cannot be read."""
    place = request.case.path
    if place.name == "unreadable":
        raise InputError(place.name, expected="DICOM", got="none", remedy="Look.")
    return len(list(place.iterdir()))


def count_files(request: StudyRequest, files: int | None = None, /) -> CohortStudy:
    """Return a study with as many slices as it has files; its name may ask for trouble."""
    place = request.case.path
    with Path(os.environ[LOG]).open("a") as log:
        log.write(f"{place.name} {os.environ['OMP_NUM_THREADS']} {os.getpid()}\n")
    draft = CohortFolder(request.output).new_draft(request.case.name)
    (draft / "boxes.json").write_text("{}\n")
    _trouble(place, request)
    slices = count_names(request) if place.is_dir() else 1
    assert files in (None, slices)
    figures = CohortFigures(("p-1",), 1, 0, slices, 3, 2, 1, 1, 8.25, 0.75, True)
    made_with = {**request.made_with, "inputs": input_stamp(place)}
    study = CohortStudy(request.case.name, "done", "", made_with, figures, seconds=1.5)
    return CohortFolder(request.output).publish(study)


def _trouble(place: Path, request: StudyRequest) -> None:
    log = Path(os.environ[LOG]).read_text()
    match place.name.removesuffix(".zip"):
        case "corrupt":
            raise InputError(place.name, expected="a scan", got="none", remedy="Mend it.")
        case "gap":
            file = f"{place.name}/DOE^JANE.dcm"
            raise InputError(file, expected="it", got="none", remedy="Look.", is_path=True)
        case "bug":
            raise ValueError(f"in {place}")
        case "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        case "dies_once" if log.count("dies_once ") == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        case "hangs":
            time.sleep(600)
        case "full":
            raise OutputError("x", expected="room", got="a full disk", remedy="Free it.")
        case "replaced":
            raise ModelError("x", expected="the same", got="another", remedy="Start again.")
        case "keyless":
            raise UsageError("x", expected="the same key", got="another", remedy="Name it.")
        case "stops":
            Path(os.environ[LOG]).with_name("stop").touch()
            time.sleep(600)
