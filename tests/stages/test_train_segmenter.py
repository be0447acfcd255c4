"""train segmenter and segment: truth with masks in, a bundle, masks out."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray

pytest.importorskip("monai", reason="the extra `segmentation` is not installed")

from lnmdetect.core.errors import InputError, ModelError, OutputError, UsageError
from lnmdetect.core.patient_digests import patient_digest
from lnmdetect.core.records import NodeAnnotation
from lnmdetect.core.run_lengths import mask_of_runs
from lnmdetect.core.segmenter_config import SegmentationPlan, SegmenterRecipe
from lnmdetect.core.thresholds import Threshold
from lnmdetect.io.bundles import read_bundle
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.machine import usable_cores
from lnmdetect.io.scan_source import open_source
from lnmdetect.stages import segment_scan
from lnmdetect.stages import train_segmenter as stage
from lnmdetect.stages.segment import SegmentRequest, load_segmenter, segment
from lnmdetect.stages.segment_scan import slice_maps
from lnmdetect.stages.segmenter_threshold import choose_voxel_threshold
from lnmdetect.stages.train_segmenter import train_segmenter
from lnmdetect.stages.training_fit import fit_task
from lnmdetect.stages.training_run import TrainRequest, TrainResult
from lnmdetect.training.devices import training_compute
from lnmdetect.training.segmenter_task import SegmenterTask

Train = Callable[..., TrainResult]


def mask_of(node: NodeAnnotation) -> NDArray[np.bool_]:
    assert node.segmentation is not None
    return mask_of_runs(node.segmentation, node.segmentation["size"])


@pytest.fixture
def train(masked_toy: Path, tmp_path: Path, make_recipe: Callable[..., Path]) -> Train:
    """A function that trains for 2 epochs of 2 steps into the folder `run` of the test."""

    def call(run: str = "run", **changes: Any) -> TrainResult:
        values: dict[str, Any] = {
            "data": masked_toy / "truth.json",
            "recipe": changes.pop("recipe", None) or str(make_recipe("segmenter")),
            "output": tmp_path / run,
            "device": "cpu",
            "cache": tmp_path / "cache",
            **changes,
        }
        return train_segmenter(TrainRequest(**values))

    return call


def test_a_training_leaves_a_bundle_with_its_plan(train: Train, tmp_path: Path) -> None:
    result = train()
    assert result.metric == "dice"
    bundle = read_bundle(str(result.bundle), "segmenter")
    assert isinstance(bundle.recipe, SegmenterRecipe)
    assert bundle.recipe.plan is not None
    assert bundle.recipe.plan.patch == (4, 16, 16)
    written = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert written == bundle.recipe.plan.model_dump(mode="json") == result.plan
    card = (result.bundle / "card.md").read_text()
    assert "- Classes: negative, metastatic\n" in card
    assert "- Voxels of 3.0 x 1.0 x 1.0 mm, patches of 4 x 16 x 16 (z x row x column)\n" in card
    assert "- Threshold of a voxel's P(node): 0." in card
    assert "- Threshold of a node's score: " in card


def test_the_last_epoch_is_kept_and_the_bundle_says_from_which_score_a_node_counts(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []

    def fit(*given: Any, **options: Any) -> Any:
        kept.append(options["keep"])
        return fit_task(*given, **options)

    chosen = Threshold(0.625, "a rule", "validation patients")
    monkeypatch.setattr(stage, "fit_task", fit)
    monkeypatch.setattr(stage, "choose_node_threshold", lambda *_: (chosen, {"a figure": 0.5}))
    result = train()
    assert kept == ["last"]
    assert result.kept_epoch == 2
    bundle = read_bundle(str(result.bundle), "segmenter")
    assert bundle.node_threshold == replace(chosen, patients=bundle.threshold.patients)
    assert bundle.threshold.patients is not None
    assert bundle.figures["a figure"] == 0.5


def test_the_plan_is_shown_before_anything_is_prepared(
    masked_toy: Path, tmp_path: Path, make_recipe: Callable[..., Path]
) -> None:
    told: list[object] = []

    class Watched:
        def track(self, items: Any, *, description: str, total: int | None = None) -> Any:
            told.append(description)
            yield from items

    request = TrainRequest(
        masked_toy / "truth.json", str(make_recipe("segmenter")), tmp_path / "run", device="cpu"
    )
    train_segmenter(request, Watched(), show=told.append)
    assert isinstance(told[0], SegmentationPlan)
    assert told[1] == "preparing scans"


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("three", ("negative", "positive", "extranodal_extension")),
        ("two", ("negative", "metastatic")),
        ("one", ("node",)),
    ],
)
def test_the_papers_three_trainings_are_a_word_each(
    train: Train, name: str, classes: tuple[str, ...]
) -> None:
    bundle = read_bundle(str(train(classes=name).bundle), "segmenter")
    assert isinstance(bundle.recipe, SegmenterRecipe)
    assert bundle.recipe.model.classes == classes


def test_the_bundle_tells_who_was_trained_on_and_who_chose_the_threshold(
    train: Train, tmp_path: Path
) -> None:
    result = train()
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    bundle = read_bundle(str(result.bundle), "segmenter")
    assert bundle.trained_on is not None
    assert bundle.threshold.patients is not None
    for patients, digests in (
        (split["training"], bundle.trained_on),
        (split["validation"], bundle.threshold.patients),
    ):
        assert list(digests.patients_sha256) == sorted(map(patient_digest, patients))


def test_an_interrupted_training_goes_on_to_the_same_weights_and_threshold(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train("whole")
    losses, steps = SegmenterTask.losses, []

    def interrupting(self: SegmenterTask, batch: Any) -> Any:
        steps.append(batch)
        if len(steps) == 3:  # the first of the second epoch
            signal.raise_signal(signal.SIGINT)
        return losses(self, batch)

    monkeypatch.setattr(SegmenterTask, "losses", interrupting)
    with pytest.raises(KeyboardInterrupt):
        train("parts")
    assert len(steps) == 3
    monkeypatch.undo()
    resumed = train("parts", resume=True)
    for name in ("weights.safetensors", "config.json"):
        assert (resumed.bundle / name).read_bytes() == (whole.bundle / name).read_bytes()


def test_the_same_seed_gives_the_same_weights_and_resuming_changes_nothing(
    train: Train, tmp_path: Path
) -> None:
    first, again = train("a"), train("b")
    weights = [(r.bundle / "weights.safetensors").read_bytes() for r in (first, again)]
    assert weights[0] == weights[1]
    resumed = train("a", resume=True)
    assert (resumed.bundle / "weights.safetensors").read_bytes() == weights[0]


def test_what_a_segmenter_cannot_be_trained_on_is_refused(
    train: Train, toy_data: Path, tmp_path: Path, make_recipe: Callable[..., Path]
) -> None:
    with pytest.raises(InputError, match="got a box alone"):
        train("boxes", data=toy_data / "truth.json", scan=toy_data / "scan")
    with pytest.raises(UsageError, match="no --init for a segmenter"):
        train("init", init="imagenet")
    train("twice")
    with pytest.raises(OutputError, match="holds a training"):
        train("twice")
    planned = yaml.safe_load(make_recipe("segmenter").read_text())
    bundle = json.loads((tmp_path / "twice" / "bundle" / "config.json").read_text())
    path = tmp_path / "planned.yaml"
    path.write_text(yaml.safe_dump({**planned, "plan": bundle["recipe"]["plan"]}))
    with pytest.raises(UsageError, match="without a plan"):
        train("planned", recipe=str(path))


@pytest.mark.slow
def test_a_toy_segmenter_finds_the_discs_on_the_scans_own_slices(
    train: Train, masked_toy: Path, tmp_path: Path, make_recipe: Callable[..., Path]
) -> None:
    recipe = make_recipe(
        "segmenter",
        optimiser={"name": "adamw", "learning_rate": 0.01, "epochs": 6, "steps_an_epoch": 80},
        model={"base_filters": 8, "max_filters": 16, "loss": "conditional", "class_weight": 0.1},
    )
    result = train(recipe=str(recipe))
    assert result.reached > 0.7
    output = tmp_path / "segments.json"
    found = segment(
        SegmentRequest(masked_toy / "scan", output, model=str(result.bundle), device="cpu")
    )
    assert found.scans == 5
    dataset, truth = read_coco(output), read_coco(masked_toy / "truth.json")
    shared = pixels = 0
    nodes = {
        (image.patient, a.node_id)
        for image in dataset.images
        for a in dataset.by_image()[image.image_id]
    }
    assert 8 <= len(nodes) == found.nodes <= 14
    for image in truth.images:
        own = next(i for i in dataset.images if i.sop_instance_uid == image.sop_instance_uid)
        masks = [mask_of(a) for a in dataset.by_image()[own.image_id]]
        drawn = [mask_of(a) for a in truth.by_image()[image.image_id]]
        shared += sum(int((np.any(masks, axis=0) & one).sum()) for one in drawn if masks)
        pixels += sum(int(mask.sum()) for mask in (*masks, *drawn))
    assert 2 * shared / pixels > 0.8


def test_a_second_stage_looks_at_the_firsts_map_and_carries_it_in_its_bundle(
    train: Train, masked_toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train("first")
    second = train("second", coarse=str(first.bundle))
    bundle, segmenter = load_segmenter(str(second.bundle), "cpu")
    assert isinstance(bundle.recipe, SegmenterRecipe)
    assert bundle.recipe.model.coarse
    assert segmenter.coarse is not None
    kept = (second.bundle / "coarse" / "weights.safetensors").read_bytes()
    assert kept == (first.bundle / "weights.safetensors").read_bytes()

    scan = open_source(masked_toy / "scan").scans[0]
    own = dict(slice_maps(scan.images, scan.read_slice, segmenter))
    assert list(own) == list(range(6))
    blank = (np.zeros((96, 96), dtype=np.float32) for _ in range(6))
    monkeypatch.setattr(segment_scan, "node_shares", lambda *_: blank)
    other = dict(slice_maps(scan.images, scan.read_slice, segmenter))
    assert np.abs(own[2] - other[2]).max() > 0


def test_a_cascade_keeps_to_one_first_stage_that_has_not_seen_who_is_held_out(
    train: Train, tmp_path: Path
) -> None:
    first, other = train("first"), train("other", seed=1)
    second = train("second", coarse=str(first.bundle))
    with pytest.raises(UsageError, match=r"--coarse: .*got the second stage of a cascade"):
        train("third", coarse=str(second.bundle))
    with pytest.raises(InputError, match=r"--coarse: .*trained on [12] of them"):
        train("leaky", coarse=str(other.bundle))
    another = train("another", classes="one")
    with pytest.raises(ModelError, match="got one begun with another first stage"):
        train("second", resume=True, coarse=str(another.bundle))


def test_a_cascade_was_trained_on_its_first_stages_patients_too(
    train: Train, masked_toy: Path, tmp_path: Path
) -> None:
    truth = read_coco(masked_toy / "truth.json")
    some = tmp_path / "some.json"
    write_coco(truth.select_patients({"p0", "p1"}), some)
    first = train("first", data=some, scan=masked_toy / "scan")
    rest = tmp_path / "rest.json"
    write_coco(truth.select_patients({"p2", "p3", "p4"}), rest)
    second = train("second", data=rest, scan=masked_toy / "scan", coarse=str(first.bundle))
    seen = read_bundle(str(second.bundle), "segmenter").trained_on
    assert seen is not None
    assert len(set(seen.patients_sha256) & {patient_digest("p0"), patient_digest("p1")}) == 1
    assert len(seen.patients_sha256) == 3


def test_the_threshold_is_chosen_in_the_precision_of_training_and_maps_differ_little(
    train: Train, masked_toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precisions = []

    def choose(*given: Any) -> Any:
        precisions.append(given[2].precision)
        return choose_voxel_threshold(*given)

    monkeypatch.setattr(stage, "choose_voxel_threshold", choose)
    _, segmenter = load_segmenter(str(train().bundle), "cpu")
    assert precisions == [training_compute(torch.device("cpu")).precision] == ["bf16"]
    assert segmenter.precision == "fp32"
    (scan, *_) = open_source(masked_toy / "scan").scans
    exact, rounded = (
        np.stack([maps for _, maps in slice_maps(scan.images, scan.read_slice, one)])
        for one in (segmenter, replace(segmenter, precision="bf16"))
    )
    assert not np.array_equal(exact, rounded)
    assert np.abs(exact - rounded).mean() < 0.005  # a bfloat16 has 8 bits


def test_threads_do_not_change_the_mask(
    train: Train, masked_toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, written = str(train().bundle), []
    for threads in (1, 2):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        output = tmp_path / f"{threads}.json"
        request = SegmentRequest(
            masked_toy / "scan", output, model=bundle, device="cpu", threshold=0.02
        )
        segment(request)
        assert torch.get_num_threads() == min(threads, usable_cores())
        written.append(json.loads(output.read_text())["annotations"])
    torch.set_num_threads(1)
    assert written[0] == written[1]
    assert written[0]
