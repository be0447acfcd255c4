"""`phantom ct`: files on disk, their truth, and the same bytes whatever the number of workers."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pycocotools import mask as coco_mask

from lnmdetect.core.errors import OutputError, UsageError
from lnmdetect.core.records import CocoDataset
from lnmdetect.io.coco import read_coco
from lnmdetect.phantom.node_paint import CrossSection
from lnmdetect.stages.phantom import PhantomRequest, make_ct_phantoms
from lnmdetect.stages.phantom_truth import choose_key_images

SEED, FIRST = 7, 11
"""A training phantom of few slices with nodes."""


def request(folder: Path, **changes: object) -> PhantomRequest:
    values = {"patients": 1, "seed": SEED, "output": folder, "workers": 1, "first_patient": FIRST}
    return PhantomRequest(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    make_ct_phantoms(request(folder))
    return folder


@pytest.fixture(scope="module")
def truth(made: Path) -> CocoDataset:
    return read_coco(made / "truth.json")


def test_every_slice_is_listed_also_those_without_nodes(made: Path, truth: CocoDataset) -> None:
    files = sorted((made / "scan" / f"phantom-{SEED}-{FIRST:03d}").glob("*.dcm"))
    uids = {str(pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID) for f in files}
    assert {image.sop_instance_uid for image in truth.images} == uids
    assert any(not nodes for nodes in truth.by_image().values())
    assert truth.info["phantom"] is True
    assert truth.coverage == "all_slices"
    assert truth.info["scan_root"] == "scan"


def test_positions_and_spacing_are_those_of_the_files(made: Path, truth: CocoDataset) -> None:
    by_uid = {image.sop_instance_uid: image for image in truth.images}
    for path in (made / "scan").rglob("*.dcm"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        image = by_uid[str(header.SOPInstanceUID)]
        assert image.position_mm == pytest.approx(float(header.ImagePositionPatient[2]), abs=1e-5)
        assert image.spacing_mm == pytest.approx([float(v) for v in header.PixelSpacing], abs=1e-6)
        assert (image.height, image.width) == (header.Rows, header.Columns)


def test_boxes_are_the_tight_bounds_of_their_masks(truth: CocoDataset) -> None:
    assert truth.annotations
    for annotation in truth.annotations:
        x, y, width, height = coco_mask.toBbox(annotation.segmentation)
        assert annotation.box_xyxy == (x, y, x + width, y + height)


def test_cross_sections_thinner_than_3_mm_are_ignored_and_no_others(truth: CocoDataset) -> None:
    images = {image.image_id: image for image in truth.images}
    for annotation in truth.annotations:
        x1, y1, x2, y2 = annotation.box_xyxy
        row_mm, column_mm = images[annotation.image_id].spacing_mm
        assert annotation.ignored == (min((x2 - x1) * column_mm, (y2 - y1) * row_mm) < 3.0)


def test_class_and_kind_agree_and_a_node_keeps_its_id(truth: CocoDataset) -> None:
    kinds: dict[str | None, set[str | None]] = {}
    for annotation in truth.annotations:
        assert annotation.category_id == (1 if annotation.kind == "benign" else 2)
        assert annotation.level in {"IA", "IB", "IIA", "IIB", "III", "IV", "VA", "VB", "VI"}
        assert annotation.node_id is not None
        assert annotation.node_id.startswith(f"p{FIRST:03d}n")
        kinds.setdefault(annotation.node_id, set()).add(annotation.kind)
    assert all(len(found) == 1 for found in kinds.values())


def test_the_short_axis_of_a_cross_section_is_that_of_its_ellipse(truth: CocoDataset) -> None:
    images = {image.image_id: image for image in truth.images}
    for annotation in truth.annotations:
        if annotation.ignored or annotation.segmentation is None:
            continue
        area_mm2 = float(coco_mask.area(annotation.segmentation)) * np.prod(
            images[annotation.image_id].spacing_mm
        )
        assert annotation.slice_short_axis_mm is not None
        assert annotation.slice_short_axis_mm <= 2 * np.sqrt(area_mm2 / np.pi) * 1.02


def test_earlier_phantoms_are_not_replaced_unasked(made: Path) -> None:
    with pytest.raises(OutputError, match="--overwrite"):
        make_ct_phantoms(request(made))


def test_no_patient_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one patient or more"):
        make_ct_phantoms(request(tmp_path, patients=0))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    make_ct_phantoms(request(tmp_path / "one", patients=2))
    make_ct_phantoms(request(tmp_path / "two", patients=2, workers=2))
    one, two = bytes_of(tmp_path / "one"), bytes_of(tmp_path / "two")
    assert one.keys() == two.keys()
    assert all(one[name] == two[name] for name in one)


def test_an_output_that_is_a_file_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="got out, which is a file, not a folder"):
        make_ct_phantoms(PhantomRequest(1, SEED, tmp_path / "out"))


def test_scans_of_others_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "scan" / "patient").mkdir(parents=True)
    (tmp_path / "truth.json").write_text("mine")
    with pytest.raises(
        OutputError, match="expected nothing but earlier phantoms, got 1 other file or folder"
    ):
        make_ct_phantoms(PhantomRequest(1, SEED, tmp_path, overwrite=True))
    assert (tmp_path / "truth.json").read_text() == "mine"


def test_ctrl_c_leaves_no_truth_of_an_earlier_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(*_: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "scan" / "phantom-1-000").mkdir(parents=True)
    (tmp_path / "truth.json").write_text("{}")
    monkeypatch.setattr("lnmdetect.stages.phantom.make_scan", press)
    with pytest.raises(KeyboardInterrupt):
        make_ct_phantoms(PhantomRequest(1, SEED, tmp_path, workers=1, overwrite=True))
    assert not (tmp_path / "truth.json").exists()


def section(node: int, slice_index: int, area: int) -> CrossSection:
    return CrossSection(node, slice_index, (0, 0), np.ones((1, area), dtype=bool))


def test_each_node_gets_its_largest_cross_section_before_any_gets_a_second() -> None:
    sections = [
        *(section(0, index, area) for index, area in ((4, 9), (5, 30), (6, 20))),
        *(section(1, index, area) for index, area in ((1, 3), (2, 5))),
    ]
    assert choose_key_images(sections, 1) == [5]
    assert choose_key_images(sections, 2) == [2, 5]
    assert choose_key_images(sections, 3) == [2, 5, 6]
    assert choose_key_images(sections, 99) == [1, 2, 4, 5, 6]
    assert choose_key_images([], 3) == []


def test_key_images_are_slices_of_the_whole_scan_with_their_truth(
    made: Path, truth: CocoDataset, tmp_path: Path
) -> None:
    make_ct_phantoms(request(tmp_path, key_images=3))
    key_truth = read_coco(tmp_path / "truth.json")
    assert key_truth.coverage == "key_images"
    assert [image.image_id for image in key_truth.images] == [1, 2, 3]
    files = sorted((tmp_path / "scan").rglob("*.dcm"))
    assert len(files) == 3
    for path in files:
        assert path.read_bytes() == (made / path.relative_to(tmp_path)).read_bytes()
    whole = {image.sop_instance_uid: image.image_id for image in truth.images}
    for image in key_truth.images:
        expected = truth.by_image()[whole[image.sop_instance_uid]]
        found = key_truth.by_image()[image.image_id]
        assert [node.box_xyxy for node in found] == [node.box_xyxy for node in expected]
        assert found


def test_no_key_image_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--key-images: expected one slice a patient or more"):
        make_ct_phantoms(request(tmp_path, key_images=0))
