"""The options that mean the same in `lnmdetect pacs push`, `pull` and `listen`."""

from typing import Annotated, Literal

import typer

CalledAe = Annotated[
    str | None,
    typer.Option("--ae", help="AE title of HOST:PORT; a URL needs none.", metavar="TITLE"),
]
OwnAe = Annotated[str, typer.Option("--as", help="Our own AE title.", metavar="TITLE")]
Source = Annotated[
    str,
    typer.Option(
        "--from",
        help="HOST:PORT of a DICOM node, or the URL of a DICOMweb service (WADO-RS).",
        metavar="ADDRESS",
    ),
]
Study = Annotated[str | None, typer.Option("--study", help="The study to fetch.", metavar="UID")]
OfSeries = Annotated[
    str | None,
    typer.Option("--series", help="Only this series; its study is asked for.", metavar="UID"),
]
By = Annotated[
    Literal["get", "move"],
    typer.Option("--by", help="C-GET, or C-MOVE to our --bind and --port."),
]
Bind = Annotated[
    str, typer.Option("--bind", help="Our address on which we listen.", metavar="ADDRESS")
]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Our port, to listen on.")]
Retries = Annotated[
    int,
    typer.Option("--retries", min=0, help="Tries more, each after a longer wait, without success."),
]
