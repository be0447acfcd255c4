"""Pictures of what a fusion network looks at: each ultrasound image, and under its heat."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from lnmdetect.io.figures import new_figure, save_png
from lnmdetect.io.heat_drawing import (
    DIM,
    GROUND,
    HEAT_LOOK,
    TEXT,
    draw_bar,
    draw_heat,
    verdict_colour,
)

GALLERY_COLUMNS = 3
_LOOK = HEAT_LOOK | {"text.parse_math": False}
"""Names of cases come from a file, and may hold what matplotlib takes for a formula."""
_DPI = 150
_EDGE_IN, _GAP_IN, _BAR_IN = 0.2, 0.06, 0.75
_PANEL_IN, _HEAD_IN = 3.0, 1.28
_THUMB_IN, _BLOCK_GAP_IN, _CAPTION_IN = 1.5, 0.22, 0.4
_HEADING_IN = 0.32
_LETTERS_AN_INCH = 12.5
"""Of 9.5 point text, on average."""
_GAUGE = "#3a3a3a"
_HALO = (withStroke(linewidth=1.5, foreground="black"),)


@dataclass(frozen=True)
class HeatView:
    """One image of a case.

    Attributes:
        title: as `B-mode`.
        pixels: (H, W) in [0, 1].
        heat: (H, W) in [0, 1], the share of the hottest place; 0 everywhere where nothing in the
            image speaks for the call.
    """

    title: str
    pixels: NDArray[np.float32]
    heat: NDArray[np.float32]


@dataclass(frozen=True)
class FusedPicture:
    """One case with its heat.

    Attributes:
        views: by modality, of the images the answer rests on.
        name, called, pathology: what is said of it; pathology None where it is not known.
        probability: of metastasis; threshold: from which it is called metastatic.
        finding: what is said of it.
        rests_on: what the answer does.
        is_right: whether pathology agrees; None: it is not known.
    """

    views: Mapping[str, HeatView]
    name: str
    called: str
    pathology: str | None
    probability: float
    threshold: float
    finding: str
    rests_on: str
    is_right: bool | None = None


def write_case_picture(
    picture: FusedPicture, path: Path, *, footer: str, overwrite: bool = False
) -> None:
    """Write a PNG: each image of the case, and the image under its heat.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    panels = 2 * len(picture.views)
    width = 2 * _EDGE_IN + panels * (_PANEL_IN + _GAP_IN) + _BAR_IN
    with rc_context(_LOOK):
        sheet = _Sheet(width, _HEAD_IN + _PANEL_IN + 0.42)
        left = _EDGE_IN
        for view in picture.views.values():
            for with_heat in (False, True):
                axes = sheet.axes(left, _HEAD_IN, _PANEL_IN, _PANEL_IN)
                _draw_view(axes, view, with_heat=with_heat)
                axes.set_title(_panel_title(view, with_heat=with_heat), loc="left", pad=4)
                left += _PANEL_IN + _GAP_IN
        draw_bar(sheet.figure, sheet.axes(left + 0.06, _HEAD_IN, 0.1, _PANEL_IN))
        _write_head(sheet, picture)
        below = _HEAD_IN + _PANEL_IN + 0.12
        sheet.text(_EDGE_IN, below, footer, fontsize=8, color=DIM)
        save_png(sheet.figure, path, overwrite=overwrite, dpi=_DPI, style=_LOOK)


def write_gallery(
    sections: Mapping[str, Sequence[FusedPicture]],
    path: Path,
    *,
    modalities: Mapping[str, str],
    title: str,
    sentences: Sequence[str],
    overwrite: bool = False,
) -> None:
    """Write one PNG of cases: images above, under their heat below, call and probability over it.

    Args:
        sections: cases by the heading that stands over them; one case or more.
        path: of the PNG.
        modalities: the columns of each case, by their titles.
        title: of the sheet.
        sentences: below it; each begins a line.
        overwrite: whether an existing file is replaced.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    columns = min(GALLERY_COLUMNS, max(2, *map(len, sections.values())))
    step = _THUMB_IN + _GAP_IN
    block = 2 * step - _GAP_IN + _BLOCK_GAP_IN
    width = 2 * _EDGE_IN + columns * block + _BAR_IN
    letters = int((width - _EDGE_IN) * _LETTERS_AN_INCH)
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, letters)]
    head = 0.62 + 0.19 * len(lines)
    down = 1 if len(modalities) == 1 else 2
    tall = _CAPTION_IN + down * step + _BLOCK_GAP_IN
    rows = {heading: math.ceil(len(cases) / columns) for heading, cases in sections.items()}
    with rc_context(_LOOK):
        sheet = _Sheet(width, head + len(rows) * _HEADING_IN + sum(rows.values()) * tall)
        sheet.text(_EDGE_IN, 0.16, title, fontsize=13, fontweight="bold")
        sheet.text(_EDGE_IN, 0.5, "\n".join(lines), fontsize=9.5, color=DIM, linespacing=1.35)
        top = head
        for heading, cases in sections.items():
            sheet.text(_EDGE_IN, top, heading, fontsize=10.5, fontweight="bold")
            for number, picture in enumerate(cases):
                left = _EDGE_IN + (number % columns) * block
                below = top + _HEADING_IN + number // columns * tall
                _draw_block(sheet, picture, modalities, left, below)
            top += _HEADING_IN + rows[heading] * tall
        bar = (_EDGE_IN + columns * block, head + _HEADING_IN + _CAPTION_IN, 0.1, down * _THUMB_IN)
        draw_bar(sheet.figure, sheet.axes(*bar))
        save_png(sheet.figure, path, overwrite=overwrite, dpi=_DPI, style=_LOOK)


class _Sheet:
    """A dark figure on which places are inches from the left and from the top.

    Args:
        width_in: of the figure.
        height_in: of the figure.
    """

    def __init__(self, width_in: float, height_in: float) -> None:
        self.figure: Figure = new_figure(width_in=width_in, height_in=height_in)
        self.figure.set_facecolor(GROUND)
        self.figure.set_layout_engine("none")
        self.width_in, self.height_in = width_in, height_in

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return new axes there."""
        bottom = self.height_in - top - height
        wide, tall = self.width_in, self.height_in
        return self.figure.add_axes((left / wide, bottom / tall, width / wide, height / tall))

    def text(self, left: float, top: float, text: str, **look: Any) -> None:
        """Write text whose upper left corner is there."""
        place = (left / self.width_in, 1 - top / self.height_in)
        self.figure.text(*place, text, va="top", **look)


def _draw_block(
    sheet: _Sheet, picture: FusedPicture, modalities: Mapping[str, str], left: float, top: float
) -> None:
    """Draw one case of a gallery: two lines of words, and its images below."""
    colour = verdict_colour(picture.is_right)
    sheet.text(left, top, picture.name, fontsize=8.5)
    words = f"{_called(picture)} · {picture.finding}"
    sheet.text(left, top + 0.18, words, fontsize=8, color=colour)
    step = _THUMB_IN + _GAP_IN
    for column, (modality, title) in enumerate(modalities.items()):
        view = picture.views.get(modality)
        for with_heat in (False, True):
            # One image stands beside its heat, several above theirs.
            across, down = (with_heat, 0) if len(modalities) == 1 else (column, with_heat)
            place = (left + across * step, top + _CAPTION_IN + down * step)
            axes = sheet.axes(*place, _THUMB_IN, _THUMB_IN)
            if view is None:
                _draw_nothing(axes, f"no {title}")
                continue
            _draw_view(axes, view, with_heat=with_heat)
            if not with_heat:
                _name_view(axes, title)


def _name_view(axes: Axes, title: str) -> None:
    look: dict[str, Any] = {"fontsize": 6.5, "color": TEXT, "path_effects": _HALO}
    axes.text(0.03, 0.97, title, transform=axes.transAxes, va="top", **look)


def _draw_view(axes: Axes, view: HeatView, *, with_heat: bool) -> None:
    height, width = view.pixels.shape
    extent = (0, width, height, 0)
    axes.imshow(view.pixels, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="bilinear")
    if with_heat:
        draw_heat(axes, view.heat, extent)
    _empty(axes)


def _draw_nothing(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=8, color=DIM)
    _empty(axes)


def _empty(axes: Axes) -> None:
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])


def _panel_title(view: HeatView, *, with_heat: bool) -> str:
    if not with_heat:
        return view.title
    says = "heat" if view.heat.any() else "nothing speaks for the call"
    return f"{view.title}: {says}"


def _write_head(sheet: _Sheet, picture: FusedPicture) -> None:
    colour = verdict_colour(picture.is_right)
    sheet.text(_EDGE_IN, 0.16, _pathology(picture), fontsize=13, fontweight="bold")
    sheet.text(_EDGE_IN, 0.43, _called(picture), fontsize=11, color=colour)
    words = f"{picture.finding} · the answer rests on {picture.rests_on}"
    sheet.text(_EDGE_IN, 0.72, words, fontsize=9, color=DIM)
    wide = 2.5
    left = sheet.width_in - _EDGE_IN - wide
    words = f"P(metastatic) {picture.probability:.3f}, metastatic from {picture.threshold:.3f}"
    sheet.text(left, 0.52, words, fontsize=7.5, color=DIM)
    _draw_gauge(sheet.axes(left, 0.74, wide, 0.12), picture)


def _draw_gauge(axes: Axes, picture: FusedPicture) -> None:
    """Draw P(metastatic) from 0 to 1 as a bar, and the threshold as a tick across it."""
    axes.barh([0], [1], height=1, color=_GAUGE)
    axes.barh([0], [picture.probability], height=1, color=verdict_colour(picture.is_right))
    axes.plot([picture.threshold] * 2, [-0.9, 0.9], color=TEXT, linewidth=1.4, clip_on=False)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.5, 0.5)
    _empty(axes)


def _pathology(picture: FusedPicture) -> str:
    if picture.pathology is None:
        return picture.name
    return f"{picture.name} · pathology {picture.pathology}"


def _called(picture: FusedPicture) -> str:
    return f"called {picture.called}, P(met.) {picture.probability:.3f}"
