"""`phantom insert`: the new series, its truth, and what never leaves the given one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from jsonschema import Draft202012Validator
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from referencing import Registry, Resource
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.errors import InputError, OutputError, UsageError
from lnmdetect.core.records import CocoDataset
from lnmdetect.io.coco import read_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.io.scan_source import open_source
from lnmdetect.stages.phantom_insert import InsertRequest, insert_phantom_nodes

MakeNeck = Callable[..., NDArray[np.int16]]
SECRET = "SECRET^PATIENT"
STEP_MM = 2.5
SCHEMAS = ("coco.schema.json", "truth.schema.json", "run.schema.json")
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def write_scan(
    voxels: NDArray[np.int16], folder: Path, orientation: tuple[float, ...] = UPRIGHT
) -> Path:
    meta = CtSeriesMeta(
        seed="given",
        patient_id=SECRET,
        patient_name=SECRET,
        spacing_mm=(STEP_MM, 1.0, 1.0),
        thickness_mm=STEP_MM,
        origin_mm=(-80.0, -70.0, 12.5),
        description="given neck",
        orientation=orientation,
    )
    write_ct_series(voxels, folder, meta)
    return folder


def request(given: Path, output: Path, **changes: object) -> InsertRequest:
    values = {"onto": given, "output": output, "nodes": 4, "seed": 5}
    return InsertRequest(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def given(make_neck: MakeNeck, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scan(make_neck(), tmp_path_factory.mktemp("given") / "scan")


@pytest.fixture(scope="module")
def made(given: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LNMDETECT_KEY_FILE", str(folder / "key"))
        insert_phantom_nodes(request(given, folder / "out"))
    return folder / "out"


@pytest.fixture(scope="module")
def truth(made: Path) -> CocoDataset:
    return read_coco(made / "truth.json")


def voxels_of(folder: Path) -> NDArray[np.int16]:
    return open_source(folder).scans[0].load().voxels_hu


def test_the_new_series_has_the_given_geometry_and_differs_at_nodes_only(
    given: Path, made: Path, truth: CocoDataset
) -> None:
    before, after = open_source(given).scans[0].load(), open_source(made / "scan").scans[0].load()
    assert after.spacing_mm == before.spacing_mm
    assert [i.position_mm for i in after.images] == [i.position_mm for i in before.images]
    changed = (after.voxels_hu != before.voxels_hu).any((1, 2))
    assert changed.any()
    assert not changed.all()
    with_nodes = {image.slice_index for image in truth.images if truth.by_image()[image.image_id]}
    assert with_nodes <= set(np.flatnonzero(changed).tolist())


def test_truth_lists_every_slice_by_its_new_uid(made: Path, truth: CocoDataset) -> None:
    headers = [
        pydicom.dcmread(path, stop_before_pixels=True) for path in made.rglob("scan/*/*.dcm")
    ]
    assert {str(h.SOPInstanceUID) for h in headers} == {i.sop_instance_uid for i in truth.images}
    assert {str(h.SeriesInstanceUID) for h in headers} == {i.series for i in truth.images}


def test_truth_says_that_its_nodes_are_synthetic_in_a_given_scan(truth: CocoDataset) -> None:
    assert truth.info["phantom"] is True
    assert truth.info["inserted_into_given_scan"] is True
    assert truth.info["inserted"][0]["nodes"] == 4
    assert truth.info["scan_root"] == "scan"
    assert truth.coverage == "all_slices"
    assert len({annotation.node_id for annotation in truth.annotations}) == 4


def test_the_truth_and_its_run_record_fit_their_schemas(made: Path) -> None:
    specs = Path(__file__).parents[2] / "data_specs"
    schemas = {name: json.loads((specs / name).read_text()) for name in SCHEMAS}
    resources = [(name, Resource.from_contents(schema)) for name, schema in schemas.items()]
    registry: Registry[Any] = Registry().with_resources(resources)
    for name, file in (("truth.schema.json", "truth.json"), ("run.schema.json", "truth.run.json")):
        data = json.loads((made / file).read_text())
        Draft202012Validator(schemas[name], registry=registry).validate(data)


def test_boxes_are_the_bounds_of_masks_that_are_brighter_than_fat(
    made: Path, truth: CocoDataset
) -> None:
    voxels = voxels_of(made / "scan")
    images = {image.image_id: image for image in truth.images}
    assert truth.annotations
    for annotation in truth.annotations:
        x, y, width, height = coco_mask.toBbox(annotation.segmentation)
        assert annotation.box_xyxy == (x, y, x + width, y + height)
        assert annotation.ignored == (min(width, height) < 3)
        mask = coco_mask.decode(annotation.segmentation) > 0
        assert voxels[images[annotation.image_id].slice_index][mask].mean() > -60


def test_nothing_of_the_patient_or_the_given_uids_is_copied(
    given: Path, made: Path, truth: CocoDataset
) -> None:
    header = pydicom.dcmread(next(given.glob("*.dcm")), stop_before_pixels=True)
    secrets = [SECRET, "given neck", header.SOPInstanceUID, header.SeriesInstanceUID]
    secrets += [header.StudyInstanceUID, header.FrameOfReferenceUID]
    for path in made.rglob("*.*"):
        content = path.read_bytes()
        assert not any(str(secret).encode() in content for secret in secrets)
    written = pydicom.dcmread(next(made.rglob("*.dcm")), stop_before_pixels=True)
    assert written.PatientID == written.PatientName == truth.images[0].patient
    assert written.PatientID.startswith("p-")


def test_the_same_seed_gives_the_same_bytes_and_another_other_nodes(
    given: Path, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("one", "two", "other")]
    for folder, seed in zip(folders, (5, 5, 6), strict=True):
        insert_phantom_nodes(request(given, folder, seed=seed, nodes=2))

    def content(folder: Path) -> dict[str, bytes]:
        paths = [folder / "truth.json", *folder.rglob("*.dcm")]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

    one, two, other = map(content, folders)
    assert one == two
    assert one["truth.json"] != other["truth.json"]


def test_a_series_stored_head_first_and_back_to_front_takes_the_same_nodes(
    make_neck: MakeNeck, tmp_path: Path
) -> None:
    """Rows that run to the front turn the normal over as well."""
    upright, turned = tmp_path / "upright", tmp_path / "turned"
    voxels = make_neck()
    write_scan(voxels, upright / "in")
    write_scan(voxels[::-1, ::-1].copy(), turned / "in", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
    for folder in (upright, turned):
        insert_phantom_nodes(request(folder / "in", folder / "out"))
    after = [voxels_of(folder / "out" / "scan") for folder in (upright, turned)]
    np.testing.assert_array_equal(after[0], after[1][::-1, ::-1])
    truths = [read_coco(folder / "out" / "truth.json") for folder in (upright, turned)]
    last = len(voxels) + 1
    boxes = [
        sorted((a.image_id, *a.box_xyxy) for a in truths[0].annotations),
        sorted(
            (last - a.image_id, x1, 160 - y2, x2, 160 - y1)
            for a in truths[1].annotations
            for x1, y1, x2, y2 in [a.box_xyxy]
        ),
    ]
    assert boxes[0] == boxes[1]


def test_a_scan_with_a_missing_slice_is_refused(make_neck: MakeNeck, tmp_path: Path) -> None:
    folder = write_scan(make_neck(12), tmp_path / "in")
    (folder / "IM0006.dcm").unlink()
    with pytest.raises(InputError, match="missing"):
        insert_phantom_nodes(request(folder, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_scan_without_a_neck_is_refused(tmp_path: Path) -> None:
    folder = write_scan(np.full((12, 40, 40), -1000, dtype=np.int16), tmp_path / "in")
    with pytest.raises(InputError, match="expected a neck"):
        insert_phantom_nodes(request(folder, tmp_path / "out"))


def test_key_images_are_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="all its slices, got key images"):
        insert_phantom_nodes(request(made / "truth.json", tmp_path / "out"))


def test_nodes_without_room_are_counted_in_a_note(make_neck: MakeNeck, tmp_path: Path) -> None:
    given = write_scan(make_neck(10), tmp_path / "in")
    result = insert_phantom_nodes(request(given, tmp_path / "out", nodes=60))
    assert 0 < result.nodes < 60
    assert result.wanted == 60
    assert result.notes == (
        f"{result.nodes} of 60 nodes found room in the fat between the neck's muscles",
    )


def test_earlier_results_are_replaced_only_when_asked(given: Path, tmp_path: Path) -> None:
    insert_phantom_nodes(request(given, tmp_path, nodes=1))
    with pytest.raises(OutputError, match="--overwrite"):
        insert_phantom_nodes(request(given, tmp_path, nodes=1))
    insert_phantom_nodes(request(given, tmp_path, nodes=1, seed=9, overwrite=True))
    assert len(list((tmp_path / "scan").iterdir())) == 1


@pytest.mark.parametrize("changes", [{"nodes": 0}, {"seed": -1}])
def test_no_node_or_a_negative_seed_is_refused(
    given: Path, tmp_path: Path, changes: dict[str, int]
) -> None:
    with pytest.raises(UsageError, match="one node or more and a seed of 0 or more"):
        insert_phantom_nodes(request(given, tmp_path, **changes))


def test_a_scan_inside_the_output_is_refused(given: Path) -> None:
    with pytest.raises(UsageError, match="lies in the output's scan/"):
        insert_phantom_nodes(request(given, given.parent, overwrite=True))


def test_the_command_says_how_many_nodes_went_in(given: Path, tmp_path: Path) -> None:
    words = ["phantom", "insert", "--onto", str(given), "-o", str(tmp_path), "--nodes", "2"]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0
    assert "1 scan, 24 slices" in answer.stdout
    assert "2 of 2 nodes inserted" in answer.stdout


def test_ctrl_c_leaves_no_truth_of_an_earlier_run(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(*_: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "truth.json").write_text("{}")
    monkeypatch.setattr("lnmdetect.stages.phantom_insert.insert_nodes", press)
    line = ["phantom", "insert", "--onto", str(given), "-o", str(tmp_path), "--overwrite"]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 130
    assert "is incomplete, scans without" in result.stderr
    assert not (tmp_path / "truth.json").exists()


def test_an_output_that_is_a_file_is_refused(given: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="got out, which is a file, not a folder"):
        insert_phantom_nodes(request(given, tmp_path / "out"))
