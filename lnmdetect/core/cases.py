"""The cases of a converted data set: which scan each is, and which node each number stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lnmdetect.core.node_classes import NodeClasses
from lnmdetect.core.records import CATEGORY_NAMES

Layout = Literal["nifti", "nnunet", "nndetection"]
Values = Literal["classes", "instances"]
"""What the numbers of a label map stand for."""
Part = Literal["train", "test"]


@dataclass(frozen=True)
class CaseNode:
    """A node that has a number of its own in the label map of its case.

    Attributes:
        node_id: as in the file it came from; None where that had none.
        kind, level, short_axis_mm: None where they are not known.
        voxels: it has in the label map, by which one that was edited since is known; None where
            it is not known.
    """

    node_id: str | None
    category_id: int
    kind: str | None = None
    level: str | None = None
    short_axis_mm: float | None = None
    voxels: int | None = None

    def __post_init__(self) -> None:
        if self.category_id not in CATEGORY_NAMES:
            raise ValueError(f"node: expected a category, got {self.category_id}")


@dataclass(frozen=True)
class Case:
    """One scan of a converted data set.

    Attributes:
        name: a number; nothing of the patient is in it.
        patient: pseudonym. series: uid, by which it is joined with its scan again.
        slices: of the scan.
        nodes: by the number they have in an instance map; empty for a map of classes.
    """

    name: str
    patient: str
    series: str
    slices: int
    part: Part = "train"
    nodes: Mapping[int, CaseNode] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseSet:
    """What `convert` wrote, as cases.json tells it.

    Attributes:
        classes: their numbers are their places plus 1.
    """

    layout: Layout
    values: Values
    classes: NodeClasses
    cases: tuple[Case, ...]
    is_phantom: bool = False

    def __post_init__(self) -> None:
        names = [case.name for case in self.cases]
        if len(set(names)) != len(names):
            raise ValueError("cases: expected distinct names")

    def by_name(self) -> dict[str, Case]:
        """Return the cases by name."""
        return {case.name: case for case in self.cases}


def case_name(number: int) -> str:
    """Return the name of the case with this number, from 1."""
    return f"case_{number:04d}"
