"""Which form a network answers in, and what a checked bundle says of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lnmdetect.core.errors import UsageError
from lnmdetect.core.precision import CheckedForm, HeldFigure, InferenceForm
from lnmdetect.datasets.classifier_data import collate_crops
from lnmdetect.datasets.detector_data import DetectorItem, collate_detector
from lnmdetect.io.bundles import Bundle, read_bundle, write_with_weights_of
from lnmdetect.io.cards import bundle_card
from lnmdetect.stages import model_form
from lnmdetect.stages.classify import load_classifier
from lnmdetect.stages.detect import load_detector
from lnmdetect.stages.model_form import chosen_form

CPU = torch.device("cpu")
BF16 = InferenceForm("bf16")
FIGURES = (HeldFigure("AP50", 0.8123, 0.8101),)


@pytest.fixture
def checked(bundles: Path, tmp_path: Path) -> Callable[..., Bundle]:
    """A function that gives the tiny bundle of an arm, read back, as checked in a form."""

    def make(form: InferenceForm = BF16, arm: str = "detector") -> Bundle:
        source = read_bundle(str(bundles / f"{arm}-tiny"), arm)  # type: ignore[arg-type]
        made = CheckedForm(form, FIGURES, "40 held-out patients, phantoms")
        new = replace(source, folder=tmp_path / f"{arm}-{form.precision}", checked=made)
        write_with_weights_of(source, new, bundle_card(new))
        return read_bundle(str(new.folder), arm)  # type: ignore[arg-type]

    return make


def says(monkeypatch: pytest.MonkeyPatch, computes: bool) -> None:
    monkeypatch.setattr(model_form, "computes_bf16", lambda device: computes)


def test_a_bundle_answers_in_the_form_it_was_checked_in(
    checked: Callable[..., Bundle], bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, True)
    bundle = checked()
    assert chosen_form(bundle, CPU, None, "torch") == BF16
    assert chosen_form(bundle, CPU, "fp32", "torch") == InferenceForm()
    plain = read_bundle(str(bundles / "detector-tiny"), "detector")
    assert chosen_form(plain, CPU, None, "torch") == InferenceForm()
    assert chosen_form(plain, CPU, "bf16", "torch") == BF16


def test_a_processor_that_only_imitates_bf16_is_left_with_fp32(
    checked: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, False)
    bundle = checked()
    assert chosen_form(bundle, CPU, None, "torch") == InferenceForm()
    assert chosen_form(bundle, CPU, "bf16", "torch") == BF16


def test_what_was_checked_with_one_engine_says_nothing_of_another(
    checked: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, True)
    assert checked(InferenceForm("bf16", "openvino")).usual_precision("torch") == "fp32"
    assert checked(InferenceForm("int8", "openvino")).usual_precision("openvino") == "int8"


def test_torch_does_not_compute_in_int8(bundles: Path) -> None:
    with pytest.raises(UsageError, match=r"expected one of fp32 on torch.*got int8 on torch"):
        load_detector(str(bundles / "detector-tiny"), "cpu", precision="int8")


def test_the_card_tells_the_figures_that_let_a_form_be_the_default(
    checked: Callable[..., Bundle],
) -> None:
    card = (checked().folder / "card.md").read_text()
    assert "By default this model answers in bf16 on torch" in card
    assert "40 held-out patients, phantoms, each figure stayed within 0.005" in card
    assert "| AP50 | 0.8123 | 0.8101 | -0.0022 |" in card


def test_the_card_names_the_engine_with_which_a_form_is_the_default(
    checked: Callable[..., Bundle],
) -> None:
    card = (checked(InferenceForm("int8", "openvino")).folder / "card.md").read_text()
    assert "\nWith --engine openvino it answers in int8 by default, where" in card
    assert "By default this model" not in card


def test_a_detector_in_bf16_finds_nearly_the_same_boxes_in_full_precision(bundles: Path) -> None:
    model = str(bundles / "detector-tiny")
    _, exact = load_detector(model, "cpu", precision="fp32")
    _, fast = load_detector(model, "cpu", precision="bf16")
    assert (exact.form, fast.form) == (InferenceForm(), BF16)
    assert {p.dtype for p in fast.module.parameters()} == {torch.bfloat16}
    channels = np.random.default_rng(0).random((3, 96, 90), dtype=np.float32)
    batch = collate_detector([DetectorItem(channels, np.zeros((0, 4)), np.zeros(0, dtype=bool))])
    with torch.inference_mode():
        (found,), (expected,) = fast.predict(batch), exact.predict(batch)
        (raw,) = fast.module(batch.images)
    assert raw["boxes"].dtype == raw["scores"].dtype == torch.float32
    assert len(found.scores) > 3
    best = min(len(found.scores), len(expected.scores), 3)
    moved = np.abs(np.sort(found.scores)[-best:] - np.sort(expected.scores)[-best:])
    assert 0 < moved.max() < 0.05


def test_a_classifier_in_bf16_answers_nearly_the_same(bundles: Path) -> None:
    model = str(bundles / "classifier-tiny")
    _, exact = load_classifier(model, "cpu", precision="fp32")
    _, fast = load_classifier(model, "cpu", precision="bf16")
    crops = np.random.default_rng(0).random((3, _channels(exact.module), 32, 32), dtype=np.float32)
    batch = collate_crops([(crop, 0) for crop in crops])
    with torch.inference_mode():
        found, expected = np.stack(fast.predict(batch)), np.stack(exact.predict(batch))
    assert 0 < np.abs(found - expected).max() < 0.02
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)


def _channels(network: torch.nn.Module) -> int:
    return int(next(network.parameters()).shape[1])
