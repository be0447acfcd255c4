"""The two that work for `lnmdetect pacs listen`: one analyses a series, one sends its results.

Each does one thing at a time and is asked whether it has finished; whatever goes wrong in it comes
back as a sentence, never as an exception.
"""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Self

from lnmdetect.core.errors import LnmDetectError, OutputError
from lnmdetect.core.wording import counted
from lnmdetect.io.pacs_address import Address
from lnmdetect.io.pacs_inbox import SeriesRecord
from lnmdetect.io.pacs_objects import ObjectOutcome, list_objects
from lnmdetect.stages.pacs_analysis import AnalysisRequest, follow_parent
from lnmdetect.stages.pacs_push import PushRequest, deliver

Pipeline = Callable[[AnalysisRequest], int]
ANALYSES_A_PROCESS = 25
"""A new process then, so that whatever a library keeps does not add up."""
START_S = 120.0
"""Longest start of a process that imports torch."""


@dataclass(frozen=True)
class Finished:
    """What came of an analysis: boxes above the operating threshold, or the reason of its end."""

    record: SeriesRecord
    boxes: int | None
    reason: str = ""


class Analyst:
    """Runs the pipeline in one child process, and another one where that dies or hangs.

    Args:
        pipeline: importable by name, as a child process needs it.
        timeout_s: longest analysis; the process is ended then.
    """

    def __init__(self, pipeline: Pipeline, timeout_s: float) -> None:
        self._pipeline, self._timeout_s = pipeline, timeout_s
        self._pool: ProcessPoolExecutor | None = None
        self._pid: Future[int] | None = None
        self._begun = 0
        self._work: tuple[SeriesRecord, Future[int], float] | None = None
        self._timed_out = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def ask(self, question: Callable[..., None], *about: str) -> None:
        """Return when the child process has answered; what it raises is raised here.

        Raises:
            LnmDetectError: as the question does.
        """
        self._process().submit(question, *about).result()

    @property
    def is_free(self) -> bool:
        """Whether another series can be begun."""
        return self._work is None

    def begin(self, record: SeriesRecord, request: AnalysisRequest) -> None:
        """Begin the analysis of a series."""
        self._timed_out = False
        if self._begun >= ANALYSES_A_PROCESS:
            self._retire()
        self._work = record, self._process().submit(self._pipeline, request), time.monotonic()
        self._begun += 1

    def finished(self) -> Finished | None:
        """Return the analysis that has come to its end since the last call."""
        if self._work is None:
            return None
        record, future, begun = self._work
        if not future.done():
            if not self._timed_out and time.monotonic() - begun > self._timeout_s:
                self._timed_out = True
                self._end_process()
            return None
        self._work = None
        error = future.exception()
        if error is None:
            return Finished(record, future.result())
        if isinstance(error, BrokenProcessPool):
            self._pool = None
        return Finished(record, None, self._sentence(error))

    def abandon(self) -> SeriesRecord | None:
        """Return the series whose analysis was ended, None where none was under way."""
        if self._work is None:
            return None
        record, future, _ = self._work
        self._work = None
        self._end_process()
        future.cancel()
        return record

    def _process(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1,
                mp_context=get_context("spawn"),
                initializer=follow_parent,
            )
            # Asked once: the pool has no other process until it breaks.
            self._pid, self._begun = self._pool.submit(os.getpid), 0
        return self._pool

    def _retire(self) -> None:
        """End an idle process; the next analysis gets a new one."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        self._pool = None

    def _sentence(self, error: BaseException) -> str:
        """Return the reason in words; only our own errors are known to quote no patient."""
        if isinstance(error, LnmDetectError):
            return str(error)
        if self._timed_out:
            return f"the analysis took longer than {self._timeout_s:.0f} s and was ended"
        if isinstance(error, BrokenProcessPool):
            return "the process of the analysis died, as of too little memory"
        return f"internal error: an unexpected {type(error).__name__}"

    def _end_process(self) -> None:
        if self._pid is None:
            return
        # A process that is only just starting has not said its number yet.
        wait([self._pid], timeout=START_S)
        if self._pid.done() and self._pid.exception() is None:
            with suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(self._pid.result(), signal.SIGKILL)


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
