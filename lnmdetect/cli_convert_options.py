"""The options that several sub-commands of `lnmdetect convert` share."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lnmdetect.core.node_classes import NodeClasses


class ClassSet(StrEnum):
    """Which classes a label map tells apart."""

    THREE = "three"
    TWO = "two"
    ONE = "one"


def class_names(chosen: ClassSet) -> "NodeClasses":
    """Return the classes; their numbers are their places plus 1."""
    from lnmdetect.core.node_classes import ONE, THREE, TWO

    return {ClassSet.THREE: THREE, ClassSet.TWO: TWO, ClassSet.ONE: ONE}[chosen]


class ValueKind(StrEnum):
    """What the numbers of a label map stand for."""

    CLASSES = "classes"
    INSTANCES = "instances"


Data = Annotated[Path, typer.Argument(help="truth.json or segments.json, with masks.")]
Folder = Annotated[
    Path, typer.Option("-o", "--output", help="Folder to write into.", metavar="DIR")
]
Classes = Annotated[
    ClassSet,
    typer.Option(
        "--classes",
        help="three: 1 negative, 2 positive, 3 extranodal_extension; two: 1 negative, "
        "2 metastatic; one: 1 node.",
    ),
]
ToValues = Annotated[
    ValueKind,
    typer.Option(help="classes, or instances: each node of a scan a number, as cases.json lists."),
]
FromValues = Annotated[
    ValueKind | None,
    typer.Option(
        "--values",
        help="classes: what touches is one node; instances: a number a node. Without it what "
        "cases.json says, else classes.",
    ),
]
Images = Annotated[
    bool, typer.Option("--images/--no-images", help="The scans too, or label maps alone.")
]
Folds = Annotated[
    Path | None,
    typer.Option(
        "--folds",
        help="folds.json (lnmdetect split): its test patients stay out of training; for nnU-Net "
        "also splits_final.json, to be laid into nnUNet_preprocessed.",
    ),
]
Number = Annotated[
    int, typer.Option("--id", min=1, max=999, help="Number of the data set; tools call it so.")
]
Name = Annotated[str, typer.Option("--name", help="Name of the data set, letters and digits.")]
Scan = Annotated[
    Path,
    typer.Option(
        "--scan",
        help="The scans: folder, file or zip of DICOM, or a truth.json that lists their slices.",
    ),
]
File = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="COCO file to write; by default truth.json, with --result segments.json.",
        metavar="PATH",
    ),
]
Cases = Annotated[
    Path | None,
    typer.Option(
        "--cases",
        help="cases.json of convert to-*, which says whose each label map is; without it by the "
        "file's name (a series uid), else by the one scan whose grid fits.",
    ),
]
Rules = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        help="What a value or name stands for: negative, positive, extranodal_extension, "
        "metastatic, node or ignore; * and ? as in file names. Repeatable.",
        metavar="NAME=CLASS",
    ),
]
Result = Annotated[
    bool,
    typer.Option(
        "--result",
        help="A tool's answer, for eval --nodes, not truth: each node has a score, 1 where the "
        "tool tells none; what touches is one node, of the class most of its voxels have.",
    ),
]
Split = Annotated[
    bool, typer.Option("--split", help="Parts of a structure that do not touch are nodes each.")
]
