"""`lnmdetect speed`: times taken in turns, their ratios, and what cannot run here."""

import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lnmdetect import cli_speed
from lnmdetect.core.errors import InputError, OutputError, UsageError
from lnmdetect.core.precision import InferenceForm
from lnmdetect.io.machine_facts import MachineFacts
from lnmdetect.io.pseudonym import KEY_FILE_VARIABLE
from lnmdetect.models.detector import NodeDetector
from lnmdetect.stages import speed as speed_stage
from lnmdetect.stages import speed_detector, speed_memory, speed_peak, speed_request, speed_training
from lnmdetect.stages.speed import FAMILIES, THREADS_VARIABLE, Family, speed
from lnmdetect.stages.speed_classifier import best_of
from lnmdetect.stages.speed_cohort import held_to, study_seconds
from lnmdetect.stages.speed_commands import whole_of
from lnmdetect.stages.speed_detector import CPU, FormRow, slice_batch
from lnmdetect.stages.speed_peak import OPERATIONS, operations_of, peak_per_s
from lnmdetect.stages.speed_plan import SpeedPlan
from lnmdetect.stages.speed_request import SpeedRequest, SpeedRun
from lnmdetect.stages.speed_result import Bar, Fact, Figure, SpeedRow, Timing, ratio
from lnmdetect.stages.speed_rounds import Candidate, Rounds, ThisProcess, Work, interleaved
from lnmdetect.stages.speed_rows import IS_REFERENCE, Comparison
from lnmdetect.stages.speed_scans import Volume, write_scan
from lnmdetect.stages.speed_stock import stock_detector
from lnmdetect.stages.speed_tables import cells, markdown
from lnmdetect.training.devices import computes_bf16
from tests.models.test_folding import seasoned
from tests.test_data_specs import errors

TINY = SpeedRequest(width=0.05, size_px=64, rounds=1, overhead_slices=2, processes=False)


class Clock:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.now, self.done = 0.0, list[str]()

    def __call__(self) -> float:
        return self.now

    def candidate(self, name: str, *took: float) -> Candidate:
        left = list(took)

        def work() -> None:
            self.done.append(name)
            self.now += left.pop(0)

        return Candidate(name, lambda: work)


def timed(clock: Clock, *candidates: Candidate, **options: Any) -> Rounds:
    return interleaved(candidates, 2, description="", host=ThisProcess(clock), **options)


def failing(error: Exception, after: int = 0) -> Candidate:
    calls = []

    def work() -> None:
        calls.append(1)
        if len(calls) > after:
            raise error

    return Candidate("failing", lambda: work)


def rounds_of(**seconds: tuple[float, ...]) -> Rounds:
    return Rounds({name: Timing(took) for name, took in seconds.items()}, {})


def test_candidates_take_turns_and_the_first_round_is_not_timed() -> None:
    clock = Clock()
    rounds = timed(clock, clock.candidate("a", 9, 1, 3), clock.candidate("b", 9, 2, 6))
    assert clock.done == ["a", "b", "a", "b", "a", "b"]
    assert rounds.timings["a"].seconds == (1, 3)
    assert rounds.timings["b"].seconds == (2, 6)


def test_without_warming_up_the_first_round_is_timed() -> None:
    clock = Clock()
    rounds = timed(clock, clock.candidate("a", 9, 1), warm_up=False)
    assert rounds.timings["a"].seconds == (9, 1)


def test_work_may_tell_its_own_seconds() -> None:
    works: list[Callable[[], Work]] = [lambda: lambda: 0.25]
    (own,) = works
    assert timed(Clock(), Candidate("own", own)).timings["own"].seconds == (0.25, 0.25)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InputError("a", expected="b", got="c", remedy="Do."), "a: expected b, got c. Do."),
        (RuntimeError("no such kernel\nmore"), "RuntimeError: no such kernel"),
        (ValueError(), "ValueError"),
    ],
)
@pytest.mark.parametrize("after", [0, 1, 2])
def test_what_cannot_run_says_why_and_the_others_go_on(
    error: Exception, reason: str, after: int
) -> None:
    clock = Clock()
    rounds = timed(clock, failing(error, after), clock.candidate("b", 9, 2, 6))
    assert rounds.reasons == {"failing": reason}
    assert {name: t.seconds for name, t in rounds.timings.items()} == {"b": (2, 6)}


def test_a_bug_is_not_taken_for_something_that_cannot_run() -> None:
    with pytest.raises(TypeError):
        timed(Clock(), failing(TypeError("a bug")))


def test_a_ratio_is_that_of_the_medians_and_its_range_that_of_the_rounds() -> None:
    above, below = Timing((2.0, 4.0, 6.0)), Timing((1.0, 4.0, 2.0))
    # medians 4 and 2; rounds 2 / 1, 4 / 4, 6 / 2
    assert ratio(above, below) == Figure(2.0, 1.0, 3.0)
    assert above.median_s == 4
    assert above.spread == (6 - 2) / 4


@pytest.mark.parametrize("seconds", [(), (0.0,), (1.0, float("nan"))])
def test_a_time_is_above_nothing(seconds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected times above 0 s"):
        Timing(seconds)


def test_faster_is_the_references_time_over_its_own_and_longer_the_other_way_round() -> None:
    rounds = rounds_of(ours=(1.0, 1.0), theirs=(4.0, 4.0))
    faster = Comparison("f", "theirs", "times faster").row(rounds, "ours", "ours")
    longer = Comparison("f", "theirs", "times", kind="longer").row(rounds, "ours", "ours")
    assert faster.figure == Figure(4, 4, 4)
    assert longer.figure == Figure(0.25, 0.25, 0.25)
    reference = Comparison("f", "theirs", "times").row(rounds, "theirs", "theirs")
    assert (reference.figure, reference.reason) == (None, IS_REFERENCE)


def test_without_its_reference_a_row_has_a_time_and_no_figure() -> None:
    rounds = Rounds({"ours": Timing((1.0,))}, {"theirs": "not installed"})
    bar = Bar(2, "at_least")
    row = Comparison("f", "theirs", "times").row(rounds, "ours", "ours", bar=bar)
    assert (row.figure, row.reached) == (None, None)
    assert row.reason == "its reference could not run: not installed"
    assert row.timing == Timing((1.0,))
    absent = Comparison("f", "theirs", "times").row(rounds, "theirs", "theirs")
    assert (absent.reason, absent.timing) == ("not installed", None)


@pytest.mark.parametrize(
    ("kind", "value", "reached"),
    [
        ("at_least", 1.8, True),
        ("at_least", 1.7999, False),
        ("at_most", 1.8, True),
        ("at_most", 1.8001, False),
    ],
)
def test_a_bar_is_reached_by_the_figure_as_it_was_measured(
    kind: Any, value: float, reached: bool
) -> None:
    row = SpeedRow("n", "f", "label", "times", Figure(value, value, value), Bar(1.8, kind))
    assert row.reached is reached
    assert row.to_json()["reached"] is reached
    assert cells(row)[4] == ("yes" if reached else "no")


def test_the_whole_of_a_scan_is_the_sum_round_by_round() -> None:
    rounds = rounds_of(detect=(3.0, 5.0), classify=(1.0, 2.0))
    assert whole_of(rounds) == Timing((4.0, 7.0))
    assert whole_of(replace(rounds, reasons={"eval": "no"})) is None


def test_the_fastest_form_of_those_that_ran_has_the_bar() -> None:
    slow = SpeedRow("a", "classifier", "slow", "times", Figure(1.5, 1, 2))
    fast = SpeedRow("b", "classifier", "fast", "times", Figure(3.0, 2, 4))
    absent = SpeedRow("c", "classifier", "absent", "times", None, reason="not installed")
    best = best_of([slow, fast, absent])
    assert (best.name, best.label) == ("classifier_best", "the fastest: fast")
    assert best.reached is True
    assert best_of([absent]).figure is None


def test_operations_are_multiplications_and_additions() -> None:
    layer = nn.Conv2d(3, 4, 3, padding=1, bias=False).eval()
    # 8 x 8 places, 4 channels of 3 x 3 x 3 products each
    assert operations_of(layer, torch.rand(1, 3, 8, 8)) == 2 * 8 * 8 * 4 * 27


def test_the_peak_is_that_of_the_fastest_round_of_the_faster_way() -> None:
    rounds = rounds_of(peak_product_fp32=(2.0, 4.0), peak_convolution_fp32=(0.5, 9.0))
    assert peak_per_s(rounds, "fp32") == OPERATIONS / 0.5
    assert peak_per_s(rounds, "bf16") is None


def test_torchvisions_detector_with_our_weights_finds_our_boxes(tmp_path: Path) -> None:
    plan = SpeedPlan(TINY.width, TINY.size_px, tmp_path)
    detector = seasoned(speed_detector.plain_detector(plan))
    assert isinstance(detector, NodeDetector)
    images = slice_batch(plan).images
    with torch.inference_mode():
        (ours,), (theirs,) = detector(images), stock_detector(detector, 64).eval()(list(images))
    assert len(ours["boxes"]) > 10
    torch.testing.assert_close(ours["boxes"], theirs["boxes"], atol=0.01, rtol=0)
    torch.testing.assert_close(ours["scores"], theirs["scores"], atol=1e-4, rtol=0)


def test_both_training_steps_start_from_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: list[float] = []

    def noted(_: object, network: nn.Module, losses: object) -> Work:
        weights.append(sum(float(p.detach().double().abs().sum()) for p in network.parameters()))
        return lambda: None

    monkeypatch.setattr(speed_training, "_step", noted)
    plan = SpeedPlan(TINY.width, TINY.size_px, tmp_path)
    speed_training.stock_step(plan)
    torch.rand(7)
    speed_training.our_step(plan)
    assert weights[0] == pytest.approx(weights[1], rel=1e-12)


def test_a_series_of_any_length_goes_up_the_neck_and_down_again(tmp_path: Path) -> None:
    from pydicom import dcmread

    heights = np.arange(3, dtype=np.int16)[:, None, None] * 100
    volume = Volume(np.broadcast_to(heights, (3, 32, 32)).copy(), (2.0, 1.0, 1.0))
    files = write_scan(volume, tmp_path, 7)
    values = [dcmread(file).pixel_array[0, 0] - 1024 for file in files]
    assert values == [0, 100, 200, 100, 0, 100, 200]


def test_a_cohorts_time_is_that_of_its_middle_study(tmp_path: Path) -> None:
    for name, seconds in (("s-1", 9.0), ("s-2", 2.0), ("s-3", 3.0)):
        folder = tmp_path / "studies" / name
        folder.mkdir(parents=True)
        (folder / "study.json").write_text(json.dumps({"seconds": seconds}))
    assert study_seconds(tmp_path) == 3


def test_a_crew_of_more_cores_than_there_are_is_refused() -> None:
    with pytest.raises(UsageError, match="100000 of them"):
        held_to(100_000)


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Make no phantom, and nothing of torchvision's own size."""
    y, x = np.mgrid[:64, :64]
    plane = np.where(np.hypot(x - 32, y - 32) < 24, 40, -1000).astype(np.int16)
    volume = Volume(np.stack([plane] * 3), (2.0, 3.0, 3.0))
    patch.setattr(speed_request, "phantom_volume", lambda _: volume)
    patch.setattr(speed_detector, "default_detector", nn.Identity)
    patch.setattr(speed_peak, "SIDE", 64)
    few = (FormRow("torch_fp32", InferenceForm(), 1.8), FormRow("onnx", InferenceForm("int8")))
    patch.setattr(speed_detector, "FORMS", few)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bench.json of a tiny run."""
    output = tmp_path_factory.mktemp("speed") / "bench.json"
    names = ("detector", "roi_align", "training", "classifier", "dicom", "overhead")
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        speed(replace(TINY, rows=names, output=output))
    return output


@pytest.fixture
def measured(written: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(written.read_text())
    return loaded


def test_the_networks_are_measured_at_any_width_and_the_file_fits_its_schema(
    measured: dict[str, Any], written: Path
) -> None:
    assert errors("bench", measured) == []
    rows = {row["name"]: row for row in measured["rows"]}
    ran = {name for name, row in rows.items() if row["timing"]}
    assert ran >= {
        *("detector_stock_at_size", "detector_stock_at_size_kept", "detector_torch_fp32"),
        *(
            "detector_share_of_peak_fp32",
            "training_share_of_peak_bf16",
            "classifier_share_of_peak_bf16",
            "roi_align_forward_ours",
            "roi_align_forward_backward_ours",
        ),
        *("detector_stock_defaults", "training_stock_kept", "classifier_eager_fp32_kept"),
        *("training_stock", "training_ours", "classifier_best", "dicom_uncompressed"),
        *("overhead_compact_detect", "overhead_published_detect"),
    }
    assert rows["classifier_eager_fp32_kept"]["value"] > 0
    assert rows["detector_onnx"]["value"] is None
    assert "got int8 on torch" in rows["detector_onnx"]["reason"]
    assert rows["detector_torch_fp32"]["facts"]["proposals"] > 0
    form = f"{'bf16' if computes_bf16(CPU) else 'fp32'} on torch"
    assert rows["overhead_published_detect"]["facts"]["form"] == form
    assert rows["overhead_published_detect"]["facts"]["slices"] == 2
    table = written.with_suffix(".md").read_text()
    assert "**RoIAlign (times faster than torchvision's MultiScaleRoIAlign)**" in table
    assert "got int8 on torch" in table


def test_bars_of_the_published_width_are_not_held_against_another(
    measured: dict[str, Any],
) -> None:
    rows = {row["name"]: row for row in measured["rows"]}
    assert rows["detector_torch_fp32"]["reached"] is None
    assert rows["detector_torch_fp32"]["reason"] == "the bar is of full width at 512 px"
    assert rows["overhead_published_detect"]["reason"] == "the bar is of full width at 512 px"
    assert rows["overhead_compact_detect"]["reason"] == "no bar is set"
    assert any("are left out here" in note for note in measured["notes"])


def test_each_figure_of_the_file_is_the_ratio_of_its_medians(measured: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in measured["rows"]}
    ours, theirs = rows["detector_torch_fp32"], rows["detector_stock_at_size"]
    medians = theirs["timing"]["median_s"] / ours["timing"]["median_s"]
    assert ours["value"] == pytest.approx(medians, rel=2e-3)
    share = rows["dicom_uncompressed"]
    of = rows["dicom_detection"]["timing"]["median_s"]
    assert share["value"] == pytest.approx(share["timing"]["median_s"] / of, rel=2e-3)


def test_a_family_that_cannot_begin_is_a_row_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Mapping[str, str]] = []

    def rows(run: SpeedRun) -> Iterator[SpeedRow]:
        seen.append(dict(os.environ))
        yield SpeedRow("broken_first", "broken", "first", "", None, reason="none")
        raise OSError("the disk is full")

    monkeypatch.setattr(speed_stage, "FAMILIES", {"broken": Family("what breaks", rows)})
    monkeypatch.delenv(THREADS_VARIABLE, raising=False)
    monkeypatch.setenv(KEY_FILE_VARIABLE, "mine")
    result = speed(SpeedRequest(tmp_path / "b.json", threads=1))
    assert [row.name for row in result.rows] == ["broken_first", "broken_failed"]
    assert result.rows[1].reason == "OSError: the disk is full"
    assert errors("bench", json.loads((tmp_path / "b.json").read_text())) == []
    assert seen[0][THREADS_VARIABLE] == "1"
    assert seen[0][KEY_FILE_VARIABLE] != "mine"
    assert THREADS_VARIABLE not in os.environ
    assert os.environ[KEY_FILE_VARIABLE] == "mine"


def test_a_busy_machine_is_seen_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = MachineFacts("Linux", "a CPU", ("avx2",), 2, 16.0, 1.01, "3.12", {"torch": "2"})
    monkeypatch.setattr(speed_stage, "machine_facts", lambda: busy)
    monkeypatch.setattr(speed_stage, "FAMILIES", {"none": Family("nothing", lambda _: ())})
    result = speed(SpeedRequest(tmp_path / "b.json"))
    assert "load average 1.01 on 2 cores" in result.notes[0]
    assert "(busy)" in markdown(result)
    quiet = replace(busy, load_average=1.0)
    assert not quiet.is_busy
    monkeypatch.setattr(speed_stage, "machine_facts", lambda: quiet)
    assert "busy" not in markdown(speed(SpeedRequest(tmp_path / "c.json")))


def test_facts_are_shown_with_the_digits_that_mean_something() -> None:
    facts: dict[str, Fact] = {
        "ms_a_slice": 12480.4,
        "peak_mb": 1.2345,
        "slices": 1234,
        "form": "fp32 on torch",
    }
    row = SpeedRow("n", "f", "label", "times", None, reason="none", facts=facts)
    assert cells(row)[-1] == "ms a slice 12480, peak mb 1.23, slices 1234, form fp32 on torch"


def test_the_table_counts_the_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bar = Bar(2, "at_least")
    row = SpeedRow("n", "f", "label", "times", Figure(2, 2, 2), bar)
    rows = [row, row, replace(row, figure=Figure(1, 1, 1)), replace(row, figure=None, reason="no")]
    family = Family("", lambda _: [*rows, replace(row, bar=None)])
    monkeypatch.setattr(speed_stage, "FAMILIES", {"f": family})
    told = markdown(speed(SpeedRequest(tmp_path / "b.json")))
    assert "Bars: 2 reached, 1 not reached, 1 without a figure; 5 rows" in told


def test_what_was_measured_before_a_failure_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = SpeedRow("n", "f", "label", "times", Figure(2, 2, 2))
    families = {"f": Family("", lambda _: [row]), "g": Family("", lambda _: 1 / 0)}  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(speed_stage, "FAMILIES", families)
    with pytest.raises(ZeroDivisionError):
        speed(SpeedRequest(tmp_path / "b.json"))
    kept = json.loads((tmp_path / "b.json").read_text())
    assert [row["name"] for row in kept["rows"]] == ["n"]
    assert "| label |" in (tmp_path / "b.md").read_text()


@pytest.mark.parametrize(("threads", "bars"), [(1, 0), (2, 1)])
def test_bars_of_two_threads_are_not_held_against_another_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, bars: int
) -> None:
    row = SpeedRow("n", "detector", "label", "times", Figure(2, 2, 2), Bar(1.8, "at_least"))
    monkeypatch.setattr(speed_stage, "FAMILIES", {"f": Family("", lambda _: [row])})
    monkeypatch.setattr(speed_stage, "limit_threads", lambda: threads)
    (found,) = speed(SpeedRequest(tmp_path / "b.json")).rows
    assert (found.bar is not None) == bool(bars)
    assert found.reason == ("" if bars else "the bar is of 2 threads")


def test_a_family_named_twice_is_measured_once() -> None:
    assert SpeedRequest(rows=("dicom", "startup", "dicom")).rows == ("dicom", "startup")


def test_memory_has_no_figure_without_the_shortest_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    def peak_mb(_: object, slices: int) -> float:
        if slices == 100:
            raise OSError("no space")
        return 900.0 + slices

    monkeypatch.setattr(speed_memory, "_peak_mb", peak_mb)
    run = SpeedRun(SpeedRequest(), 1, Path())
    first, *others = speed_memory.memory_rows(run)
    assert first.reason == "OSError: no space"
    assert [row.figure for row in others] == [None, None]
    assert others[-1].reached is None
    assert "its reference, could not be measured" in others[-1].reason


@pytest.mark.parametrize("there", ["bench.json", "bench.md"])
def test_an_earlier_output_is_refused_before_anything_is_measured(
    tmp_path: Path, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed_stage, "FAMILIES", {"startup": Family("", lambda _: 1 / 0)})  # type: ignore[arg-type, return-value]
    (tmp_path / there).write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        speed(SpeedRequest(tmp_path / "bench.json"))
    assert (tmp_path / there).read_text() == "mine"


def test_an_output_that_the_table_would_replace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a name for the JSON file"):
        speed(SpeedRequest(tmp_path / "bench.md"))


def test_an_unknown_row_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"some of startup, .*, got fast"):
        speed(SpeedRequest(tmp_path / "bench.json", rows=("detector", "fast")))


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"threads": 100_000}, "--threads"),
        ({"size_px": 100}, "--size"),
        ({"width": 0.0}, "--width"),
        ({"rounds": 0}, "--rounds"),
    ],
)
def test_what_cannot_be_measured_is_refused(given: dict[str, Any], where: str) -> None:
    with pytest.raises(UsageError, match=where):
        SpeedRequest(**given)


def test_the_command_line_names_every_family_and_has_the_requests_defaults() -> None:
    (option,) = cli_speed.Rows.__metadata__  # type: ignore[attr-defined]
    told = str(option.help)
    assert all(name in told for name in FAMILIES)
    given = {n: p.default for n, p in inspect.signature(cli_speed.speed).parameters.items()}
    asked = {field.name: field.default for field in fields(SpeedRequest)}
    for name in ("output", "threads", "rounds", "width", "overhead_slices"):
        assert given[name] == asked[name]
    assert given["size"] == asked["size_px"]


@pytest.mark.slow
def test_commands_scans_cohorts_and_memory_are_measured(tmp_path: Path) -> None:
    request = SpeedRequest(
        tmp_path / "bench.json",
        rows=("startup", "scan", "cohort", "memory"),
        rounds=1,
        memory_slices=(2, 4),
        cohort_studies=2,
        cohort_slices=3,
        size_px=512,
    )
    result = speed(request)
    rows = {row.name: row for row in result.rows}
    assert errors("bench", json.loads(request.output.read_text())) == []
    shares = [rows[f"scan_{name}"].figure for name in ("detect", "classify", "nodes", "eval")]
    assert sum(share.value for share in shares if share) == pytest.approx(1)
    assert rows["startup_help"].figure is not None
    assert rows["memory_4"].figure is not None
    assert 0.9 < rows["memory_4"].figure.value < 1.1
    assert rows["cohort_one_worker"].facts["result_bytes_a_study"]
