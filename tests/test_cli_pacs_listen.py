"""What `lnmdetect pacs listen` says, and what it makes of its options."""

import json
import signal
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.io.pacs_address import WebAddress
from lnmdetect.io.pacs_inbox import SeriesRecord
from lnmdetect.stages.pacs_listen_request import ListenRequest, ListenResult

DONE = SeriesRecord("1.2", "done", "1", "CT", ("1.2.1", "1.2.2"), 1, "", 3, 2, "2026-01-20")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ListenRequest]]:
    """The requests that the command made; the stage only says what it might say."""
    requests: list[ListenRequest] = []

    def stage(
        request: ListenRequest, stop: Event, *, tell: Any, say: Any, ready: Any
    ) -> ListenResult:
        requests.append(request)
        ready()
        say("STRANGER: not let in, --allow does not name it.")
        tell(DONE)
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
        return ListenResult(1, 0, 0, 2, receiving=1, waiting=2, to_send=0)

    monkeypatch.setattr("lnmdetect.stages.pacs_listen.listen", stage)
    held = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield requests
    for number, handler in held.items():
        signal.signal(number, handler)


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["pacs", "listen", *words])
    return done.exit_code, done.stdout, done.stderr


def test_it_says_who_may_come_what_became_of_each_series_and_what_is_left(
    asked: list[ListenRequest],
) -> None:
    code, out, err = run("--allow", "CT")
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "LNMDETECT listens at 127.0.0.1:11112 for CT images of CT.",
        "STRANGER: not let in, --allow does not name it.",
        "2026-01-20 series 1.2: 2 slices, 3 boxes, done; 2 slices came too late and were refused",
        "1 series still being received: start again to go on.",
        "2 series still to be analysed: start again to go on.",
    ]


def test_with_json_each_change_is_a_line_with_the_number_of_objects(
    asked: list[ListenRequest],
) -> None:
    _, out, _ = run("--allow", "CT", "--json")
    (line,) = out.splitlines()
    said = json.loads(line)
    assert (said["series_uid"], said["objects"], said["late"]) == ("1.2", 2, 2)


def test_only_the_own_machine_and_nobody_else_unless_told_otherwise(
    asked: list[ListenRequest],
) -> None:
    run()
    run("--allow-any", "--bind", "0.0.0.0")
    _, _, err = run("--allow", "A", "--allow", " B ", "--bind", "10.0.0.5")
    doors = [request.door for request in asked]
    assert [door.allowed for door in doors] == [(), None, ("A", "B")]
    assert [door.bind for door in doors] == ["127.0.0.1", "0.0.0.0", "10.0.0.5"]
    assert "other machines can reach this port, and nothing on it is encrypted" in err


def test_the_options_reach_the_stage_in_its_units(asked: list[ListenRequest]) -> None:
    words = "--allow A --to http://pacs/dicom-web --make sc --make sr --quiet-time 5 "
    words += "--broken-time 50 --max-series 7 --max-disk 0.5 --time-limit 60 --stop-after 3"
    run(*words.split())
    (request,) = asked
    assert isinstance(request.to, WebAddress)
    assert (request.kinds, request.timeout_s, request.stop_after) == (("sr", "sc"), 60.0, 3)
    limits = request.limits
    assert (limits.quiet_s, limits.broken_s, limits.series) == (5.0, 50.0, 7)
    assert limits.slices_bytes == 512 * 1024 * 1024


def test_an_unknown_kind_of_object_is_wrong_usage(asked: list[ListenRequest]) -> None:
    code, _, err = run("--allow", "A", "--make", "pdf")
    assert code == 2
    assert "--make: expected sr, gsps, sc, or none alone, got pdf" in err.replace("\n", " ")
    assert asked == []
