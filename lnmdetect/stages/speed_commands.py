"""Commands as a user types them: their start, and a scan from stage to stage."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from lnmdetect.io.json_files import read_json
from lnmdetect.io.run_record import record_path
from lnmdetect.stages.phantom import PhantomRequest, PhantomResult, make_ct_phantoms
from lnmdetect.stages.speed_request import SpeedRun, lnmdetect_line, said
from lnmdetect.stages.speed_result import Fact, Figure, SpeedRow, Timing
from lnmdetect.stages.speed_rounds import Candidate, Rounds, Work
from lnmdetect.stages.speed_rows import Comparison, milliseconds
from lnmdetect.stages.speed_scans import SEED

PYTHON = Comparison("startup", "python", "times the start of Python alone", kind="longer")
STARTS = {"help": ("--help",), "eval_help": ("eval", "--help")}
SCAN_ROUNDS = 3
"""A scan takes ten seconds and more."""


def startup_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield Python's own start, and that of commands that compute nothing."""
    lines = {"python": [sys.executable, "-c", "pass"]}
    lines |= {name: lnmdetect_line(*words) for name, words in STARTS.items()}

    def start(line: list[str]) -> Work:
        def work() -> None:
            said(line)

        return work

    candidates = [Candidate(name, partial(start, line)) for name, line in lines.items()]
    rounds = run.timed(candidates, what="start-up")
    labels = {name: f"lnmdetect {' '.join(words)}" for name, words in STARTS.items()}
    for name, label in ({"python": "Python alone"} | labels).items():
        yield PYTHON.row(rounds, name, label, facts=milliseconds(rounds, name, "start"))


def scan_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield the stages of a phantom scan with the bundled models, each a command of its own."""
    folder = run.place("scan")
    made = make_ct_phantoms(PhantomRequest(1, SEED, folder / "phantom", "lifelike", workers=1))
    outputs = {name: folder / f"{name}.json" for name in ("detect", "classify", "nodes", "eval")}
    candidates = [
        Candidate(name, partial(_command, run, line))
        for name, line in _stage_lines(made, outputs).items()
    ]
    rounds = run.timed(candidates, what="a scan by stage", most=SCAN_ROUNDS, warm_up=False)
    for name, path in outputs.items():
        facts: dict[str, Fact] = {"slices": made.images}
        if name in rounds.timings:
            facts |= _laps(path) | milliseconds(rounds, name, "slice", made.images)
        yield _share_row(rounds, name, facts)
    yield _whole_row(rounds, made.images)


def _stage_lines(made: PhantomResult, outputs: dict[str, Path]) -> dict[str, list[Any]]:
    boxes, nodes = outputs["detect"], outputs["classify"]
    words: dict[str, list[Any]] = {
        "detect": [made.scan, "--device", "cpu"],
        "classify": [boxes, "--scan", made.scan, "--device", "cpu"],
        "nodes": [nodes, "--scan", made.scan],
        "eval": ["--truth", made.truth, "--nodes", nodes],
    }
    return {
        name: [name, *line, "-o", outputs[name], "-q", "--overwrite"]
        for name, line in words.items()
    }


def _command(run: SpeedRun, line: list[Any]) -> Work:
    return lambda: run.command(*line)


def _laps(output: Path) -> dict[str, Fact]:
    """Return the seconds of the parts of a command, from the record of its last run."""
    record = record_path(output)
    if not record.is_file():
        return {}
    return {f"{name}_s": float(s) for name, s in read_json(record)["timings_s"].items()}


def _share_row(rounds: Rounds, name: str, facts: dict[str, Fact]) -> SpeedRow:
    """Return the share of a stage in the whole."""
    timing, whole = rounds.timings.get(name), whole_of(rounds)
    figure = None
    if timing is not None and whole is not None:
        shares = [a / b for a, b in zip(timing.seconds, whole.seconds, strict=True)]
        figure = Figure(timing.median_s / whole.median_s, min(shares), max(shares))
    reason = rounds.reasons.get(name, "" if figure else "another stage could not run")
    label = f"lnmdetect {name}, bundled models, start-up and all"
    unit = "share of the scan's time"
    return SpeedRow(f"scan_{name}", "scan", label, unit, figure, None, reason, timing, facts)


def whole_of(rounds: Rounds) -> Timing | None:
    """Return the time of all candidates together, round by round; None where one did not run."""
    if rounds.reasons or not rounds.timings:
        return None
    each = zip(*(timing.seconds for timing in rounds.timings.values()), strict=True)
    return Timing(tuple(sum(times) for times in each))


def _whole_row(rounds: Rounds, slices: int) -> SpeedRow:
    whole = whole_of(rounds)
    reason = "a sum; the share of each stage is above" if whole else "a stage could not run"
    facts: dict[str, Fact] = {"slices": slices}
    if whole is not None:
        facts["scans_an_hour"] = 3600 / whole.median_s
    label = "all four stages, one after another"
    return SpeedRow("scan_whole", "scan", label, "", None, None, reason, whole, facts)
