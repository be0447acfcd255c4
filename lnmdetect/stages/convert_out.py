"""`lnmdetect convert to-*`: a COCO file and its scans as label maps for other tools."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lnmdetect.core.cases import Case, CaseSet, Layout, Part, Values, case_name
from lnmdetect.core.errors import InputError
from lnmdetect.core.folds import TEST, FoldSet
from lnmdetect.core.node_classes import ONE, THREE, NodeClasses
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import LYMPH_NODE, CocoDataset
from lnmdetect.core.wording import counted
from lnmdetect.io.case_file import CASES, write_cases
from lnmdetect.io.case_folders import (
    DATASET,
    ENDING,
    SPLITS,
    image_path,
    label_path,
    take_folder,
)
from lnmdetect.io.coco import read_coco
from lnmdetect.io.fold_file import read_folds
from lnmdetect.io.json_files import sha256_of_file, write_json
from lnmdetect.io.listed_scans import open_listed
from lnmdetect.io.nifti import require_nibabel, write_nifti
from lnmdetect.io.pixel_roots import scan_root
from lnmdetect.io.run_record import RUN, RunRecord
from lnmdetect.io.scan_grid import patient_grid
from lnmdetect.io.scan_handle import ScanHandle, ScanSource
from lnmdetect.stages.convert_layouts import nndetection_info, nnunet_info, nnunet_splits
from lnmdetect.stages.convert_volumes import ByImage, LabelVolume, label_volume
from lnmdetect.stages.export_findings import operating_threshold


@dataclass(frozen=True)
class ToLabelsRequest:
    """What to write, and how.

    Attributes:
        data: a truth.json, or a segments.json, of which nodes from its operating threshold on;
            each annotation with a mask.
        output: the data set's folder.
        classes: what label maps of classes tell apart.
        values: what the numbers stand for; nnU-Net takes classes, nnDetection instances.
        images: write the scans too; nnU-Net and nnDetection need them.
        scan: where the slices are; None takes the file's `info.scan_root`.
        folds: folds.json; its test part goes beside the training cases.
    """

    data: Path
    output: Path
    layout: Layout = "nifti"
    classes: NodeClasses = THREE
    values: Values = "classes"
    images: bool = True
    scan: Path | None = None
    folds: Path | None = None
    allow_tilt: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class ToLabelsResult:
    """What was written; notes say what a label map cannot hold."""

    output: Path
    cases: int
    test_cases: int
    nodes: int
    classes: NodeClasses
    notes: tuple[str, ...] = field(default=())


def to_labels(request: ToLabelsRequest, progress: Progress = SILENT) -> ToLabelsResult:
    """Return what was written: a label map a scan, the scan, cases.json, and what the tool needs.

    Raises:
        InputError: the file lists key images, a mask is missing, or a scan is not sound.
        OutputError: the folder holds other files, or cannot be written.
        MissingExtraError: nibabel is not installed.
    """
    require_nibabel()
    dataset = read_coco(request.data)
    _require_whole_scans(request, dataset)
    folds = None if request.folds is None else read_folds(request.folds)
    parts = _parts(request, dataset, folds)
    take_folder(request.output, request.layout, overwrite=request.overwrite)
    record = _start_record(request)
    root = scan_root(request.data, dataset, request.scan)
    source = open_listed(request.data, root=root)
    by_image = _counted(dataset).by_image()
    cases, volumes = [], []
    for number, scan in enumerate(
        progress.track(source.scans, description="converting", total=len(source.scans)), start=1
    ):
        case, summary = _write_case(request, scan, by_image, (number, parts))
        cases.append(case)
        volumes.append(summary)
    made = CaseSet(request.layout, request.values, request.classes, tuple(cases), source.is_phantom)
    _write_tables(request, made, source, folds)
    record.lap("convert")
    record.write(request.output / RUN)
    return ToLabelsResult(
        request.output,
        cases=len(cases),
        test_cases=sum(case.part == "test" for case in cases),
        nodes=sum(summary.nodes for summary in volumes),
        classes=request.classes,
        notes=tuple(_notes(request, volumes)),
    )


def nifti_masks(
    data: Path,
    output: Path,
    *,
    values: Values = "classes",
    scan: Path | None = None,
    allow_tilt: bool = False,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> ToLabelsResult:
    """Return what was written: the masks of a segments.json, one NIfTI label map a series.

    Args:
        data: segments.json.
        output: folder; label maps go to its labels/, cases.json tells which series each is.
        values: of classes 1 is negative, 2 positive, 3 extranodal extension (1 any node, where
            the file does not tell classes apart); of instances nodes are numbered.
        scan: where the slices are; None takes the file's `info.scan_root`.
        allow_tilt: take a tilted gantry's slices too.
        overwrite: replace an earlier run's.
        progress: told about every series.

    Raises:
        InputError, OutputError, MissingExtraError: as `to_labels`.
    """
    unknown = any(node.category_id == LYMPH_NODE for node in read_coco(data).annotations)
    classes = ONE if unknown else THREE
    return to_labels(
        ToLabelsRequest(
            data,
            output,
            classes=classes,
            values=values,
            images=False,
            scan=scan,
            allow_tilt=allow_tilt,
            overwrite=overwrite,
        ),
        progress,
    )


def _counted(dataset: CocoDataset) -> CocoDataset:
    """Return the data set with what is meant for people: of an answer, from its threshold on."""
    limit = operating_threshold(dataset.info)
    kept = tuple(a for a in dataset.annotations if a.score is None or a.score >= limit)
    return replace(dataset, annotations=kept)


def _require_whole_scans(request: ToLabelsRequest, dataset: CocoDataset) -> None:
    if dataset.coverage != "key_images" and dataset.images:
        return
    raise InputError(
        request.data.name,
        expected="whole scans, which a volume is made of",
        got="key images" if dataset.images else "no image",
        remedy="Give a file whose coverage is all_slices.",
    )


def _start_record(request: ToLabelsRequest) -> RunRecord:
    config = {"classes": list(request.classes), "values": request.values, "images": request.images}
    record = RunRecord(f"convert to-{request.layout}", config)
    files = [request.data, *([request.folds] if request.folds else [])]
    record.add_inputs((path.name, sha256_of_file(path)) for path in files)
    return record


def _parts(
    request: ToLabelsRequest, dataset: CocoDataset, folds: FoldSet | None
) -> dict[str, Part]:
    """Return the part of each patient.

    Raises:
        InputError: the folds deal images, share patients, or lack one.
    """
    if folds is None:
        return dict.fromkeys(dataset.patients(), "train")
    assert request.folds is not None
    missing = set(dataset.patients()) - folds.patients()
    if folds.by_image or folds.shared_patients() or missing:
        got = "images dealt" if folds.by_image else "a patient in two folds"
        raise InputError(
            request.folds.name,
            expected="each patient of the data in one fold",
            got=counted(len(missing), "patient in none", "patients in none") if missing else got,
            remedy="Deal them with: lnmdetect split --folds 5.",
        )
    tested = {p for fold in folds.folds if fold.name == TEST for p in fold.patients}
    return {patient: "test" if patient in tested else "train" for patient in dataset.patients()}


@dataclass(frozen=True)
class _Summary:
    """Of a case what notes tell."""

    nodes: int
    overlapping_px: int
    lost: int
    mixed: int


def _write_case(
    request: ToLabelsRequest,
    scan: ScanHandle,
    by_image: ByImage,
    place: tuple[int, dict[str, Part]],
) -> tuple[Case, _Summary]:
    number, parts = place
    first = scan.images[0]
    name, part = case_name(number), parts[first.patient]
    grid = patient_grid(scan, allow_tilt=request.allow_tilt)
    volume = label_volume(scan.images, by_image, request.classes, request.values)
    path = label_path(request.output, request.layout, name, part)
    write_nifti(volume.labels, grid, path)
    if request.layout == "nndetection":
        instances = {str(value): label - 1 for value, label in sorted(volume.class_of.items())}
        write_json({"instances": instances}, path.with_name(f"{name}.json"))
    if request.images:
        voxels = scan.load().voxels_hu
        write_nifti(voxels, grid, image_path(request.output, request.layout, name, part))
    case = Case(name, first.patient, first.series, len(scan.images), part, volume.nodes)
    return case, _summary(volume, scan, by_image)


def _summary(volume: LabelVolume, scan: ScanHandle, by_image: ByImage) -> _Summary:
    nodes = {
        node.node_id or node.annotation_id
        for image in scan.images
        for node in by_image[image.image_id]
    }
    return _Summary(len(nodes), volume.overlapping_px, volume.lost, volume.mixed)


def _write_tables(
    request: ToLabelsRequest, made: CaseSet, source: ScanSource, folds: FoldSet | None
) -> None:
    infos: dict[Layout, Any] = {"nnunet": nnunet_info, "nndetection": nndetection_info}
    if request.layout in infos:
        info = infos[request.layout](made, request.output.name, ENDING)
        write_json(info, request.output / DATASET)
    if request.layout == "nnunet" and folds is not None:
        splits = nnunet_splits(made, folds)
        if splits:
            write_json(splits, request.output / SPLITS)
    write_cases(made, request.output / CASES)


def _notes(request: ToLabelsRequest, summaries: Sequence[_Summary]) -> list[str]:
    lost = sum(summary.lost for summary in summaries)
    overlapping = sum(summary.overlapping_px for summary in summaries)
    mixed = sum(summary.mixed for summary in summaries)
    notes = []
    if mixed and request.values == "classes":
        notes.append(
            f"{counted(mixed, 'node')} whose cross-sections are of several classes: each has its "
            "own in the map, so they come back in parts"
        )
    if mixed and request.values == "instances":
        notes.append(
            f"{counted(mixed, 'node')} whose cross-sections are of several classes: the class of "
            "the first stands for the node"
        )
    if lost and request.values == "classes":
        notes.append(
            f"{counted(lost, 'node')} touching another of the same class, or in parts, cannot come "
            "back from a map of classes as one node each; maps of instances keep them"
        )
    if lost and request.values == "instances":
        notes.append(f"{counted(lost, 'node')} left out: others cover the whole of them")
    if overlapping:
        notes.append(
            f"{counted(overlapping, 'pixel')} claimed by two masks: the later annotation has them"
        )
    return notes
