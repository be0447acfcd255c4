"""What `detect` takes beyond its network, from times that are known."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lnmdetect.io.scan_source import open_source
from lnmdetect.stages import speed_overhead
from lnmdetect.stages.detect import load_detector
from lnmdetect.stages.speed_overhead import overhead_rows
from lnmdetect.stages.speed_request import SpeedRun
from lnmdetect.stages.speed_result import Bar, Timing
from lnmdetect.stages.speed_rounds import Candidate, Rounds
from lnmdetect.stages.speed_scans import write_scan
from tests.stages.test_speed import TINY, shrink

SLICES = 4


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpeedRun:
    shrink(monkeypatch)
    return SpeedRun(replace(TINY, overhead_slices=SLICES), 1, tmp_path)


def test_the_stage_is_held_against_its_network_and_only_the_published_one_has_a_bar(
    run: SpeedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def timed(_: SpeedRun, candidates: list[Candidate], *, what: str, most: int) -> Rounds:
        rounds.append((what, most))
        seconds = (Timing((2.0,)), Timing((2.1,)))
        return Rounds(dict(zip((c.name for c in candidates), seconds, strict=True)), {})

    rounds: list[tuple[str, int]] = []
    monkeypatch.setattr(SpeedRun, "timed", timed)
    rows = {row.name: row for row in overhead_rows(run)}
    assert rounds == [("overhead, compact", 3), ("overhead, published", 2)]
    names = [
        f"overhead_{size}_{what}"
        for size in ("compact", "published")
        for what in ("network", "detect")
    ]
    assert list(rows) == names
    for size in ("compact", "published"):
        stage = rows[f"overhead_{size}_detect"]
        assert stage.figure is not None
        assert stage.figure.value == pytest.approx(1.05)
        assert stage.facts["ms_a_slice"] == 525  # 2.1 s of four slices
        assert stage.facts["slices"] == SLICES
    bars = {name: row.bar for name, row in rows.items() if row.bar is not None}
    assert bars == {"overhead_published_detect": Bar(1.05, "at_most")}


def test_reading_is_not_in_the_seconds_of_the_network(
    run: SpeedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def read(images: list[Any], *_: object) -> Iterator[Any]:
        for image in images:
            now[0] += 100
            yield image

    def answered(_: object, held: list[Any], *__: object) -> list[Any]:
        now[0] += 0.5 * len(held)
        return held

    monkeypatch.setattr(speed_overhead, "scan_batches", read)
    monkeypatch.setattr(speed_overhead, "predict", answered)
    monkeypatch.setattr(speed_overhead, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    write_scan(run.volume, tmp_path / "scan", 12)
    (handle,) = open_source(tmp_path / "scan").scans
    assert speed_overhead._network(handle, load_detector("compact", "cpu"))() == 6.0
