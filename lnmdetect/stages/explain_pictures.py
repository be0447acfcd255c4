"""The pictures of `lnmdetect explain`: the boxes that tell most, and a contact sheet of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lnmdetect import __version__
from lnmdetect.core.geometry import square_crop_window
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.io.figures_explain import HeatPicture, write_heat_picture, write_heat_sheet
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.metrics.faithfulness import HOT_SHARE
from lnmdetect.stages.explain_cases import NO_NODE
from lnmdetect.stages.explain_looks import Explained, Explainer
from lnmdetect.transforms.heat import heat_on_slice

SHEET = "index.png"
PICTURE_NAMES = "box-*.png"


def write_pictures(
    rows: Sequence[Explained],
    explainer: Explainer,
    store: PixelStore,
    folder: Path,
    *,
    findings: Sequence[str],
    phantom: bool,
    progress: Progress = SILENT,
) -> Mapping[int, str]:
    """Return annotation id to file name, after writing a picture a box and the contact sheet.

    Raises:
        InputError: a slice cannot be read.
        OutputError: the folder cannot be written.
    """
    footer = _footer(explainer, phantom=phantom)
    names: dict[int, str] = {}
    pictures = []
    for row in progress.track(rows, description="drawing"):
        picture = _picture(row, explainer, store)
        name = f"box-{row.case.box.annotation_id:05d}.png"
        write_heat_picture(picture, folder / name, footer=footer, overwrite=True)
        names[row.case.box.annotation_id] = name
        pictures.append(picture)
    if pictures:
        write_heat_sheet(pictures, folder / SHEET, title=footer, findings=findings, overwrite=True)
    return names


def _footer(explainer: Explainer, *, phantom: bool) -> str:
    cells = "" if explainer.cells is None else ", {} × {} cells".format(*explainer.cells)
    parts = [
        f"lnmdetect {__version__}",
        *(["phantom"] if phantom else []),
        f"{explainer.bundle.recipe.arm} {explainer.bundle.name}",
        f"{explainer.method}, {explainer.layer}{cells}",
        "research only, not for diagnosis",
    ]
    return " · ".join(parts)


def _picture(row: Explained, explainer: Explainer, store: PixelStore) -> HeatPicture:
    case = row.case
    look = explainer.look(case)
    positive = np.clip(look.heat, 0, None)
    heat = np.asarray(positive / max(float(positive.max()), 1e-12), dtype=np.float32)
    inside, region = case.inside(margin=explainer.margin, size_px=explainer.size_px)
    box, spacing_mm = case.box.box_xyxy, case.image.spacing_mm
    slice_hu = store.read(case.image)
    return HeatPicture(
        crop_hu=look.crop_hu,
        heat=heat,
        inside=inside if region == "mask" else None,
        slice_hu=slice_hu,
        slice_heat=heat_on_slice(
            heat,
            box,
            spacing_mm=spacing_mm,
            margin=explainer.margin,
            shape=(slice_hu.shape[0], slice_hu.shape[1]),
        ),
        spacing_mm=spacing_mm,
        box_xyxy=box,
        crop_xyxy=square_crop_window(box, spacing_mm=spacing_mm, margin=explainer.margin),
        headline=" · ".join(_said(row)),
        caption="\n".join([*_said(row), _share(row)]),
        lines=tuple(_lines(row)),
        is_right=row.is_right,
    )


def _said(row: Explained) -> list[str]:
    """Return what the model says of a box and, where there is truth, what truth says."""
    if row.p_metastatic is None:
        said = f"score {row.answer:.2f}"
    else:
        said = f"{row.called}, P(met.) {row.p_metastatic:.2f}"
    truth = row.case.truth
    if row.called is None and truth not in (None, NO_NODE):
        truth = "a node"
    return [said] if truth is None else [said, f"truth: {truth}"]


def _share(row: Explained) -> str:
    if row.share_inside is None:
        return "no heat"
    return f"{row.share_inside:.0%} of heat inside, {row.area_share:.0%} of area"


def _lines(row: Explained) -> list[str]:
    if row.share_inside is None or row.drop_hottest is None or row.drop_random is None:
        return ["no heat is positive"]
    where = "the node's mask in truth" if row.region == "mask" else "the box"
    what = "the score" if row.called is None else f"P({row.called})"
    place = f"box {row.case.box.annotation_id} on image {row.case.image.image_id}"
    return [
        f"{place} · {row.share_inside:.0%} of the heat inside {where}, which fills "
        f"{row.area_share:.0%} of the crop",
        f"without the hottest {HOT_SHARE:.0%} of the crop {what} {_moved(row.drop_hottest)}, "
        f"without as much elsewhere it {_moved(row.drop_random)}",
    ]


def _moved(drop: float) -> str:
    return f"{'falls' if drop >= 0 else 'rises'} by {abs(drop):.2f}"
