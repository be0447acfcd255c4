"""Pictures: what they show, and that they are written as PNG without traces."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnmdetect.core.errors import OutputError
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, ImageRecord, NodeAnnotation
from lnmdetect.io import figures_training
from lnmdetect.io.contact_sheet import write_contact_sheet
from lnmdetect.io.figures import new_figure, save_png
from lnmdetect.io.figures_anchors import binned_means
from lnmdetect.io.figures_training import (
    losses_and_figures,
    plot_curves_of_models,
    plot_learning_curves,
)
from lnmdetect.io.slice_drawing import Tile, body_box, label_text, shown_part

PNG = b"\x89PNG\r\n\x1a\n"


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data.startswith(PNG)
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def record(spacing_mm: tuple[float, float] = (0.5, 0.5), *, size: int = 120) -> ImageRecord:
    return ImageRecord(1, "1.2.3.dcm", size, size, "p1", "1.2", "1.2.3", 0, 0.0, spacing_mm)


def disc(size: int = 120, *, centre: tuple[int, int] = (60, 50), radius: int = 30) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    inside = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2
    return np.where(inside, 40, -1000).astype(np.int16)


def node(category: int = LYMPH_NODE, **more: object) -> NodeAnnotation:
    return NodeAnnotation(1, 1, category, (50, 40, 60, 52), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (
            node(METASTATIC, score=0.9, probabilities={"benign": 0.2, "metastatic": 0.8}),
            "met. 0.80",
        ),
        (node(BENIGN, score=0.9, probabilities={"benign": 0.9, "metastatic": 0.1}), "ben. 0.10"),
        (node(score=0.876), "node 0.88"),
        (node(), "node"),
    ],
)
def test_a_label_gives_class_and_probability_of_metastasis_else_the_score(
    shown: NodeAnnotation, text: str
) -> None:
    assert label_text(shown) == text


def test_the_body_is_the_largest_dense_thing_and_not_the_couch() -> None:
    pixels = disc()
    pixels[98:114, 0:120] = 100
    x1, y1, x2, y2 = body_box(pixels) or (0, 0, 0, 0)
    assert abs(x1 - 30) <= 6
    assert abs(x2 - 90) <= 6
    assert y2 < 90
    assert abs(y1 - 20) <= 6


def test_air_alone_has_no_body_and_the_whole_slice_is_shown() -> None:
    air = np.full((120, 120), -1000, np.int16)
    assert body_box(air) is None
    x1, y1, x2, y2 = shown_part(Tile(record(), air))
    assert (x1, y1) <= (0, 0)
    assert min(x2, y2) >= 120


def test_the_shown_part_is_square_in_mm_and_holds_every_box() -> None:
    far = NodeAnnotation(1, 1, METASTATIC, (110, 5, 118, 15), score=0.5)
    x1, y1, x2, y2 = shown_part(Tile(record((0.5, 1.0)), disc(), found=(far,)))
    assert (x2 - x1) * 1.0 == pytest.approx((y2 - y1) * 0.5)
    assert x1 <= 33  # the opening may take a pixel of every third
    assert x2 >= 118
    assert y1 <= 5


def test_a_contact_sheet_is_written_with_and_without_boxes(tmp_path: Path) -> None:
    tiles = [
        Tile(record(), disc(), truth=(node(METASTATIC), node(BENIGN, ignored=True))),
        Tile(record(), disc(), found=(node(score=0.4),)),
        Tile(record(), disc()),
    ]
    write_contact_sheet(tiles, tmp_path / "sheet.png", title="phantom")
    width, height = png_size(tmp_path / "sheet.png")
    assert width > height > 300


def test_the_same_tiles_give_the_same_bytes_and_more_tiles_a_larger_sheet(tmp_path: Path) -> None:
    tiles = [Tile(record(), disc(), found=(node(score=0.4),))]
    for name, shown in (("a", tiles), ("b", tiles), ("c", tiles * 8)):
        write_contact_sheet(shown, tmp_path / f"{name}.png", title="phantom")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert png_size(tmp_path / "c.png") > png_size(tmp_path / "a.png")


def test_boxes_are_drawn_in_the_colour_of_their_class(tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    orange = np.array([0xFF, 0x6A, 0x3D]) / 255
    for name, category in (("met", METASTATIC), ("ben", BENIGN)):
        tiles = [Tile(record(), disc(), truth=(node(category),))]
        write_contact_sheet(tiles, tmp_path / f"{name}.png", title="")
    near = {
        name: (np.abs(image.imread(tmp_path / f"{name}.png")[..., :3] - orange) < 0.02)
        .all(-1)
        .sum()
        for name in ("met", "ben")
    }
    assert near["met"] > 200
    assert near["ben"] == 0


def test_learning_curves_are_written_for_any_loss_names(tmp_path: Path) -> None:
    rows = [
        {"epoch": e, "learning_rate": 0.1, "rpn_box": 1 / e, "ap50": e / 10, "seconds": 1.0}
        for e in (1, 2, 3)
    ]
    plot_learning_curves(rows, tmp_path / "curves.png", title="compact")
    assert png_size(tmp_path / "curves.png")[0] > 1000


def test_what_validation_reached_is_told_from_what_training_lost() -> None:
    rows = {
        "ap50": ["epoch", "learning_rate", "rpn_box", "ap50", "seconds"],
        "accuracy": ["epoch", "learning_rate", "cross_entropy", "auc", "accuracy", "seconds"],
        "dice": ["epoch", "cross_entropy", "dice_loss", "dice", "dice_metastatic", "seconds"],
    }
    assert {name: losses_and_figures(keys, name) for name, keys in rows.items()} == {
        "ap50": (["rpn_box"], ["ap50"]),
        "accuracy": (["cross_entropy"], ["accuracy", "auc"]),
        "dice": (["cross_entropy", "dice_loss"], ["dice", "dice_metastatic"]),
    }
    assert losses_and_figures(rows["accuracy"])[1] == ["auc", "accuracy"]
    assert losses_and_figures(()) == ([], [])


@pytest.mark.parametrize(
    ("kept", "title"), [(3, "kept dice 0.200 in epoch 3"), (None, "best dice 0.500 in epoch 2")]
)
def test_a_segmenters_dice_is_no_loss_and_the_kept_epoch_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int | None, title: str
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(figures_training, "save_png", lambda figure, *_, **__: drawn.append(figure))
    rows = [
        {"epoch": e, "loss": 1 / e, "dice": dice, "dice_positive": 0.1, "dice_metastatic": 0.1}
        for e, dice in ((1, 0.1), (2, 0.5), (3, 0.2))
    ]
    plot_learning_curves(rows, tmp_path / "curves.png", kept_epoch=kept)
    left, right = drawn[0].axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["loss"]
    shown = {text.get_text() for text in right.get_legend().get_texts()}
    assert shown == {"dice", "dice positive", "dice metastatic"}
    assert right.get_title() == f"validation: {title}"


def test_curves_of_a_training_that_ended_before_its_first_epoch_are_empty(tmp_path: Path) -> None:
    plot_learning_curves([], tmp_path / "curves.png")
    assert png_size(tmp_path / "curves.png")[0] > 1000


def test_the_curves_of_several_models_share_a_picture(tmp_path: Path) -> None:
    def rows(count: int, figure: str) -> list[dict[str, float]]:
        return [
            {"epoch": e, "loss": 1 / e, figure: e / 10, "seconds": 1.0} for e in range(1, count)
        ]

    few = {"a": [rows(3, "auc")], "b": [rows(4, "ap50"), rows(2, "ap50")]}
    plot_curves_of_models(few, tmp_path / "few.png", title="t", phantom=True)
    many = few | {name: [rows(3, "auc")] for name in "cdef"} | {"none": [[]]}
    plot_curves_of_models(many, tmp_path / "many.png", title="t", phantom=False)
    assert png_size(tmp_path / "many.png")[1] > 1.5 * png_size(tmp_path / "few.png")[1]


def test_an_existing_picture_is_refused_without_overwrite(tmp_path: Path) -> None:
    figure = new_figure(width_in=1, height_in=1)
    save_png(figure, tmp_path / "a.png")
    with pytest.raises(OutputError, match=r"a\.png: expected a new file"):
        save_png(figure, tmp_path / "a.png")
    save_png(figure, tmp_path / "a.png", overwrite=True)


def test_a_picture_says_neither_when_nor_by_what_it_was_made(tmp_path: Path) -> None:
    save_png(new_figure(width_in=1, height_in=1), tmp_path / "a.png")
    assert b"tEXt" not in (tmp_path / "a.png").read_bytes()


def test_bins_with_fewer_than_five_points_are_left_out() -> None:
    x = np.concatenate([np.full(5, 1.0), np.full(4, 13.0)])
    y = np.concatenate([np.arange(5.0), np.full(4, 9.0)])
    middle, mean = binned_means(x, y)
    assert middle.tolist() == [1.0]
    assert mean.tolist() == [2.0]
