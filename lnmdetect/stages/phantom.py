"""`lnmdetect phantom ct`: synthetic neck scans as DICOM, with their truth."""

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import cv2

from lnmdetect.core.errors import OutputError, UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.core.wording import counted
from lnmdetect.io.coco import write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, WrittenSlice, derived_uid, write_ct_series
from lnmdetect.io.json_files import refuse_existing, remove_output
from lnmdetect.phantom.appearance import Setting
from lnmdetect.phantom.scan import PhantomScan, make_scan
from lnmdetect.stages.phantom_truth import choose_key_images, section_annotation

Job = TypeVar("Job")
Made = TypeVar("Made")
SCAN_FOLDER, TRUTH_NAME, PATIENT_PREFIX = "scan", "truth.json", "phantom"


@dataclass(frozen=True)
class PhantomRequest:
    """What to make.

    Attributes:
        patients: how many. seed: the same seed gives the same bytes.
        setting: "training" varies far wider than life, "lifelike" does not (design, section 7).
        output: folder that receives scan/ and truth.json.
        key_images: write at most so many slices a patient, those that show the nodes largest, as
            a reader would choose them; None writes whole scans.
        workers: processes; None takes all cores. The bytes do not depend on it.
    """

    patients: int
    seed: int
    output: Path
    setting: Setting = "training"
    key_images: int | None = None
    overwrite: bool = False
    workers: int | None = None
    first_patient: int = 0


@dataclass(frozen=True)
class PhantomResult:
    """What was made: the truth file, the scan folder and counts."""

    truth: Path
    scan: Path
    patients: int
    images: int
    nodes: int
    cross_sections: int


def make_ct_phantoms(request: PhantomRequest, progress: Progress = SILENT) -> PhantomResult:
    """Return what was written: `output`/scan/<patient>/*.dcm and `output`/truth.json.

    Raises:
        UsageError: fewer than one patient, or a negative seed.
        OutputError: the folder already holds phantoms and `overwrite` is not set, holds other
            scans, or cannot be written.
    """
    _check(request)
    jobs = [(request, request.first_patient + index) for index in range(request.patients)]
    images: list[ImageRecord] = []
    annotations: list[NodeAnnotation] = []
    for scan_images, scan_annotations in progress.track(
        made_in_parallel(_make_one, jobs, request.workers), description="Phantoms", total=len(jobs)
    ):
        first_image, first_annotation = len(images), len(annotations)
        images += [image.with_id(first_image + image.image_id) for image in scan_images]
        annotations += [
            replace(
                a,
                annotation_id=first_annotation + a.annotation_id,
                image_id=first_image + a.image_id,
            )
            for a in scan_annotations
        ]
    truth = request.output / TRUTH_NAME
    write_coco(
        CocoDataset(_info(request), tuple(images), tuple(annotations)),
        truth,
        overwrite=request.overwrite,
    )
    nodes = len({a.node_id for a in annotations})
    return PhantomResult(
        truth, request.output / SCAN_FOLDER, request.patients, len(images), nodes, len(annotations)
    )


def _check(request: PhantomRequest) -> None:
    if request.key_images is not None and request.key_images < 1:
        raise UsageError(
            "--key-images",
            expected="one slice a patient or more",
            got=str(request.key_images),
            remedy="Leave it out for whole scans.",
        )
    if request.patients < 1 or request.seed < 0:
        raise UsageError(
            "phantom",
            expected="one patient or more and a seed of 0 or more",
            got=f"{request.patients} patients, seed {request.seed}",
            remedy="Change --patients or --seed.",
        )
    refuse_existing(request.output / TRUTH_NAME, overwrite=True)
    scans = request.output / SCAN_FOLDER
    if (request.output / TRUTH_NAME).exists() or (scans.is_dir() and any(scans.iterdir())):
        if not request.overwrite:
            raise OutputError(
                request.output.name,
                expected="a folder without scan/ and truth.json",
                got="earlier ones",
                remedy="Choose another --output, or replace them with --overwrite.",
            )
        _clear(request.output)


def _clear(output: Path) -> None:
    """Take away what an earlier run left, truth first: a truth.json stands for whole scans.

    Raises:
        OutputError: there is something that no phantom run made.
    """
    scans = sorted((output / SCAN_FOLDER).glob("[!.]*"))
    foreign = [path for path in scans if not path.name.startswith(f"{PATIENT_PREFIX}-")]
    if foreign:
        raise OutputError(
            f"{output.name}/{SCAN_FOLDER}",
            expected="nothing but earlier phantoms",
            got=counted(len(foreign), "other file or folder", "other files or folders"),
            remedy="Take them out, or choose another --output.",
        )
    remove_output(output / TRUTH_NAME)
    for folder in scans:
        shutil.rmtree(folder)


def _info(request: PhantomRequest) -> dict[str, Any]:
    try:
        release = version("lnmdetect")
    except PackageNotFoundError:
        release = "unknown"
    return {
        "description": "lnmdetect phantom: synthetic, not a person",
        "lnmdetect_version": release,
        "phantom": True,
        "coverage": "all_slices" if request.key_images is None else "key_images",
        "scan_root": SCAN_FOLDER,
        "setting": request.setting,
        "seed": request.seed,
    }


_Job = tuple[PhantomRequest, int]
_Records = tuple[list[ImageRecord], list[NodeAnnotation]]


def made_in_parallel(
    make: Callable[[Job], Made], jobs: Sequence[Job], workers: int | None
) -> Iterator[Made]:
    """Yield what `make` makes of each job, in their order.

    Args:
        make: a function of a module, so that another process can be told of it.
        jobs: what it is given, one at a time.
        workers: processes; None takes all cores.
    """
    count = min(workers or os.cpu_count() or 1, len(jobs))
    if count == 1:
        yield from map(make, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        count, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        yield from pool.map(make, jobs)


def _make_one(job: _Job) -> _Records:
    request, index = job
    patient = f"{PATIENT_PREFIX}-{request.seed}-{index:03d}"
    scan = make_scan(request.seed, index, request.setting)
    plan = scan.plan
    meta = CtSeriesMeta(
        seed=f"lnmdetect/{patient}/{request.setting}",
        patient_id=patient,
        patient_name=f"Phantom^{index:03d}",
        spacing_mm=(plan.spacing_mm, plan.pixel_mm, plan.pixel_mm),
        thickness_mm=plan.thickness_mm,
        origin_mm=scan.origin_mm,
        head_first_files=index % 2 == 1,
    )
    chosen = list(range(len(scan.voxels_hu)))
    if request.key_images is not None:
        chosen = choose_key_images(scan.sections, request.key_images)
    folder = request.output / SCAN_FOLDER / patient
    files = write_ct_series(scan.voxels_hu, folder, meta, only=chosen)
    images = _image_records(scan, dict(zip(chosen, files, strict=True)), patient, meta)
    return _numbered(images, _annotations(scan, f"p{index:03d}"))


def _numbered(images: list[ImageRecord], nodes: list[NodeAnnotation]) -> _Records:
    """Return the images numbered from 1 on and the nodes on them, likewise."""
    ids = {image.image_id: number for number, image in enumerate(images, start=1)}
    kept = (node for node in nodes if node.image_id in ids)
    return [image.with_id(ids[image.image_id]) for image in images], [
        replace(node, annotation_id=number, image_id=ids[node.image_id])
        for number, node in enumerate(kept, start=1)
    ]


def _image_records(
    scan: PhantomScan, files: Mapping[int, WrittenSlice], patient: str, meta: CtSeriesMeta
) -> list[ImageRecord]:
    rows, columns = scan.plan.matrix
    return [
        ImageRecord(
            image_id=index + 1,
            file_name=f"{file.sop_instance_uid}.dcm",
            width=columns,
            height=rows,
            patient=patient,
            series=derived_uid(f"{meta.seed}/series"),
            sop_instance_uid=file.sop_instance_uid,
            slice_index=index,
            position_mm=round(file.position_mm, 6),
            spacing_mm=(scan.plan.pixel_mm, scan.plan.pixel_mm),
            thickness_mm=scan.plan.thickness_mm,
        )
        for index, file in files.items()
    ]


def _annotations(scan: PhantomScan, prefix: str) -> list[NodeAnnotation]:
    ordered = sorted(scan.sections, key=lambda section: (section.slice_index, section.node_index))
    spacing = (scan.plan.pixel_mm, scan.plan.pixel_mm)
    return [
        section_annotation(
            section,
            scan.nodes[section.node_index],
            annotation_id=number + 1,
            prefix=prefix,
            image_shape=scan.plan.matrix,
            spacing_mm=spacing,
        )
        for number, section in enumerate(ordered)
    ]
