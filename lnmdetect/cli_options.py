"""The options that mean the same in every command."""

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="Where to write; the default stands beside the command."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
Device = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.", metavar="DEVICE")
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="A bundled model's name, or the folder of a bundle; LNMDETECT_MODELS names a folder "
        "of further bundles.",
        metavar="NAME_OR_PATH",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Result as JSON on stdout, everything else on stderr.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say errors only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more; tracebacks of bugs.")]
