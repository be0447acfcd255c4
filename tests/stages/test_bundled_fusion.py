"""The fusion network that comes with the package, on phantoms that it has not seen."""

from pathlib import Path

import pytest

from lnmdetect.stages.evaluation_fused import evaluate_fused
from lnmdetect.stages.evaluation_fused_request import FusedRequest, rows_of
from lnmdetect.stages.fuse import fuse
from lnmdetect.stages.fuse_result import FuseRequest
from lnmdetect.stages.phantom_ultrasound import UltrasoundPhantomRequest, make_ultrasound_phantoms


@pytest.mark.slow
def test_it_tells_metastatic_from_benign_phantoms_and_loses_by_what_is_missing(
    tmp_path: Path,
) -> None:
    made = make_ultrasound_phantoms(UltrasoundPhantomRequest(60, 9750, tmp_path / "us"))
    areas = {}
    for name, without in (("whole", None), ("finding alone", "bmode,ceus")):
        output = tmp_path / f"{name}.json"
        asked = FuseRequest(made.ultrasound, output, device="cpu", without=without)
        assert fuse(asked).notes == ()
        row = evaluate_fused(FusedRequest(rows_of([str(output)]), bootstrap=50)).rows[0]
        area = row.figures.auc.value
        assert area is not None
        areas[name] = area
    assert areas["whole"] > 0.75
    assert areas["whole"] > areas["finding alone"] > 0.55
