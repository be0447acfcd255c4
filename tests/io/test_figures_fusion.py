"""Pictures of fusion heat: drawn whatever a case has and is called."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lnmdetect.core.errors import OutputError
from lnmdetect.io.figures_fusion import (
    FusedPicture,
    HeatView,
    write_case_picture,
    write_gallery,
)

BOTH = {"bmode": "B-mode", "ceus": "CEUS"}


def view(title: str, *, hot: float = 1.0) -> HeatView:
    pixels = np.linspace(0, 1, 40 * 60, dtype=np.float32).reshape(40, 60)
    heat = np.zeros((40, 60), dtype=np.float32)
    heat[10:20, 10:20] = hot
    return HeatView(title, pixels, heat)


def picture(*modalities: str, **changes: Any) -> FusedPicture:
    values: dict[str, Any] = {
        "views": {name: view(BOTH[name]) for name in modalities},
        "name": "c-1",
        "called": "metastatic",
        "pathology": "benign",
        "probability": 0.7,
        "threshold": 0.4,
        "finding": "finding absent",
        "rests_on": "B-mode",
        "is_right": False,
    }
    return FusedPicture(**{**values, **changes})


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_a_case_has_two_panels_an_image(tmp_path: Path) -> None:
    write_case_picture(picture("bmode"), tmp_path / "1.png", footer="f")
    write_case_picture(picture("bmode", "ceus"), tmp_path / "2.png", footer="f")
    (one, height), (two, same) = size(tmp_path / "1.png"), size(tmp_path / "2.png")
    assert height == same
    assert two - one == pytest.approx(150 * 2 * 3.06, abs=2)


def test_the_same_case_gives_the_same_bytes_and_an_existing_picture_stays(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        write_case_picture(picture("ceus"), tmp_path / name, footer="f")
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        write_case_picture(picture("ceus"), tmp_path / "1.png", footer="f")


def test_heat_colours_the_image_and_none_leaves_it_grey(tmp_path: Path) -> None:
    colours = []
    for name, hot in (("hot", 1.0), ("cold", 0.0)):
        drawn = picture(views={"bmode": view("B-mode", hot=hot)}, is_right=None)
        write_case_picture(drawn, tmp_path / name, footer="f")
        with Image.open(tmp_path / name) as image:
            panels = np.asarray(image.convert("RGB"), dtype=int)
        right = panels[200:640, 490:940]  # the second panel
        colours.append(int(np.ptp(right, axis=2).max()))
    assert colours[0] > 60
    assert colours[1] == 0


@pytest.mark.parametrize("name", ["$x^{y$ ${", "a_b\\frac"])
def test_a_name_is_never_taken_for_a_formula(tmp_path: Path, name: str) -> None:
    write_case_picture(picture("bmode", name=name), tmp_path / "a.png", footer="f")
    cases = {name: [picture("bmode", name=name)]}
    write_gallery(cases, tmp_path / "b.png", modalities=BOTH, title="t", sentences=[])
    assert size(tmp_path / "b.png")[0] > 900


@pytest.mark.parametrize(
    ("counts", "rows"), [((1,), 1), ((3,), 1), ((4,), 2), ((6, 6), 4), ((1, 3), 2)]
)
def test_a_gallery_has_three_cases_a_row_and_begins_a_row_with_each_heading(
    tmp_path: Path, counts: tuple[int, ...], rows: int
) -> None:
    cases = [picture("bmode"), picture("ceus"), picture(), picture("bmode", "ceus")] * 2
    sections = {f"heading {number}": cases[:count] for number, count in enumerate(counts)}
    path = tmp_path / "g.png"
    write_gallery(sections, path, modalities=BOTH, title="t", sentences=["One.", "Two."])
    width, height = size(path)
    inches = 0.62 + 2 * 0.19 + len(counts) * 0.32 + rows * (0.4 + 2 * 1.56 + 0.22)
    assert height == pytest.approx(150 * inches, abs=2)
    assert width == pytest.approx(150 * (1.15 + min(3, max(2, *counts, 0)) * 3.28), abs=2)


def test_of_one_kind_of_image_heat_stands_beside_it(tmp_path: Path) -> None:
    path, cases = tmp_path / "g.png", {"h": [picture("ceus")]}
    write_gallery(cases, path, modalities={"ceus": "CEUS"}, title="t", sentences=[])
    assert size(path)[1] == pytest.approx(150 * (0.62 + 0.32 + 0.4 + 1.56 + 0.22), abs=2)
