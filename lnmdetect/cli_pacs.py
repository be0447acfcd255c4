"""`lnmdetect pacs`: scans from a PACS, results to it, and a receiver that does both."""

from pathlib import Path
from typing import Annotated

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk, complain
from lnmdetect.cli_pacs_listen import listen
from lnmdetect.cli_pacs_options import (
    Bind,
    By,
    CalledAe,
    OfSeries,
    OwnAe,
    Port,
    Retries,
    Source,
    Study,
)
from lnmdetect.core.errors import OutputError, PartialBatchError

app = typer.Typer(
    help="Send to a PACS, fetch from it, or stand beside it and analyse what it sends.",
    no_args_is_help=True,
)


@app.command()
def push(
    files: Annotated[
        list[Path], typer.Argument(help="DICOM files, folders or zips of them.", show_default=False)
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="HOST:PORT of a DICOM node (C-STORE), or the URL of a DICOMweb service (STOW-RS).",
            metavar="ADDRESS",
        ),
    ],
    ae: CalledAe = None,
    own_ae: OwnAe = "LNMDETECT",
    retries: Retries = 3,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Send DICOM objects to a PACS and say what became of each.

    lnmdetect pacs push sr.dcm --to pacs.example.org:104 --ae PACS

    lnmdetect pacs push scan/ --to http://localhost:8042/dicom-web

    A login for a URL is read from LNMDETECT_PACS_LOGIN (NAME:PASSWORD). Objects are sent as they
    are stored, compressed ones too. Exit code 5 where one of them was not taken.
    """
    from lnmdetect.io.pacs_address import parse_address
    from lnmdetect.stages.pacs_push import PushRequest
    from lnmdetect.stages.pacs_push import push as stage
    from lnmdetect.stages.pacs_tables import push_tables

    talk = Talk(quiet, verbose, as_json)
    address = parse_address(to, called_ae=ae, calling_ae=own_ae)
    result = stage(PushRequest(tuple(files), address, retries=retries), talk)
    talk.table(push_tables(result))
    talk.json(result.to_json())
    lost = len(result.objects) - result.counts["taken"]
    if lost:
        complain(f"{lost} of {len(result.objects)} objects were not taken by {result.to}.")
        raise typer.Exit(OutputError.exit_code)


@app.command()
def pull(
    source: Source,
    study: Study = None,
    series: OfSeries = None,
    ae: CalledAe = None,
    own_ae: OwnAe = "LNMDETECT",
    by: By = "get",
    bind: Bind = "127.0.0.1",
    port: Port = 11112,
    output: options.Output = Path("scan"),
    retries: Retries = 3,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Fetch a study or a series from a PACS: each object becomes SERIES_UID/INSTANCE_UID.dcm.

    lnmdetect pacs pull --study 1.2.3 --from pacs.example.org:104 --ae PACS

    lnmdetect pacs pull --series 1.2.3.4 --from http://localhost:8042/dicom-web

    With C-GET the objects come over the same connection. For C-MOVE the PACS must know our AE title
    (--as) with the address and port on which we listen (--bind, --port). Exit code 5 where nothing
    could be fetched, 6 where the PACS could not send some of the objects.
    """
    from lnmdetect.io.dimse_retrieve import Listener
    from lnmdetect.io.pacs_address import parse_address
    from lnmdetect.stages.pacs_pull import PullRequest
    from lnmdetect.stages.pacs_pull import pull as stage
    from lnmdetect.stages.pacs_tables import pull_text

    talk = Talk(quiet, verbose, as_json)
    request = PullRequest(
        parse_address(source, called_ae=ae, calling_ae=own_ae, option="--from"),
        study=study,
        series=series,
        output=output,
        by=by,
        listener=Listener(bind, port),
        retries=retries,
        overwrite=overwrite,
    )
    result = stage(request, talk)
    talk.json(result.to_json())
    if not as_json:
        talk.result(result, text=pull_text(result))
    if result.strays:
        talk.notes([f"{result.strays} objects that were not asked for came too, and were not kept"])
    talk.hint("lnmdetect", "detect", result.output)
    if result.failed:
        complain(f"{result.failed} objects could not be sent by {result.source}.")
        raise typer.Exit(PartialBatchError.exit_code)


app.command()(listen)
