"""`models check`: both forms run, figures held or not, and the bundle that comes of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.errors import InputError, ModelError, OutputError, UsageError
from lnmdetect.core.patient_digests import PatientDigests
from lnmdetect.core.precision import EXACT, InferenceForm
from lnmdetect.core.records import CocoDataset, NodeAnnotation
from lnmdetect.io.bundles import read_bundle
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.machine_facts import cpu_flags
from lnmdetect.stages import models_check
from lnmdetect.stages.detect import detect
from lnmdetect.stages.detect_request import DetectRequest
from lnmdetect.stages.models_check import CheckResult, check_model, refuse_moved
from lnmdetect.stages.models_check_request import CheckRequest
from tests.test_data_specs import errors

Figures = dict[str, float]


@pytest.fixture
def truth(
    tmp_path: Path, bundles: Path, make_neck: object, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """truth.json of a scan of four slices, whose nodes are boxes that the tiny detector finds."""
    monkeypatch.setenv("LNMDETECT_KEY_FILE", str(tmp_path / "key"))
    meta = CtSeriesMeta("one", "one", "one", (2.5, 1.0, 1.0), 2.5, (0.0, 0.0, 0.0))
    write_ct_series(make_neck(4), tmp_path / "scan", meta)  # type: ignore[operator]
    boxes = tmp_path / "boxes.json"
    detect(DetectRequest(tmp_path / "scan", output=boxes, model=str(bundles / "detector-tiny")))
    found = read_coco(boxes)
    best = {a.image_id: a for a in sorted(found.annotations, key=lambda a: a.score or 0)}
    nodes = tuple(
        NodeAnnotation(k, image, 1 + k % 2, box.box_xyxy, node_id=f"n{k}")
        for k, (image, box) in enumerate(sorted(best.items()), 1)
    )
    assert len(nodes) == 4
    write_coco(CocoDataset({"scan_root": "scan"}, found.images, nodes), tmp_path / "truth.json")
    return tmp_path / "truth.json"


def request(truth: Path, bundles: Path, arm: str = "detector", **changes: object) -> CheckRequest:
    given = {"model": str(bundles / f"{arm}-tiny"), "device": "cpu", **changes}
    return CheckRequest(arm, truth, **given)  # type: ignore[arg-type]


def reaching(monkeypatch: pytest.MonkeyPatch, exact: Figures, other: Figures) -> None:
    """Let the two forms reach these figures."""

    def figures(form: InferenceForm, *_: object) -> tuple[Figures, float]:
        return (exact if form == EXACT else other), 1.0

    monkeypatch.setattr(models_check, "figures_in", figures)


def test_both_forms_of_a_detector_are_run_on_the_truth_and_compared(
    truth: Path, bundles: Path
) -> None:
    result = check_model(request(truth, bundles))
    names = [figure.name for figure in result.figures]
    assert names == ["AP50"] + [f"mean sensitivity of FROC, {per}" for per in ("image", "scan")]
    assert result.figures[0].exact > 0.2  # its own boxes are the truth
    assert result.figures[0].exact != result.figures[0].other  # the numbers did change
    assert (result.form, result.patients, result.images) == ("bf16 on torch", 1, 4)
    assert result.held == all(abs(f.exact - f.other) <= 0.005 for f in result.figures)


def test_pixels_of_another_place_are_those_of_the_listed_images(
    truth: Path, bundles: Path, tmp_path: Path, searched: list[str]
) -> None:
    dataset = read_coco(truth)
    info, listed = {**dataset.info, "scan_root": "nowhere"}, dataset.images[1:3]
    uids = [image.sop_instance_uid for image in listed]
    kept = {image.image_id for image in listed}
    nodes = tuple(node for node in dataset.annotations if node.image_id in kept)
    few = tmp_path / "few.json"
    write_coco(CocoDataset(info, listed, nodes), few)
    result = check_model(request(few, bundles, scan=tmp_path / "scan"))
    assert searched == uids * 2  # in fp32 and in bf16
    assert (result.patients, result.images) == (1, 2)
    assert result.figures[0].exact > 0.2


def test_a_classifier_is_compared_by_its_auc_on_truth_boxes(truth: Path, bundles: Path) -> None:
    result = check_model(request(truth, bundles, "classifier"))
    assert [figure.name for figure in result.figures] == ["AUC"]
    assert result.seconds > 0


def test_a_form_whose_figures_held_becomes_the_default_of_a_new_bundle(
    truth: Path, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reaching(monkeypatch, {"AP50": 0.8}, {"AP50": 0.797})
    result = check_model(request(truth, bundles, output=tmp_path / "new"))
    refuse_moved(result)
    assert result.bundle == tmp_path / "new"
    bundle, source = read_bundle(str(tmp_path / "new"), "detector"), bundles / "detector-tiny"
    (checked,) = bundle.checked
    assert checked.form == InferenceForm("bf16")
    assert checked.checked_on == "1 held-out patient"
    assert checked.cpu_flags == cpu_flags()
    assert bundle.sha256 == read_bundle(str(source), "detector").sha256
    assert "checked" not in json.loads((source / "config.json").read_text())
    told = json.loads((tmp_path / "new" / "run.json").read_text())
    assert errors("run", told) == []
    form = {"precision": "bf16", "engine": "torch"}
    assert told["config"] == {"arm": "detector", **form, "device": "cpu"}
    assert told["model"] == {"tiny": bundle.sha256}
    assert told["inputs"] == {"truth.json": sha256_of_file(truth)}
    assert {"fp32 on torch", "bf16 on torch"} == told["timings_s"].keys()


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_a_check_on_a_gpu_tells_its_figures_but_writes_no_bundle(
    name: str, truth: Path, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reaching(monkeypatch, {"AP50": 0.8}, {"AP50": 0.8})
    monkeypatch.setattr(models_check, "choose_device", lambda _: torch.device("cuda"))
    with pytest.raises(UsageError, match=r"--device: expected cpu with --output: .* got cuda\."):
        check_model(request(truth, bundles, device=name, output=tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    assert check_model(request(truth, bundles, device=name)).held


def test_a_check_runs_on_the_cpu_unless_it_is_told_otherwise(
    truth: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[CheckRequest] = []

    def refuse(request: CheckRequest, *_: object) -> CheckResult:
        asked.append(request)
        raise ModelError("here", expected="none", got="one", remedy="Do.")

    monkeypatch.setattr(models_check, "check_model", refuse)
    for words in ([], ["--device", "cuda"]):
        CliRunner().invoke(app, ["models", "check", "detector", str(truth), *words])
    assert [one.device for one in asked] == ["cpu", "cuda"]
    assert CheckRequest("detector").device == "cpu"


def test_a_bundle_keeps_the_forms_that_were_checked_before(
    truth: Path, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_check, "refuse_form", lambda *_: None)  # as if openvino were there
    model = str(bundles / "detector-tiny")
    kept: list[list[tuple[str, float]]] = []
    for number, (engine, other) in enumerate((("torch", 0.8), ("openvino", 0.8), ("torch", 0.799))):
        reaching(monkeypatch, {"AP50": 0.8}, {"AP50": other})
        new = tmp_path / str(number)
        check_model(request(truth, bundles, model=model, engine=engine, output=new))
        checked, model = read_bundle(str(new), "detector").checked, str(new)
        kept.append([(one.form.engine, one.figures[0].other) for one in checked])
    assert kept[0] == [("torch", 0.8)]
    assert kept[1] == [("torch", 0.8), ("openvino", 0.8)]
    assert kept[2] == [("openvino", 0.8), ("torch", 0.799)]


@pytest.mark.parametrize(
    ("engine", "precision", "named"),
    [
        ("torch", "bf16", ""),
        ("openvino", "fp32", "--engine openvino"),
        ("openvino", "int8", "--engine openvino --precision int8"),
    ],
)
def test_the_next_command_answers_in_the_form_that_was_checked(
    truth: Path,
    bundles: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
    precision: str,
    named: str,
) -> None:
    monkeypatch.setattr(models_check, "refuse_form", lambda *_: None)  # as if openvino were there
    reaching(monkeypatch, {"AP50": 0.8}, {"AP50": 0.8})
    words = ["models", "check", "detector", str(truth), "-o", str(tmp_path / "new")]
    words += ["--model", str(bundles / "detector-tiny")]
    words += ["--engine", engine, "--precision", precision]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0
    hint = said.stderr.split("Next: ")[1]
    assert " ".join(hint.split()).endswith(f"{tmp_path / 'new'} {named}".strip())
    assert "Note: 1 patient decided" in said.stderr


def test_a_form_that_moved_a_figure_leaves_no_bundle_and_ends_with_code_4(
    truth: Path, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reaching(monkeypatch, {"AP50": 0.8, "FROC": 0.7}, {"AP50": 0.7949, "FROC": 0.7})
    result = check_model(request(truth, bundles, output=tmp_path / "new"))
    assert not result.held
    assert result.bundle is None
    assert not (tmp_path / "new").exists()
    with pytest.raises(ModelError, match=r"bf16 on torch: expected .* got AP50 -0\.0051\.") as said:
        refuse_moved(result)
    assert said.value.exit_code == 4


def test_a_detector_that_finds_nothing_in_fp32_cannot_hold(
    truth: Path, bundles: Path, tmp_path: Path
) -> None:
    blind = request(truth, bundles, model=str(bundles / "detector-blind"), output=tmp_path / "new")
    with pytest.raises(ModelError, match=r"expected a figure above 0 in fp32.* got 0 of AP50, "):
        check_model(blind)
    assert not (tmp_path / "new").exists()


def test_what_makes_the_figures_say_less_is_noted(
    truth: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reaching(monkeypatch, {"AUC": 0.5}, {"AUC": 0.5})
    few, unknown, chance = check_model(request(truth, bundles, "classifier")).notes
    assert few.startswith("1 patient decided; with fewer than 20")
    assert unknown.startswith("bundle tiny does not say on whom it was trained")
    assert chance.startswith("AUC 0.5000 in fp32 is no better than chance")
    reaching(monkeypatch, {"AUC": 0.51}, {"AUC": 0.51})
    told = replace(
        read_bundle(str(bundles / "classifier-tiny"), "classifier"),
        trained_on=PatientDigests.of(["another"], truth_sha256="0" * 64),
    )
    monkeypatch.setattr(models_check, "read_bundle", lambda *_: told)
    assert check_model(request(truth, bundles, "classifier")).notes == (few,)


def test_fp32_is_not_checked_against_itself(truth: Path, bundles: Path) -> None:
    with pytest.raises(UsageError, match="got fp32 on torch"):
        check_model(request(truth, bundles, precision="fp32"))


def test_patients_whom_the_model_has_seen_are_refused(
    truth: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = read_coco(truth).images[0].patient
    seen = PatientDigests.of([patient, "another"], truth_sha256="0" * 64)
    bundle = replace(read_bundle(str(bundles / "detector-tiny"), "detector"), trained_on=seen)
    monkeypatch.setattr(models_check, "read_bundle", lambda *_: bundle)
    with pytest.raises(InputError, match=r"has not seen, got 1 of 1 that it was trained or tuned"):
        check_model(request(truth, bundles))


def test_the_bundle_that_is_checked_is_not_written_into(truth: Path, bundles: Path) -> None:
    with pytest.raises(OutputError, match="the folder of the model itself"):
        check_model(request(truth, bundles, output=bundles / "detector-tiny", overwrite=True))


def test_truth_without_nodes_tells_nothing_and_says_so(
    truth: Path, bundles: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.json"
    dataset = read_coco(truth)
    write_coco(CocoDataset(dataset.info, dataset.images, ()), empty)
    with pytest.raises(InputError, match=r"empty\.json: expected nodes that count"):
        check_model(request(empty, bundles))


def test_a_result_that_held_is_not_refused(truth: Path) -> None:
    kept = CheckResult("detector", "m", "bf16 on torch", (), 0.005, True, 1, 1, 1, 1, False)
    refuse_moved(kept)
