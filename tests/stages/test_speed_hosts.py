"""Which networks go to which processes, and what these begin with."""

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lnmdetect.stages import speed_request
from lnmdetect.stages.speed_classifier import classifier_rows
from lnmdetect.stages.speed_detector import detector_rows
from lnmdetect.stages.speed_request import SpeedRequest, SpeedRun
from lnmdetect.stages.speed_result import SpeedRow
from lnmdetect.stages.speed_roi_align import roi_align_rows
from lnmdetect.stages.speed_rounds import Candidate, Host, Rounds, ThisProcess
from lnmdetect.stages.speed_training import training_rows
from lnmdetect.training.devices import limit_threads

Rows = Callable[[SpeedRun], Iterator[SpeedRow]]
FAMILIES: tuple[tuple[Rows, set[str], set[str]], ...] = (
    (detector_rows, {"stock_at_size", "stock_defaults"}, {"stock_at_size_kept"}),
    (training_rows, {"stock"}, {"stock_kept"}),
    (classifier_rows, {"eager_fp32"}, {"eager_fp32_kept"}),
    (roi_align_rows, {"forward_stock", "forward_backward_stock"}, set()),
)


@pytest.mark.parametrize(("rows", "references", "kept"), FAMILIES)
def test_every_network_can_go_to_a_process_and_references_to_one_of_their_kind(
    rows: Rows,
    references: set[str],
    kept: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Candidate] = []

    def timed(_: object, candidates: list[Candidate], *, host: Host, **options: object) -> Rounds:
        assert isinstance(host, ThisProcess)
        given.extend(candidates)
        return Rounds({}, {candidate.name: "not timed" for candidate in candidates})

    monkeypatch.setattr(SpeedRun, "timed", timed)
    request = SpeedRequest(width=0.05, size_px=64, processes=False)
    assert {row.reason for row in rows(SpeedRun(request, 1, tmp_path))} >= {"not timed"}
    assert {candidate.name for candidate in given if candidate.is_reference} == references
    prepared = {candidate.name: pickle.dumps(candidate.prepare) for candidate in given}
    assert {name for name in prepared if name.endswith("_kept")} == kept
    assert all(prepared[name] == prepared[name.removesuffix("_kept")] for name in kept)
    assert all(pickle.loads(pickle.dumps(candidate)).name for candidate in given)


def test_processes_of_ours_begin_as_commands_and_those_of_references_with_their_threads_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(speed_request, "ChildProcesses", lambda **begins: begins)
    monkeypatch.setattr(torch, "set_num_threads", calls.append)
    begins: Any = SpeedRun(SpeedRequest(), 3, Path()).networks_host
    assert begins["ours"] is limit_threads
    pickle.loads(pickle.dumps(begins["reference"]))()
    assert calls == [3]
    assert isinstance(SpeedRun(SpeedRequest(processes=False), 3, Path()).networks_host, ThisProcess)
