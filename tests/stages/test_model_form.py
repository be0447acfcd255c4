"""Which form a network answers in, and what a checked bundle says of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lnmdetect.core.errors import LnmDetectError, MissingExtraError, ModelError, UsageError
from lnmdetect.core.precision import CheckedForm, Engine, HeldFigure, InferenceForm, Precision
from lnmdetect.datasets.classifier_data import collate_crops
from lnmdetect.datasets.detector_data import DetectorItem, collate_detector
from lnmdetect.io.bundles import Bundle, read_bundle, write_with_weights_of
from lnmdetect.io.cards import bundle_card
from lnmdetect.stages import model_form
from lnmdetect.stages import run as run_stage
from lnmdetect.stages.classify import ClassifyRequest, classify, load_classifier
from lnmdetect.stages.detect import detect, load_detector
from lnmdetect.stages.detect_request import DetectRequest
from lnmdetect.stages.model_form import chosen_form
from lnmdetect.stages.models_check import check_model
from lnmdetect.stages.models_check_request import CheckRequest
from lnmdetect.stages.run import RunRequest, run

CPU = torch.device("cpu")
BF16 = InferenceForm("bf16")
INT8, OPENVINO_BF16 = InferenceForm("int8", "openvino"), InferenceForm("bf16", "openvino")
VNNI = ("avx2", "avx512_vnni")
FIGURES = (HeldFigure("AP50", 0.8123, 0.8101),)


@pytest.fixture
def checked(bundles: Path, tmp_path: Path) -> Callable[..., Bundle]:
    """A function that gives the tiny detector, read back, as checked in forms, one after another.

    The processor of the checks had avx512_vnni unless others are given.
    """

    def make(*forms: InferenceForm, flags: tuple[str, ...] = VNNI) -> Bundle:
        source = read_bundle(str(bundles / "detector-tiny"), "detector")
        made = tuple(
            CheckedForm(form, FIGURES, "40 held-out patients, phantoms", cpu_flags=flags)
            for form in forms or (BF16,)
        )
        new = replace(source, folder=tmp_path / "checked", checked=made)
        write_with_weights_of(source, new, bundle_card(new), overwrite=True)
        return read_bundle(str(new.folder), "detector")

    return make


def says(
    monkeypatch: pytest.MonkeyPatch, computes: bool, flags: tuple[str, ...] = ("avx512_vnni",)
) -> None:
    monkeypatch.setattr(model_form, "computes_bf16", lambda device: computes)
    monkeypatch.setattr(model_form, "cpu_flags", lambda: flags)


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


def test_on_a_gpu_of_which_nothing_was_shown_the_default_stays_fp32(
    checked: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, True)
    bundle, gpu = checked(), torch.device("cuda")
    assert chosen_form(bundle, gpu, None, "torch") == InferenceForm()
    assert chosen_form(bundle, gpu, "bf16", "torch") == BF16


def installed(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    monkeypatch.setattr("lnmdetect.core.extras.importlib.util.find_spec", lambda _: answer)


@pytest.mark.parametrize("command", ["detect", "run", "models check"])
@pytest.mark.parametrize(
    ("precision", "engine", "error", "said"),
    [
        ("int8", "torch", UsageError, "got int8 on torch"),
        ("bf16", "onnx", UsageError, "got bf16 on onnx"),
        ("int8", "openvino", ModelError, "got one without an int8 form"),
        ("fp32", "onnx", MissingExtraError, r"--engine onnx: .*lnmdetect\[onnx\]"),
        ("bf16", "openvino", MissingExtraError, r"--engine openvino: .*lnmdetect\[openvino\]"),
    ],
)
def test_a_form_that_cannot_be_had_is_refused_before_the_scan_is_looked_for(
    command: str,
    precision: Precision,
    engine: Engine,
    error: type[LnmDetectError],
    said: str,
    bundles: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed(monkeypatch, None if error is MissingExtraError else object())
    nowhere, out = tmp_path / "nowhere", tmp_path / "out"
    model, form = str(bundles / "detector-tiny"), {"precision": precision, "engine": engine}
    caller = str(bundles / "classifier-tiny")
    asked: dict[str, Callable[[], object]] = {
        "detect": lambda: detect(DetectRequest(nowhere, out, model, **form)),  # type: ignore[arg-type]
        "run": lambda: run(RunRequest(nowhere, out, model, caller, **form)),  # type: ignore[arg-type]
        "models check": lambda: check_model(
            CheckRequest("detector", nowhere, model=model, **form)  # type: ignore[arg-type]
        ),
    }
    with pytest.raises(error, match=said):
        asked[command]()
    assert not out.exists()


def test_a_classifier_in_int8_is_refused_before_the_boxes_are_looked_for(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, object())
    asked = ClassifyRequest(
        tmp_path / "nowhere.json",
        tmp_path / "nodes.json",
        model=str(bundles / "classifier-tiny"),
        precision="int8",
        engine="openvino",
    )
    with pytest.raises(UsageError, match="expected fp32 or bf16 for a classifier, got int8"):
        classify(asked)


def test_the_classifier_of_a_run_in_int8_answers_in_its_usual_precision(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(run_stage, "refuse_form", lambda *form: asked.append(form[1:]))
    for name in ("detect", "classify"):
        monkeypatch.setattr(
            run_stage, name, lambda wanted, *_: asked.append((wanted.precision, wanted.engine))
        )
    monkeypatch.setattr(run_stage, "link_nodes", lambda *_: None)
    asked_for = RunRequest(
        tmp_path,
        tmp_path,
        str(bundles / "detector-tiny"),
        str(bundles / "classifier-tiny"),
        slices=0,
        precision="int8",
        engine="openvino",
    )
    run(asked_for)
    assert asked == [("int8", "openvino"), (None, "openvino")] * 2


def test_what_was_checked_with_one_engine_says_nothing_of_another(
    checked: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, True)
    assert checked(OPENVINO_BF16).usual_precision("torch") == "fp32"
    bundle = checked(BF16, INT8)
    assert (bundle.usual_precision("torch"), bundle.usual_precision("openvino")) == ("bf16", "int8")
    assert bundle.usual_precision("onnx") == "fp32"


@pytest.mark.parametrize(
    ("order", "computes", "flags", "chosen"),
    [
        ((INT8, OPENVINO_BF16), True, VNNI, "bf16"),
        ((OPENVINO_BF16, INT8), True, VNNI, "int8"),
        ((INT8, OPENVINO_BF16), False, VNNI, "int8"),
        ((OPENVINO_BF16, INT8), True, ("avx2",), "bf16"),
        ((INT8, OPENVINO_BF16), False, ("avx2",), "fp32"),
        ((OPENVINO_BF16, INT8), True, (), "bf16"),
        ((INT8,), True, (), "fp32"),
    ],
)
def test_of_several_forms_the_one_checked_last_that_this_processor_computes_is_the_default(
    order: tuple[InferenceForm, ...],
    computes: bool,
    flags: tuple[str, ...],
    chosen: Precision,
    checked: Callable[..., Bundle],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    says(monkeypatch, computes, flags)
    form = chosen_form(checked(BF16, *order), CPU, None, "openvino")
    assert form == InferenceForm(chosen, "openvino")


def test_int8_of_a_check_whose_processor_was_not_told_is_run_only_when_asked_for(
    checked: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, True, VNNI)
    bundle = checked(INT8, flags=())
    assert bundle.usual_precision("openvino") == "fp32"
    assert chosen_form(bundle, CPU, None, "openvino") == InferenceForm("fp32", "openvino")
    assert chosen_form(bundle, CPU, "int8", "openvino") == INT8
    card = (bundle.folder / "card.md").read_text()
    assert "\nIt was checked in int8 on openvino, for --precision int8 alone: on" in card
    assert "by default" not in card
    assert "did not tell which instructions its processor has" in card
    bf16 = checked(BF16, flags=())  # needs no telling
    assert chosen_form(bf16, CPU, None, "torch") == BF16


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
    card = (checked(INT8).folder / "card.md").read_text()
    assert "\nWith --engine openvino it answers in int8 by default, where" in card
    assert "By default this model" not in card
    assert "\nThe processor of the check had avx2, avx512_vnni.\n" in card


def test_the_card_of_several_forms_tells_the_figures_of_each_and_which_is_the_default(
    checked: Callable[..., Bundle],
) -> None:
    card = (checked(INT8, BF16, OPENVINO_BF16).folder / "card.md").read_text()
    said = [line for line in card.splitlines() if "default" in line]
    assert said == [
        "By default this model answers in bf16 on torch, where the processor computes so: on",
        "With --engine openvino it answers in bf16 by default, where the processor computes so: on",
        "It was checked in int8 on openvino too, the default where that above cannot be: on",
    ]
    assert card.count("| AP50 | 0.8123 |") == 3


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
