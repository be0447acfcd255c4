"""What tests of several layers share: a toy data set, tiny recipes, a toy neck."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from pycocotools import mask as rle

from lnmdetect.core.records import (
    BENIGN,
    METASTATIC,
    CocoDataset,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series

TOY_PATIENTS, TOY_SLICES, TOY_SIDE = 5, 6, 96
TOY_SPACING_MM = (3.0, 0.5, 0.5)
MakeRecipe = Callable[..., Path]
MakeNeck = Callable[..., NDArray[np.int16]]


def pytest_configure() -> None:
    """Run torch on one thread, here and in the processes that tests start.

    Two threads on cores that others use as well wait for each other at every operation, and the
    tiny networks of the tests gain nothing from the second.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests marked `extra` that lack a package, except where they alone are asked for."""
    for item in items:
        named = {name for mark in item.iter_markers("extra") for name in mark.args}
        if missing := sorted(name for name in named if find_spec(name) is None):
            said = f"not installed: {', '.join(missing)}"
            if config.option.markexpr == "extra":
                raise pytest.UsageError(f"{item.name}: {said}; `make test-extras` installs it")
            item.add_marker(pytest.mark.skip(reason=said))


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pseudonym key of the test's own."""
    monkeypatch.setenv("LNMDETECT_KEY_FILE", str(tmp_path / "key" / "pseudonym.key"))


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """The same random weights in every run: torch begins each process with a seed of its own."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(2)


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scan/ (5 patients, 6 slices of 96 px) and truth.json; never written to.

    Each patient has a bright metastatic disc and a duller benign one on slices 1 to 4, the first of
    them ignored on slice 4.
    """
    folder = tmp_path_factory.mktemp("toy")
    images: list[ImageRecord] = []
    nodes: list[NodeAnnotation] = []
    for patient in range(TOY_PATIENTS):
        _write_toy_patient(folder, patient, images, nodes)
    info = {"phantom": True, "scan_root": "scan", "coverage": "all_slices"}
    write_coco(CocoDataset(info, tuple(images), tuple(nodes)), folder / "truth.json")
    return folder


def _write_toy_patient(
    folder: Path, patient: int, images: list[ImageRecord], nodes: list[NodeAnnotation]
) -> None:
    rng = np.random.default_rng(patient)
    name = f"p{patient}"
    discs = [(30 + 3 * patient, 40.0, 6.0, METASTATIC), (64.0, 52 - 2 * patient, 5.0, BENIGN)]
    voxels = np.stack([_toy_slice(discs if 1 <= z <= 4 else [], rng) for z in range(TOY_SLICES)])
    meta = CtSeriesMeta(
        seed=f"toy/{name}",
        patient_id=name,
        patient_name=name,
        spacing_mm=TOY_SPACING_MM,
        thickness_mm=3.0,
        origin_mm=(0.0, 0.0, 0.0),
    )
    written = write_ct_series(voxels, folder / "scan" / name, meta)
    for z, slice_file in enumerate(written):
        image_id = len(images) + 1
        uid = slice_file.sop_instance_uid
        images.append(
            ImageRecord(
                image_id,
                f"{uid}.dcm",
                TOY_SIDE,
                TOY_SIDE,
                name,
                f"series of {name}",
                uid,
                z,
                slice_file.position_mm,
                TOY_SPACING_MM[1:],
                3.0,
            )
        )
        for number, (x, y, radius, category) in enumerate(discs if 1 <= z <= 4 else []):
            box = (x - radius, y - radius, x + radius, y + radius)
            nodes.append(
                NodeAnnotation(
                    len(nodes) + 1,
                    image_id,
                    category,
                    box,
                    ignored=z == 4 and number == 0,
                    node_id=f"{name}n{number}",
                )
            )


def _toy_slice(
    discs: list[tuple[float, float, float, int]], rng: np.random.Generator
) -> NDArray[np.int16]:
    rows, columns = np.mgrid[:TOY_SIDE, :TOY_SIDE] + 0.5
    hu = np.full((TOY_SIDE, TOY_SIDE), -1000.0)
    hu[((columns - 48) / 42) ** 2 + ((rows - 46) / 38) ** 2 < 1] = -80
    for x, y, radius, category in discs:
        hu[np.hypot(columns - x, rows - y) < radius] = 150 if category == METASTATIC else 60
    hu += rng.normal(0, 8, hu.shape)
    return np.asarray(np.clip(np.rint(hu), -1024, 3000), dtype=np.int16)


DETECTOR: dict[str, Any] = {
    "arm": "detector",
    "name": "tiny",
    "source": "a test",
    "input": {"spacing_mm": 0.5, "windows_hu": [[-160, 240]], "slice_offsets_mm": [-3, 0, 3]},
    "model": {
        "width": 0.125,
        "anchor_areas_px2": [64, 144, 256, 400, 900],
        "proposals_train": 40,
        "proposals_test": 20,
        "roi_samples": 16,
    },
    "sampling": {"patch_px": 64, "empty_share": 0.25},
    "augmentation": {"mirror": 0.5, "rotation_deg": 10, "brightness": 0.05, "noise_sd": 0.02},
    "optimiser": {
        "name": "adamw",
        "learning_rate": 0.002,
        "weight_decay": 0.01,
        "epochs": 2,
        "steps_an_epoch": 2,
        "batch_size": 2,
        "gradient_clip": 5.0,
    },
    "validation_share": 0.4,
    "validation_images": 4,
}
CLASSIFIER: dict[str, Any] = {
    "arm": "classifier",
    "name": "tiny",
    "source": "a test",
    "input": {"windows_hu": [[-160, 240], [0, 200]], "slice_offsets_mm": [0], "body_mask": False},
    "model": {"width": 0.125, "size_px": 32, "box_jitter": 0.1, "dropout": 0.1},
    "augmentation": {"mirror": 0.5, "rotation_deg": 30, "contrast": 0.1, "noise_sd": 0.02},
    "optimiser": {
        "name": "sgd",
        "learning_rate": 0.01,
        "weight_decay": 0.0005,
        "epochs": 2,
        "steps_an_epoch": 3,
        "batch_size": 4,
    },
    "validation_share": 0.4,
}


SEGMENTER: dict[str, Any] = {
    "arm": "segmenter",
    "name": "tiny",
    "source": "a test",
    "input": {"windows_hu": [[-160, 240]], "slice_offsets_mm": [0]},
    "model": {"base_filters": 4, "max_filters": 8, "classes": ["negative", "metastatic"]},
    "planning": {"spacing_mm": [3.0, 1.0, 1.0], "patch": [4, 16, 16], "levels_max": 3},
    "sampling": {"validation_patches": 4},
    "augmentation": {"mirror": 0.5, "rotation_deg": 10, "brightness": 0.05, "noise_sd": 0.02},
    "optimiser": {
        "name": "sgd",
        "learning_rate": 0.01,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "schedule": "polynomial",
        "epochs": 2,
        "steps_an_epoch": 2,
        "batch_size": 2,
    },
    "validation_share": 0.4,
}
FUSION: dict[str, Any] = {
    "arm": "fusion",
    "name": "tiny",
    "source": "a test",
    "model": {"width": 0.03125, "size_px": 48, "shift": 0.1, "modality_dropout": 0.3},
    "augmentation": {"mirror": 0.5, "scale": 0.1, "brightness": 0.05, "contrast": 0.1},
    "optimiser": {
        "name": "adam",
        "learning_rate": 0.001,
        "weight_decay": 0.0,
        "schedule": "plateau",
        "plateau_epochs": 1,
        "epochs": 2,
        "steps_an_epoch": 3,
        "batch_size": 4,
    },
    "validation_share": 0.4,
}
FIELDS = {
    "detector": DETECTOR,
    "classifier": CLASSIFIER,
    "segmenter": SEGMENTER,
    "fusion": FUSION,
}


@pytest.fixture(scope="session")
def masked_toy(toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy data with the mask of each disc: a folder with scan/ and truth.json."""
    folder = tmp_path_factory.mktemp("masked")
    (folder / "scan").symlink_to(toy_data / "scan")
    truth = read_coco(toy_data / "truth.json")
    write_coco(
        replace(truth, annotations=tuple(map(_with_mask, truth.annotations))),
        folder / "truth.json",
    )
    return folder


def _with_mask(node: NodeAnnotation) -> NodeAnnotation:
    x1, y1, x2, y2 = node.box_xyxy
    rows, columns = np.mgrid[:TOY_SIDE, :TOY_SIDE] + 0.5
    disc = np.hypot(columns - (x1 + x2) / 2, rows - (y1 + y2) / 2) < (x2 - x1) / 2
    coded = rle.encode(np.asfortranarray(disc.astype(np.uint8)))
    counts = coded["counts"].decode("ascii")
    return replace(node, segmentation={"size": [TOY_SIDE, TOY_SIDE], "counts": counts})


@pytest.fixture(scope="session")
def recipe_fields() -> Callable[..., dict[str, Any]]:
    """A function that gives a tiny recipe's fields; `optimiser={...}` changes part of a part."""

    def fields(arm: str, **changes: Any) -> dict[str, Any]:
        recipe = dict(FIELDS[arm])
        for name, value in changes.items():
            recipe[name] = {**recipe[name], **value} if isinstance(value, dict) else value
        return recipe

    return fields


@pytest.fixture
def make_recipe(tmp_path: Path, recipe_fields: Callable[..., dict[str, Any]]) -> MakeRecipe:
    """A function that writes a tiny recipe as YAML and gives its path."""

    def make(arm: str, **changes: Any) -> Path:
        path = tmp_path / f"{arm}.yaml"
        path.write_text(yaml.safe_dump(recipe_fields(arm, **changes)), encoding="utf-8")
        return path

    return make


@pytest.fixture(scope="session")
def make_neck() -> MakeNeck:
    """A function that makes a toy neck: `slices` of 160 x 160 px of 1 mm, 2.5 mm apart.

    From the skin in: 6 mm of fat, 16 mm of muscle, then fat with an airway in a muscular wall in
    front of a spine, and four vessels of 4 mm radius along z.
    """

    def make(
        slices: int = 24,
        *,
        psf_px: float = 0.8,
        noise_hu: float = 8.0,
        grain_px: float = 0.6,
        vessel_hu: float = 45.0,
        seed: int = 0,
    ) -> NDArray[np.int16]:
        image = np.asarray(cv2.GaussianBlur(_clean_neck(vessel_hu), (0, 0), psf_px))
        rng = np.random.default_rng(seed)
        volume = np.empty((slices, *image.shape), dtype=np.int16)
        for index in range(slices):
            white = rng.standard_normal((160, 160), dtype=np.float32)
            noise = np.asarray(cv2.GaussianBlur(white, (0, 0), grain_px))
            volume[index] = np.rint(np.maximum(image + noise / noise.std() * noise_hu, -1024))
        return volume

    return make


def _clean_neck(vessel_hu: float) -> NDArray[np.float32]:
    fine = 4
    rows, columns = np.mgrid[: 160 * fine, : 160 * fine] / fine

    def disc(x: float, y: float, radius: float) -> NDArray[np.bool_]:
        return np.asarray(np.hypot(columns - x, rows - y) < radius)

    image = np.full(rows.shape, -1000, dtype=np.float32)
    for x, y, radius, hu in (
        (80, 80, 66, -100),
        (80, 80, 60, 55),
        (80, 80, 44, -100),
        (80, 52, 13, 55),
        (80, 52, 8, -1000),
        (80, 96, 17, 700),
        (80, 102, 7, 30),
        *((80 + side * x, 70, 4, vessel_hu) for side in (-1, 1) for x in (22, 36)),
    ):
        image[disc(x, y, radius)] = hu
    small = cv2.resize(image, (160, 160), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)
