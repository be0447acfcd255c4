"""Candidates in processes of their own; these import this module, which is why it needs little."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.stages.speed_children import ChildProcesses, how_it_ended
from lnmdetect.stages.speed_rounds import Candidate, CandidateError, Work, interleaved, reason_of

NAP_S, LONG_NAP_S = 0.02, 2.0
"""The brief one may take many times as long on a busy machine, and is far from the long one yet."""
KIND = "LNMDETECT_TEST_KIND"


def become(kind: str) -> None:
    os.environ[KIND] = kind


def host() -> ChildProcesses:
    return ChildProcesses(ours=partial(become, "ours"), reference=partial(become, "reference"))


def napping() -> Work:
    """Sleep, long in the first turn and briefly in every other."""
    naps = iter([LONG_NAP_S])

    def work() -> None:
        time.sleep(next(naps, NAP_S))

    return work


def telling(value: Callable[[], float]) -> Work:
    return value


def its_pid() -> float:
    return float(os.getpid())


def raising(error: Exception) -> Work:
    raise error


def ending(after: int, end: Callable[[], object]) -> Work:
    left = [after]

    def work() -> None:
        left[0] -= 1
        if left[0] < 0:
            end()

    return work


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kind() -> str:
    return os.environ[KIND]


def with_a_bug() -> None:
    raise KeyError("a bug")


def own_process(name: str = "pid", process: str = "") -> Candidate:
    return Candidate(name, partial(telling, its_pid), process=process)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_processes_take_turns_and_tell_their_seconds_or_why_they_have_none() -> None:
    candidates = [
        Candidate("naps", napping),
        own_process("one"),
        Candidate("refuses", partial(raising, InputError("a", expected="b", got="c", remedy="D."))),
        Candidate("lacks", partial(raising, RuntimeError("no such kernel\nmore"))),
        Candidate("ends", partial(ending, 1, partial(os._exit, 3))),
        Candidate("dies", partial(ending, 1, killed)),
        Candidate("errs", partial(ending, 0, with_a_bug)),
        own_process("two"),
    ]
    rounds = interleaved(candidates, 2, description="", host=host())
    assert rounds.reasons == {
        "refuses": "a: expected b, got c. D.",
        "lacks": "RuntimeError: no such kernel",
        "ends": "its process ended with code 3",
        "dies": "its process died of SIGKILL, as of too little memory",
        "errs": "its process ended with code 1",
    }
    assert all(NAP_S <= nap < LONG_NAP_S for nap in rounds.timings["naps"].seconds)
    one, two = (rounds.timings[name].seconds for name in ("one", "two"))
    assert one[0] == one[1]  # one process through all rounds
    assert two[0] == two[1]
    assert len({one[0], two[0], os.getpid()}) == 3
    assert not is_there(int(one[0]))
    assert not multiprocessing.active_children()


def test_nothing_lives_after_a_host_that_was_left_by_an_error() -> None:
    running, pids = host(), []

    def interrupted() -> None:
        with running:
            pids.append(int(running.turn(own_process())))
            assert is_there(pids[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not is_there(pids[0])


def test_the_process_of_what_cannot_run_ends_at_once_and_a_shared_one_goes_on() -> None:
    with host() as running:
        shared = running.turn(own_process("first", "shared"))
        with pytest.raises(CandidateError, match="ValueError: no"):
            running.turn(Candidate("no", partial(raising, ValueError("no")), process="shared"))
        assert running.turn(own_process("second", "shared")) == shared
        with pytest.raises(CandidateError):
            running.turn(Candidate("own", partial(raising, ValueError("no"))))
        assert [child.pid for child in multiprocessing.active_children()] == [int(shared)]


def test_a_shared_process_that_ended_takes_none_of_the_others_with_it() -> None:
    with host() as running:
        first = running.turn(own_process("one", "shared"))
        with pytest.raises(CandidateError, match="its process died of SIGKILL"):
            running.turn(Candidate("dies", partial(ending, 0, killed), process="shared"))
        again = running.turn(own_process("one", "shared"))
        assert running.turn(own_process("two", "shared")) == again != first
        assert [child.pid for child in multiprocessing.active_children()] == [int(again)]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "its process ended with code 0, and had not answered"),
        (3, "its process ended with code 3"),
        (-9, "its process died of SIGKILL, as of too little memory"),
        (-11, "its process died of SIGSEGV"),
        (-63, "its process died of signal 63"),
    ],
)
def test_how_a_process_ended_is_told_by_its_signal_and_memory_is_guessed_of_one_alone(
    code: int, words: str
) -> None:
    assert how_it_ended(code) == words


def test_files_of_a_candidate_are_made_once_in_a_process_that_ends(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    candidate = replace(own_process(), first=partial(write_pid, file))
    with host() as running:
        pid = int(running.turn(candidate))
        made_by = int(file.read_text())
        assert made_by not in {pid, os.getpid()}
        assert not is_there(made_by)
        assert running.turn(candidate) == pid  # `write_pid` refuses to write twice
        cannot = replace(own_process("no"), first=partial(raising, ValueError("no")))
        with pytest.raises(CandidateError, match="ValueError: no"):
            running.turn(cannot)


def write_pid(file: Path) -> None:
    with file.open("x") as opened:
        opened.write(str(os.getpid()))


def test_a_question_is_answered_by_a_process_of_the_kind_that_is_asked_for() -> None:
    running = host()
    assert (running.ask(kind), running.ask(kind, is_reference=True)) == ("ours", "reference")
    assert KIND not in os.environ
    with pytest.raises(CandidateError) as told:
        running.ask(partial(raising, OSError("the disk is full")))
    assert reason_of(told.value) == "OSError: the disk is full"
    assert not multiprocessing.active_children()
