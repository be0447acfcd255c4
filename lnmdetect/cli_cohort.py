"""`lnmdetect cohort`: the pipeline over many studies, which ends at Ctrl-C and goes on later."""

import signal
import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk, complain
from lnmdetect.core.errors import PartialBatchError, UsageError
from lnmdetect.core.wording import counted, visible

if TYPE_CHECKING:
    from lnmdetect.stages.cohort_request import CohortRequest, CohortResult, Part

SHOWN_FAILURES = 20
Studies = Annotated[Path, typer.Argument(help="A folder with a folder or .zip for each study.")]
Folder = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        help="Folder for the table and a folder a study; one of an earlier run is gone on with.",
        metavar="PATH",
    ),
]
Depth = Annotated[
    int,
    typer.Option("--depth", min=1, max=9, help="How many levels down the studies lie, 2 for A/B."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes, or actors of Ray; by default one a core."),
]
Engine = Annotated[
    Literal["processes", "ray"],
    typer.Option(
        "--engine",
        help="Processes of this machine, or Ray (extra ray): on the cluster of RAY_ADDRESS, else "
        "on this machine.",
    ),
]
PartOption = Annotated[
    str | None,
    typer.Option(
        "--part",
        help="Only the studies of part i of n, for a job scheduler; then --collect.",
        metavar="I/N",
    ),
]
Collect = Annotated[
    bool, typer.Option("--collect", help="Analyse nothing: make the table of what is done.")
]
List = Annotated[
    bool,
    typer.Option("--list", help="Analyse nothing: print each study's case name and its path."),
]
Parquet = Annotated[
    bool, typer.Option("--parquet", help="Write the table as Parquet too (extra parquet).")
]
Sheets = Annotated[
    int, typer.Option("--sheets", min=0, max=200, help="Draw a picture a study, of so many slices.")
]
TimeLimit = Annotated[
    float, typer.Option("--time-limit", min=1, help="Longest analysis of a study, seconds.")
]
Again = Annotated[
    bool, typer.Option("--overwrite", help="Analyse again what is done and unchanged.")
]


def cohort(
    studies: Studies,
    output: Folder = Path("cohort"),
    depth: Depth = 1,
    engine: Engine = "processes",
    workers: Workers = None,
    part: PartOption = None,
    collect: Collect = False,
    list_only: List = False,
    model: options.Model = "compact",
    classifier: options.Classifier = "compact",
    device: options.Device = "auto",
    precision: options.PrecisionOption = None,
    allow_tilt: options.AllowTilt = False,
    pseudonymise_uids: options.PseudonymiseUids = False,
    sheets: Sheets = 0,
    parquet: Parquet = False,
    time_limit: TimeLimit = 3600.0,
    overwrite: Again = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Run the pipeline over many studies: cohort.csv, and boxes, nodes and 3-D nodes of each.

    lnmdetect cohort STUDIES/ -o OUT

    A study that cannot be read is listed with its reason (exit code 6) and stops no other. Ctrl-C
    ends it; the same command goes on with what is not done, or was done with other files, models
    or options.
    """
    from lnmdetect.stages.cohort_request import CohortRequest
    from lnmdetect.stages.cohort_study import CohortOptions

    talk = Talk(quiet, verbose, as_json)
    chosen = CohortOptions(
        model, classifier, device, allow_tilt, pseudonymise_uids, sheets, precision
    )
    request = CohortRequest(
        studies,
        output,
        chosen,
        depth=depth,
        engine=engine,
        workers=workers,
        part=_part(part),
        collect=collect,
        parquet=parquet,
        timeout_s=time_limit,
        overwrite=overwrite,
    )
    if list_only:
        _list(request, talk)
    else:
        _run(request, talk)


def _list(request: "CohortRequest", talk: Talk) -> None:
    from lnmdetect.stages.cohort_list import list_studies

    listed = list_studies(request)
    lines = (f"{study.case} {study.status} {_on_a_line(study.path)}" for study in listed)
    talk.result(listed, text="\n".join(lines))


def _on_a_line(path: Path) -> str:
    return str(path).replace("\n", r"\n").replace("\t", r"\t")


def _run(request: "CohortRequest", talk: Talk) -> None:
    """Run the cohort until it has ended or a signal ends it, and say what became of it.

    Raises:
        typer.Exit: with code 6 where a study failed, 130 where a signal ended it.
        LnmDetectError: what ended the run before its end.
    """
    from lnmdetect.stages.cohort import INTERRUPTED, run_cohort

    stop = Event()
    held = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in held:
        signal.signal(number, lambda *_: stop.set())
    try:
        # On a terminal the bar says it.
        say = (lambda text: None) if sys.stderr.isatty() else talk.note
        result = run_cohort(request, stop, talk, say)
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
    talk.result(result.to_json(), text=_text(result))
    talk.notes(result.notes)
    if result.stopped_by is not None:
        raise result.stopped_by
    if result.stopped:
        complain("Interrupted; what is done is kept, and the same command goes on with the rest.")
        raise typer.Exit(INTERRUPTED)
    _stop_if_failed(result)


def _stop_if_failed(result: "CohortResult") -> None:
    for study in result.failed[:SHOWN_FAILURES]:
        complain(f"{study.case}: {study.reason}")
    more = len(result.failed) - SHOWN_FAILURES
    if more > 0:
        complain(f"{more} more: {result.table.name} has the reasons.")
    if result.failed or result.missing:
        missing = f", {result.missing} not analysed yet" if result.missing else ""
        complain(
            f"{len(result.failed)} of {counted(result.studies, 'study', 'studies')} failed or in "
            f"part{missing}; --list names their folders."
        )
        raise typer.Exit(PartialBatchError.exit_code)


def _text(result: "CohortResult") -> str:
    rate = result.studies_per_hour
    speed = f" ({rate:.0f} an hour, {counted(result.workers, 'worker')})" if rate else ""
    phantom = ", phantoms" if result.phantom_studies else ""
    return (
        f"{counted(result.studies, 'study', 'studies')}{phantom}: {result.analysed} analysed"
        f"{speed}, {result.skipped} done before, {len(result.failed)} failed or "
        "in part\n"
        f"{result.table}: {counted(result.nodes, 'node')}, {result.metastatic_nodes} called "
        f"metastatic, on {counted(result.slices, 'slice')}"
    )


def _part(text: str | None) -> "Part | None":
    """Return the part that `i/n` names.

    Raises:
        UsageError: it names none.
    """
    from lnmdetect.stages.cohort_request import Part

    if text is None:
        return None
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal()):
        raise UsageError(
            "--part",
            expected="i/n, as 3/16",
            got=visible(text)[:20],
            remedy="Give the number of this part and that of all.",
        )
    return Part(int(number), int(of))
