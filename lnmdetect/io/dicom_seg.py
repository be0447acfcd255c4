"""Masks as BINARY Segmentation objects, one segment a finding (PS3.3 A.51)."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from highdicom import AlgorithmIdentificationSequence, seg
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from lnmdetect.core.errors import InputError
from lnmdetect.core.findings import Finding, Maker, Region
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


@dataclass(frozen=True)
class _Outlined:
    """A finding and its masks, (H, W) each, by `ImageRecord.join_key`."""

    finding: Finding
    masks: Mapping[str, NDArray[np.bool_]]


def build_segmentations(
    findings: Sequence[Finding], sources: Sources, maker: Maker
) -> list[Dataset]:
    """Return the masks of one series: one object, and more of them where masks overlap.

    Args:
        findings: those without a mask, or with empty ones only, are left out.
        sources: slices of one series.
        maker: names version and models.

    Raises:
        InputError: the slices are frames of a multi-frame object, or have no frame of reference;
            or are of several sizes; or a mask cannot be decoded.
    """
    outlined = [one for one in map(_outlined, findings) if one.masks]
    used = [sources[key] for key in sources if any(key in one.masks for one in outlined)]
    for source in used:
        _check(source, (used[0].header.rows, used[0].header.columns))
    step_mm = _least_step_mm(sources)
    values = series_values(maker, "Lymph nodes SEG", 2)
    with quiet_dicom():
        return [
            _object(number, layer, (sources, maker, step_mm, values))
            for number, layer in enumerate(_layers(outlined), start=1)
        ]


def _outlined(finding: Finding) -> _Outlined:
    masks = {
        region.image.join_key: _decoded(region, finding.label)
        for region in finding.regions
        if region.mask
    }
    return _Outlined(finding, {key: mask for key, mask in masks.items() if mask.any()})


def _layers(outlined: Sequence[_Outlined]) -> list[list[_Outlined]]:
    """Return the findings in as few groups as it takes that no two masks of a group overlap.

    Each goes into the first group where it fits: one object takes one segment a pixel.
    """
    layers: list[list[_Outlined]] = []
    taken: list[dict[str, NDArray[np.bool_]]] = []
    for one in outlined:
        fitting = (at for at, where in enumerate(taken) if not _overlaps(one.masks, where))
        at = next(fitting, len(layers))
        if at == len(layers):
            layers.append([])
            taken.append({})
        layers[at].append(one)
        taken[at] |= {
            key: mask | taken[at][key] if key in taken[at] else mask
            for key, mask in one.masks.items()
        }
    return layers


def _overlaps(
    masks: Mapping[str, NDArray[np.bool_]], taken: Mapping[str, NDArray[np.bool_]]
) -> bool:
    return any(key in taken and bool((mask & taken[key]).any()) for key, mask in masks.items())


def _object(
    number: int,
    layer: Sequence[_Outlined],
    shared: tuple[Sources, Maker, float, Mapping[str, Any]],
) -> Dataset:
    sources, maker, step_mm, values = shared
    keys = [key for key in sources if any(key in one.masks for one in layer)]
    return seg.Segmentation(
        source_images=[_with_thickness(sources[key], step_mm) for key in keys],
        pixel_array=_label_map(layer, keys),
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _segment(at, one.finding, sources, maker) for at, one in enumerate(layer, start=1)
        ],
        sop_instance_uid=new_uid(),
        instance_number=number,
        content_label="LYMPH_NODES",
        content_description=RESEARCH_ONLY,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **values,
    )


def _check(source: SourceSlice, shape: tuple[int, int]) -> None:
    header = source.header
    if source.is_frame:
        got = "a frame of a multi-frame object"
    elif "FrameOfReferenceUID" not in source.identity:
        got = "none"
    elif (header.rows, header.columns) != shape:
        got = f"slices of {shape[0]} x {shape[1]} and of {header.rows} x {header.columns}"
    else:
        return
    raise InputError(
        f"image {source.image.image_id}",
        expected="single-frame CT slices of one size with a frame of reference, for the masks",
        got=got,
        remedy="Export sr or gsps instead, which refer to the slices themselves.",
    )


def _least_step_mm(sources: Sources) -> float:
    """Return the least distance between slices, of a single one `slice_spacing_mm`'s."""
    headers = sorted((source.header for source in sources.values()), key=position_mm)
    steps = np.diff([position_mm(header) for header in headers])
    return float(steps[steps > 0].min()) if (steps > 0).any() else slice_spacing_mm(headers[:1])


def _with_thickness(source: SourceSlice, step_mm: float) -> Dataset:
    """Return the slice's header; a thickness that is not known becomes the step (type 1C here)."""
    image = deepcopy(source.identity)
    if image.SliceThickness is None:
        image.SliceThickness = format_number_as_ds(round(step_mm, 6))
    return image


def _label_map(layer: Sequence[_Outlined], keys: Sequence[str]) -> NDArray[np.uint16]:
    """Return (slices, rows, columns): 0, or the number of the finding whose mask lies there."""
    height, width = next(iter(layer[0].masks.values())).shape
    labels = np.zeros((len(keys), height, width), dtype=np.uint16)
    for number, one in enumerate(layer, start=1):
        for key, mask in one.masks.items():
            labels[keys.index(key)][mask] = number
    return labels


def _decoded(region: Region, label: str) -> NDArray[np.bool_]:
    """Return an RLE, compressed or not, as (H, W)."""
    try:
        return mask_of_runs(region.mask or {}, (region.image.height, region.image.width))
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
    model = maker.finder
    kind = seg.SegmentAlgorithmTypeValues
    return seg.SegmentDescription(
        segment_number=number,
        segment_label=finding.label[:64],
        segmented_property_category=_CATEGORY,
        segmented_property_type=_TYPE,
        algorithm_type=kind.AUTOMATIC if model else kind.MANUAL,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=f"{PRODUCT} {model.role} {model.name}",
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
