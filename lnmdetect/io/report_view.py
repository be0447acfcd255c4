"""What a report shows: text, tables, pictures and slices; all that the page's template gets."""

from dataclasses import dataclass
from typing import Literal

PREDICTED_KINDS = ("hit", "wrong class", "duplicate", "poorly placed", "background", "ignored")
TRUTH_KINDS = ("found", "wrong class", "poorly placed", "missed", "ignored")


@dataclass(frozen=True)
class Fact:
    """One line of what was run."""

    name: str
    value: str


@dataclass(frozen=True)
class FigureRow:
    """One figure in words.

    Attributes:
        name: of the figure.
        value: its number, or "undefined".
        interval: 95 %, over patients; empty where there is none.
        independent: 95 %, as if each case were independent, with its method.
        n: what the figure rests on.
        reason: why it is undefined, why it is what it is, or why it has no interval.
    """

    name: str
    value: str
    interval: str = ""
    independent: str = ""
    n: str = ""
    reason: str = ""


@dataclass(frozen=True)
class FigureTable:
    """Figures, a row each."""

    caption: str
    rows: tuple[FigureRow, ...]


@dataclass(frozen=True)
class Table:
    """Any other table; the first cell of a row names it."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table: expected {len(self.columns)} cells, got {row}")


@dataclass(frozen=True)
class Plot:
    """A drawn figure.

    Attributes:
        svg: an `<svg>` element, drawn by this program.
        caption: what is drawn, below it.
        missing: why there is none; then `svg` is empty.
    """

    title: str
    svg: str
    caption: str
    missing: str = ""


@dataclass(frozen=True)
class Picture:
    """A finished picture.

    Attributes:
        uri: data URI.
        alt: what is on it, for those who do not see it.
    """

    uri: str
    alt: str


@dataclass(frozen=True)
class Section:
    """One part of the page, under a heading of its own.

    Attributes:
        ident: of the heading, for links.
        notes: what a reader of this part must know.
    """

    ident: str
    title: str
    text: str = ""
    plots: tuple[Plot, ...] = ()
    figures: tuple[FigureTable, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class SliceBox:
    """A box on a slice.

    Attributes:
        x, y, width, height: mm from the upper left corner of the shown part.
        source: whose box it is.
        kind: one of `TRUTH_KINDS` or `PREDICTED_KINDS`.
        category: benign, metastatic or lymph node.
        score: the detector's; None for truth.
        p_metastatic: None where the box was not classified.
        size: width × height in mm and, in brackets, the short axis of the node in 3-D.
        severity: how bad an error it is among those of its kind; larger is worse.
    """

    x: float
    y: float
    width: float
    height: float
    source: Literal["truth", "found"]
    kind: str
    category: str
    score: float | None
    p_metastatic: float | None
    size: str
    severity: float

    def __post_init__(self) -> None:
        known = TRUTH_KINDS if self.source == "truth" else PREDICTED_KINDS
        if self.kind not in known:
            raise ValueError(f"box: expected a kind among {known}, got {self.kind!r}")


@dataclass(frozen=True)
class SliceView:
    """A slice of the browser.

    Attributes:
        patient: pseudonym.
        uid: SOP instance uid, or the file name of a key image.
        name: where in the scan it lies, as "slice 12".
        position_mm: along the scan.
        picture: data URI; empty where the pixels are not there.
        width_mm, height_mm: of the shown part.
    """

    patient: str
    uid: str
    name: str
    position_mm: float
    picture: str
    width_mm: float
    height_mm: float
    boxes: tuple[SliceBox, ...]

    def __post_init__(self) -> None:
        if not (self.width_mm > 0 and self.height_mm > 0):
            raise ValueError(f"slice: expected sides > 0, got {self.width_mm}, {self.height_mm}")


@dataclass(frozen=True)
class Browser:
    """The slices that can be looked at.

    Attributes:
        slices: worst first.
        available: how many slices have truth or predictions at the threshold.
        notes: why pictures or slices are missing.
    """

    slices: tuple[SliceView, ...]
    available: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChecklistItem:
    """One item of the reporting guidelines.

    Attributes:
        tripod, claim: its numbers in TRIPOD+AI (2024) and CLAIM (2020); empty where it has none.
        asks: what is to be told, in our words.
        told: what the files tell; empty: for the authors to fill in.
        complete: nothing is left to the authors beside `told`.
    """

    tripod: str
    claim: str
    asks: str
    told: str = ""
    complete: bool = True


@dataclass(frozen=True)
class ReportView:
    """The whole page.

    Attributes:
        lead: what was scored, one sentence.
        phantom: the scans are synthetic.
        facts: files, hashes, versions, models, thresholds and where they came from.
        notes: what a reader must know.
        sections: in order, before the slices.
        checklist: after the slices.
    """

    title: str
    lead: str
    phantom: bool
    facts: tuple[Fact, ...]
    notes: tuple[str, ...]
    headline: FigureTable
    sections: tuple[Section, ...]
    browser: Browser
    checklist: tuple[ChecklistItem, ...]
