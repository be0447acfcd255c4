"""Findings as a structured report: TID 1500, one measurement group a finding (design, section 10).

Boxes are closed polylines in the pixels of the slices they were found on, whose convention is ours:
(0, 0) is the corner of the first pixel (PS3.3 C.18.6.1.2).
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Literal

import numpy as np
from highdicom import sr
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from lnmdetect.core.findings import Algorithm, Finding, Maker, Region
from lnmdetect.io import dicom_sr_codes as codes
from lnmdetect.io.dicom_derived import (
    PRODUCT,
    RESEARCH_ONLY,
    Sources,
    SourceSlice,
    device_uid,
    new_uid,
    series_values,
    tracking_uid,
)
from lnmdetect.io.quiet import quiet_dicom

SrKind = Literal["comprehensive3d", "enhanced"]
KINDS: Mapping[str, type[sr.Comprehensive3DSR] | type[sr.EnhancedSR]] = {
    "comprehensive3d": sr.Comprehensive3DSR,
    "enhanced": sr.EnhancedSR,
}
"""By the name on the command line; PACS that do not know the first take the second."""
_IMAGE_LIBRARY, _SLICE_THICKNESS = "111028", "112225"  # DCM

Groups = (
    sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.VolumetricROIMeasurementsAndQualitativeEvaluations
    | sr.MeasurementsAndQualitativeEvaluations
)


def build_report(
    findings: Sequence[Finding], sources: Sources, maker: Maker, *, kind: SrKind = "comprehensive3d"
) -> Dataset:
    """Return the report on one study, which refers only to slices with findings.

    Args:
        findings: on slices of `sources`; none gives a report that counts none.
        sources: slices of one study, at least one; without findings, one of each series searched.
        maker: names version and models.
        kind: of `KINDS`.
    """
    with quiet_dicom():
        used = _used(findings, sources)
        content = sr.MeasurementReport(
            observation_context=_observer(maker),
            procedure_reported=codes.PROCEDURE,
            imaging_measurements=[_group(finding, sources, maker) for finding in findings]
            or [_none_found(used, maker)],
            referenced_images=_library(used),
        )
        _complete_library(content[0], used)
        report = KINDS[kind](
            evidence=[source.identity for source in used],
            content=content,
            sop_instance_uid=new_uid(),
            instance_number=1,
            is_complete=True,
            **series_values(maker, "Lymph nodes SR", 1),
        )
    return report


def _used(findings: Sequence[Finding], sources: Sources) -> list[SourceSlice]:
    """Return the slices with findings, by series and position; all where none has one."""
    keys = {region.image.join_key for finding in findings for region in finding.regions}
    used = [source for key, source in sources.items() if key in keys]
    return used or list(sources.values())


def _library(used: Sequence[SourceSlice]) -> list[Dataset]:
    """Return what the image library is made of, as single CT slices numbered by their uid.

    highdicom knows no library entry of a frame, and asks for every thickness:
    `_complete_library` puts in what was referred to and takes out what is not known.
    """
    described = []
    for number, source in enumerate(used):
        image = deepcopy(source.identity)
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, f"2.25.{number}"
        if image.SliceThickness is None:
            image.SliceThickness = "0"
        described.append(image)
    return described


def _complete_library(content: Dataset, used: Sequence[SourceSlice]) -> None:
    (library,) = (
        part
        for part in content.ContentSequence
        if part.ConceptNameCodeSequence[0].CodeValue == _IMAGE_LIBRARY
    )
    for group in library.ContentSequence:
        for image in group.ContentSequence:
            reference = image.ReferencedSOPSequence[0]
            source = used[int(reference.ReferencedSOPInstanceUID.rpartition(".")[2])]
            reference.ReferencedSOPClassUID = source.identity.SOPClassUID
            reference.ReferencedSOPInstanceUID = source.identity.SOPInstanceUID
            if source.frame_numbers:
                reference.ReferencedFrameNumber = source.frame_numbers
            if source.header.thickness_mm is None:
                _drop(image, _SLICE_THICKNESS)


def _drop(image: Dataset, code: str) -> None:
    image["ContentSequence"].value = [
        item for item in image.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue != code
    ]


def _observer(maker: Maker) -> sr.ObservationContext:
    """Return TID 1001: a device, lnmdetect with these models, observed."""
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=device_uid(maker),
        name=PRODUCT,
        manufacturer_name=PRODUCT,
        model_name=PRODUCT,
    )
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=sr.CodedConcept("121007", "DCM", "Device"),
            observer_identifying_attributes=device,
        )
    )


def _group(finding: Finding, sources: Sources, maker: Maker) -> Groups:
    tracking = sr.TrackingIdentifier(
        uid=tracking_uid(finding, sources, maker), identifier=finding.label
    )
    site = sr.FindingSite(
        codes.CERVICAL_LYMPH_NODE,
        laterality=codes.LATERALITY[finding.laterality] if finding.laterality else None,
    )
    evaluations = [
        sr.QualitativeEvaluation(codes.MALIGNANCY, value)
        for category, value in codes.CALLED.items()
        if category == finding.category_id
    ]
    regions = [_region(region, sources[region.image.join_key]) for region in finding.regions]
    measurements = _measurements(finding, maker)
    algorithm = _algorithm(maker, maker.finder, f"short axis: {maker.axis_rule}")
    if len(regions) == 1:
        return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking,
            referenced_region=regions[0],
            finding_type=codes.LYMPH_NODE,
            finding_sites=[site],
            algorithm_id=algorithm,
            measurements=measurements,
            qualitative_evaluations=evaluations,
            geometric_purpose=codes.BOUNDED_BY,
        )
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking,
        referenced_regions=regions,
        finding_type=codes.LYMPH_NODE,
        finding_sites=[site],
        algorithm_id=algorithm,
        measurements=measurements,
        qualitative_evaluations=evaluations,
        geometric_purpose=codes.BOUNDED_BY,
    )


def _region(region: Region, source: SourceSlice) -> sr.ImageRegion:
    return sr.ImageRegion(
        sr.GraphicTypeValues.POLYLINE,
        closed_polyline(region),
        sr.SourceImageForRegion(
            str(source.identity.SOPClassUID),
            str(source.identity.SOPInstanceUID),
            source.frame_numbers,
        ),
    )


def closed_polyline(region: Region) -> NDArray[np.float64]:
    """Return the box as (5, 2) corners (column, row) that end where they began, on the image."""
    x1, y1, x2, y2 = np.clip(region.box_xyxy, 0, [region.image.width, region.image.height] * 2)
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)], dtype=np.float64)


def _measurements(finding: Finding, maker: Maker) -> list[sr.Measurement]:
    caller = _algorithm(maker, maker.caller)
    lengths = (
        (codes.SHORT_AXIS, finding.short_axis_mm, codes.MILLIMETRE),
        (codes.LONG_AXIS, finding.long_axis_mm, codes.MILLIMETRE),
        (codes.VOLUME, finding.volume_mm3, codes.CUBIC_MILLIMETRE),
    )
    made = [_measured(name, value, unit) for name, value, unit in lengths if value is not None]
    for derivation, value in ((codes.MEAN, finding.mean_hu), (codes.MAXIMUM, finding.max_hu)):
        if value is not None:
            made.append(
                sr.Measurement(
                    codes.ATTENUATION, _decimal(value), codes.HOUNSFIELD, derivation=derivation
                )
            )
    if finding.score is not None:
        made.append(_measured(codes.CERTAINTY, finding.score * 100, codes.PERCENT))
    if finding.p_metastatic is not None:
        value = _decimal(finding.p_metastatic * 100)
        made.append(sr.Measurement(codes.P_CANCER, value, codes.PERCENT, algorithm_id=caller))
    return made


def _measured(name: sr.CodedConcept, value: float, unit: sr.CodedConcept) -> sr.Measurement:
    return sr.Measurement(name, _decimal(value), unit)


def _decimal(value: float) -> float:
    """Return the value with so many digits as a decimal string of 16 characters holds."""
    return round(float(value), 6)


def _algorithm(
    maker: Maker, model: Algorithm | None, *rules: str
) -> sr.AlgorithmIdentification | None:
    """Return TID 4019 of a model: version, the SHA-256 of its weights, and what it is for."""
    if model is None:
        return None
    limits = [] if model.threshold is None else [f"threshold={model.threshold:.6g}"]
    return sr.AlgorithmIdentification(
        name=f"{PRODUCT} {model.role} {model.name}",
        version=maker.version,
        parameters=[f"weights sha256={model.sha256}", *limits, *rules, RESEARCH_ONLY],
    )


def _none_found(searched: Sequence[SourceSlice], maker: Maker) -> Groups:
    """Return a group that says that no lymph node was found, TID 1501."""
    return sr.MeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(uid=new_uid(), identifier="lymph nodes"),
        finding_type=codes.LYMPH_NODE,
        finding_sites=[sr.FindingSite(codes.CERVICAL_LYMPH_NODE)],
        algorithm_id=_algorithm(maker, maker.finder),
        measurements=[sr.Measurement(codes.NUMBER_OF_LESIONS, 0, codes.NO_UNITS)],
        source_images=[
            sr.SourceImageForMeasurementGroup(
                str(source.identity.SOPClassUID),
                str(source.identity.SOPInstanceUID),
                source.frame_numbers,
            )
            for source in searched
        ],
    )
