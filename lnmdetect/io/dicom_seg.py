"""Masks as a BINARY Segmentation object, one segment a finding (PS3.3 A.51)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from highdicom import AlgorithmIdentificationSequence, seg
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from lnmdetect.core.errors import InputError
from lnmdetect.core.findings import Finding, Maker
from lnmdetect.core.run_lengths import mask_of_runs
from lnmdetect.io.dicom_derived import (
    PRODUCT,
    RESEARCH_ONLY,
    Sources,
    SourceSlice,
    new_uid,
    series_values,
    tracking_uid,
)
from lnmdetect.io.dicom_geometry import position_mm, slice_spacing_mm
from lnmdetect.io.quiet import quiet_dicom

_CATEGORY = CodedConcept("123037004", "SCT", "Anatomical Structure")  # CID 7150
_TYPE = CodedConcept("59441001", "SCT", "Lymph node")
_REGION = CodedConcept("45048000", "SCT", "Neck")  # CID 4031
_FAMILY = CodedConcept("123109", "DCM", "Artificial Intelligence")  # CID 7162


def build_segmentation(findings: Sequence[Finding], sources: Sources, maker: Maker) -> Dataset:
    """Return the masks of one series; where two overlap, the first finding keeps the pixels.

    Args:
        findings: at least one, with a mask in every region that counts; without are left out.
        sources: slices of one series.
        maker: names version and models.

    Raises:
        InputError: the slices are frames of a multi-frame object, or have no frame of reference;
            or a mask cannot be decoded.
    """
    drawn = [finding for finding in findings if any(r.mask for r in finding.regions)]
    keys = {r.image.join_key for finding in drawn for r in finding.regions if r.mask}
    used = {key: source for key, source in sources.items() if key in keys}
    for source in used.values():
        _check(source)
    labels = _label_map(drawn, list(used))
    step_mm = _least_step_mm(sources)
    with quiet_dicom():
        return seg.Segmentation(
            source_images=[_with_thickness(source, step_mm) for source in used.values()],
            pixel_array=labels,
            segmentation_type=seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _segment(number, finding, sources, maker)
                for number, finding in enumerate(drawn, start=1)
            ],
            sop_instance_uid=new_uid(),
            instance_number=1,
            content_label="LYMPH_NODES",
            content_description=RESEARCH_ONLY,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            **series_values(maker, "Lymph nodes SEG", 2),
        )


def _check(source: SourceSlice) -> None:
    if not source.is_frame and "FrameOfReferenceUID" in source.identity:
        return
    raise InputError(
        f"image {source.image.image_id}",
        expected="a single-frame CT slice with a frame of reference, on which masks can lie",
        got="a frame of a multi-frame object" if source.is_frame else "none",
        remedy="Export sr or gsps instead, which refer to the slices themselves.",
    )


def _least_step_mm(sources: Sources) -> float:
    """Return the least distance between slices, of a single one `slice_spacing_mm`'s."""
    headers = sorted((source.header for source in sources.values()), key=position_mm)
    steps = np.diff([position_mm(header) for header in headers])
    return float(steps[steps > 0].min()) if (steps > 0).any() else slice_spacing_mm(headers[:1])


def _with_thickness(source: SourceSlice, step_mm: float) -> Dataset:
    """Return the slice's header; a thickness that is not known becomes the step (type 1C here)."""
    image = Dataset()
    image.update(source.identity)
    if image.SliceThickness is None:
        image.SliceThickness = format_number_as_ds(round(step_mm, 6))
    return image


def _label_map(findings: Sequence[Finding], keys: Sequence[str]) -> NDArray[np.uint16]:
    """Return (slices, rows, columns): 0, or the number of the finding whose mask lies there."""
    place = {key: index for index, key in enumerate(keys)}
    image = findings[0].regions[0].image
    labels = np.zeros((len(keys), image.height, image.width), dtype=np.uint16)
    for number, finding in enumerate(findings, start=1):
        for region in finding.regions:
            if region.mask:
                plane = labels[place[region.image.join_key]]
                plane[(plane == 0) & _decoded(region.mask, plane.shape, finding.label)] = number
    return labels


def _decoded(mask: Mapping[str, Any], shape: tuple[int, ...], label: str) -> NDArray[np.bool_]:
    """Return an RLE, compressed or not, as (H, W)."""
    try:
        return mask_of_runs(mask, shape)
    except ValueError as error:
        raise InputError(
            label,
            expected="a mask as COCO RLE of the slice's size",
            got=str(error),
            remedy="Write the masks again, or take them out of the file.",
        ) from None


def _segment(
    number: int, finding: Finding, sources: Sources, maker: Maker
) -> seg.SegmentDescription:
    model = maker.algorithm("detector")
    kind = seg.SegmentAlgorithmTypeValues
    return seg.SegmentDescription(
        segment_number=number,
        segment_label=finding.label[:64],
        segmented_property_category=_CATEGORY,
        segmented_property_type=_TYPE,
        algorithm_type=kind.AUTOMATIC if model else kind.MANUAL,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=f"{PRODUCT} detector {model.name}",
            family=_FAMILY,
            version=maker.version,
            parameters={"weights_sha256": model.sha256},
        )
        if model
        else None,
        tracking_uid=tracking_uid(finding, sources, maker),
        tracking_id=finding.label,
        anatomic_regions=[_REGION],
    )
