"""Candidates in processes of their own, of which one works at a time.

What one keeps in memory, how it keeps it and which threads it has started then disturb no other.
"""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Self, TypeVar

from lnmdetect.stages.analyst import follow_parent
from lnmdetect.stages.speed_rounds import CANNOT_RUN, Candidate, CandidateError, Work, reason_of
from lnmdetect.stages.speed_rounds import turn as turn_of

Result = TypeVar("Result")
Begin = Callable[[], object]
"""What a process does first; it can be pickled."""
Order = Callable[[dict[str, Work]], object]
"""What a process is to answer, given the works that it has prepared; it can be pickled."""
REST_S = 0.05
"""Threads of a process look for more work for some milliseconds before they leave the cores."""


@dataclass(frozen=True)
class Answer:
    """What came of an order.

    Attributes:
        value: None where it could not be carried out.
        reason: why it could not.
    """

    value: Any
    reason: str = ""


class ProcessEndedError(CandidateError):
    """A process ended before it answered; no order reaches it any more."""


class Child:
    """A process that carries out orders, one after another.

    Args:
        begin: what it does first.
    """

    def __init__(self, begin: Begin) -> None:
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, begin), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of what can be read

    def ask(self, order: Order) -> Any:
        """Return the answer to an order.

        Raises:
            CandidateError: it could not be carried out.
            ProcessEndedError: the process has ended.
        """
        try:
            self._connection.send(order)
            answer: Answer = self._connection.recv()
        except (EOFError, ConnectionError):
            raise ProcessEndedError(self._end()) from None
        if answer.reason:
            raise CandidateError(answer.reason)
        return answer.value

    def close(self) -> None:
        """End the process, whatever it does; it holds nothing that would have to be put away."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _end(self) -> str:
        self._process.join()
        return how_it_ended(self._process.exitcode or 0)


class ChildProcesses:
    """A process for each candidate, kept until the host is left; see `speed_rounds.Host`.

    Args:
        ours: what processes of lnmdetect do first.
        reference: what those of references do first.
    """

    def __init__(self, *, ours: Begin, reference: Begin) -> None:
        self._begins = {False: ours, True: reference}
        self._children: dict[str, Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._children:
            self._children.popitem()[1].close()

    def turn(self, candidate: Candidate) -> float:
        """Return the seconds that a candidate took by its own clock.

        Raises:
            CandidateError: it cannot run, and its process is gone; one that others share stays,
                unless it ended by itself, and then the next of them gets a new one.
        """
        name = f"shared {candidate.process}" if candidate.process else candidate.name
        if name not in self._children:
            if candidate.first is not None:
                self.ask(candidate.first, is_reference=candidate.is_reference)
            self._children[name] = Child(self._begins[candidate.is_reference])
        time.sleep(REST_S)
        try:
            return float(self._children[name].ask(partial(turn_of, candidate)))
        except CandidateError as error:
            if isinstance(error, ProcessEndedError) or not candidate.process:
                self._children.pop(name).close()
            raise

    def ask(self, question: Callable[[], Result], *, is_reference: bool = False) -> Result:
        """Return the answer to a question, found by a process that ends with it.

        Args:
            question: can be pickled.
            is_reference: whether the process is one of references.

        Raises:
            CandidateError: there is no answer.
        """
        child = Child(self._begins[is_reference])
        try:
            found: Result = child.ask(partial(_answered, question))
        finally:
            child.close()
        return found


def how_it_ended(code: int) -> str:
    """Return in words how a process ended that was to answer.

    Args:
        code: its exit code; below 0 the signal that ended it.
    """
    if code >= 0:
        return f"its process ended with code {code}" + ("" if code else ", and had not answered")
    names = {own.value: own.name for own in signal.Signals}
    died = f"its process died of {names.get(-code, f'signal {-code}')}"
    return f"{died}, as of too little memory" if died.endswith("SIGKILL") else died


def serve(connection: Connection, begin: Begin) -> None:
    """Carry out orders until there is nobody who gives any; a bug ends the process.

    Args:
        connection: where orders come from and answers go to.
        begin: done first.
    """
    follow_parent()
    begin()
    works: dict[str, Work] = {}
    while True:
        try:
            order: Order = connection.recv()
        except EOFError:
            return
        connection.send(_carried_out(order, works))


def _carried_out(order: Order, works: dict[str, Work]) -> Answer:
    try:
        return Answer(order(works))
    except CANNOT_RUN as error:
        return Answer(None, reason_of(error))


def _answered(question: Callable[[], Result], _: dict[str, Work]) -> Result:
    return question()
