"""`lnmdetect pacs pull`: a study or series from a PACS into a folder."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from lnmdetect.core.errors import OutputError, UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.io import dicomweb_retrieve, dimse_retrieve
from lnmdetect.io.dimse_retrieve import Keep, Listener, Wanted
from lnmdetect.io.json_files import require_folder, unwritable
from lnmdetect.io.pacs_address import Address, WebAddress
from lnmdetect.io.pacs_objects import ConnectionLostError
from lnmdetect.io.pacs_received import ReceivedObject, write_durably
from lnmdetect.io.pacs_uids import is_uid
from lnmdetect.io.run_record import RunRecord, record_path

Way = Literal["get", "move"]
T = TypeVar("T")
SCAN = Path("scan")
LISTENER = Listener("127.0.0.1", 11112)  # the port that IANA keeps for DICOM


@dataclass(frozen=True)
class PullRequest:
    """What to fetch from where.

    Attributes:
        study, series: uids; of a series alone the PACS is asked for its study.
        by: C-GET or C-MOVE, where the PACS is a DICOM node.
        listener: where a C-MOVE's objects are taken in.
        retries, wait_s: as `PushRequest` has them; a try more fetches all again.
    """

    source: Address
    study: str | None = None
    series: str | None = None
    output: Path = SCAN
    by: Way = "get"
    listener: Listener = LISTENER
    retries: int = 3
    wait_s: float = 1.0
    overwrite: bool = False


@dataclass(frozen=True)
class PullResult:
    """What was fetched: objects in `series` series; `failed` ones the PACS could not send.

    Attributes:
        strays: objects of other studies or series, which nobody asked for and were not kept.
    """

    output: Path
    source: str
    study: str
    series: int
    objects: int
    failed: int
    strays: int
    attempts: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the result as data_specs/pull.schema.json has it."""
        return {**vars(self), "output": self.output.name, "seconds": round(self.seconds, 3)}


def pull(request: PullRequest, progress: Progress = SILENT) -> PullResult:
    """Return what was fetched; each object lies at `<series uid>/<SOP instance uid>.dcm`.

    Raises:
        UsageError: neither a study nor a series is asked for, or no uid is given as one.
        OutputError: the folder is not empty, the PACS cannot be reached or does not want us, or
            has no such study.
    """
    started = time.monotonic()
    _check(request)
    record = _start_record(request)
    study, attempts = _tried(request, lambda: _study(request))
    kept: dict[str, str] = {}
    strays: set[str] = set()

    def keep(received: ReceivedObject) -> None:
        if received.study_uid != study or request.series not in (None, received.series_uid):
            strays.add(received.sop_uid)  # another patient's, for all we know
            return
        _write(received, request.output)
        kept[received.sop_uid] = received.series_uid

    def fetch() -> Iterator[int]:
        yield _tried(request, lambda: _pass(request, study, keep))[0]

    failed = sum(progress.track(fetch(), description="fetching", total=1))
    if not kept and not failed:
        raise _none(request)
    record.lap("fetch")
    record.failures = failed
    record.write(record_path(request.output))
    return PullResult(
        request.output,
        request.source.words,
        study,
        series=len(set(kept.values())),
        objects=len(kept),
        failed=failed,
        strays=len(strays),
        attempts=attempts,
        seconds=time.monotonic() - started,
    )


def _check(request: PullRequest) -> None:
    given = {"--study": request.study, "--series": request.series}
    for option, uid in given.items():
        if uid is not None and not is_uid(uid):
            raise UsageError(
                option,
                expected="a UID of digits and dots, at most 64 characters",
                got="something else",
                remedy="Copy it from the PACS.",
            )
    if not any(given.values()):
        raise UsageError(
            "--study",
            expected="--study UID, --series UID, or both",
            got="neither",
            remedy="Copy the UID from the PACS.",
        )
    require_folder(request.output.parent)
    if request.output.is_file() or (
        request.output.is_dir() and any(request.output.iterdir()) and not request.overwrite
    ):
        raise OutputError(
            request.output.name,
            expected="a new or empty folder",
            got="one with something in it, or a file",
            remedy="Choose another --output, or add to it with --overwrite.",
        )


def _start_record(request: PullRequest) -> RunRecord:
    by = "wado" if isinstance(request.source, WebAddress) else request.by
    config = {"by": by, "study": request.study, "series": request.series}
    return RunRecord("pacs pull", config)


def _tried(request: PullRequest, work: Callable[[], T]) -> tuple[T, int]:
    """Return what `work` returned and at which try.

    Raises:
        OutputError: the connection was lost at every try.
    """
    reason, wait_s = "", request.wait_s
    for attempt in range(1, request.retries + 2):
        try:
            return work(), attempt
        except ConnectionLostError as error:
            reason = error.reason
        if attempt <= request.retries:
            time.sleep(wait_s)
            wait_s *= 2
    raise OutputError(
        request.source.words,
        expected="a connection that holds",
        got=f"none in {request.retries + 1} tries ({reason})",
        remedy="Check address and port, and whether the PACS is up.",
    )


def _study(request: PullRequest) -> str:
    if request.study is not None:
        return request.study
    assert request.series is not None
    if isinstance(request.source, WebAddress):
        found = dicomweb_retrieve.study_of_series(request.source, request.series)
    else:
        found = dimse_retrieve.study_of_series(request.source, request.series)
    if found is None:
        raise _none(request)
    return found


def _pass(request: PullRequest, study: str, keep: Keep) -> int:
    wanted = Wanted(study, request.series)
    if isinstance(request.source, WebAddress):
        return dicomweb_retrieve.wado_pass(request.source, wanted, keep)
    if request.by == "get":
        return dimse_retrieve.get_pass(request.source, wanted, keep)
    return dimse_retrieve.move_pass(request.source, wanted, request.listener, keep)


def _write(received: ReceivedObject, folder: Path) -> None:
    try:
        path = folder / received.series_uid / f"{received.sop_uid}.dcm"
        write_durably(path, received.content)
    except OSError as error:
        raise unwritable(folder.name, error) from None


def _none(request: PullRequest) -> OutputError:
    kind = "study" if request.series is None else "series"
    return OutputError(
        request.source.words,
        expected=f"a {kind} of that UID",
        got="none that it would send",
        remedy="Check the UID, and at the PACS whether our AE title may fetch it.",
    )
