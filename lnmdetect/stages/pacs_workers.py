"""The two that work for `lnmdetect pacs listen`: one analyses a series, one sends its results.

Each does one thing at a time and is asked whether it has finished; whatever goes wrong in it comes
back as a sentence, never as an exception.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lnmdetect.core.errors import LnmDetectError, OutputError
from lnmdetect.core.wording import counted
from lnmdetect.io.pacs_address import Address
from lnmdetect.io.pacs_inbox import SeriesRecord
from lnmdetect.io.pacs_objects import ObjectOutcome, list_objects
from lnmdetect.stages.analyst import Analyst
from lnmdetect.stages.pacs_analysis import AnalysisRequest
from lnmdetect.stages.pacs_push import PushRequest, deliver

Pipeline = Callable[[AnalysisRequest], int]
SeriesAnalyst = Analyst[SeriesRecord, AnalysisRequest, int]
"""Its result is the number of boxes above the operating threshold."""


@dataclass(frozen=True)
class Sent:
    """What came of the sending of a series' results.

    Attributes:
        outcomes: of each object; empty where the PACS would not have us at all.
        reason: why not all was taken.
        again: whether another try may help.
    """

    record: SeriesRecord
    outcomes: tuple[ObjectOutcome, ...]
    reason: str = ""
    again: bool = False


class Courier:
    """Sends the results of one series at a time, in a thread."""

    def __init__(self, to: Address) -> None:
        self._to = to
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="courier")
        self._work: tuple[SeriesRecord, Future[tuple[ObjectOutcome, ...]]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def is_free(self) -> bool:
        """Whether another series' results can be taken."""
        return self._work is None

    def begin(self, record: SeriesRecord, folder: Path) -> None:
        """Begin to send the DICOM objects in a folder."""
        self._work = record, self._pool.submit(self._send, folder)

    def finished(self) -> Sent | None:
        """Return the sending that has come to its end since the last call."""
        if self._work is None or not self._work[1].done():
            return None
        record, future = self._work
        self._work = None
        error = future.exception()
        if isinstance(error, LnmDetectError):
            # Only the other side's no may be a yes next time; a damaged result stays one.
            return Sent(record, (), str(error), again=isinstance(error, OutputError))
        if error is not None:
            return Sent(record, (), f"internal error: an unexpected {type(error).__name__}")
        lost = [item for item in future.result() if item.state != "taken"]
        if not lost:
            return Sent(record, future.result())
        reason = f"{counted(len(lost), 'result')} not taken: {lost[0].reason}"
        # A full node answers "refused" as well, with a status that may be another next time.
        again = any(item.state == "not sent" or _may_pass(item.status) for item in lost)
        return Sent(record, future.result(), reason, again)

    def _send(self, folder: Path) -> tuple[ObjectOutcome, ...]:
        paths = tuple(sorted(folder.glob("*.dcm")))
        request = PushRequest(paths, self._to, retries=0)
        return deliver(request, list_objects(paths)[0])


def _may_pass(status: str | None) -> bool:
    return status is not None and (status.startswith("0xA7") or status == "0x0110")
