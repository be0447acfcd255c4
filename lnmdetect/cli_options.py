"""The options that mean the same in every command."""

import math
from pathlib import Path
from typing import Annotated

import typer

from lnmdetect.core.precision import Engine, Precision

Output = Annotated[Path, typer.Option("-o", "--output", help="Where to write.", metavar="PATH")]
Metrics = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="metrics.json to write; else none.", metavar="PATH"),
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
        "LNMDETECT_MODELS names a folder with more, as detector-NAME or fusion-NAME.",
        metavar="NAME_OR_PATH",
    ),
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(
        "--precision",
        help="Numbers of the networks: fp32, bf16 or int8; by default that in which the "
        "model was checked with this engine to answer as in fp32 (lnmdetect models check). "
        "int8 is of detectors: the classifier of `run` then keeps its usual one.",
        show_default=False,
    ),
]
EngineOption = Annotated[
    Engine, typer.Option("--engine", help="What runs the networks; others than torch are extras.")
]
Classifier = Annotated[
    str,
    typer.Option(
        "--classifier",
        help="The second stage's bundle, as --model is the detector's.",
        metavar="NAME_OR_PATH",
    ),
]
Scan = Annotated[
    Path | None,
    typer.Option("--scan", help="Where the pixels are, instead of the place the file names."),
]
Truth = Annotated[Path | None, typer.Option("--truth", help="Truth boxes to draw, dashed.")]
TruthFiles = Annotated[
    list[Path] | None,
    typer.Option("--truth", help="Truth file, by default truth.json; several are pooled."),
]
BoxFiles = Annotated[
    list[Path] | None, typer.Option("--boxes", help="Boxes to score; several are pooled.")
]
NodeFiles = Annotated[
    list[Path] | None,
    typer.Option("--nodes", help="Classified boxes; by default nodes.json, else boxes.json."),
]
TruthNodeFiles = Annotated[
    list[Path] | None,
    typer.Option("--truth-nodes", help="Classified truth boxes (classify truth.json)."),
]
LinkedNodeFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--linked-nodes",
        help="Nodes in 3-D (nodes), for the errors of their short axis. Repeatable.",
    ),
]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        help="By this column of truth too: level, kind, class, scanner, ... Repeatable.",
    ),
]
Bootstrap = Annotated[
    int,
    typer.Option("--bootstrap", min=0, max=100_000, help="Resamples of the patients; 0: none."),
]
FpPerScan = Annotated[
    list[float] | None,
    typer.Option("--fp-per-scan", help="Read sensitivity at so many a scan. Repeatable."),
]
RESAMPLES = 2000
"""As `metrics.resampling` has it, which --help need not load; a test holds the two together."""
Figures = Annotated[
    Path | None,
    typer.Option(
        "--figures",
        help="Folder for the figures as SVG and PNG; `eval` adds the tables of masks (masks.md) "
        "or of fused cases (fused.md).",
        metavar="DIR",
    ),
]
Compare = Annotated[
    tuple[Path, Path] | None,
    typer.Option(
        "--compare",
        help="Two files of boxes, nodes, masks or linked nodes, A and B, against each other.",
        metavar="A B",
    ),
]
Also = Annotated[
    list[Path] | None,
    typer.Option("--also", help="With --compare: one more file, beside A node by node; repeat."),
]
Readers = Annotated[
    Path | None,
    typer.Option(
        "--readers",
        help="CSV of human readers' answers, beside the model's of --truth-nodes or --nodes.",
        metavar="CSV",
    ),
]
Fused = Annotated[
    list[str] | None,
    typer.Option(
        "--fused",
        help="Ultrasound cases that `fuse` answered; repeat for rows of one table, or as NAME=FILE "
        "to pool the files of a NAME.",
        metavar="[NAME=]FILE",
    ),
]
Curves = Annotated[
    list[str] | None,
    typer.Option(
        "--curves",
        help="Folder of a training whose curves are drawn beside those of --fused; repeat, as "
        "NAME=FOLDER for the folds of a NAME.",
        metavar="[NAME=]FOLDER",
    ),
]
ChooseThreshold = Annotated[
    str | None,
    typer.Option(
        "--choose-threshold",
        help="Choose the detector's threshold on these very files, as calibrate --rule; only with "
        "--optimistic.",
        metavar="RULE",
    ),
]
ChooseNodeThreshold = Annotated[
    str | None,
    typer.Option("--choose-node-threshold", help="The same for the classifier's.", metavar="RULE"),
]
Optimistic = Annotated[
    bool,
    typer.Option(
        "--optimistic",
        help="Go on where a threshold was chosen on patients that are evaluated; the output says "
        "so.",
    ),
]
Series = Annotated[
    str | None,
    typer.Option(help="Uid of the series to read; else each study's best axial CT (doctor)."),
]
AllowTilt = Annotated[bool, typer.Option("--allow-tilt", help="Read a tilted gantry's slices.")]
KeyImages = Annotated[
    bool, typer.Option("--key-images", help="Take every slice by itself, gaps allowed.")
]


def _lengths_mm(spacing: tuple[float, float] | None) -> tuple[float, float] | None:
    if spacing is not None and not all(0 < length < math.inf for length in spacing):
        raise typer.BadParameter(f"expected two lengths in mm above 0, got {spacing}.")
    return spacing


PixelSpacing = Annotated[
    tuple[float, float] | None,
    typer.Option(
        help="Pixel spacing of PNG key images, mm.", metavar="ROW COLUMN", callback=_lengths_mm
    ),
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
NodeThreshold = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="P(metastatic) from which a node is called so, instead of the bundle's."
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same bytes.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Result as JSON on stdout, everything else on stderr.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say errors only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more; tracebacks of bugs.")]
