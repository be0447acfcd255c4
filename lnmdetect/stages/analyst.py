"""Work that is done in a child process, one item at a time, and survives the end of that process.

Whatever goes wrong in the child comes back as a sentence, never as an exception.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Generic, Self, TypeVar

from lnmdetect.core.errors import LnmDetectError

Item = TypeVar("Item")
Request = TypeVar("Request")
Result = TypeVar("Result")
ANALYSES_A_PROCESS = 25
"""A new process then, so that whatever a library keeps does not add up."""
START_S = 120.0
"""Longest start of a process that imports torch."""
DIED = "the process of the analysis died, as of too little memory"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Finished(Generic[Item, Result]):
    """What came of an analysis: its result, or the reason of its end.

    Attributes:
        reason: in words that quote no patient, but a file's path where `error` says so.
        error: one of ours that ended it.
        died: the process ended by itself.
    """

    item: Item
    result: Result | None
    reason: str = ""
    error: LnmDetectError | None = None
    died: bool = False


class Analyst(Generic[Item, Request, Result]):
    """Runs the pipeline in one child process, and another one where that dies or hangs.

    Args:
        pipeline: importable by name, as a child process needs it.
        timeout_s: longest analysis; the process is ended then.
        threads: of the child; None leaves them to it.
        analyses: after which a new process is begun; None takes `ANALYSES_A_PROCESS`.
    """

    def __init__(
        self,
        pipeline: Callable[[Request], Result],
        timeout_s: float,
        *,
        threads: int | None = None,
        analyses: int | None = None,
    ) -> None:
        self._most = analyses or ANALYSES_A_PROCESS
        self._pipeline, self._timeout_s, self._threads = pipeline, timeout_s, threads
        self._pool: ProcessPoolExecutor | None = None
        self._pid: Future[int] | None = None
        self._begun = 0
        self._work: tuple[Item, Future[Result], float] | None = None
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
        """Whether another item can be begun."""
        return self._work is None

    def begin(self, item: Item, request: Request) -> None:
        """Begin the analysis of an item."""
        self._timed_out = False
        if self._begun >= self._most:
            self._retire()
        try:
            future = self._process().submit(self._pipeline, request)
        except BrokenProcessPool:  # killed while it had nothing to do
            self._pool = None
            future = self._process().submit(self._pipeline, request)
        self._work = item, future, time.monotonic()
        self._begun += 1

    def finished(self) -> Finished[Item, Result] | None:
        """Return the analysis that has come to its end since the last call."""
        if self._work is None:
            return None
        item, future, begun = self._work
        if not future.done():
            if self._pid is not None and not self._pid.done():  # it is only just starting
                self._work = item, future, time.monotonic()
            elif not self._timed_out and time.monotonic() - begun > self._timeout_s:
                self._timed_out = True
                self._end_process()
            return None
        self._work = None
        error = future.exception()
        if error is None:
            return Finished(item, future.result())
        died = isinstance(error, BrokenProcessPool)
        if died:
            self._pool = None
        own = error if isinstance(error, LnmDetectError) else None
        died = died and not self._timed_out
        return Finished(item, None, self._sentence(error), error=own, died=died)

    def abandon(self) -> Item | None:
        """Return the item whose analysis was ended, None where none was under way."""
        if self._work is None:
            return None
        item, future, _ = self._work
        self._work = None
        self._end_process()
        future.cancel()
        return item

    def _process(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1,
                mp_context=get_context("spawn"),
                initializer=start_child,
                initargs=(self._threads,),
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
            return DIED
        return internal_error(error)

    def _end_process(self) -> None:
        if self._pid is None:
            return
        # A process that is only just starting has not said its number yet.
        wait([self._pid], timeout=START_S)
        if self._pid.done() and self._pid.exception() is None:
            with suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(self._pid.result(), signal.SIGKILL)


def internal_error(error: Any) -> str:
    """Return a bug in words; its own text may name a patient."""
    return f"internal error: an unexpected {type(error).__name__}"


def start_child(threads: int | None) -> None:
    """Hold this process to its threads, and end it when its parent ends.

    The libraries read the number as they are loaded, which is after this.
    """
    if threads is not None:
        os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    follow_parent()


def follow_parent() -> None:
    """End this process when its parent has ended, however that ended.

    Ctrl-C is the parent's to answer.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait_for_end() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait_for_end, daemon=True).start()
