"""Tests of the list of installed bundles."""

from lnmdetect.io.bundles import read_bundle
from lnmdetect.stages.models import installed_models


def test_a_segmenters_threshold_on_nodes_is_listed_beside_that_on_voxels() -> None:
    listed = {model.arm: model for model in installed_models() if model.name == "compact"}
    stored = read_bundle("compact", "segmenter")
    assert stored.node_threshold is not None
    assert listed["segmenter"].threshold == stored.threshold.value
    assert listed["segmenter"].node_threshold == stored.node_threshold.value
    assert listed["detector"].node_threshold is listed["classifier"].node_threshold is None
