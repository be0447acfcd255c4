"""What the figures of an evaluation are drawn from: plain numbers, no files, no models."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Point = tuple[float, float]


@dataclass(frozen=True)
class Band:
    """95 % limits of a curve.

    Attributes:
        x: (G,) rising.
        low, high: (G,) limits; NaN where there are none.
    """

    x: Numbers
    low: Numbers
    high: Numbers

    def __post_init__(self) -> None:
        if not self.x.shape == self.low.shape == self.high.shape:
            raise ValueError(
                f"band: expected three columns of one length, got {self.x.shape}, "
                f"{self.low.shape}, {self.high.shape}"
            )


@dataclass(frozen=True)
class Curve:
    """A curve with its band.

    Attributes:
        x, y: (N,) points, by rising x.
        band: its limits; None where no interval was made.
        label: what the legend calls it.
    """

    x: Numbers
    y: Numbers
    label: str
    band: Band | None = None

    def __post_init__(self) -> None:
        if self.x.shape != self.y.shape:
            raise ValueError(f"curve: expected y of {self.x.shape}, got {self.y.shape}")


@dataclass(frozen=True)
class NamedPoint:
    """One place on a plane of curves, as an operating point or a reader."""

    at: Point
    label: str


@dataclass(frozen=True)
class CurvePlot:
    """A ROC, precision-recall or FROC curve.

    Attributes:
        curve: drawn with its band.
        points: marked beside it.
        baseline: share of positives, the precision of calling all so; only precision-recall.
        per: what false positives are counted by, "image" or "scan"; only FROC.
        others: drawn beside it without bands; only ROC.
    """

    curve: Curve
    points: tuple[NamedPoint, ...] = ()
    baseline: float | None = None
    per: str = ""
    others: tuple[Curve, ...] = ()


@dataclass(frozen=True)
class ReliabilityPlot:
    """Observed against predicted probability, by bins.

    Attributes:
        predicted, observed: (K,) means of each bin.
        low, high: (K,) 95 % limits of `observed`; NaN where there are none.
        counts: (K,) boxes in each bin.
        edges: (K, 2) limits of each bin.
    """

    predicted: Numbers
    observed: Numbers
    low: Numbers
    high: Numbers
    counts: Numbers
    edges: Numbers


@dataclass(frozen=True)
class DecisionPlot:
    """Net benefit by threshold probability (Vickers and Elkin 2006).

    Attributes:
        model, treat_all: curves over the threshold probability; treating none is 0.
        threshold: the classifier's own; None where there is none.
    """

    model: Curve
    treat_all: Curve
    threshold: float | None = None


@dataclass(frozen=True)
class SizesPlot:
    """Size and shape of N truth boxes, as figure 2 of Wang et al. 2023.

    Attributes:
        area_percent: box area as a share of the image's, %.
        aspect: width / height.
        category: (N,) benign, metastatic or of unknown status, as COCO category ids.
        found: (N,) flags; None where it is not known which boxes were found.
    """

    area_percent: Numbers
    aspect: Numbers
    category: NDArray[np.int64]
    found: NDArray[np.bool_] | None


@dataclass(frozen=True)
class OverlapPlot:
    """Shares of nodes that masks found, over the overlap above which a node counts as found."""

    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class SizeRates:
    """Shares of the nodes of one class that were found, in G groups of size.

    Attributes:
        rate, low, high: (G,) and their 95 % limits; NaN where there are none.
    """

    label: str
    rate: Numbers
    low: Numbers
    high: Numbers


@dataclass(frozen=True)
class SizeRatesPlot:
    """Shares of nodes found by size and class.

    Attributes:
        groups: names of the G sizes, mm, smallest first; nodes: how many each has.
    """

    groups: tuple[str, ...]
    nodes: tuple[int, ...]
    series: tuple[SizeRates, ...]


@dataclass(frozen=True)
class EvaluationPlots:
    """The figures of one evaluation; None where the files do not allow one.

    Attributes:
        phantom: the scans are synthetic: every figure says so.
    """

    phantom: bool
    roc: CurvePlot | None = None
    froc: CurvePlot | None = None
    precision_recall: CurvePlot | None = None
    reliability: ReliabilityPlot | None = None
    decision_curve: DecisionPlot | None = None
    sizes: SizesPlot | None = None
    overlap: OverlapPlot | None = None
    mask_sizes: SizeRatesPlot | None = None

    def names(self) -> tuple[str, ...]:
        """Return the names of the figures that can be drawn."""
        kept = (f.name for f in fields(self) if f.name != "phantom")
        return tuple(name for name in kept if getattr(self, name) is not None)
