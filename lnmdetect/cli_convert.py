"""`lnmdetect convert to-*`: masks and scans in the formats of other tools; `app` has from-* too."""

from typing import TYPE_CHECKING

import typer

from lnmdetect import cli_convert_from
from lnmdetect import cli_convert_options as convert
from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.core.wording import counted

if TYPE_CHECKING:
    from lnmdetect.stages.convert_out import ToLabelsRequest

app = typer.Typer(
    help="Masks to nnU-Net, nnDetection and NIfTI, and from these, DICOM SEG and RTSTRUCT back. "
    "Train the field's own tools on the data of truth.json, then bring what they find into eval: "
    "to-nnunet truth.json, ..., from-nnunet PREDICTIONS --scan scan/ --result. Masks and boxes "
    "come back exactly; no name, id or date of a patient goes into a file.",
    no_args_is_help=True,
)


@app.command("to-nnunet")
def to_nnunet(
    data: convert.Data,
    output: convert.Folder,
    number: convert.Number = 501,
    name: convert.Name = "LymphNodes",
    classes: convert.Classes = convert.ClassSet.THREE,
    folds: convert.Folds = None,
    scan: options.Scan = None,
    allow_tilt: options.AllowTilt = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """To nnU-Net v2: writes DIR/Dataset501_LymphNodes; DIR is what it calls nnUNet_raw.

    In it imagesTr, labelsTr (imagesTs, labelsTs), dataset.json, and cases.json, which says which
    series each case is. Train and predict there, then bring the masks back:

    lnmdetect convert from-nnunet PREDICTIONS --scan scan/ --cases cases.json --result
    """
    from lnmdetect.stages.convert_out import ToLabelsRequest

    talk = Talk(quiet, verbose, as_json)
    request = ToLabelsRequest(
        data,
        output / f"Dataset{number:03d}_{_checked(name)}",
        layout="nnunet",
        classes=convert.class_names(classes),
        scan=scan,
        folds=folds,
        allow_tilt=allow_tilt,
        overwrite=overwrite,
    )
    _write(request, talk)
    talk.hint("nnUNetv2_plan_and_preprocess", "-d", number, "--verify_dataset_integrity")


@app.command("to-nndetection")
def to_nndetection(
    data: convert.Data,
    output: convert.Folder,
    number: convert.Number = 501,
    name: convert.Name = "LymphNodes",
    classes: convert.Classes = convert.ClassSet.THREE,
    folds: convert.Folds = None,
    scan: options.Scan = None,
    allow_tilt: options.AllowTilt = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """To nnDetection: writes DIR/Task501_LymphNodes; DIR is what it calls det_data.

    In it raw_splitted with images and label maps (a number a node, the class of each beside them
    as JSON), dataset.json, and cases.json, which says which series each case is.
    """
    from lnmdetect.stages.convert_out import ToLabelsRequest

    talk = Talk(quiet, verbose, as_json)
    request = ToLabelsRequest(
        data,
        output / f"Task{number:03d}_{_checked(name)}",
        layout="nndetection",
        values="instances",
        classes=convert.class_names(classes),
        scan=scan,
        folds=folds,
        allow_tilt=allow_tilt,
        overwrite=overwrite,
    )
    _write(request, talk)
    talk.hint("nndet_prep", number)


@app.command("to-nifti")
def to_nifti(
    data: convert.Data,
    output: convert.Folder,
    values: convert.ToValues = convert.ValueKind.CLASSES,
    classes: convert.Classes = convert.ClassSet.THREE,
    images: convert.Images = True,
    scan: options.Scan = None,
    allow_tilt: options.AllowTilt = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """To NIfTI: writes DIR/labels/case_0001.nii.gz and on, on the scans' own grids.

    Beside them DIR/images, in HU, and cases.json, which says which series each case is.
    """
    from lnmdetect.stages.convert_out import ToLabelsRequest

    request = ToLabelsRequest(
        data,
        output,
        layout="nifti",
        values=values.value,
        classes=convert.class_names(classes),
        images=images,
        scan=scan,
        allow_tilt=allow_tilt,
        overwrite=overwrite,
    )
    _write(request, Talk(quiet, verbose, as_json))


def _checked(name: str) -> str:
    if name.isascii() and name.isalnum():
        return name
    raise typer.BadParameter("expected letters and digits only.", param_hint="--name")


def _write(request: "ToLabelsRequest", talk: Talk) -> None:
    from lnmdetect.stages.convert_out import to_labels

    result = to_labels(request, talk)
    text = (
        f"{result.output}: {counted(result.cases, 'case')} ({result.test_cases} for testing), "
        f"{counted(result.nodes, 'node')}"
    )
    talk.result(result, text=text)
    talk.notes(result.notes)


for _name, _command in cli_convert_from.COMMANDS.items():
    app.command(_name)(_command)
