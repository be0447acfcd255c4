"""`models export`: whole models for other runtimes, and detectors in int8 as bundles."""

import json
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.errors import InputError, MissingExtraError, ModelError, OutputError, UsageError
from lnmdetect.core.patient_digests import PatientDigests
from lnmdetect.core.precision import CheckedForm, HeldFigure, InferenceForm
from lnmdetect.core.quantised import Quantised
from lnmdetect.datasets.scan_slices import scan_batches
from lnmdetect.io.bundles import package_weights, read_bundle, write_with_weights_of
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.export_files import sha256_of_files, write_files
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.onnx_engine import OnnxNetwork
from lnmdetect.io.openvino_engine import OpenVinoNetwork, read_model
from lnmdetect.io.scan_source import open_source
from lnmdetect.models.detector import NodeDetector
from lnmdetect.models.inference import inference_form
from lnmdetect.stages import models_quantise
from lnmdetect.stages.classify import load_classifier
from lnmdetect.stages.detect import detect, load_detector
from lnmdetect.stages.detect_request import DetectRequest
from lnmdetect.stages.models_check import check_model
from lnmdetect.stages.models_check_request import CheckRequest
from lnmdetect.stages.models_export import ExportModelRequest, export_model
from lnmdetect.stages.models_quantise import Calibration
from lnmdetect.stages.phantom import PhantomRequest, make_ct_phantoms
from lnmdetect.training.engines import detector_in
from tests.engines import needs_nncf, needs_onnx, needs_openvino
from tests.stages.test_detector_equality import assert_same
from tests.test_data_specs import errors

FORMATS = [
    pytest.param("onnx", marks=needs_onnx),
    pytest.param("openvino", marks=needs_openvino),
]


def exported(folder: Path, kind: str) -> Any:
    """What a runtime makes of the files in a folder."""
    if kind == "onnx":
        return OnnxNetwork((folder / "model.onnx").read_bytes())
    return OpenVinoNetwork(read_model(folder / "model.xml"), "fp32")


def request(output: Path, bundles: Path, arm: str = "detector", **changes: Any) -> Any:
    given = {"format": "openvino", "model": str(bundles / f"{arm}-tiny"), **changes}
    return ExportModelRequest(output=output, **{"arm": arm, **given})


def quantised(toy_data: Path, bundles: Path, output: Path, **changes: Any) -> Any:
    calibration = Calibration(toy_data / "truth.json", slices=8, seed=3)
    return request(output, bundles, precision="int8", calibration=calibration, **changes)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_whole_detector_finds_the_boxes_of_ours_on_images_of_any_size(
    kind: str, tmp_path: Path, bundles: Path
) -> None:
    export_model(request(tmp_path / "out", bundles, format=kind))
    whole = exported(tmp_path / "out", kind)
    _, task = load_detector(str(bundles / "detector-tiny"), "cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        for size in ((96, 128), (128, 64)):
            image = torch.rand(1, 3, *size, generator=generator)
            boxes, scores = whole(image)
            (expected,) = task.module(image)
            assert assert_same({"boxes": boxes, "scores": scores}, expected) > 3


@pytest.mark.parametrize("kind", FORMATS)
def test_a_whole_detector_that_finds_nothing_gives_no_box(
    kind: str, tmp_path: Path, bundles: Path
) -> None:
    blind = str(bundles / "detector-blind")
    export_model(request(tmp_path / "out", bundles, format=kind, model=blind))
    boxes, scores = exported(tmp_path / "out", kind)(torch.rand(1, 3, 64, 64))
    assert (tuple(boxes.shape), tuple(scores.shape)) == ((0, 4), (0,))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("flips", [False, True])
def test_a_whole_classifier_gives_calibrated_probabilities(
    kind: str, flips: bool, tmp_path: Path, bundles: Path
) -> None:
    source = read_bundle(str(bundles / "classifier-tiny"), "classifier")
    model = source.recipe.model.model_copy(update={"flip_average": flips})
    other = replace(
        source,
        folder=tmp_path / "classifier",
        recipe=source.recipe.model_copy(update={"model": model}),
        temperature=replace(source.temperature, value=2.0, fitted_on="a test"),
    )
    write_with_weights_of(source, other, "a card")
    name = str(tmp_path / "classifier")
    export_model(request(tmp_path / "out", bundles, "classifier", format=kind, model=name))
    bundle, task = load_classifier(name, "cpu")
    assert len(task.flips) == (4 if flips else 1)
    crops = torch.rand(3, *task.crop)
    (found,) = exported(tmp_path / "out", kind)(crops)

    class Batch:
        """As the task is given crops."""

        def __init__(self) -> None:
            self.crops = crops

    with torch.inference_mode():
        expected = np.stack(task.predict(Batch()))  # type: ignore[arg-type]
    assert bundle.temperature.value == 2
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("arm", ["detector", "classifier"])
def test_model_json_says_what_the_files_are(
    kind: str, arm: str, tmp_path: Path, bundles: Path
) -> None:
    result = export_model(request(tmp_path / "out", bundles, arm, format=kind))
    told = json.loads((tmp_path / "out" / "model.json").read_text())
    assert errors("model", told) == []
    assert told["weights_sha256"] == read_bundle(str(bundles / f"{arm}-tiny"), arm).sha256  # type: ignore[arg-type]
    assert {*told["files"], "model.json", "run.json"} == set(result.files)
    for name, sha256 in told["files"].items():
        assert sha256_of_file(tmp_path / "out" / name) == sha256
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(result.files)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert errors("run", run) == []
    assert run["config"] == {"arm": arm, "format": kind, "precision": "fp32"}
    assert run["model"] == {"tiny": told["weights_sha256"]}


@needs_onnx
def test_what_is_there_is_replaced_only_when_asked(tmp_path: Path, bundles: Path) -> None:
    wanted = request(tmp_path / "out", bundles, format="onnx")
    export_model(wanted)
    before = (tmp_path / "out" / "model.onnx").read_bytes()
    with pytest.raises(OutputError, match=r"out: expected .* got one that holds model\.onnx"):
        export_model(wanted)
    assert export_model(replace(wanted, overwrite=True)).megabytes > 0
    assert (tmp_path / "out" / "model.onnx").read_bytes() == before


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_a_whole_model_is_not_written_into_its_bundle_or_the_package(
    kind: str, bundles: Path, tmp_path: Path
) -> None:
    for folder, got in (
        (bundles / "detector-tiny", "the folder of the model itself"),
        (package_weights() / "new", "a folder of the installed package"),
    ):
        with pytest.raises(OutputError, match=got):
            export_model(request(folder, bundles, format=kind, overwrite=True))
    write_with_weights_of(
        source := read_bundle(str(bundles / "detector-tiny"), "detector"),
        replace(source, folder=tmp_path / "another"),
        "a card",
    )
    with pytest.raises(OutputError, match=r"another: expected a new folder .* holds a bundle"):
        export_model(request(tmp_path / "another", bundles, format=kind))


@needs_nncf
def test_a_bundle_in_int8_is_run_by_detect_and_copied_by_others(
    tmp_path: Path, bundles: Path, toy_data: Path
) -> None:
    result = export_model(quantised(toy_data, bundles, tmp_path / "int8"))
    assert (result.bundle, result.slices) == (True, 8)
    bundle = read_bundle(str(tmp_path / "int8"), "detector")
    source = read_bundle(str(bundles / "detector-tiny"), "detector")
    form = bundle.quantised
    assert form is not None
    assert (form.slices, form.seed, bundle.sha256) == (8, 3, source.sha256)
    assert form.patients is not None
    everyone = {image.patient for image in read_coco(toy_data / "truth.json").images}
    of_all = PatientDigests.of(everyone, sha256_of_file(toy_data / "truth.json"))
    assert set(form.patients.patients_sha256) <= set(of_all.patients_sha256)
    assert form.patients.truth_sha256 == of_all.truth_sha256
    assert "int8 form was calibrated on 8 slices of" in (tmp_path / "int8" / "card.md").read_text()
    boxes = tmp_path / "boxes.json"
    asked = DetectRequest(
        toy_data / "scan",
        output=boxes,
        model=str(tmp_path / "int8"),
        device="cpu",
        precision="int8",
        engine="openvino",
    )
    assert detect(asked).boxes > 0
    info = read_coco(boxes).info
    assert info["detector"]["precision"] == "int8"
    assert info["detector"]["sha256"] == source.sha256
    assert info["detector"]["int8_sha256"] == {
        name: sha256_of_file(tmp_path / "int8" / name) for name in ("int8.xml", "int8.bin")
    }
    assert info["detector_int8_calibrated_on"] == form.patients.to_json()
    detect(replace(asked, precision="fp32", overwrite=True))
    info = read_coco(boxes).info
    assert "detector_int8_calibrated_on" not in info
    assert "int8_sha256" not in info["detector"]
    write_with_weights_of(bundle, replace(bundle, folder=tmp_path / "copy"), "a card")
    load_detector(str(tmp_path / "copy"), "cpu", precision="int8", engine="openvino")
    check = CheckRequest(
        "detector", toy_data / "truth.json", model=str(tmp_path / "int8"), device="cpu"
    )
    with pytest.raises(InputError, match="patients that bundle int8 has not seen"):
        check_model(check)


def test_pixels_of_another_place_calibrate_on_the_listed_images_alone(
    tmp_path: Path, bundles: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Any] = []
    monkeypatch.setattr(
        models_quantise, "quantised_dense_part", lambda _, images, **__: measured.extend(images)
    )
    monkeypatch.setattr(models_quantise, "model_bytes", lambda _: (b"xml", b"bin"))
    truth = read_coco(toy_data / "truth.json")
    listed, data = truth.images[7:10], tmp_path / "truth.json"
    info = {**truth.info, "scan_root": "nowhere"}
    write_coco(replace(truth, info=info, images=listed, annotations=()), data)
    wanted = quantised(toy_data, bundles, tmp_path / "int8")
    (tmp_path / "int8").mkdir()
    (tmp_path / "int8" / "notes.txt").write_text("of the user")
    result = export_model(replace(wanted, calibration=Calibration(data, toy_data / "scan")))
    assert {"config.json", "int8.bin", "run.json"} < set(result.files)
    assert "notes.txt" not in result.files
    ours = (tmp_path / "int8" / name for name in result.files)
    assert result.megabytes == round(sum(path.stat().st_size for path in ours) / 1e6, 2)
    form = read_bundle(str(tmp_path / "int8"), "detector").quantised
    assert form is not None
    assert len(measured) == form.slices == 3
    run = json.loads((tmp_path / "int8" / "run.json").read_text())
    assert errors("run", run) == []
    assert (run["config"]["precision"], run["config"]["slices"], run["seed"]) == ("int8", 3, 0)
    assert run["inputs"] == {"truth.json": sha256_of_file(data)}
    patients = {image.patient for image in listed}
    assert form.patients == PatientDigests.of(patients, sha256_of_file(data))
    assert form.calibrated_on == "1 patient, phantoms"


def test_checks_of_the_same_weights_stay_with_a_new_int8_form_and_those_of_an_earlier_one_go(
    tmp_path: Path, bundles: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_quantise, "quantised_dense_part", lambda *_, **__: None)
    monkeypatch.setattr(models_quantise, "model_bytes", lambda _: (b"xml", b"bin"))
    held = (HeldFigure("AP50", 0.8, 0.8),)
    bf16, int8 = (
        CheckedForm(form, held, "40 held-out patients")
        for form in (InferenceForm("bf16"), InferenceForm("int8", "openvino"))
    )
    source = read_bundle(str(bundles / "detector-tiny"), "detector")
    checked = replace(source, folder=tmp_path / "checked", checked=(bf16, int8))
    write_with_weights_of(source, checked, "a card")
    wanted = quantised(toy_data, bundles, tmp_path / "int8", model=str(tmp_path / "checked"))
    export_model(wanted)
    assert read_bundle(str(tmp_path / "int8"), "detector").checked == (bf16,)


@needs_nncf
def test_the_same_seed_draws_the_same_slices_and_another_one_others(
    tmp_path: Path, bundles: Path, toy_data: Path
) -> None:
    wanted = quantised(toy_data, bundles, tmp_path / "one")
    export_model(wanted)
    export_model(replace(wanted, output=tmp_path / "two"))
    other = replace(wanted.calibration, seed=4)
    export_model(replace(wanted, output=tmp_path / "three", calibration=other))
    one, two, three = (
        read_bundle(str(tmp_path / name), "detector").quantised for name in ("one", "two", "three")
    )
    assert one is not None
    assert two is not None
    assert three is not None
    numbers = [form.sha256["int8.bin"] for form in (one, two, three)]
    assert numbers[0] == numbers[1] != numbers[2]


@needs_nncf
def test_files_that_are_not_those_of_the_calibration_are_not_run(
    tmp_path: Path, bundles: Path, toy_data: Path
) -> None:
    export_model(quantised(toy_data, bundles, tmp_path / "int8"))
    with (tmp_path / "int8" / "int8.bin").open("ab") as stream:
        stream.write(b"1")
    with pytest.raises(ModelError, match=r"int8/int8\.bin: expected the file of sha256"):
        load_detector(str(tmp_path / "int8"), "cpu", precision="int8", engine="openvino")
    (tmp_path / "int8" / "int8.bin").unlink()
    with pytest.raises(ModelError, match="got none"):
        load_detector(str(tmp_path / "int8"), "cpu", precision="int8", engine="openvino")


def test_a_bundle_whose_int8_file_is_gone_is_not_copied_in_part(
    tmp_path: Path, bundles: Path
) -> None:
    source = read_bundle(str(bundles / "detector-tiny"), "detector")
    files = {"int8.xml": b"layers", "int8.bin": b"numbers"}
    form = Quantised(sha256_of_files(files), 1, 0, "1 patient")
    whole = replace(source, folder=tmp_path / "int8", quantised=form)
    write_files(tmp_path / "int8", files)
    write_with_weights_of(source, whole, "a card")
    (tmp_path / "int8" / "int8.bin").unlink()
    with pytest.raises(ModelError, match=r"int8/int8\.bin: expected the file .* got none"):
        write_with_weights_of(whole, replace(whole, folder=tmp_path / "copy"), "a card")
    assert not (tmp_path / "copy").exists()


def test_int8_of_a_bundle_without_it_names_the_command(bundles: Path) -> None:
    with pytest.raises(ModelError, match="models export detector openvino --precision int8"):
        load_detector(str(bundles / "detector-tiny"), "cpu", precision="int8", engine="openvino")


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"precision": "int8"}, "without --data"),
        ({"precision": "bf16"}, "bf16 detector as openvino"),
        ({"precision": "int8", "format": "onnx"}, "int8 detector as onnx"),
        ({"precision": "int8", "arm": "classifier"}, "int8 classifier as openvino"),
        ({"calibration": Calibration(Path("truth.json"))}, "with --data"),
    ],
)
def test_forms_that_cannot_be_written_are_refused(
    changes: dict[str, Any], got: str, tmp_path: Path, bundles: Path
) -> None:
    with pytest.raises(UsageError, match=got):
        export_model(replace(request(tmp_path / "out", bundles), **changes))
    assert not (tmp_path / "out").exists()


def test_a_missing_extra_is_named_before_anything_is_written(
    tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lnmdetect.core.extras.importlib.util.find_spec", lambda _: None)
    for kind, extra in (("onnx", "onnx"), ("openvino", "openvino")):
        with pytest.raises(MissingExtraError, match=rf"lnmdetect\[{extra}\]"):
            export_model(request(tmp_path / "out", bundles, format=kind))
    assert not (tmp_path / "out").exists()


@needs_openvino
def test_quantising_without_nncf_names_its_extra(
    tmp_path: Path, bundles: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "lnmdetect.core.extras.importlib.util.find_spec",
        lambda name: None if name == "nncf" else find_spec(name),
    )
    with pytest.raises(MissingExtraError, match=r"lnmdetect\[quantize\]"):
        export_model(quantised(toy_data, bundles, tmp_path / "int8"))


@needs_onnx
def test_the_command_writes_and_says_what_it_wrote(tmp_path: Path, bundles: Path) -> None:
    words = ["models", "export", "classifier", "onnx", "-o", str(tmp_path / "out"), "--json"]
    result = CliRunner().invoke(app, [*words, "--model", str(bundles / "classifier-tiny")])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert (told["arm"], told["precision"], told["bundle"]) == ("classifier", "fp32", False)


@pytest.mark.slow
@needs_openvino
@needs_onnx
def test_on_slices_of_phantoms_every_engine_and_export_finds_the_bundled_detectors_boxes(
    tmp_path: Path,
) -> None:
    made = make_ct_phantoms(PhantomRequest(1, 9400, tmp_path / "phantom")).scan
    bundle, plain = load_detector("compact", "cpu", plain=True)
    assert isinstance(plain.module, NodeDetector)
    assert isinstance(bundle.recipe, DetectorRecipe)
    exact = inference_form(plain.module)
    others = {
        str(form): detector_in(form, plain.module)
        for form in (InferenceForm("fp32", "openvino"), InferenceForm("fp32", "onnx"))
    }
    bf16 = detector_in(InferenceForm("bf16", "openvino"), plain.module)
    for kind in ("onnx", "openvino"):
        export_model(ExportModelRequest("detector", kind, tmp_path / kind))
    whole = {kind: exported(tmp_path / kind, kind) for kind in ("onnx", "openvino")}
    boxes, strong = 0, np.zeros(2)
    with torch.inference_mode():
        for handle in open_source(made).scans:
            batches = scan_batches(handle.images, handle.read_slice, bundle.recipe.input)
            for batch in islice(batches, 0, None, 2):
                (expected,) = exact(batch.images)
                for other in others.values():
                    assert_same(other(batch.images)[0], expected)
                for run in whole.values():
                    found = dict(zip(("boxes", "scores"), run(batch.images), strict=True))
                    boxes += assert_same(found, expected)
                (less,) = bf16(batch.images)
                strong += [int((x["scores"] > 0.5).sum()) for x in (expected, less)]
    assert boxes > 150
    assert strong[0] > 25
    assert strong[1] == pytest.approx(strong[0], rel=0.05)
