"""Where the time of networks goes: groups of operators, shares, rates, and their table."""

import json
import math
from pathlib import Path

import pytest
import torch

from lnmdetect.core.errors import ModelError
from lnmdetect.core.precision import InferenceForm
from lnmdetect.stages import speed_peak, speed_profile
from lnmdetect.stages.speed import speed
from lnmdetect.stages.speed_layers import ToldAnswer
from lnmdetect.stages.speed_operators import GROUPS, OperatorTime, int8_share, largest, shares
from lnmdetect.stages.speed_peak import PeakShare
from lnmdetect.stages.speed_plan import SpeedPlan
from lnmdetect.stages.speed_profile import SUBJECTS, Profile, Subject, seen, with_layers
from lnmdetect.stages.speed_profile_table import HEADINGS, cells
from lnmdetect.stages.speed_request import SpeedRequest, SpeedRun
from lnmdetect.stages.speed_result import Figure, SpeedRow, Timing
from lnmdetect.stages.speed_rounds import Rounds, Work
from lnmdetect.stages.speed_rows import Comparison
from tests.engines import needs_openvino
from tests.test_data_specs import errors

TINY = SpeedRequest(width=0.05, size_px=64, rounds=1, processes=False)
PEAK = 1e12
PROFILED = ("detector_stock", "detector_torch_fp32", "training_ours")
SEEN = Profile(
    passes=(
        (
            OperatorTime("aten::mm", 1.0),
            OperatorTime("openvino::Convolution", 2.0, is_int8=True),
            OperatorTime("openvino::Reorder", 1.0, is_int8=True),
        ),
        (
            OperatorTime("aten::mm", 1.0),
            OperatorTime("openvino::Convolution", 3.0, is_int8=True),
            OperatorTime("aten::relu_", 2.0),
        ),
    ),
    seconds=(4.0, 6.0),
    operations=int(7e11),
    layers_operations=int(5e11),
    peak_per_s=PEAK,
)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("mkldnn::_convolution_pointwise", "convolutions_and_products"),
        ("aten::convolution_backward", "convolutions_and_products"),
        ("openvino::FullyConnected", "convolutions_and_products"),
        ("aten::add_", "elementwise"),
        ("aten::threshold_backward", "elementwise"),
        ("aten::native_batch_norm_backward", "batch_norm"),
        ("torchvision::roi_align", "pooling"),
        ("aten::_embedding_bag_forward_only", "pooling"),
        ("torchvision::nms", "selection"),
        ("aten::_index_put_impl_", "selection"),
        ("aten::copy_", "copies"),
        ("openvino::Reorder", "copies"),
        ("openvino::Transpose", "copies"),
        ("openvino::MaxPool", "pooling"),
        ("openvino::PowerStatic", "elementwise"),
        ("aten::of_tomorrow", "rest"),
        ("lnmdetect::python", "rest"),
        ("openvino::inference", "rest"),
    ],
)
def test_each_operator_belongs_to_a_group_and_one_that_is_not_known_to_the_rest(
    name: str, group: str
) -> None:
    assert OperatorTime(name, 1).group == group


def test_no_operator_belongs_to_two_groups() -> None:
    from lnmdetect.stages import speed_operators

    named = [name for names in speed_operators._NAMES.values() for name in names.split()]
    assert len(named) == len(set(named))
    assert set(speed_operators._NAMES) | {"rest"} == set(GROUPS)


def test_shares_are_of_all_operators_and_sum_to_1() -> None:
    told = shares(SEEN.all_times)
    # 7 s of 10 in products, 2 elementwise, 1 of a layout
    assert told == {
        "convolutions_and_products": 0.7,
        "elementwise": 0.2,
        "batch_norm": 0,
        "pooling": 0,
        "selection": 0,
        "copies": 0.1,
        "rest": 0,
    }
    assert int8_share(SEEN.all_times) == 5 / 7  # of products alone; a layout is none
    assert largest(SEEN.all_times) == "Convolution 50 %, mm 20 %, relu 20 %"


def test_layers_stand_in_the_place_of_their_whole_and_what_they_leave_is_the_rest() -> None:
    told = [OperatorTime("openvino::inference", 5.0), OperatorTime("aten::mm", 1.0)]
    layers = [OperatorTime("openvino::Convolution", 3.0), OperatorTime("openvino::Reorder", 1.5)]
    assert {one.name: one.seconds for one in with_layers(told, layers)} == {
        "aten::mm": 1.0,
        "openvino::Convolution": 3.0,
        "openvino::Reorder": 1.5,
        "openvino::inference": 0.5,
    }
    longer = [OperatorTime("openvino::Convolution", 6.0)]
    assert with_layers(told, longer)[-1].seconds == 0


def test_a_row_tells_shares_and_how_fast_products_are() -> None:
    row = speed_profile._with(blank(), SEEN, "int8")
    # 0.7 s in each 4 and 6 s: 3 of 4 and 4 of 6 in products
    assert row.figure == Figure(0.7, 4 / 6, 3 / 4)
    assert row.timing == Timing((4.0, 6.0))
    # 7e11 in 3.5 s a pass; of it 5e11 in 2.5 s by the layers
    assert row.facts["products_gflop_a_s"] == 200
    assert row.facts["products_share_of_peak"] == 0.2
    assert row.facts["layers_gflop_a_s"] == 200
    assert row.facts["products_in_int8"] == 5 / 7
    assert math.isclose(sum(float(row.facts[group]) for group in GROUPS), 1)
    told = dict(zip(HEADINGS, cells(row), strict=True))
    assert told["convolutions, products"] == "70 %, 71 % of them in int8"
    assert told["of the peak"] == "20 %, its layers 20 %"
    assert told["peak: GFLOP/s"] == "1000 (int8)"


def test_without_a_product_there_is_no_figure() -> None:
    none = Profile(((OperatorTime("aten::add", 1.0),),), (1.0,), 5, 0, PEAK)
    row = speed_profile._with(blank(), none, "int8")
    assert (row.figure, row.reason) == (None, "no convolution and no product was seen")
    assert row.facts["elementwise"] == 1


def blank() -> SpeedRow:
    return SpeedRow("profile_a", "profile", "a", speed_profile.UNIT, None)


def product(plan: SpeedPlan) -> Work:
    a = torch.rand(512, 512)
    return lambda: torch.mm(a, a).relu_().sum().item() and None


def refused(plan: SpeedPlan) -> Work:
    raise ModelError("a", expected="b", got="c", remedy="D.")


def no_operations(plan: SpeedPlan) -> int:
    return 2 * 512**3


def test_what_the_profiler_sees_of_a_product_is_a_product(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed_peak, "SIDE", 64)
    monkeypatch.setattr(speed_peak, "OPERATIONS", 2 * 64**3)
    found = seen(Subject("a product", product, no_operations, "int8"), plan(tmp_path))
    assert {"mm", "relu", "sum"} <= {told.bare_name for told in found.all_times}
    assert shares(found.all_times)["convolutions_and_products"] > 0
    assert found.peak_per_s > 0


def plan(folder: Path) -> SpeedPlan:
    return SpeedPlan(TINY.width, TINY.size_px, folder)


@needs_openvino
def test_layers_of_openvino_are_told_within_the_time_of_their_whole(tmp_path: Path) -> None:
    work = ToldAnswer(plan(tmp_path), InferenceForm("fp32", "openvino"))
    work()
    told, took = speed_profile._pass(work)
    layers = [one for one in told if one.name.startswith("openvino::")]
    in_layers = sum(one.seconds for one in layers)
    convolutions = [one for one in layers if one.group == "convolutions_and_products"]
    assert 0 < sum(one.seconds for one in convolutions) < in_layers < took
    assert int8_share(layers) == 0


def test_files_of_a_subject_are_made_before_it_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed_peak, "SIDE", 64)
    done: list[str] = []

    def prepared(given: SpeedPlan) -> Work:
        done.append("prepared")
        return product(given)

    files = Subject("a", prepared, no_operations, "fp32", first=lambda _: done.append("files"))
    none = Subject("b", prepared, no_operations, "fp32", first=refused)
    monkeypatch.setattr(speed_profile, "SUBJECTS", {"files": files, "none": none})
    _, without = speed_profile.profile_rows(SpeedRun(TINY, 1, tmp_path))
    assert done == ["files", "prepared"]
    assert without.reason == "a: expected b, got c. D."


def test_one_subject_that_cannot_run_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed_peak, "SIDE", 64)
    both = {
        "no": Subject("no", refused, no_operations, "fp32"),
        "yes": Subject("yes", product, no_operations, "fp32", is_reference=True),
    }
    monkeypatch.setattr(speed_profile, "SUBJECTS", both)
    no, yes = speed_profile.profile_rows(SpeedRun(TINY, 1, tmp_path))
    assert (no.figure, no.reason) == (None, "a: expected b, got c. D.")
    assert yes.figure is not None


def test_networks_are_profiled_and_the_file_fits_its_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed_peak, "SIDE", 64)
    small = {name: SUBJECTS[name] for name in PROFILED}
    monkeypatch.setattr(speed_profile, "SUBJECTS", small)
    request = SpeedRequest(
        tmp_path / "b.json", rows=("profile",), width=0.05, size_px=64, rounds=1, processes=False
    )
    speed(request)
    measured = json.loads(request.output.read_text())
    assert errors("bench", measured) == []
    rows = {row["name"]: row for row in measured["rows"]}
    assert set(rows) == {f"profile_{name}" for name in small}
    for row in rows.values():
        assert sum(row["facts"][group] for group in GROUPS) == pytest.approx(1, abs=2e-3)
        assert row["facts"]["gflop_of_products"] > 0
    assert rows["profile_detector_stock"]["facts"]["batch_norm"] > 0
    assert rows["profile_detector_torch_fp32"]["facts"]["batch_norm"] == 0  # folded
    step = rows["profile_training_ours"]["facts"]["gflop_of_products"]
    one = rows["profile_detector_torch_fp32"]["facts"]["gflop_of_products"]
    assert step > 3 * one  # 2 slices, forward and backward
    table = request.output.with_suffix(".md").read_text()
    assert "**Where the time goes, as shares of profiled passes**" in table
    assert "| lnmdetect's detector, fp32 on torch | " in table


def test_a_share_of_the_peak_is_the_operations_over_time_and_peak() -> None:
    timings = {
        "ours": Timing((2.0, 4.0, 4.0)),
        "stock": Timing((16.0, 16.0, 16.0)),
        "peak_product_int8": Timing((1.0, 0.5, 3.0)),
    }
    share = PeakShare(Comparison("f", "stock", "times"), "ours", "int8", "lnmdetect")
    row = share.row(Rounds(timings, {}), 4 * speed_peak.OPERATIONS, "step")
    # the peak: a product in 0.5 s; four products in 4 s are half of it, in 2 s all
    assert row.figure == Figure(0.5, 0.5, 1)
    # four products at the peak take 2 s
    assert row.facts["times_faster_at_the_peak"] == 8
    assert row.facts["gflop_a_step"] == 4 * speed_peak.OPERATIONS / 1e9
    absent = share.row(Rounds({}, {"ours": "not installed"}), 1, "step")
    assert (absent.figure, absent.reason) == (None, "not installed")
    no_peak = share.row(Rounds({}, {"peak_product_int8": "no kernel"}), 1, "step")
    assert no_peak.reason == "no kernel"
