"""`lnmdetect doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk, complain
from lnmdetect.core.errors import InputError, PartialBatchError


def doctor(
    scan: Annotated[Path, typer.Argument(help="Folder, DICOM file or zip.")],
    model: options.Model = "compact",
    series: options.Series = None,
    allow_tilt: options.AllowTilt = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Say what a scan is, and whether the models may be trusted on it; nothing is written.

    Reads headers, and three slices of each scan that detect would take.
    Each check is ok, a warning or a refusal, with what to do about it.

    Exit code 3 where detect would refuse, 6 where it would refuse some of
    several studies. Of compressed slices that are damaged within, those that
    are not looked at are found by detect only.
    """
    from lnmdetect.stages.doctor import DoctorRequest
    from lnmdetect.stages.doctor import doctor as stage
    from lnmdetect.stages.doctor_tables import doctor_tables

    talk = Talk(quiet, verbose, as_json)
    result = stage(DoctorRequest(scan, model, series, allow_tilt), talk)
    talk.table(doctor_tables(result))
    talk.json(result.to_json())
    if result.verdict in ("ok", "warning"):
        chosen: list[object] = [] if series is None else ["--series", series]
        talk.hint("lnmdetect", "detect", scan, *chosen, *(["--allow-tilt"] if allow_tilt else []))
        return
    for finding in result.refusals():
        complain(f"{finding.sentence} {finding.remedy}")
    refused = result.verdict == "refusal"
    raise typer.Exit((InputError if refused else PartialBatchError).exit_code)
