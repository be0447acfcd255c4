"""What `lnmdetect explain` says, and how it is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnmdetect.core.geometry import as_boxes, xyxy_to_xywh
from lnmdetect.metrics.faithfulness import HOT_SHARE, RANDOM_REGIONS, Faithfulness
from lnmdetect.metrics.figure import figures_to_json
from lnmdetect.stages.explain_looks import FAT_HU, Explained


@dataclass(frozen=True)
class ExplainInfo:
    """What the figures rest on.

    Attributes:
        nodes, truth: file name and sha256; truth None where none was given.
        model: arm, name, sha256 and trained_on_phantoms of the explained bundle.
        explains: what the heat stands for.
        layer, cells: the submodule whose map is shown, and its (h, w); None of several maps.
        crop: `margin` around the box and `size_px` of what the heat covers.
        notes: what a reader must know.
    """

    lnmdetect_version: str
    nodes: Mapping[str, str]
    truth: Mapping[str, str] | None
    phantom: bool
    model: Mapping[str, Any]
    method: str
    explains: str
    layer: str
    cells: tuple[int, int] | None
    crop: Mapping[str, float]
    resamples: int
    seed: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ExplainResult:
    """The checks of a model's heat, and each box's figures.

    Attributes:
        by_call: the same of the boxes of each call; empty where a detector is explained.
        boxes: explained, image by image.
        patients: whose they are.
        pictures: annotation id to file name, in the order of the contact sheet.
        findings: what the checks say, a sentence each.
    """

    info: ExplainInfo
    checks: Faithfulness
    by_call: Mapping[str, Faithfulness]
    findings: tuple[str, ...]
    boxes: tuple[Explained, ...]
    patients: int
    pictures: Mapping[int, str]

    def to_json(self) -> dict[str, Any]:
        """Return the result as data_specs/explain.schema.json has it."""
        return {
            "info": figures_to_json(self.info),
            "checks": {
                "boxes": len(self.boxes),
                "boxes_without_heat": sum(row.share_inside is None for row in self.boxes),
                "boxes_with_mask": sum(row.region == "mask" for row in self.boxes),
                "patients": self.patients,
                "hottest_share_of_crop": HOT_SHARE,
                "random_regions": RANDOM_REGIONS,
                "fill_hu": FAT_HU,
                **figures_to_json(self.checks),
            },
            "checks_by_call": figures_to_json(self.by_call),
            "findings": list(self.findings),
            "boxes": [self._box_json(row) for row in self.boxes],
        }

    def _box_json(self, row: Explained) -> dict[str, Any]:
        case = row.case
        corners = xyxy_to_xywh(as_boxes([case.box.box_xyxy]))[0]
        return {
            "annotation_id": case.box.annotation_id,
            "image_id": case.image.image_id,
            "patient": case.image.patient,
            "bbox": [round(float(value), 3) for value in corners],
            "called": row.called,
            "p_metastatic": _rounded(row.p_metastatic),
            "answer": _rounded(row.answer),
            "truth": case.truth,
            "right": row.is_right,
            "region": row.region,
            "area_share": _rounded(row.area_share),
            "share_inside": _rounded(row.share_inside),
            "drop_hottest": _rounded(row.drop_hottest),
            "drop_random": _rounded(row.drop_random),
            "picture": self.pictures.get(case.box.annotation_id),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
