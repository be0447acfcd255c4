"""Tests of the list of installed bundles."""

from dataclasses import replace
from pathlib import Path

import pytest

from lnmdetect.core.precision import CheckedForm, HeldFigure, InferenceForm
from lnmdetect.io.bundles import MODELS_VARIABLE, read_bundle, write_with_weights_of
from lnmdetect.stages.models import installed_models


def test_a_segmenters_threshold_on_nodes_is_listed_beside_that_on_voxels() -> None:
    listed = {model.arm: model for model in installed_models() if model.name == "compact"}
    stored = read_bundle("compact", "segmenter")
    assert stored.node_threshold is not None
    assert listed["segmenter"].threshold == stored.threshold.value
    assert listed["segmenter"].node_threshold == stored.node_threshold.value
    assert listed["detector"].node_threshold is listed["classifier"].node_threshold is None


def test_a_bundle_is_listed_with_its_default_precision_on_torch_and_on_engines_it_was_checked_on(
    tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = (HeldFigure("AP50", 0.8, 0.8),)
    forms = (InferenceForm("bf16", "openvino"), InferenceForm("int8", "openvino"))
    source = read_bundle(str(bundles / "detector-tiny"), "detector")
    checked = tuple(CheckedForm(form, held, "40 patients", cpu_flags=("avx2",)) for form in forms)
    new = replace(source, name="fast", folder=tmp_path / "detector-fast", checked=checked)
    write_with_weights_of(source, new, "a card")
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    listed = {(model.arm, model.name): model.precisions for model in installed_models()}
    assert listed["detector", "fast"] == {"torch": "fp32", "openvino": "int8"}
    assert listed["detector", "compact"] == listed["classifier", "compact"] == {"torch": "bf16"}
    assert listed["segmenter", "compact"] == listed["fusion", "compact"] == {"torch": "fp32"}
