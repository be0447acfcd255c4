"""Bundles: there and back in half precision; damaged ones refused by name."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe
from lnmdetect.core.errors import ModelError, OutputError
from lnmdetect.core.patient_digests import PatientDigests, patient_digest
from lnmdetect.core.thresholds import Temperature, Threshold
from lnmdetect.io.bundles import (
    CONFIG,
    MODELS_VARIABLE,
    WEIGHTS,
    Bundle,
    as_stored,
    bundle_folders,
    load_weights,
    read_bundle,
    read_weights,
    write_bundle,
    write_with_weights_of,
)
from lnmdetect.io.cards import bundle_card
from lnmdetect.io.json_files import sha256_of_file

Fields = Callable[..., dict[str, Any]]
THRESHOLD = Threshold(0.125, "box sensitivity 0.90 at IoU 0.5", "validation patients")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


@pytest.fixture
def bundle(tmp_path: Path, recipe_fields: Fields) -> Bundle:
    recipe = DetectorRecipe(**recipe_fields("detector"))
    figures = {"ap50": 0.75, "epoch": 3}
    return Bundle("tiny", recipe, THRESHOLD, True, figures, "", tmp_path / "detector-tiny")


@pytest.fixture
def written(bundle: Bundle) -> Path:
    write_bundle(bundle, network().state_dict(), bundle_card(bundle))
    return bundle.folder


def edit(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **changes}))


def test_a_bundle_comes_back_as_it_was_written(bundle: Bundle, written: Path) -> None:
    found = read_bundle(str(written), "detector")
    assert found == replace(bundle, sha256=sha256_of_file(written / WEIGHTS))
    assert sorted(path.name for path in written.iterdir()) == ["card.md", CONFIG, WEIGHTS]


def test_weights_are_stored_in_half_precision_and_read_in_single(
    bundle: Bundle, written: Path
) -> None:
    stored = load_file(written / WEIGHTS)
    read = read_weights(read_bundle(str(written), "detector"))
    for name, value in network().state_dict().items():
        if value.is_floating_point():
            assert stored[name].dtype == torch.float16
            assert read[name].dtype == torch.float32
            assert torch.equal(read[name], value.half().float())
        else:
            assert torch.equal(read[name], value)  # the batch counters stay whole numbers


@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2"])
def test_the_card_tells_a_network_that_is_not_the_sources(
    name: str, bundle: Bundle, recipe_fields: Fields
) -> None:
    recipe = ClassifierRecipe(**recipe_fields("classifier", model={"backbone": name}))
    words = "- Recipe: `tiny`, a test,\n  with the network mobilenetv2 in its place\n"
    assert (words in bundle_card(replace(bundle, recipe=recipe))) is (name == "mobilenetv2")
    assert "in its place" not in bundle_card(bundle)


def test_the_same_weights_give_the_same_bytes(bundle: Bundle, written: Path) -> None:
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    write_bundle(bundle, network().state_dict(), bundle_card(bundle), overwrite=True)
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before


def test_an_existing_bundle_is_refused_without_overwrite(bundle: Bundle, written: Path) -> None:
    before = (written / WEIGHTS).read_bytes()
    other = {name: value * 0 for name, value in network().state_dict().items()}
    with pytest.raises(OutputError, match=r"detector-tiny: .* a new folder.*--overwrite") as e:
        write_bundle(bundle, other, "card")
    assert e.value.exit_code == 5
    assert (written / WEIGHTS).read_bytes() == before
    write_bundle(bundle, other, "card", overwrite=True)
    assert (written / WEIGHTS).read_bytes() != before


def test_a_network_is_filled_with_a_bundles_weights(written: Path) -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    load_weights(module, read_bundle(str(written), "detector"))
    expected = network().state_dict()["0.weight"].half().float()
    assert torch.equal(module.state_dict()["0.weight"], expected)


def test_the_weights_of_another_network_are_refused(written: Path) -> None:
    save_file({"0.weight": torch.zeros(9, 9)}, written / WEIGHTS)
    with pytest.raises(
        ModelError, match=r"detector-tiny/weights\.safetensors: expected the weights of the network"
    ) as error:
        load_weights(network(), read_bundle(str(written), "detector"))
    assert error.value.exit_code == 4
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 100])
def test_damaged_weights_are_refused_by_name(written: Path, content: bytes) -> None:
    (written / WEIGHTS).write_bytes(content)
    bundle = read_bundle(str(written), "detector")
    with pytest.raises(ModelError, match=r"detector-tiny/weights\.safetensors: expected a safe"):
        read_weights(bundle)


def test_weights_cut_short_are_refused(written: Path) -> None:
    whole = (written / WEIGHTS).read_bytes()
    (written / WEIGHTS).write_bytes(whole[:-3])
    with pytest.raises(ModelError, match="Copy the bundle again"):
        read_weights(read_bundle(str(written), "detector"))


def test_missing_weights_are_refused(written: Path) -> None:
    (written / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=r"detector-tiny: .*weights\.safetensors"):
        read_bundle(str(written), "detector")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "got format 2 of arm 'detector'"),
        ({"arm": "classifier"}, "arm 'classifier'"),
        ({"threshold": {"value": 0.5}}, "TypeError"),
        ({"threshold": {"value": "high", "rule": "", "chosen_on": ""}}, "TypeError"),
        ({"threshold": {"value": 1.5, "rule": "", "chosen_on": ""}}, "got 1.5"),
        ({"threshold": None}, "TypeError"),
        ({"temperature": {"value": 0, "fitted_on": ""}}, "temperature: expected a value above 0"),
        ({"temperature": 1.5}, "TypeError"),
        ({"recipe": {"arm": "detector"}}, "missing field name"),
        ({"recipe": None}, "got "),
    ],
)
def test_an_unsound_config_is_refused(written: Path, changes: dict[str, Any], message: str) -> None:
    edit(written, **changes)
    with pytest.raises(ModelError, match=f"detector-tiny: expected a bundle.*{message}") as error:
        read_bundle(str(written), "detector")
    assert error.value.exit_code == 4


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"format": 1}'])
def test_a_config_that_is_no_bundles_is_refused(written: Path, text: str) -> None:
    (written / CONFIG).write_text(text)
    with pytest.raises(ModelError, match="detector-tiny: expected a bundle of arm 'detector'"):
        read_bundle(str(written), "detector")


def test_a_classifier_is_no_detector(written: Path) -> None:
    with pytest.raises(ModelError, match="expected a bundle of arm 'classifier'"):
        read_bundle(str(written), "classifier")


def test_an_unknown_name_lists_the_installed_ones(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(written.parent))
    with pytest.raises(ModelError, match=r"--model: expected .*tiny.* got 'none'") as error:
        read_bundle("none", "detector")
    assert error.value.exit_code == 4


def test_ones_own_bundles_go_before_installed_ones_of_the_same_name(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = tmp_path / "second" / "detector-tiny"
    second.parent.mkdir()
    second.symlink_to(written)
    roots = [str(tmp_path / "nowhere"), str(written.parent), str(second.parent)]
    monkeypatch.setenv(MODELS_VARIABLE, os.pathsep.join(roots))
    assert bundle_folders("detector")["tiny"] == written
    assert read_bundle("tiny", "detector").folder == written
    assert "tiny" not in bundle_folders("classifier")


def test_temperature_and_patients_come_back(bundle: Bundle) -> None:
    patients = PatientDigests.of(["a", "b"], "0" * 64)
    hot = replace(
        bundle,
        threshold=replace(THRESHOLD, patients=patients),
        temperature=Temperature(1.75, "2 patients", patients),
    )
    write_bundle(hot, network().state_dict(), bundle_card(hot))
    found = read_bundle(str(hot.folder), "detector")
    assert (found.threshold, found.temperature) == (hot.threshold, hot.temperature)
    assert "- Temperature: 1.7500, fitted on 2 patients" in bundle_card(hot)


def test_a_bundle_without_a_temperature_has_1_and_says_nothing_of_it(written: Path) -> None:
    assert read_bundle(str(written), "detector").temperature == Temperature(1.0)
    assert "temperature" not in json.loads((written / CONFIG).read_text())
    assert "Temperature" not in (written / "card.md").read_text()


def test_a_copy_has_the_very_weights(bundle: Bundle, written: Path, tmp_path: Path) -> None:
    source = read_bundle(str(written), "detector")
    changed = replace(source, folder=tmp_path / "new", name="new", threshold=Threshold(0.5, "", ""))
    write_with_weights_of(source, changed, "a card")
    found = read_bundle(str(tmp_path / "new"), "detector")
    assert (tmp_path / "new" / WEIGHTS).read_bytes() == (written / WEIGHTS).read_bytes()
    assert (found.name, found.threshold.value, found.sha256) == ("new", 0.5, source.sha256)
    with pytest.raises(OutputError, match=r"new: expected a new folder for the bundle"):
        write_with_weights_of(source, changed, "a card")
    write_with_weights_of(source, changed, "another card", overwrite=True)
    assert (tmp_path / "new" / "card.md").read_text() == "another card"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "card.md",
        CONFIG,
        WEIGHTS,
    ]


def test_the_card_says_what_a_phantom_figure_is_worth(bundle: Bundle) -> None:
    card = bundle_card(bundle)
    assert card.startswith("# detector `tiny`")
    assert "not a medical device" in card
    assert "synthetic (phantom) scans only" in card
    assert "| ap50 | 0.75 |" in card
    assert "0.1250; box sensitivity 0.90 at IoU 0.5" in card
    own = bundle_card(replace(bundle, is_phantom=False))
    assert "phantom" not in own
    assert "the user's own scans" in own


def test_a_classifiers_card_names_its_windows(tmp_path: Path, recipe_fields: Fields) -> None:
    recipe = ClassifierRecipe(**recipe_fields("classifier"))
    bundle = Bundle("mine", recipe, THRESHOLD, False, {}, "", tmp_path)
    assert "2 channels, windows [(-160.0, 240.0), (0.0, 200.0)] HU" in bundle_card(bundle)


def test_weights_as_stored_are_those_that_a_bundle_gives_back(
    bundle: Bundle, written: Path
) -> None:
    weights = network().state_dict()
    stored = as_stored(weights)
    assert not torch.equal(stored["0.weight"], weights["0.weight"])  # a third lies between halves
    assert torch.equal(stored["0.weight"], weights["0.weight"].half().float())
    assert stored["1.num_batches_tracked"].dtype == torch.int64
    given_back = read_weights(read_bundle(str(written), "detector"))
    assert all(torch.equal(stored[name], given_back[name]) for name in weights)


SCANS = [f"phantom-1000-{k:03d}" for k in range(140)] + [f"phantom-2000-{k:03d}" for k in range(70)]
CASES = [f"phantom-us-3200-{k:04d}" for k in range(1000)]


@pytest.mark.parametrize(
    ("arm", "patients", "counts"),
    [
        ("detector", SCANS, (178, 32)),
        ("classifier", SCANS, (178, 32)),
        ("fusion", CASES, (800, 200)),
    ],
)
def test_the_bundled_models_tell_whom_they_have_seen(
    arm: Literal["detector", "classifier", "fusion"], patients: list[str], counts: tuple[int, int]
) -> None:
    bundle = read_bundle("compact", arm)
    assert bundle.trained_on is not None
    assert bundle.threshold.patients is not None
    trained = set(bundle.trained_on.patients_sha256)
    validated = set(bundle.threshold.patients.patients_sha256)
    assert (len(trained), len(validated), len(trained & validated)) == (*counts, 0)
    assert trained | validated == {patient_digest(name) for name in patients}


def test_the_threshold_on_nodes_comes_back_and_stands_on_the_card(bundle: Bundle) -> None:
    patients = PatientDigests.of(["p0"], "0" * 64)
    of_nodes = Threshold(0.625, "a rule", "3 patients", patients)
    both = replace(bundle, node_threshold=of_nodes)
    write_bundle(both, network().state_dict(), bundle_card(both))
    assert read_bundle(str(both.folder), "detector").node_threshold == of_nodes
    card = (both.folder / "card.md").read_text()
    assert "- Threshold of a node's score: 0.6250; a rule,\n  chosen on 3 patients\n" in card


def test_a_bundle_without_a_threshold_on_nodes_has_none(written: Path) -> None:
    assert read_bundle(str(written), "detector").node_threshold is None
    assert "node's score" not in (written / "card.md").read_text()
    assert "node_threshold" not in json.loads((written / CONFIG).read_text())


@pytest.mark.parametrize(
    "broken",
    [
        0.7,
        {},
        [],
        False,
        {"value": 1.5, "rule": "a rule", "chosen_on": "x"},
        {"value": float("nan"), "rule": "a rule", "chosen_on": "x"},
        {"value": "0.7", "rule": "a rule", "chosen_on": "x"},
        {"value": 0.7, "rule": "a rule", "chosen_on": "x", "patients": ["p0"]},
    ],
)
def test_a_broken_threshold_on_nodes_is_refused_by_the_bundles_name(
    written: Path, broken: object
) -> None:
    edit(written, node_threshold=broken)
    with pytest.raises(ModelError, match=r"detector-tiny: expected a bundle of arm 'detector'"):
        read_bundle(str(written), "detector")
