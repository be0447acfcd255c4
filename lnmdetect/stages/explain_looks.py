"""One box explained, whatever the model: its heat, and the answer without parts of the crop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lnmdetect.io.bundles import Bundle
from lnmdetect.metrics.faithfulness import (
    HeatTable,
    hottest_region,
    moved_regions,
    share_inside,
)
from lnmdetect.models.class_activation import Stage
from lnmdetect.stages.explain_cases import NO_NODE, NOT_KNOWN, Case
from lnmdetect.transforms.heat import Heat

FAT_HU = -100
"""What wiped-out regions hold: the fat that nodes lie in (design, section 7)."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Look:
    """What a model says of one box, and where it looks.

    Attributes:
        heat: (P, P), signed, over the crop around the box.
        crop_hu: (P, P) the slice there.
        answer: what is explained, in [0, 1]: P of the called class, or the detector's score.
        called: benign or metastatic; None where the detector is explained.
        p_metastatic: in [0, 1]; None where the detector is explained.
        answers_without: from (R, P, P) regions to (R,) answers once each is filled with fat.
    """

    heat: Heat
    crop_hu: NDArray[np.int16]
    answer: float
    called: str | None
    p_metastatic: float | None
    answers_without: Callable[[Flags], NDArray[np.float64]]


class Explainer(Protocol):
    """A model that tells where it looks.

    Attributes:
        margin, size_px: of the crop around a box that heat covers.
        method, layer, cells: how heat is made; cells is (h, w) of the map over the crop, None where
            several maps are summed.
        stage, last: whose map that is, and the network's last; None where several are summed.
        explains: what, in words.
    """

    bundle: Bundle
    margin: float
    size_px: int
    method: str
    layer: str
    cells: tuple[int, int] | None
    stage: Stage | None
    last: Stage | None
    explains: str

    def look(self, case: Case) -> Look:
        """Return what the model says of a box."""
        ...


@dataclass(frozen=True)
class Explained:
    """The figures of one box.

    Attributes:
        answer, called, p_metastatic: see `Look`.
        region: `mask` or `box`: what `inside` means.
        share_inside, drop_hottest, drop_random: see `metrics.faithfulness.HeatTable`; None where no
            heat is positive.
        area_share: of the crop, inside the region.
    """

    case: Case
    answer: float
    called: str | None
    p_metastatic: float | None
    region: str
    area_share: float
    share_inside: float | None = None
    drop_hottest: float | None = None
    drop_random: float | None = None

    @property
    def positive(self) -> float:
        """P(metastatic); of a detector the score."""
        return self.answer if self.p_metastatic is None else self.p_metastatic

    @property
    def is_right(self) -> bool | None:
        """Whether truth says the same; None where it does not say."""
        truth = self.case.truth
        if self.called is None:  # the detector: any node is one
            return None if truth is None else truth != NO_NODE
        return None if truth in (None, NO_NODE, NOT_KNOWN) else truth == self.called


def explained(explainer: Explainer, case: Case, *, seed: int) -> Explained:
    """Return the figures of one box, the same whatever other boxes there are."""
    look = explainer.look(case)
    inside, region = case.inside(margin=explainer.margin, size_px=explainer.size_px)
    share = share_inside(look.heat, inside)
    dropped: tuple[float, float] | tuple[None, None] = (None, None)
    if share is not None:
        hottest = hottest_region(look.heat)
        rng = np.random.default_rng((seed, case.box.annotation_id))
        regions = np.concatenate([hottest[None], moved_regions(hottest, rng)])
        drops = look.answer - look.answers_without(regions)
        dropped = float(drops[0]), float(drops[1:].mean())
    return Explained(
        case=case,
        answer=look.answer,
        called=look.called,
        p_metastatic=look.p_metastatic,
        region=region,
        area_share=float(inside.mean()),
        share_inside=share,
        drop_hottest=dropped[0],
        drop_random=dropped[1],
    )


def heat_table(rows: Sequence[Explained], patients: Sequence[str]) -> HeatTable:
    """Return the boxes with positive heat as columns; `patients` gives each patient's number."""
    kept = [row for row in rows if row.share_inside is not None]
    number = {name: place for place, name in enumerate(patients)}

    def column(name: str) -> NDArray[np.float64]:
        return np.array([getattr(row, name) for row in kept], dtype=np.float64)

    return HeatTable(
        patient=np.array([number[row.case.image.patient] for row in kept], dtype=np.int64),
        share_inside=column("share_inside"),
        area_share=column("area_share"),
        drop_hottest=column("drop_hottest"),
        drop_random=column("drop_random"),
    )


def most_telling(rows: Sequence[Explained], count: int) -> list[Explained]:
    """Return at most `count` boxes: the surest wrong and right ones by halves, wrong ones first.

    Where one half has fewer the other takes its places; without truth the surest metastatic ones
    (of a detector the best scored).
    """
    surest = sorted(rows, key=lambda row: -row.answer)
    wrong = [row for row in surest if row.is_right is False]
    right = [row for row in surest if row.is_right]
    if not wrong and not right:
        return sorted(rows, key=lambda row: -row.positive)[:count]
    of_wrong = min(len(wrong), max(count - count // 2, count - len(right)))
    return wrong[:of_wrong] + right[: count - of_wrong]
