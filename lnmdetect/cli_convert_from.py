"""`lnmdetect convert from-*`: masks of other tools as a COCO file."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnmdetect import cli_convert_options as convert
from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.core.wording import counted

if TYPE_CHECKING:
    from lnmdetect.stages.convert_in import FromResult


def from_nifti(
    labels: Annotated[Path, typer.Argument(help="A label map, or a folder of them.")],
    scan: convert.Scan,
    output: convert.File = None,
    values: convert.FromValues = None,
    cases: convert.Cases = None,
    rules: convert.Rules = None,
    result: convert.Result = False,
    series: options.Series = None,
    allow_tilt: options.AllowTilt = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """From NIfTI label maps on the scans' own grids.

    1 is negative, 2 positive, 3 extranodal_extension unless cases.json or --class says otherwise.
    Axes may be turned or mirrored; a map on another grid is refused.
    """
    talk = Talk(quiet, verbose, as_json)
    _from_labels(
        labels,
        talk,
        layout="nifti",
        values=None if values is None else values.value,
        cases=cases,
        **_given(scan, output, rules, result=result),
        series=series,
        allow_tilt=allow_tilt,
        overwrite=overwrite,
    )


def from_nnunet(
    labels: Annotated[
        Path, typer.Argument(help="Folder of predictions, or a data set's (DatasetNNN_NAME).")
    ],
    scan: convert.Scan,
    output: convert.File = None,
    cases: convert.Cases = None,
    rules: convert.Rules = None,
    result: convert.Result = False,
    series: options.Series = None,
    allow_tilt: options.AllowTilt = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """From nnU-Net v2: predictions, or a data set's label maps.

    What the numbers mean is taken from the dataset.json beside them; what touches is one node.
    With --result nodes are scored by the probabilities beside them, as nnUNetv2_predict
    --save_probabilities writes them; without these each is scored 1, which gives no curve.
    """
    talk = Talk(quiet, verbose, as_json)
    _from_labels(
        labels,
        talk,
        layout="nnunet",
        cases=cases,
        **_given(scan, output, rules, result=result),
        series=series,
        allow_tilt=allow_tilt,
        overwrite=overwrite,
    )


def from_nndetection(
    labels: Annotated[Path, typer.Argument(help="A data set's folder (TaskNNN_NAME).")],
    scan: convert.Scan,
    output: convert.File = None,
    cases: convert.Cases = None,
    rules: convert.Rules = None,
    result: convert.Result = False,
    series: options.Series = None,
    allow_tilt: options.AllowTilt = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """From nnDetection: maps of instances, the class of each beside them as JSON.

    The boxes that it predicts (pickled) are not read.
    """
    talk = Talk(quiet, verbose, as_json)
    _from_labels(
        labels,
        talk,
        layout="nndetection",
        cases=cases,
        **_given(scan, output, rules, result=result),
        series=series,
        allow_tilt=allow_tilt,
        overwrite=overwrite,
    )


def from_seg(
    segmentation: Annotated[Path, typer.Argument(help="DICOM Segmentation.")],
    scan: convert.Scan,
    output: convert.File = None,
    rules: convert.Rules = None,
    split: convert.Split = False,
    result: convert.Result = False,
    series: options.Series = None,
    allow_tilt: options.AllowTilt = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """From a DICOM Segmentation: a node a segment.

    Taken are segments whose code or label says lymph node, and those that --class names. Binary,
    fractional (more than half) and label map.
    """
    from lnmdetect.stages.convert_structures import FromStructuresRequest, from_seg

    talk = Talk(quiet, verbose, as_json)
    request = FromStructuresRequest(
        segmentation,
        **_given(scan, output, rules, result=result),
        series=series,
        allow_tilt=allow_tilt,
        overwrite=overwrite,
        split=split,
    )
    _tell(from_seg(request, talk), talk, as_result=result)


def from_rtstruct(
    structures: Annotated[Path, typer.Argument(help="DICOM RT Structure Set.")],
    scan: convert.Scan,
    output: convert.File = None,
    rules: convert.Rules = None,
    split: convert.Split = False,
    result: convert.Result = False,
    series: options.Series = None,
    allow_tilt: options.AllowTilt = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """From a DICOM RT Structure Set: a node a structure.

    Taken are structures whose name says lymph node (LN 2a, GTVn, Node 3), and those that --class
    names. A pixel belongs to a structure where its centre lies inside the contours of its slice, a
    contour within another being a hole; between contours nothing is drawn. Contours that do not
    lie on the scan's slices are refused.
    """
    from lnmdetect.stages.convert_structures import FromStructuresRequest, from_rtstruct

    talk = Talk(quiet, verbose, as_json)
    request = FromStructuresRequest(
        structures,
        **_given(scan, output, rules, result=result),
        series=series,
        allow_tilt=allow_tilt,
        overwrite=overwrite,
        split=split,
    )
    _tell(from_rtstruct(request, talk), talk, as_result=result)


def _given(
    scan: Path, output: Path | None, rules: list[str] | None, *, result: bool
) -> dict[str, Any]:
    from lnmdetect.core.structure_names import parse_rules

    default = Path("segments.json" if result else "truth.json")
    return {
        "scan": scan,
        "output": output or default,
        "rules": parse_rules(rules or ()),
        "as_result": result,
    }


def _from_labels(labels: Path, talk: Talk, **given: Any) -> None:
    from lnmdetect.stages.convert_from_labels import FromLabelsRequest, from_labels

    request = FromLabelsRequest(labels, **given)
    _tell(from_labels(request, talk), talk, as_result=request.as_result)


def _tell(result: "FromResult", talk: Talk, *, as_result: bool) -> None:
    text = (
        f"{result.output}: {counted(result.nodes, 'node')} in "
        f"{counted(result.sections, 'cross-section')} on {counted(result.scans, 'scan')}, "
        f"{counted(result.slices, 'slice')}"
    )
    talk.result(result, text=text)
    talk.notes(result.notes)
    if as_result:
        talk.hint("lnmdetect", "eval", "--nodes", result.output)
    else:
        talk.hint("lnmdetect", "overlay", result.output)


COMMANDS: dict[str, Callable[..., None]] = {
    "from-nifti": from_nifti,
    "from-nnunet": from_nnunet,
    "from-nndetection": from_nndetection,
    "from-seg": from_seg,
    "from-rtstruct": from_rtstruct,
}
