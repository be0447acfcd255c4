"""`lnmdetect speed`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk

if TYPE_CHECKING:
    from lnmdetect.stages.speed_result import SpeedResult

Rows = Annotated[
    list[str] | None,
    typer.Option(
        "--rows",
        help="Only these, repeatable: startup, detector, roi_align, training, classifier, profile, "
        "dicom, overhead, scan, cohort, memory.",
        metavar="NAME",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, help="Of the networks; by default one for each core that may be used."
    ),
]
Rounds = Annotated[
    int,
    typer.Option(
        "--rounds", min=1, max=1000, help="Turns of each candidate; minutes-long ones take fewer."
    ),
]
Width = Annotated[
    float, typer.Option("--width", help="Of the networks; the bars are of 1, as published.")
]
Size = Annotated[
    int, typer.Option("--size", min=64, help="Side of a slice; the bars are of 512.", metavar="PX")
]
OverheadSlices = Annotated[
    int,
    typer.Option(
        "--overhead-slices",
        min=2,
        help="Slices of the overhead's scan.",
    ),
]


def speed(
    output: options.Output = Path("bench.json"),
    rows: Rows = None,
    threads: Threads = None,
    rounds: Rounds = 7,
    width: Width = 1.0,
    size: Size = 512,
    overhead_slices: OverheadSlices = 100,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure speed and memory on this machine: bench.json, and the table beside it as .md.

    Every figure is a ratio of times taken in turns in one run, mostly to what PyTorch and
    torchvision do by themselves, with the bar it is to reach. What is not installed is left out
    with its reason. Networks that are compared have a process each, and one of them works at a
    time; the rows of profile tell where the time of networks goes.

    It takes about 20 minutes on 2 quiet cores, with all engines 11 GB of memory, and 1 GB of disk.
    On a busy machine the figures say little; the table tells how busy it was.
    """
    from lnmdetect.stages.speed import speed as stage
    from lnmdetect.stages.speed_request import SpeedRequest

    talk = Talk(quiet, verbose, as_json)
    request = SpeedRequest(
        output,
        rows=tuple(rows or ()),
        threads=threads,
        rounds=rounds,
        width=width,
        size_px=size,
        overhead_slices=overhead_slices,
        overwrite=overwrite,
    )
    _show(stage(request, talk), output, talk)


def _show(result: "SpeedResult", output: Path, talk: Talk) -> None:
    from lnmdetect.stages.speed_tables import speed_tables

    talk.table(speed_tables(result))
    talk.json(result.to_json())
    talk.note(f"Written: {output}, {output.with_suffix('.md')}")
