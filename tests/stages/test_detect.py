"""detect: scans in, boxes.json out."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import torch

from lnmdetect.core.errors import InputError, ModelError, OutputError, UsageError
from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.patient_digests import Overlap, PatientDigests, seen_and_evaluated
from lnmdetect.core.records import LYMPH_NODE
from lnmdetect.core.thresholds import Threshold
from lnmdetect.io.bundles import read_bundle, write_with_weights_of
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.stages.detect import detect
from lnmdetect.stages.detect_request import DetectRequest, DetectResult

Detect = Callable[..., DetectResult]


@pytest.fixture
def run(toy_data: Path, bundles: Path, tmp_path: Path) -> Detect:
    """A function that detects on the first toy patient; changes go to the request."""

    def call(**changes: Any) -> DetectResult:
        values: dict[str, Any] = {
            "scan": toy_data / "scan" / "p0",
            "output": tmp_path / "boxes.json",
            "model": str(bundles / "detector-tiny"),
            "device": "cpu",
            **changes,
        }
        return detect(DetectRequest(**values))

    return call


def test_every_slice_is_listed_and_every_box_lies_on_its_slice(run: Detect, toy_data: Path) -> None:
    result = run()
    found = read_coco(result.output)
    assert (result.scans, result.slices, len(found.images)) == (1, 6, 6)
    assert len(found.annotations) == result.boxes > 0
    boxes = as_boxes([node.box_xyxy for node in found.annotations])
    assert boxes.min() >= 0
    assert boxes.max() <= 96  # exactly: a box past the edge is refused by the next stage
    header = pydicom.dcmread(toy_data / "scan" / "p0" / "IM0001.dcm", stop_before_pixels=True)
    assert found.images[0].sop_instance_uid == header.SOPInstanceUID


def test_boxes_are_scored_lymph_nodes_at_or_above_the_stored_minimum(run: Detect) -> None:
    found = read_coco(run().output)
    scores = [node.score for node in found.annotations if node.score is not None]
    assert len(scores) == len(found.annotations)
    assert 0.05 <= min(scores) < 0.5 < max(scores)
    assert {node.category_id for node in found.annotations} == {LYMPH_NODE}
    assert max(len(nodes) for nodes in found.by_image().values()) <= 100


def test_the_count_for_people_is_that_at_the_threshold(run: Detect) -> None:
    result = run()
    found = read_coco(result.output)
    scores = np.array([node.score for node in found.annotations], dtype=float)
    assert result.threshold == 0.5
    assert result.boxes_above_threshold == int((scores >= 0.5).sum())
    middle = float(np.median(scores))
    higher = run(threshold=middle, overwrite=True)
    assert higher.boxes == result.boxes  # all are kept in the file
    assert higher.boxes_above_threshold == int((scores >= middle).sum()) < result.boxes


def test_info_says_what_made_the_boxes(run: Detect, bundles: Path, toy_data: Path) -> None:
    info = read_coco(run().output).info
    weights = bundles / "detector-tiny" / "weights.safetensors"
    assert info["detector"] == {
        "name": "tiny",
        "sha256": sha256_of_file(weights),
        "trained_on_phantoms": True,
        "precision": "fp32",
        "engine": "torch",
    }
    assert info["operating_threshold"] == 0.5
    assert info["operating_threshold_source"] == (
        "bundle tiny: a rule, chosen on validation patients"
    )
    assert info["coverage"] == "all_slices"
    assert info["recipe"] == "tiny"
    assert info["failed_studies"] == 0


def test_the_scans_place_is_told_relative_to_the_file(run: Detect, toy_data: Path) -> None:
    output = run().output
    root = output.parent / read_coco(output).info["scan_root"]
    assert root.resolve() == (toy_data / "scan" / "p0").resolve()


def test_whom_the_bundles_threshold_was_chosen_on_is_told_but_not_of_ones_own(
    run: Detect, bundles: Path, tmp_path: Path
) -> None:
    source = read_bundle(str(bundles / "detector-tiny"), "detector")
    seen_on = PatientDigests.of(["p-1", "p-2"], "0" * 64)
    seen = replace(
        source, folder=tmp_path / "seen", threshold=Threshold(0.4, "r", "two patients", seen_on)
    )
    write_with_weights_of(source, seen, "a card")
    model = str(tmp_path / "seen")
    info = read_coco(run(model=model).output).info
    assert info["operating_threshold_chosen_on"] == seen_on.to_json()
    (overlap,) = seen_and_evaluated(info, ["p-2"])
    assert overlap == Overlap("the operating threshold was chosen on", 1)
    for changes in ({"model": model, "threshold": 0.3}, {}):
        other = read_coco(run(overwrite=True, **changes).output).info
        assert "operating_threshold_chosen_on" not in other


def test_a_threshold_of_ones_own_replaces_the_bundles(run: Detect) -> None:
    result = run(threshold=0.7)
    info = read_coco(result.output).info
    assert result.threshold == info["operating_threshold"] == 0.7
    assert info["operating_threshold_source"] == "--threshold"


def test_detecting_twice_gives_the_same_bytes(run: Detect) -> None:
    first = run().output.read_bytes()
    assert run(overwrite=True).output.read_bytes() == first


def test_files_named_in_another_order_give_the_same_boxes(
    run: Detect, toy_data: Path, tmp_path: Path
) -> None:
    first = read_coco(run().output)
    (tmp_path / "scan").mkdir()
    for number, path in enumerate(sorted((toy_data / "scan" / "p0").iterdir(), reverse=True)):
        shutil.copy(path, tmp_path / "scan" / f"{number}.dcm")
    other = read_coco(run(scan=tmp_path / "scan", output=tmp_path / "b.json").output)
    assert (other.images, other.annotations) == (first.images, first.annotations)


def test_a_scan_without_any_box_is_a_result(run: Detect, bundles: Path) -> None:
    result = run(model=str(bundles / "detector-blind"))
    found = read_coco(result.output)
    assert (result.boxes, result.boxes_above_threshold) == (0, 0)
    assert found.annotations == ()
    assert len(found.images) == 6


def test_a_cohort_goes_into_one_file(run: Detect, toy_data: Path) -> None:
    result = run(scan=toy_data / "scan")
    found = read_coco(result.output)
    assert (result.scans, result.slices) == (5, 30)
    assert [image.image_id for image in found.images] == list(range(1, 31))
    assert len(found.patients()) == 5
    assert "p0" not in result.output.read_text()  # pseudonyms, not the ids of the files


def cohort_with_a_damaged_study(toy_data: Path, tmp_path: Path) -> Path:
    scan = tmp_path / "cohort"
    for name in ("p0", "p1"):
        shutil.copytree(toy_data / "scan" / name, scan / name)
    damaged = scan / "p1" / "IM0003.dcm"
    damaged.write_bytes(damaged.read_bytes()[:-2000])
    return scan


def test_one_damaged_study_of_a_cohort_is_named_and_the_others_are_written(
    run: Detect, toy_data: Path, tmp_path: Path
) -> None:
    result = run(scan=cohort_with_a_damaged_study(toy_data, tmp_path))
    assert [str(failure).split(":")[0] for failure in result.failures] == ["p1/IM0003.dcm"]
    assert len(read_coco(result.output).images) == 6
    assert read_coco(result.output).info["failed_studies"] == 1
    record = json.loads((tmp_path / "boxes.run.json").read_text())
    assert (record["failures"], record["exit_status"]) == (1, 6)


def test_a_lone_damaged_study_is_refused(run: Detect, toy_data: Path, tmp_path: Path) -> None:
    scan = cohort_with_a_damaged_study(toy_data, tmp_path) / "p1"
    with pytest.raises(InputError, match=r"IM0003\.dcm"):
        run(scan=scan)
    assert not (tmp_path / "boxes.json").exists()


def test_key_images_of_a_truth_file_are_found_on(run: Detect, toy_data: Path) -> None:
    result = run(scan=toy_data / "truth.json", key_images=True)
    found = read_coco(result.output)
    assert found.coverage == "key_images"
    assert len(found.images) == 30
    root = result.output.parent / found.info["scan_root"]
    assert root.resolve() == (toy_data / "scan").resolve()


def boxes_by_slice(path: Path) -> dict[str, list[tuple[float, ...]]]:
    found = read_coco(path)
    keys = {image.image_id: image.join_key for image in found.images}
    boxes: dict[str, list[tuple[float, ...]]] = {key: [] for key in keys.values()}
    for node in found.annotations:
        boxes[keys[node.image_id]].append((node.score or 0, *node.box_xyxy))
    return boxes


def test_scans_that_a_truth_file_lists_whole_are_searched_as_their_folder_is(
    run: Detect, toy_data: Path, tmp_path: Path
) -> None:
    truth = read_coco(toy_data / "truth.json")
    fold = {"fold": "1", "protocol": "by_patient", "warning": None}
    info = {**truth.info, "scan_root": os.path.relpath(toy_data / "scan", tmp_path), "split": fold}
    part = replace(truth.select_patients({"p0", "p3"}), info=info)
    write_coco(part, tmp_path / "part.json")
    listed = run(scan=tmp_path / "part.json", output=tmp_path / "listed.json")
    assert (listed.scans, listed.slices, listed.notes) == (2, 12, ())
    found = read_coco(listed.output)
    assert (found.coverage, found.info["split"]) == ("all_slices", fold)
    by_folder = boxes_by_slice(run(scan=toy_data / "scan").output)
    by_list = boxes_by_slice(listed.output)
    assert sum(map(len, by_list.values())) > 0
    assert by_list == {key: by_folder[key] for key in by_list}


def test_a_model_of_neighbouring_slices_warns_on_key_images(run: Detect, toy_data: Path) -> None:
    (note,) = run(scan=toy_data / "truth.json", key_images=True).notes
    assert "bundle tiny looks at neighbouring slices, which key images lack" in note
    assert run(overwrite=True).notes == ()


def test_pseudonymous_uids_replace_the_scanners_everywhere(run: Detect) -> None:
    plain = read_coco(run().output)
    hidden = run(pseudonymise_uids=True, overwrite=True).output
    text = hidden.read_text()
    for image in plain.images:
        assert image.sop_instance_uid not in text
        assert image.series not in text
    found = read_coco(hidden)
    assert [a.box_xyxy for a in found.annotations] == [a.box_xyxy for a in plain.annotations]
    assert len({image.sop_instance_uid for image in found.images}) == 6
    assert "scan_root" not in found.info
    assert found.info["pseudonymised_uids"] is True


def test_the_run_record_of_pseudonymous_uids_holds_none_of_the_scanners(
    run: Detect, toy_data: Path, tmp_path: Path
) -> None:
    header = pydicom.dcmread(toy_data / "scan" / "p0" / "IM0001.dcm", stop_before_pixels=True)
    run(pseudonymise_uids=True, series=header.SeriesInstanceUID)
    record = json.loads((tmp_path / "boxes.run.json").read_text())
    assert record["config"]["pseudonymise_uids"] is True
    assert record["config"]["series"].startswith("2.25.")
    assert header.SeriesInstanceUID not in json.dumps(record)


def test_an_existing_output_is_refused_before_anything_is_read(run: Detect, tmp_path: Path) -> None:
    output = tmp_path / "boxes.json"
    output.write_text("mine")
    with pytest.raises(OutputError, match=r"boxes\.json: expected a new file") as error:
        run(scan=tmp_path / "nowhere")
    assert error.value.exit_code == 5
    assert output.read_text() == "mine"
    assert run(overwrite=True).boxes > 0


def test_a_device_that_is_not_there_is_refused(run: Detect) -> None:
    with pytest.raises(UsageError, match="--device: expected auto, cpu"):
        run(device="cuda:9")


def test_an_unknown_model_is_refused(run: Detect) -> None:
    with pytest.raises(ModelError, match=r"--model: .* got 'no such model'"):
        run(model="no such model")


def test_a_classifiers_bundle_is_refused(run: Detect, bundles: Path) -> None:
    with pytest.raises(ModelError, match="expected a bundle of arm 'detector'"):
        run(model=str(bundles / "classifier-tiny"))


def test_the_record_of_a_folder_has_the_hash_of_its_sop_uids(run: Detect, tmp_path: Path) -> None:
    uids = sorted(image.sop_instance_uid for image in read_coco(run().output).images)
    record = json.loads((tmp_path / "boxes.run.json").read_text())
    text = "\n".join(uids) + "\n"
    assert record["inputs"] == {"scan": hashlib.sha256(text.encode()).hexdigest()}


def test_the_run_record_names_model_and_settings_but_no_paths(run: Detect, tmp_path: Path) -> None:
    run(device="auto" if not torch.cuda.is_available() else "cpu")
    record = json.loads((tmp_path / "boxes.run.json").read_text())
    assert record["command"] == "detect"
    assert list(record["model"]) == ["tiny"]
    assert record["config"] == {
        "model": "detector-tiny",
        "device": "cpu",
        "series": None,
        "allow_tilt": False,
        "key_images": False,
        "pixel_spacing_mm": None,
        "threshold": None,
        "pseudonymise_uids": False,
        "precision": "fp32",
        "engine": "torch",
    }
    assert set(record["timings_s"]) >= {"open", "detect"}
    assert str(tmp_path) not in json.dumps(record)


@pytest.mark.parametrize(("rows", "columns", "spacing"), [(61, 97, (0.31, 0.43)), (90, 33, (1, 1))])
def test_boxes_stay_on_slices_of_any_size_and_spacing(
    run: Detect, tmp_path: Path, rows: int, columns: int, spacing: tuple[float, float]
) -> None:
    voxels = np.random.default_rng(0).integers(0, 100, (3, rows, columns)).astype(np.int16)
    voxels[:, :2] = -1000
    meta = CtSeriesMeta("odd", "p", "p", (2.0, *spacing), 2.0, (0.0, 0.0, 0.0))
    write_ct_series(voxels, tmp_path / "odd", meta)
    found = read_coco(run(scan=tmp_path / "odd").output)  # reading refuses boxes past the edge
    boxes = as_boxes([node.box_xyxy for node in found.annotations])
    assert len(boxes) > 0
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= columns
    assert boxes[:, 3].max() <= rows
