"""The networks as the stages load them: faster, of the same answers, or as they were trained."""

from pathlib import Path

import numpy as np
import torch

from lnmdetect.datasets.classifier_data import collate_crops
from lnmdetect.datasets.detector_data import DetectorItem, collate_detector
from lnmdetect.stages.classify import load_classifier
from lnmdetect.stages.detect import load_detector
from tests.models.test_folding import norms


def test_detect_loads_a_network_without_norms_that_finds_the_same(bundles: Path) -> None:
    model = str(bundles / "detector-tiny")
    (_, fast), (_, plain) = load_detector(model, "cpu"), load_detector(model, "cpu", plain=True)
    assert (norms(fast.module), norms(plain.module)) == (0, 53)
    channels = np.random.default_rng(0).random((3, 96, 90), dtype=np.float32)
    batch = collate_detector([DetectorItem(channels, np.zeros((0, 4)), np.zeros(0, dtype=bool))])
    plain.module.eval()
    with torch.inference_mode():
        (found,), (expected,) = fast.predict(batch), plain.predict(batch)
    assert len(expected) > 3
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=0.01)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


def test_classify_loads_a_network_without_norms_that_answers_the_same(bundles: Path) -> None:
    model = str(bundles / "classifier-tiny")
    (_, fast), (_, plain) = load_classifier(model, "cpu"), load_classifier(model, "cpu", plain=True)
    assert norms(fast.module) == 0 < norms(plain.module)
    channels = next(plain.module.parameters()).shape[1]
    crops = np.random.default_rng(0).random((3, channels, 32, 32), dtype=np.float32)
    batch = collate_crops([(crop, 0) for crop in crops])
    plain.module.eval()
    with torch.inference_mode():
        found, expected = np.stack(fast.predict(batch)), np.stack(plain.predict(batch))
    assert expected.std() > 0
    np.testing.assert_allclose(found, expected, atol=1e-5)
