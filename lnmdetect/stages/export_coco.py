"""`lnmdetect export coco`: structured reports back into a nodes file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lnmdetect import __version__
from lnmdetect.core.errors import InputError
from lnmdetect.core.findings import Algorithm
from lnmdetect.core.linked_nodes import BoxXyxy
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.core.wording import counted
from lnmdetect.io.coco import write_coco
from lnmdetect.io.dicom_sr_read import ReadFinding, ReadRegion, ReadReport, read_report
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.pixel_roots import relative_root
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.pseudonym import load_key, patient_pseudonym
from lnmdetect.io.run_record import RunRecord
from lnmdetect.stages.export_files import check_output, export_record_path

THRESHOLDS = {
    "detector": "operating_threshold",
    "segmenter": "voxel_threshold",
    "classifier": "classifier_threshold",
}
"""What the threshold of a model is in a file's `info`."""


@dataclass(frozen=True)
class CocoRequest:
    """Which reports to read.

    Attributes:
        reports: DICOM SR files, TID 1500.
        scan: where the slices are; needed where a report does not describe its images.
    """

    reports: tuple[Path, ...]
    output: Path
    scan: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class CocoResult:
    """What was read, and what was left out, in words."""

    output: Path
    images: int
    boxes: int
    notes: tuple[str, ...]


def export_coco(request: CocoRequest) -> CocoResult:
    """Return what the reports hold after writing it as COCO; only slices with boxes are listed.

    Raises:
        InputError: a file is no report, or describes too little of its slices without `scan`.
        UsageError: the output is one of the reports.
        OutputError: the output exists and `overwrite` is not set.
    """
    check_output(request.output, request.reports, overwrite=request.overwrite)
    record = RunRecord("export coco", {})
    record.add_inputs((path.name, sha256_of_file(path)) for path in request.reports)
    reports = [read_report(path) for path in request.reports]
    known = _scanned(request.scan)
    images: dict[str, ImageRecord] = {}
    for path, report in zip(request.reports, reports, strict=True):
        images |= _images(report, known, path)
    ordered = _numbered(images.values(), known)
    nodes = tuple(_annotations(reports, ordered))
    info = _info(request, reports)
    dataset = CocoDataset(info, tuple(ordered.values()), nodes)
    write_coco(dataset, request.output, overwrite=request.overwrite)
    record.write(export_record_path(request.output, request.reports))
    unread = sum(report.unread_regions + _regions(report) for report in reports) - len(nodes)
    left_out = f"{counted(unread, 'graphic')} left out: no polyline within a slice"
    return CocoResult(request.output, len(ordered), len(nodes), (left_out,) if unread else ())


def _regions(report: ReadReport) -> int:
    return sum(len(finding.regions) for finding in report.findings)


def _scanned(scan: Path | None) -> dict[str, ImageRecord]:
    """Return the slices below `scan` by SOP uid."""
    if scan is None:
        return {}
    return {image.sop_instance_uid: image for image in PixelStore(scan).dicom_images(load_key())}


def _images(
    report: ReadReport, known: Mapping[str, ImageRecord], path: Path
) -> dict[str, ImageRecord]:
    uids = dict.fromkeys(r.sop_uid for finding in report.findings for r in finding.regions)
    patient = patient_pseudonym(report.patient_id, report.study_uid, load_key())
    return {uid: known.get(uid) or _described(uid, report, patient, path) for uid in uids}


def _described(uid: str, report: ReadReport, patient: str, path: Path) -> ImageRecord:
    found = report.slices.get(uid)
    if found is None:
        raise InputError(
            path.name,
            expected="the size and the spacing of each slice in the report's image library",
            got=f"none of slice {uid}",
            remedy="Point to the folder of the scans with --scan.",
        )
    return ImageRecord(
        image_id=1,
        file_name=f"{uid}.dcm",
        width=found.width,
        height=found.height,
        patient=patient,
        series=report.series.get(uid.partition("#")[0]) or report.study_uid or uid,
        sop_instance_uid=uid,
        slice_index=0,
        position_mm=round(found.position_mm, 4) + 0.0,
        spacing_mm=found.spacing_mm,
        thickness_mm=found.thickness_mm,
    )


def _numbered(
    images: Iterable[ImageRecord], known: Mapping[str, ImageRecord]
) -> dict[str, ImageRecord]:
    """Return the slices by SOP uid, series by series along the body, with ids from 1.

    Where the scan is not known places are those among the listed slices: a report does not tell of
    the others.
    """
    ordered = sorted(images, key=lambda image: (image.series, image.position_mm))
    places: dict[str, int] = {}
    numbered: dict[str, ImageRecord] = {}
    for number, image in enumerate(ordered, start=1):
        uid = image.sop_instance_uid
        place = places[image.series] = places.get(image.series, -1) + 1
        if uid in known:
            place = known[uid].slice_index
        numbered[uid] = replace(image, image_id=number, slice_index=place)
    return numbered


def _annotations(
    reports: Sequence[ReadReport], images: Mapping[str, ImageRecord]
) -> Iterator[NodeAnnotation]:
    number = 0
    for report in reports:
        limits = {one.role: one.threshold for one in report.algorithms}
        for finding in report.findings:
            name = finding.label or finding.tracking_uid or f"finding {number + 1}"
            for region in finding.regions:
                image = images[region.sop_uid]
                if not _fits(region.box_xyxy, image):
                    continue
                number += 1
                made = _annotation(number, image, (finding, region), limits.get("classifier"))
                yield made if len(finding.regions) == 1 else replace(made, node_id=name)


def _fits(box_xyxy: BoxXyxy, image: ImageRecord) -> bool:
    x1, y1, x2, y2 = box_xyxy
    return x1 >= 0 and x2 <= image.width and y1 >= 0 and y2 <= image.height


def _annotation(
    number: int,
    image: ImageRecord,
    found: tuple[ReadFinding, ReadRegion],
    threshold: float | None,
) -> NodeAnnotation:
    finding, region = found
    alone = len(finding.regions) == 1
    p = finding.p_metastatic
    return NodeAnnotation(
        annotation_id=number,
        image_id=image.image_id,
        category_id=finding.category_id,
        box_xyxy=region.box_xyxy,
        score=finding.score,
        short_axis_mm=None if alone else finding.short_axis_mm,
        slice_short_axis_mm=finding.short_axis_mm if alone else None,
        probabilities=None if p is None else {"benign": round(1 - p, 8), "metastatic": p},
        threshold=None if p is None else threshold,
        extra={"tracking_uid": finding.tracking_uid} if finding.tracking_uid else {},
    )


def _info(request: CocoRequest, reports: Sequence[ReadReport]) -> dict[str, Any]:
    info: dict[str, Any] = {
        "description": "Lymph nodes of DICOM structured reports. Research use only.",
        "lnmdetect_version": __version__,
        "coverage": "key_images",
    }
    if request.scan is not None:
        info["scan_root"] = relative_root(request.scan, request.output)
    models: dict[str, Algorithm] = {}
    for report in reports:
        for algorithm in report.algorithms:
            models.setdefault(algorithm.role, algorithm)
    for role, key in THRESHOLDS.items():
        if role in models:
            info[role] = {"name": models[role].name, "sha256": models[role].sha256}
            if models[role].threshold is not None:
                info[key] = models[role].threshold
                info[f"{key}_source"] = "the structured report"
    return info
