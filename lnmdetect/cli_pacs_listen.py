"""`lnmdetect pacs listen`: a service that ends at Ctrl-C or SIGTERM and goes on when restarted."""

import json
import signal
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.cli_pacs_options import Bind, CalledAe, OwnAe, Port
from lnmdetect.core.errors import UsageError
from lnmdetect.core.wording import counted, visible

if TYPE_CHECKING:
    from lnmdetect.io.dimse_listen import Door
    from lnmdetect.io.pacs_inbox import SeriesRecord
    from lnmdetect.stages.pacs_analysis import Kind
    from lnmdetect.stages.pacs_listen_request import ListenRequest

LOOPBACK = ("127.0.0.1", "::1", "localhost")
Folder = Annotated[
    Path,
    typer.Option("-o", "--output", help="Folder for slices, results and records.", metavar="PATH"),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        help="Where results go: HOST:PORT with --ae, or a DICOMweb URL; else they stay in the "
        "folder.",
        metavar="ADDRESS",
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", help="AE title of a node that may send. Repeatable.", metavar="TITLE"),
]
AllowAny = Annotated[bool, typer.Option("--allow-any", help="Let every AE title send.")]
Make = Annotated[
    list[str] | None,
    typer.Option(
        "--make",
        help="DICOM objects to make: sr (by default), gsps, sc, or none. Repeatable.",
        metavar="KIND",
    ),
]
QuietTime = Annotated[
    float,
    typer.Option(
        "--quiet-time", min=0.1, help="Seconds without a new slice until a series is complete."
    ),
]
BrokenTime = Annotated[
    float,
    typer.Option("--broken-time", min=0.1, help="The same where its sender broke off."),
]
MaxSeries = Annotated[
    int, typer.Option("--max-series", min=1, help="At most so many unfinished; then refuse.")
]
MaxDisk = Annotated[
    float, typer.Option("--max-disk", min=0.001, help="At most so many GiB of slices; then refuse.")
]
TimeLimit = Annotated[
    float, typer.Option("--time-limit", min=1, help="Longest analysis of a series, seconds.")
]
StopAfter = Annotated[
    int | None, typer.Option("--stop-after", min=1, help="End when so many series have finished.")
]


def listen(
    output: Folder = Path("listen"),
    bind: Bind = "127.0.0.1",
    port: Port = 11112,
    own_ae: OwnAe = "LNMDETECT",
    allow: Allow = None,
    allow_any: AllowAny = False,
    to: To = None,
    ae: CalledAe = None,
    make: Make = None,
    quiet_time: QuietTime = 60.0,
    broken_time: BrokenTime = 600.0,
    max_series: MaxSeries = 100,
    max_disk: MaxDisk = 50.0,
    time_limit: TimeLimit = 3600.0,
    model: options.Model = "compact",
    classifier: options.Classifier = "compact",
    device: options.Device = "auto",
    stop_after: StopAfter = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Take in CT series by C-STORE, analyse each once, and send the results to a PACS.

    lnmdetect pacs listen --allow CTSCANNER --to pacs.example.org:104 --ae PACS --bind 10.0.0.5

    A series is complete when it has been quiet for a time; slices that come after its analysis
    began are refused, and told. Its slices are deleted when it has been analysed; results of the
    last 1000 series stay in the folder. What is acknowledged is on the disk: end with Ctrl-C or
    SIGTERM, start again with the same folder, and it goes on. With --json each change of a series
    is a line on stdout.
    """
    from lnmdetect.io.dimse_listen import Door
    from lnmdetect.io.pacs_address import checked_ae, parse_address
    from lnmdetect.stages.pacs_listen_request import ListenRequest
    from lnmdetect.stages.pacs_reception import Limits

    talk = Talk(quiet, verbose, as_json)
    titles = None if allow_any else tuple(checked_ae(title, "--allow") for title in allow or ())
    request = ListenRequest(
        output,
        Door(bind, port, checked_ae(own_ae, "--as"), titles),
        to=parse_address(to, called_ae=ae, calling_ae=own_ae) if to else None,
        kinds=_kinds(make),
        limits=Limits(quiet_time, broken_time, max_series, int(max_disk * 2**30)),
        model=model,
        classifier=classifier,
        device=device,
        timeout_s=time_limit,
        stop_after=stop_after,
    )
    _serve(request, talk)


def _serve(request: "ListenRequest", talk: Talk) -> None:
    """Run the service until a signal or `--stop-after` ends it, saying what happens."""
    from lnmdetect.stages.pacs_listen import listen as stage

    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    result = stage(
        request,
        stop,
        tell=lambda record: _tell(record, talk),
        say=talk.note,
        ready=lambda: _announce(request.door, talk),
    )
    for series, words in (
        (result.receiving, "still being received"),
        (result.waiting, "still to be analysed"),
        (result.to_send, "still to be sent"),
    ):
        if series:
            talk.note(f"{counted(series, 'series', 'series')} {words}: start again to go on.")


def _announce(door: "Door", talk: Talk) -> None:
    who = "any node" if door.allowed is None else ", ".join(door.allowed)
    talk.note(f"{door.own_ae} listens at {door.bind}:{door.port} for CT images of {who}.")
    if door.bind not in LOOPBACK:
        talk.notes(["other machines can reach this port, and nothing on it is encrypted"])


def _tell(record: "SeriesRecord", talk: Talk) -> None:
    """Say of a series what became of it: a line for people, or a JSON object a line."""
    if talk.as_json:
        print(json.dumps(record.to_event()), flush=True)
        return
    slices = counted(len(record.objects), "slice")
    boxes = "" if record.boxes is None else f", {counted(record.boxes, 'box', 'boxes')}"
    why = f": {record.reason}" if record.reason else ""
    late = f"; {counted(record.late, 'slice')} came too late and were refused" * bool(record.late)
    talk.note(
        f"{record.changed} series {record.series_uid}: {slices}{boxes}, {record.status}{why}{late}"
    )


def _kinds(given: list[str] | None) -> "tuple[Kind, ...]":
    """Return the kinds of objects to make.

    Raises:
        UsageError: one is not known.
    """
    from lnmdetect.stages.pacs_analysis import KINDS

    names = given or ["sr"]
    if names == ["none"]:
        return ()
    unknown = next((name for name in names if name not in KINDS), None)
    if unknown is not None:
        raise UsageError(
            "--make",
            expected=f"{', '.join(KINDS)}, or none alone",
            got=visible(unknown)[:20],
            remedy="Repeat --make for several kinds.",
        )
    return tuple(kind for kind in KINDS if kind in names)
