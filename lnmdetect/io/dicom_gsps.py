"""Findings as graphics over the slices: a Grayscale Softcopy Presentation State (PS3.3 A.33.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from highdicom import ModalityLUTTransformation, pr
from numpy.typing import NDArray
from pydicom import Dataset

from lnmdetect.core.findings import Finding, Maker
from lnmdetect.core.label_places import place_banner, place_labels
from lnmdetect.io.dicom_derived import (
    RESEARCH_ONLY,
    Sources,
    SourceSlice,
    new_uid,
    series_values,
    tracking_uid,
)
from lnmdetect.io.dicom_sr import closed_polyline
from lnmdetect.io.quiet import quiet_dicom

WINDOW_CENTRE_HU, WINDOW_WIDTH_HU = 40.0, 400.0
"""Soft tissue of the neck, as the contact sheet shows it."""
_LABEL_HEIGHT_PX, _LABEL_WIDTH_PX, _GAP_PX = 12.0, 90.0, 2.0
_BANNER_WIDTH_PX = 180.0


def build_presentations(
    findings: Sequence[Finding], sources: Sources, maker: Maker
) -> list[Dataset]:
    """Return the overlays of one series, on the slices with findings, "research only" on each.

    It is one object but for slices of another size or rescale, which one object cannot display.

    Args:
        findings: at least one, on slices of `sources`.
        sources: slices of one series.
        maker: names version and models.
    """
    keys = {region.image.join_key for finding in findings for region in finding.regions}
    alike: dict[tuple[float, ...], list[str]] = {}
    for key in sources:
        if key in keys:
            header = sources[key].header
            look = (header.slope, header.intercept, header.rows, header.columns)
            alike.setdefault(look, []).append(key)
    values = series_values(maker, "Lymph node overlay", 3)
    with quiet_dicom():
        return [
            _state(number, used, findings, (sources, maker, values))
            for number, used in enumerate(alike.values(), start=1)
        ]


def _state(
    number: int,
    used: Sequence[str],
    findings: Sequence[Finding],
    shared: tuple[Sources, Maker, Mapping[str, Any]],
) -> Dataset:
    sources, maker, values = shared
    files = {str(sources[key].identity.SOPInstanceUID): sources[key].identity for key in used}
    header = sources[used[0]].header
    layer = pr.GraphicLayer("LYMPH NODES", order=1, description=RESEARCH_ONLY)
    made: Dataset = pr.GrayscaleSoftcopyPresentationState(
        referenced_images=list(files.values()),
        sop_instance_uid=new_uid(),
        instance_number=number,
        content_label="LYMPH_NODES",
        content_description=RESEARCH_ONLY,
        graphic_layers=[layer],
        graphic_annotations=[
            _annotation(key, sources[key], findings, (layer, maker, sources)) for key in used
        ],
        modality_lut_transformation=ModalityLUTTransformation(
            rescale_intercept=header.intercept, rescale_slope=header.slope, rescale_type="HU"
        ),
        voi_lut_transformations=[
            pr.SoftcopyVOILUTTransformation(
                window_center=WINDOW_CENTRE_HU, window_width=WINDOW_WIDTH_HU
            )
        ],
        **values,
    )
    made.BodyPartExamined = "NECK"  # not paired, so that no laterality is asked, C.7.3.1
    return made


def _annotation(
    key: str,
    source: SourceSlice,
    findings: Sequence[Finding],
    shared: tuple[pr.GraphicLayer, Maker, Sources],
) -> pr.GraphicAnnotation:
    layer, maker, sources = shared
    drawn = [(f, region) for f in findings for region in f.regions if region.image.join_key == key]
    corners = [closed_polyline(region) for _, region in drawn]
    return pr.GraphicAnnotation(
        referenced_images=[source.identity],
        graphic_layer=layer,
        referenced_frame_number=source.frame_numbers,
        graphic_objects=[
            pr.GraphicObject(
                pr.GraphicTypeValues.POLYLINE,
                polyline,
                pr.AnnotationUnitsValues.PIXEL,
                tracking_id=finding.label,
                tracking_uid=tracking_uid(finding, sources, maker),
            )
            for (finding, _), polyline in zip(drawn, corners, strict=True)
        ],
        text_objects=_texts([finding for finding, _ in drawn], corners, source),
    )


def _texts(
    findings: Sequence[Finding], corners: Sequence[NDArray[np.float64]], source: SourceSlice
) -> list[pr.TextObject]:
    """Return "research only" in a corner without boxes, and each finding's text beside it."""
    width, height = float(source.header.columns), float(source.header.rows)
    boxes = [(float(c[0, 0]), float(c[0, 1]), float(c[2, 0]), float(c[2, 1])) for c in corners]
    banner = place_banner(boxes, (_BANNER_WIDTH_PX, _LABEL_HEIGHT_PX), (width, height))
    sizes = [(_LABEL_WIDTH_PX, _LABEL_HEIGHT_PX)] * len(boxes)
    places = place_labels(boxes, sizes, (width, height), gap=_GAP_PX, reserved=[banner])
    texts = [RESEARCH_ONLY, *(finding.drawn_text for finding in findings)]
    return [
        pr.TextObject(
            text,
            pr.AnnotationUnitsValues.PIXEL,
            bounding_box=place,
            text_justification=pr.TextJustificationValues.LEFT,
        )
        for text, place in zip(texts, [banner, *places], strict=True)
    ]
