"""`lnmdetect export`: findings of a boxes or nodes file as DICOM objects, or as CSV."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lnmdetect.core.errors import InputError
from lnmdetect.core.findings import Finding, Maker
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import CocoDataset
from lnmdetect.core.wording import counted
from lnmdetect.io.dicom_derived import (
    Sources,
    require_highdicom,
    series_of,
    source_slices,
    studies_of,
    write_object,
)
from lnmdetect.io.json_files import refuse_existing, sha256_of_file
from lnmdetect.io.pixel_roots import scan_root
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.run_record import RunRecord
from lnmdetect.stages.export_files import (
    check_output,
    export_record_path,
    left_behind,
    numbered,
)
from lnmdetect.stages.export_findings import chosen_findings, maker_of
from lnmdetect.stages.overlay import choose_slices

if TYPE_CHECKING:
    from pydicom import Dataset

    from lnmdetect.io.dicom_key_image import KeyImage
    from lnmdetect.io.dicom_sr import SrKind

ObjectKind = Literal["sr", "seg", "gsps", "sc"]
KEY_IMAGES = 12


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Attributes:
        nodes: boxes.json, nodes.json or a truth.json.
        kind: sr, seg, gsps, or sc for key images.
        output: the object's file; where there are several, they are numbered.
        linked: linked_nodes.json of the same boxes: one finding a node instead of one a box.
        scan: where the slices are; None takes the file's `info.scan_root`.
        threshold: on the detector's score instead of the file's operating threshold.
        sr: which kind of report.
        slices: at most so many key images a study.
    """

    nodes: Path
    kind: ObjectKind
    output: Path
    linked: Path | None = None
    scan: Path | None = None
    threshold: float | None = None
    sr: "SrKind" = "comprehensive3d"
    slices: int = KEY_IMAGES
    overwrite: bool = False


@dataclass(frozen=True)
class ExportResult:
    """What was written: the objects, the findings in them, and what was left out, in words."""

    outputs: tuple[Path, ...]
    findings: int
    studies: int
    threshold: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Material:
    """What the objects are made of."""

    findings: Sequence[Finding]
    sources: Sources
    maker: Maker
    store: PixelStore
    threshold: float
    notes: tuple[str, ...]

    def on(self, part: Sources) -> list[Finding]:
        """Return the findings on these slices."""
        return [f for f in self.findings if f.regions[0].image.join_key in part]


def export(request: ExportRequest, progress: Progress = SILENT) -> ExportResult:
    """Return what was written.

    That is a report a study, a SEG a series (more where masks overlap), a GSPS a series (and
    rescale), a key image a slice.

    Raises:
        MissingExtraError: highdicom is not installed.
        InputError: the file cannot be used, or its slices are not where it says.
        UsageError: the output is one of the inputs.
        OutputError: an output exists and `overwrite` is not set.
    """
    require_highdicom()
    inputs = _inputs(request)
    check_output(request.output, inputs, overwrite=request.overwrite)
    record = _start_record(request, inputs)
    material = _material(request)
    record.lap("open")
    made, notes = _BUILDERS[request.kind](request, material, progress)
    outputs = numbered(request.output, len(made))
    for path in outputs:
        refuse_existing(path, overwrite=request.overwrite)
    for path, one in zip(outputs, made, strict=True):
        write_object(one, path, overwrite=request.overwrite)
    record.lap("export")
    record.model = {one.name: one.sha256 for one in material.maker.algorithms}
    record.write(export_record_path(request.output, inputs))
    return ExportResult(
        outputs,
        findings=len(material.findings),
        studies=len(studies_of(material.sources)),
        threshold=material.threshold,
        notes=(
            *(*_empty_studies(material), *material.notes, *notes),
            *left_behind(request.output, outputs),
        ),
    )


def _inputs(request: ExportRequest) -> list[Path]:
    return [request.nodes, *([request.linked] if request.linked else [])]


def _start_record(request: ExportRequest, inputs: Sequence[Path]) -> RunRecord:
    config = {"threshold": request.threshold, "slices": request.slices, "sr": request.sr}
    record = RunRecord(f"export {request.kind}", config)
    record.add_inputs((path.name, sha256_of_file(path)) for path in inputs)
    return record


def _material(request: ExportRequest) -> _Material:
    is_seg = request.kind == "seg"
    dataset, chosen = chosen_findings(
        request.nodes, request.linked, request.threshold, by_node=is_seg
    )
    store = PixelStore(
        scan_root(request.nodes, dataset, request.scan), png_folder=request.nodes.parent
    )
    findings = [f for f in chosen.findings if not is_seg or any(r.mask for r in f.regions)]
    if is_seg and not findings:
        raise _no_masks(request)
    sources = _sources(store, dataset, {r.image.image_id for f in findings for r in f.regions})
    if request.kind == "sr" and request.linked is None:
        from lnmdetect.stages.export_sides import with_sides

        findings = list(with_sides(findings, sources, store))
    maker = maker_of(
        chosen.info,
        chosen.threshold,
        phantom=dataset.is_phantom or store.is_phantom,
        linked=request.linked is not None,
    )
    without = len(chosen.findings) - len(findings)
    masks = (f"{counted(without, 'finding')} without a mask left out",) if without else ()
    return _Material(findings, sources, maker, store, chosen.threshold, (*chosen.notes, *masks))


def _sources(store: PixelStore, dataset: CocoDataset, used: set[int]) -> Sources:
    """Return the slices with findings, and one of each scan, so that it is reported without any."""
    wanted = used | _first_of_scans(dataset)
    return source_slices(store, [image for image in dataset.images if image.image_id in wanted])


def _first_of_scans(dataset: CocoDataset) -> set[int]:
    first: dict[str, int] = {}
    for image in dataset.images:
        first.setdefault(image.series, image.image_id)
    return set(first.values())


def _no_masks(request: ExportRequest) -> InputError:
    return InputError(
        (request.linked or request.nodes).name,
        expected="boxes at the threshold with a segmentation (COCO RLE)",
        got="none",
        remedy="Give a file with masks, or --linked with what `lnmdetect nodes` outlined; "
        "or export sr or gsps.",
    )


def _empty_studies(material: _Material) -> list[str]:
    parts = studies_of(material.sources).values()
    empty = sum(not material.on(part) for part in parts)
    return [f"{empty} of {counted(len(parts), 'study', 'studies')} without a finding"] * bool(empty)


Built = tuple[list["Dataset"], list[str]]


def _reports(request: ExportRequest, material: _Material, progress: Progress) -> Built:
    from lnmdetect.io.dicom_sr import build_report

    parts = studies_of(material.sources).values()
    return [
        build_report(material.on(part), part, material.maker, kind=request.sr)
        for part in progress.track(parts, description="reporting", total=len(parts))
    ], []


def _segmentations(request: ExportRequest, material: _Material, progress: Progress) -> Built:
    from lnmdetect.io.dicom_seg import build_segmentations

    return _by_series(material, progress, build_segmentations)


def _presentations(request: ExportRequest, material: _Material, progress: Progress) -> Built:
    from lnmdetect.io.dicom_gsps import build_presentations

    return _by_series(material, progress, build_presentations)


def _by_series(
    material: _Material,
    progress: Progress,
    build: Callable[[Sequence[Finding], Sources, Maker], "list[Dataset]"],
) -> Built:
    parts = [part for part in series_of(material.sources).values() if material.on(part)]
    return [
        one
        for part in progress.track(parts, description="exporting", total=len(parts))
        for one in build(material.on(part), part, material.maker)
    ], []


def _key_images(request: ExportRequest, material: _Material, progress: Progress) -> Built:
    from lnmdetect.io.dicom_key_image import build_key_images

    made: list[Dataset] = []
    parts = studies_of(material.sources).values()
    for part in progress.track(parts, description="drawing", total=len(parts)):
        made += build_key_images(_chosen_slices(material, part, request.slices), material.maker)
    marked = len({r.image.image_id for f in material.findings for r in f.regions})
    more = f"{len(made)} of {counted(marked, 'slice')} with findings shown; --slices shows more"
    return made, [more] if len(made) < marked else []


def _chosen_slices(material: _Material, part: Sources, count: int) -> "list[KeyImage]":
    from lnmdetect.io.dicom_key_image import KeyImage

    on_slice: dict[str, list[Finding]] = {}
    for finding in material.on(part):
        for region in finding.regions:
            on_slice.setdefault(region.image.join_key, []).append(finding)
    marked = [part[key].image for key in part if key in on_slice]
    chosen = choose_slices(marked, lambda image: len(on_slice[image.join_key]), count=count)
    return [
        KeyImage(
            part[image.join_key],
            material.store.read(image),
            tuple(on_slice[image.join_key]),
        )
        for image in chosen
    ]


_BUILDERS: Mapping[ObjectKind, Callable[[ExportRequest, _Material, Progress], Built]] = {
    "sr": _reports,
    "seg": _segmentations,
    "gsps": _presentations,
    "sc": _key_images,
}
