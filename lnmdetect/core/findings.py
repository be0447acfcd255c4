"""What is reported to people as one lymph node: a box on a slice, or a node over several."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.linked_nodes import BoxXyxy, Laterality
from lnmdetect.core.records import BENIGN, CATEGORY_NAMES, LYMPH_NODE, METASTATIC, ImageRecord

DRAWN_LABEL = 12
"""Letters of a node's label that are drawn."""


@dataclass(frozen=True)
class Region:
    """A box on one slice, px, far edge exclusive; `mask` is its COCO RLE where there is one."""

    image: ImageRecord
    box_xyxy: BoxXyxy
    mask: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        as_boxes([self.box_xyxy])


@dataclass(frozen=True)
class Finding:
    """One lymph node as it is reported.

    Attributes:
        label: short and unique within the file, as `box 12` or `n3`.
        regions: one a slice, of one series.
        laterality: the patient's side; None where it is not known.
        category_id: of `core.records.CATEGORY_NAMES`.
        score: the detector's, in [0, 1]; None where a person drew the box.
        p_metastatic: in [0, 1]; None where it was not classified.
        short_axis_mm: in the slice; of a node its largest cross-section's.
        long_axis_mm, volume_mm3, mean_hu, max_hu: None where they were not measured.
    """

    label: str
    regions: tuple[Region, ...]
    laterality: Laterality | None = None
    category_id: int = LYMPH_NODE
    score: float | None = None
    p_metastatic: float | None = None
    short_axis_mm: float | None = None
    long_axis_mm: float | None = None
    volume_mm3: float | None = None
    mean_hu: float | None = None
    max_hu: float | None = None

    def __post_init__(self) -> None:
        if not self.regions or len({r.image.series for r in self.regions}) != 1:
            raise ValueError(f"finding {self.label}: expected regions of one series")
        if self.category_id not in CATEGORY_NAMES:
            raise ValueError(f"finding {self.label}: expected a category, got {self.category_id}")
        for name in ("score", "p_metastatic"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"finding {self.label}: expected {name} in [0, 1], got {share}")
        for name in ("short_axis_mm", "long_axis_mm", "volume_mm3"):
            size = getattr(self, name)
            if size is not None and not 0 < size < np.inf:
                raise ValueError(f"finding {self.label}: expected {name} above 0, got {size}")

    @property
    def series(self) -> str:
        """The series its slices are of."""
        return self.regions[0].image.series

    @property
    def short_text(self) -> str:
        """Class and number: P(metastatic) once classified, else the detector's score."""
        name = {BENIGN: "benign", METASTATIC: "metastatic"}.get(self.category_id, "node")
        number = self.score if self.p_metastatic is None else self.p_metastatic
        return name if number is None else f"{name} {number:.2f}"

    @property
    def drawn_text(self) -> str:
        """What is written beside it: a node's label, by which reports name it, and the above."""
        if self.label.startswith("box "):
            return self.short_text
        return f"{self.label[:DRAWN_LABEL]} {self.short_text}"


ROLES = ("detector", "segmenter", "classifier")
"""What a model can have done; also where a file's `info` names it."""


@dataclass(frozen=True)
class Algorithm:
    """A model that took part: its bundle's name, the SHA-256 of its weights, its threshold.

    Attributes:
        role: one of `ROLES`.
        threshold: of a detector, the score from which boxes are reported; of a segmenter, the
            P(node) from which a voxel is of a node; of a classifier, the P(metastatic) from which
            one is called so; None where it is not known.
    """

    role: str
    name: str
    sha256: str
    threshold: float | None = None


@dataclass(frozen=True)
class Maker:
    """Who made the findings.

    Attributes:
        version: of lnmdetect.
        algorithms: of the file's `info`, as `ROLES` has them; empty where people drew the boxes.
        axis_rule: what the short axis is, in words.
        phantom: whether the scan or a model's training was synthetic.
    """

    version: str
    algorithms: tuple[Algorithm, ...] = ()
    axis_rule: str = "shorter side of the box"
    phantom: bool = False

    @property
    def finder(self) -> Algorithm | None:
        """The model that found the nodes, a detector or a segmenter; None: people did."""
        return self._first("detector", "segmenter")

    @property
    def caller(self) -> Algorithm | None:
        """The model whose P(metastatic) stands: a classifier, else a segmenter that tells it."""
        return self._first("classifier", "segmenter")

    def _first(self, *roles: str) -> Algorithm | None:
        named = {one.role: one for one in self.algorithms}
        return next((named[role] for role in roles if role in named), None)
