"""`lnmdetect segment` on the command line: what it asks of its stage, and what it prints."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.stages import segment as stage
from lnmdetect.stages.segment import SegmentRequest, SegmentResult

pytest.importorskip("monai", reason="the extra `segmentation` is not installed")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[SegmentRequest]:
    """What the stage was asked; it finds 3 nodes, and 2 more that score too low."""
    requests: list[SegmentRequest] = []

    def answer(request: SegmentRequest, progress: object) -> SegmentResult:
        requests.append(request)
        return SegmentResult(
            output=request.output,
            scans=1,
            slices=9,
            nodes=3,
            sections=7,
            unlikely_nodes=0 if request.node_threshold == 0 else 2,
            threshold=0.5,
            node_threshold=0.75,
            seconds=1.0,
        )

    monkeypatch.setattr(stage, "segment", answer)
    return requests


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["segment", "scan", *arguments])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_both_thresholds_reach_the_stage(asked: list[SegmentRequest]) -> None:
    printed("--threshold", "0.4", "--node-threshold", "0.6")
    printed()
    assert [(one.threshold, one.node_threshold) for one in asked] == [(0.4, 0.6), (None, None)]
    assert asked[1].output == Path("segments.json")


def test_nodes_that_score_too_low_are_told_where_there_are_some(
    asked: list[SegmentRequest],
) -> None:
    text = printed()
    assert "3 nodes in 7 cross-sections, score 0.75 or more" in text
    assert "; 2 more scored lower, in the file but not counted" in text
    assert "scored lower" not in printed("--node-threshold", "0")
