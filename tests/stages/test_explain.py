"""`lnmdetect explain`: a network whose heat is known, on key images made for it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask
from torch import Tensor, nn
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.config import ClassifierRecipe
from lnmdetect.core.errors import InputError, OutputError, UsageError
from lnmdetect.core.pretrained import Pretrained
from lnmdetect.core.records import BENIGN, METASTATIC, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.core.thresholds import Threshold
from lnmdetect.io.bundles import Bundle, write_bundle
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.metrics.faithfulness import Faithfulness, hottest_region
from lnmdetect.metrics.figure import Figure
from lnmdetect.models.backbones import BACKBONES, Backbone, ClassifierSizes
from lnmdetect.stages.explain import ExplainRequest, explain
from lnmdetect.stages.explain_cases import Case, cases_of
from lnmdetect.stages.explain_looks import Explained, most_telling
from lnmdetect.stages.explain_notes import findings_by_call, findings_of
from lnmdetect.stages.explain_result import ExplainResult
from tests.test_data_specs import errors as schema_errors

Fields = Callable[..., dict[str, Any]]
Explain = Callable[..., ExplainResult]
SIDE, PATIENTS = 64, 3
FAT_HU, BRIGHT_HU, DULL_HU = -100, 140, 60
LOW_HU, HIGH_HU = -160.0, 240.0
GAIN, BIAS = 40.0, 6.5


class Brightness(nn.Module):
    """P(metastatic) rises with how much of the crop is brighter than fat; heat is that."""

    def __init__(self, sizes: ClassifierSizes) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(sizes.in_channels, 1, 1), nn.ReLU(), nn.AvgPool2d(4))
        self.fc = nn.Linear(1, sizes.classes)
        fat = (FAT_HU + 5 - LOW_HU) / (HIGH_HU - LOW_HU)
        for part, weight, bias in (
            (self.maps[0], torch.ones(1, sizes.in_channels, 1, 1), torch.tensor([-fat])),
            (self.fc, torch.tensor([[0.0], [GAIN]]), torch.tensor([BIAS, 0.0])),
        ):
            assert isinstance(part, nn.Conv2d | nn.Linear)
            assert part.bias is not None
            part.weight.data, part.bias.data = weight, bias

    def forward(self, crops: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.maps(crops).mean(dim=(2, 3)))
        return logits


class Coarse(Brightness):
    """The same by a last map of 4 x 4 cells on the crop, after one of 8 x 8."""

    def __init__(self, sizes: ClassifierSizes) -> None:
        super().__init__(sizes)
        self.maps.append(nn.AvgPool2d(2))


class Surroundings(Brightness):
    """Looks at the fat around the node, and never at the node."""

    def __init__(self, sizes: ClassifierSizes) -> None:
        super().__init__(sizes)
        convolution = self.maps[0]
        assert isinstance(convolution, nn.Conv2d)
        convolution.weight.data *= -1
        nn.init.constant_(cast(Tensor, convolution.bias), 0.5)


def no_weights(sizes: ClassifierSizes) -> Pretrained:
    raise AssertionError(sizes)


NETWORKS = {"brightness": Brightness, "coarse": Coarse, "surroundings": Surroundings}


@pytest.fixture
def models(
    tmp_path: Path, recipe_fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """A function from a network's name to the folder of its bundle."""

    def bundle_of(name: str) -> str:
        row = Backbone(NETWORKS[name], "maps", "fc", no_weights, min_px=32)
        monkeypatch.setitem(cast(dict[str, Backbone], BACKBONES), name, row)
        fields = recipe_fields(
            "classifier",
            input={"windows_hu": [[LOW_HU, HIGH_HU]]},
            model={"backbone": name, "flip_average": True},
        )
        recipe = ClassifierRecipe(**fields)
        folder = tmp_path / f"classifier-{name}"
        threshold = Threshold(0.5, "a rule", "validation patients")
        bundle = Bundle(name, recipe, threshold, True, {}, "", folder)
        network = NETWORKS[name](ClassifierSizes(in_channels=1))
        write_bundle(bundle, network.state_dict(), "a card", overwrite=True)
        return str(folder)

    return bundle_of


def disc(x: float, y: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    return np.asarray(np.hypot(columns - x, rows - y) < radius)


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """nodes.json and truth.json: a bright metastatic and a dull benign disc a patient.

    The third patient's bright disc is benign in truth.
    """
    images: list[ImageRecord] = []
    nodes: list[NodeAnnotation] = []
    found: list[NodeAnnotation] = []
    for patient in range(PATIENTS):
        hu = np.full((SIDE, SIDE), FAT_HU)
        image = ImageRecord(
            *(patient + 1, f"{patient}.png", SIDE, SIDE, f"p{patient}", f"s{patient}", ""),
            *(0, 0.0, (0.5, 0.5)),
        )
        images.append(image)
        for x, y, value, category in (
            (20 + patient, 18, BRIGHT_HU, METASTATIC if patient < 2 else BENIGN),
            (44, 42 - patient, DULL_HU, BENIGN),
        ):
            mask = disc(x, y, 6)
            hu[mask] = value
            rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            node = NodeAnnotation(
                len(nodes) + 1,
                image.image_id,
                category,
                (x - 6.0, y - 6.0, x + 6.0, y + 6.0),
                segmentation={"size": [SIDE, SIDE], "counts": rle["counts"].decode()},
            )
            nodes.append(node)
            found.append(replace(node, score=0.9, segmentation=None))
        Image.fromarray((hu + 1024).astype(np.uint16)).save(tmp_path / image.file_name)
    low = replace(found[0], annotation_id=99, score=0.2)
    info = {"phantom": True, "coverage": "key_images", "scan_root": "."}
    paths = tmp_path / "nodes.json", tmp_path / "truth.json"
    write_coco(
        CocoDataset({**info, "operating_threshold": 0.5}, tuple(images), (*found, low)), paths[0]
    )
    write_coco(CocoDataset(info, tuple(images), tuple(nodes)), paths[1])
    return paths


@pytest.fixture
def run(data: tuple[Path, Path], models: Callable[[str], str], tmp_path: Path) -> Explain:
    def call(name: str = "brightness", **changes: Any) -> ExplainResult:
        values: dict[str, Any] = {
            "nodes": data[0],
            "truth": data[1],
            "model": models(name),
            "output": tmp_path / "out",
            "bootstrap": 50,
            "count": 0,
            "device": "cpu",
            **changes,
        }
        return explain(ExplainRequest(**values))

    return call


def test_heat_lies_on_the_node_of_a_model_that_looks_there(run: Explain, tmp_path: Path) -> None:
    result = run()
    assert result.info.method.startswith("CAM")
    assert result.info.cells == (8, 8)
    assert len(result.boxes) == 6  # the seventh lies below the operating threshold
    for row in result.boxes:
        assert row.region == "mask"
        assert row.area_share == pytest.approx(np.pi * 6**2 / 18**2, abs=0.02)
    metastatic = [row for row in result.boxes if row.called == "metastatic"]
    assert len(metastatic) == 3
    for row in metastatic:
        assert row.share_inside is not None
        assert row.share_inside > 0.8
        assert row.drop_hottest is not None
        assert row.drop_random is not None
        assert row.drop_hottest > row.drop_random
    data = json.loads((tmp_path / "out" / "explain.json").read_text())
    assert schema_errors("explain", data) == []
    assert data["info"]["phantom"] is True
    assert json.loads((tmp_path / "out" / "explain.run.json").read_text())["command"] == "explain"


def test_the_fall_is_that_of_the_model_without_the_region(run: Explain) -> None:
    row = run().boxes[0]
    # The crop of 18 px is seen at 32 px; of the mean over it the hottest tenth is taken away.
    fat = (FAT_HU + 5 - LOW_HU) / (HIGH_HU - LOW_HU)
    bright = (BRIGHT_HU - LOW_HU) / (HIGH_HU - LOW_HU) - fat
    mean = bright * disc(20, 18, 6).sum() / 18**2
    without = mean - bright * hottest_region(np.zeros((32, 32))).mean()
    p, less = (1 / (1 + np.exp(BIAS - GAIN * value)) for value in (mean, without))
    assert row.p_metastatic == pytest.approx(p, abs=0.03)
    assert row.drop_hottest == pytest.approx(p - less, abs=0.03)


def test_a_model_that_looks_elsewhere_is_told_in_a_plain_sentence(
    run: Explain, data: tuple[Path, Path]
) -> None:
    found = json.loads(data[0].read_text())
    for box in found["annotations"][:2]:  # wider boxes: of equal patients there is no interval
        box["bbox"][2] += 2
        del box["area"]
    data[0].write_text(json.dumps(found))
    result = run("surroundings")
    above = result.checks.share_above_area.value
    assert above is not None
    assert above < 0
    assert "The heat lies outside the nodes" in result.findings[0]
    assert "Boxes called metastatic: the heat lies outside the node" in result.findings[-1]


def test_the_surest_wrong_and_right_calls_are_drawn(run: Explain, tmp_path: Path) -> None:
    result = run(count=3)
    drawn = list(result.pictures)
    assert 5 in drawn  # the bright disc that truth calls benign: the only wrong call
    assert drawn[0] == 5
    assert len(drawn) == 3
    for name in (*result.pictures.values(), "index.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert min(picture.size) > 300


def test_without_truth_the_most_metastatic_are_drawn_and_inside_is_the_box(run: Explain) -> None:
    result = run(truth=None, count=3)
    assert set(result.pictures) == {1, 3, 5}
    assert {row.region for row in result.boxes} == {"box"}
    assert {row.case.truth for row in result.boxes} == {None}
    assert any("inside the box" in note for note in result.info.notes)


def test_a_later_run_leaves_no_picture_of_the_first(run: Explain, tmp_path: Path) -> None:
    run(count=3)
    with pytest.raises(OutputError, match=r"explain.json: expected a new file"):
        run()
    run(count=1, overwrite=True)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [
        "box-00005.png",
        "index.png",
    ]


def test_the_same_seed_gives_the_same_file_whatever_is_drawn(run: Explain, tmp_path: Path) -> None:
    first = run(count=1).to_json()
    second = run(output=tmp_path / "again").to_json()
    for data in (first, second):
        for box in data["boxes"]:
            del box["picture"]
    assert first == second


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "saliency"}, "--method: expected one of auto, cam, gradcam"),
        ({"detector": "compact"}, "--detector: expected no --model beside it"),
        ({"detector": "compact", "model": None, "method": "cam"}, "CAM is for classifiers"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    run: Explain, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run(**changes)


def test_a_box_has_the_truth_it_hits_and_no_node_where_it_hits_none(
    data: tuple[Path, Path],
) -> None:
    image = ImageRecord(1, "a.png", SIDE, SIDE, "p", "s", "", 0, 0.0, (1.0, 1.0))
    other = replace(image, image_id=2, file_name="b.png", series="t")
    boxes = (
        NodeAnnotation(1, 1, METASTATIC, (0, 0, 10, 10), score=0.9),
        NodeAnnotation(2, 1, METASTATIC, (30, 30, 40, 40), score=0.9),
        NodeAnnotation(3, 2, METASTATIC, (0, 0, 10, 10), score=0.9),
    )
    node = NodeAnnotation(7, 5, BENIGN, (0, 0, 10, 9))
    truth = CocoDataset({}, (image.with_id(5),), (node,))
    cases = cases_of(CocoDataset({}, (image, other), boxes), truth)
    assert [case.truth for case in cases] == ["benign", "no node", None]
    assert cases[0].node == node


def row(number: int, answer: float, called: str | None, category: int | None) -> Explained:
    image = ImageRecord(1, "a.png", SIDE, SIDE, "p", "s", "", 0, 0.0, (1.0, 1.0))
    box = NodeAnnotation(number, 1, METASTATIC, (0, 0, 9, 9))
    node = None if category is None else replace(box, category_id=category)
    p_metastatic = None if called is None else answer if called == "metastatic" else 1 - answer
    return Explained(Case(image, box, node, True), answer, called, p_metastatic, "box", 0.4)


def test_wrong_calls_come_first_by_halves_the_surest_of_each() -> None:
    wrong = [row(k, 0.5 + k / 10, "benign", METASTATIC) for k in range(4)]
    right = [row(10 + k, 0.5 + k / 10, "metastatic", METASTATIC) for k in range(4)]
    numbers = [one.case.box.annotation_id for one in most_telling([*wrong, *right], 4)]
    assert numbers == [3, 2, 13, 12]
    few = [one.case.box.annotation_id for one in most_telling([*wrong[:1], *right], 4)]
    assert few == [0, 13, 12, 11]
    many = [one.case.box.annotation_id for one in most_telling([*wrong, *right[:1]], 4)]
    assert many == [3, 2, 1, 10]


def test_a_box_on_no_node_is_no_wrong_class_but_a_wrong_detection() -> None:
    assert row(1, 0.9, "metastatic", None).is_right is None
    assert row(1, 0.9, None, None).is_right is False
    assert row(1, 0.9, None, BENIGN).is_right


def test_the_command_prints_both_checks_and_writes_what_json_prints(
    data: tuple[Path, Path], models: Callable[[str], str], tmp_path: Path
) -> None:
    words = ["explain", str(data[0]), "--truth", str(data[1]), "--model", models("brightness")]
    options = ["--count", "1", "--bootstrap", "20", "-o", str(tmp_path / "shown")]
    shown = CliRunner().invoke(app, [*words, *options])
    assert shown.exit_code == 0, shown.output
    for part in ("phantom figures", "Share of the heat inside the node", "without the hottest 10%"):
        assert part in shown.stdout
    again = CliRunner().invoke(app, [*words, *options, "--overwrite", "--json"])
    assert json.loads(again.stdout) == json.loads((tmp_path / "shown/explain.json").read_text())


NOT_SHOWN = ("is not shown to lie inside", "is not shown to matter")
SAID = {
    (-0.3, -0.1): ("lies outside", "does not show what the model goes by"),
    (-0.3, 0.1): NOT_SHOWN,
    (0.1, 0.3): ("lies inside", "shows what the model goes by"),
    None: NOT_SHOWN,
}


@pytest.mark.parametrize("value", [-0.05, 0.05])
@pytest.mark.parametrize("interval", SAID)
def test_neither_side_of_chance_is_claimed_without_an_interval_beyond_it(
    interval: tuple[float, float] | None, value: float
) -> None:
    share, difference = Figure(0.3, n=9), Figure(value, interval=interval, n=9)
    checks = Faithfulness(share, share, difference, share, share, difference)
    where, what = findings_of(checks, [row(1, 0.9, None, None)])
    (of_call,) = findings_by_call({"benign": checks})
    assert f"The heat {SAID[interval][0]}" in where
    assert f"the heat {SAID[interval][0]}" in of_call
    assert f"The heat {SAID[interval][1]}" in what
    assert ("The model looks elsewhere" in where) == (interval == (-0.3, -0.1))


def test_the_stage_that_is_read_is_told_where_it_is_not_the_last(run: Explain) -> None:
    (note,) = (note for note in run("coarse").info.notes if "stage" in note)
    assert note.startswith("The map is of maps.2, stage 2 of 3 (a stage: maps of one stride)")
    assert note.endswith("reads the last, maps of 4 x 4 cells.")
    asked = run("coarse", method="gradcam", overwrite=True)
    assert asked.info.cells == (4, 4)
    assert not any("stage" in note for note in asked.info.notes)
    assert not any("stage" in note for note in run("brightness", overwrite=True).info.notes)


def test_truth_of_other_scans_is_refused(run: Explain, data: tuple[Path, Path]) -> None:
    truth = read_coco(data[1])
    images = tuple(replace(image, file_name=f"x{image.file_name}") for image in truth.images)
    write_coco(replace(truth, images=images), data[1], overwrite=True)
    with pytest.raises(InputError, match=r"truth.json: images: expected slices of nodes.json"):
        run()


def test_slices_that_truth_does_not_list_are_counted(run: Explain, data: tuple[Path, Path]) -> None:
    truth = read_coco(data[1])
    listed = tuple(node for node in truth.annotations if node.image_id == 1)
    write_coco(replace(truth, images=truth.images[:1], annotations=listed), data[1], overwrite=True)
    expected = "Truth does not list 2 slices: 4 boxes there without mask and class."
    assert expected in run().info.notes


def test_a_broken_mask_is_refused_before_any_box_is_explained(
    run: Explain, data: tuple[Path, Path]
) -> None:
    truth = json.loads(data[1].read_text())
    truth["annotations"][4]["segmentation"]["counts"] = "zzzz!!"
    data[1].write_text(json.dumps(truth))
    with pytest.raises(InputError, match="annotation 5: segmentation: expected an RLE"):
        run()


def test_listed_run_lengths_in_truth_are_masks(run: Explain, data: tuple[Path, Path]) -> None:
    truth = json.loads(data[1].read_text())
    expected = [box.area_share for box in run().boxes]
    for node in truth["annotations"]:
        mask = coco_mask.decode(node["segmentation"]).T.ravel()
        ends = np.flatnonzero(np.diff(mask)) + 1
        node["segmentation"]["counts"] = np.diff([0, *ends, mask.size]).tolist()
    data[1].write_text(json.dumps(truth))
    result = run(overwrite=True)
    assert {box.region for box in result.boxes} == {"mask"}
    assert [box.area_share for box in result.boxes] == expected


def test_without_a_box_that_is_said_and_no_picture_named(
    data: tuple[Path, Path], models: Callable[[str], str], tmp_path: Path
) -> None:
    found = read_coco(data[0])
    write_coco(replace(found, annotations=()), data[0], overwrite=True)
    words = ["explain", str(data[0]), "--model", models("brightness"), "-o", str(tmp_path / "none")]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert "There is no box to explain." in shown.stdout
    assert "(explain.json, no picture)" in shown.output
    assert "index.png" not in shown.output


@pytest.mark.slow
def test_bundles_are_explained_on_scans(toy_data: Path, bundles: Path, tmp_path: Path) -> None:
    asked = ExplainRequest(toy_data / "truth.json", count=2, bootstrap=20, device="cpu")
    for name in ("classifier-tiny", "detector-tiny"):
        model = str(bundles / name)
        chosen = replace(asked, detector=model)
        if name.startswith("classifier"):
            chosen = replace(asked, model=model)
        request = replace(chosen, output=tmp_path / name)
        result = explain(request)
        data = json.loads((tmp_path / name / "explain.json").read_text())
        assert schema_errors("explain", data) == []
        assert len(result.boxes) == 35
        assert len(result.pictures) == 2
