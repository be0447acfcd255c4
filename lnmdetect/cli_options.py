"""The options that mean the same in every command."""

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="Where to write.", metavar="PATH")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
Device = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.", metavar="DEVICE")
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        help="Name of an installed bundle (lnmdetect models) or a bundle's folder; "
        "LNMDETECT_MODELS names a folder with more of them.",
        metavar="NAME_OR_PATH",
    ),
]
Scan = Annotated[
    Path | None,
    typer.Option("--scan", help="Where the pixels are, instead of the place the file names."),
]
Truth = Annotated[Path | None, typer.Option("--truth", help="Truth boxes to draw, dashed.")]
Series = Annotated[
    str | None,
    typer.Option(help="Uid of the series to read; else the axial CT with most slices a study."),
]
AllowTilt = Annotated[bool, typer.Option("--allow-tilt", help="Read a tilted gantry's slices.")]
KeyImages = Annotated[
    bool, typer.Option("--key-images", help="Take every slice by itself, gaps allowed.")
]
PixelSpacing = Annotated[
    tuple[float, float] | None,
    typer.Option(help="Pixel spacing of PNG key images, mm.", metavar="ROW COLUMN"),
]
PseudonymiseUids = Annotated[
    bool,
    typer.Option(
        "--pseudonymise-uids",
        help="Write keyed uids instead of the scanner's, and no scan_root: classify needs --scan.",
    ),
]
Slices = Annotated[int, typer.Option(min=1, max=200, help="Draw at most so many slices.")]
Threshold = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Operating threshold instead of the one chosen on validation."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same bytes.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Result as JSON on stdout, everything else on stderr.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say errors only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more; tracebacks of bugs.")]
