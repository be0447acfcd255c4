"""`lnmdetect export`: what the objects hold, read by highdicom; who judges them finds no fault."""

import csv
import hashlib
import json
import re
import shutil
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.sequence import Sequence as DicomSequence

from lnmdetect.core.errors import InputError, MissingExtraError, OutputError
from lnmdetect.core.linked_nodes import LinkedNode, LinkedNodes, NodeSection
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, CocoDataset, NodeAnnotation
from lnmdetect.io.coco import dataset_to_json, read_coco, write_coco
from lnmdetect.io.linked_nodes_file import read_linked_nodes, write_linked_nodes
from lnmdetect.stages.export import ExportRequest, ExportResult, export
from lnmdetect.stages.export_coco import CocoRequest, export_coco
from lnmdetect.stages.export_csv import CsvRequest, export_csv
from tests.dicom_results import (
    CLASSIFIER_SHA,
    DETECTOR_SHA,
    errors_of,
    needs_dciodvfy,
    needs_dsrdump,
    write_nodes,
)

KINDS = ("sr", "enhanced", "seg", "gsps", "sc")
Written = dict[str, Path]


def run(nodes: Path, kind: str, **options: Any) -> ExportResult:
    folder = options.pop("folder", nodes.parent)
    if kind == "enhanced":
        kind, options["sr"] = "sr", "enhanced"
    output = folder / f"{options.get('sr', kind)}.dcm"
    return export(ExportRequest(nodes, kind, output, **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def nodes(toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nodes(toy_data, tmp_path_factory.mktemp("nodes"), masks=True)


@pytest.fixture(scope="module")
def written(nodes: Path) -> Written:
    """One object of each kind, of one patient."""
    return {kind: run(nodes, kind).outputs[0] for kind in KINDS}


def shown(nodes: Path) -> list[NodeAnnotation]:
    """The boxes at or above the threshold, in the order of the report."""
    dataset = read_coco(nodes)
    boxes = [box for box in dataset.annotations if (box.score or 0) >= 0.4]
    return sorted(boxes, key=lambda box: (box.image_id, -(box.score or 0)))


def content_of(path: Path) -> Any:
    """The report's measurements as highdicom reads them."""
    return highdicom.sr.srread(path).content


def measured(group: Any, code: str) -> Any:
    """Value and unit of the measurement with this code, as highdicom reads it."""
    (found,) = [m for m in group.get_measurements() if m.name.value == code]
    return found.value, found.unit.value


@pytest.mark.parametrize("kind", ["sr", "enhanced"])
def test_highdicom_reads_the_same_boxes_measurements_and_codes(
    written: Written, nodes: Path, kind: str
) -> None:
    groups = content_of(written[kind]).get_planar_roi_measurement_groups()
    boxes, images = shown(nodes), {image.image_id: image for image in read_coco(nodes).images}
    assert len(groups) == len(boxes) == 6
    for group, box in zip(groups, boxes, strict=True):
        x1, y1, x2, y2 = box.box_xyxy
        corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
        np.testing.assert_allclose(group.roi.value, corners, atol=5e-4)
        assert group.roi.graphic_type.value == "POLYLINE"
        reference = group.roi.ContentSequence[0].ReferencedSOPSequence[0]
        image = images[box.image_id]
        assert reference.ReferencedSOPInstanceUID == image.sop_instance_uid
        assert group.tracking_identifier == f"box {box.annotation_id}"
        assert (group.finding_type.value, group.finding_type.scheme_designator) == (
            "59441001",
            "SCT",
        )
        (site,) = group.finding_sites
        assert (site.value.value, site.laterality.value) == ("81105003", "7771000")
        side_mm = min((x2 - x1) * 0.5, (y2 - y1) * 0.5)
        assert measured(group, "103340004") == (pytest.approx(side_mm, abs=1e-3), "mm")
        assert measured(group, "111012") == (pytest.approx(100 * (box.score or 0)), "%")
        assert box.probabilities is not None
        p = box.probabilities["metastatic"]
        assert measured(group, "111047") == (pytest.approx(100 * p), "%")
        (malignancy,) = [
            e for e in group.get_qualitative_evaluations() if e.name.value == "RID36042"
        ]
        called = {BENIGN: "30807003", METASTATIC: "21594007"}[box.category_id]
        assert malignancy.value.value == called


def test_the_report_says_which_models_made_it_and_that_it_is_for_research(
    written: Written,
) -> None:
    report = highdicom.sr.srread(written["sr"])
    text = "\n".join(str(e.value) for e in report.iterall() if e.VR in ("UT", "LO"))
    for part in ("lnmdetect detector tiny", f"weights sha256={DETECTOR_SHA}"):
        assert part in text
    for part in ("lnmdetect classifier small", f"weights sha256={CLASSIFIER_SHA}"):
        assert part in text
    assert "threshold=0.4" in text
    assert "Research only, not for diagnosis" in text
    assert report.SeriesDescription == "Lymph nodes SR (phantom, research only, not for diagnosis)"
    flags = (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag)
    assert flags == ("COMPLETE", "PRELIMINARY", "UNVERIFIED")
    assert (report.Manufacturer, report.SoftwareVersions) == ("lnmdetect", "0.1.0")


def test_the_procedure_is_ct_of_the_neck(written: Written) -> None:
    content = dcmread(written["sr"]).ContentSequence
    (procedure,) = [c for c in content if c.ConceptNameCodeSequence[0].CodeValue == "121058"]
    code = procedure.ConceptCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("169068008", "SCT")


def test_each_kind_has_its_name_and_number_in_the_list_of_series(written: Written) -> None:
    told = {kind: dcmread(path) for kind, path in written.items()}
    kind = "(phantom, research only, not for diagnosis)"
    assert {name: made.SeriesDescription for name, made in told.items()} == {
        "sr": f"Lymph nodes SR {kind}",
        "enhanced": f"Lymph nodes SR {kind}",
        "seg": f"Lymph nodes SEG {kind}",
        "gsps": f"Lymph node overlay {kind}",
        "sc": f"Lymph node images {kind}",
    }
    assert all(len(made.SeriesDescription) <= 64 for made in told.values())
    assert [told[name].SeriesNumber for name in KINDS] == [9101, 9101, 9102, 9103, 9104]


def test_only_slices_with_findings_are_referred_to(written: Written, nodes: Path) -> None:
    report = highdicom.sr.srread(written["sr"])
    images = {image.image_id: image for image in read_coco(nodes).images}
    used = {images[box.image_id].sop_instance_uid for box in shown(nodes)}
    assert {str(uids[2]) for uids in report.get_evidence()} == used
    assert len(used) < len(images)


def test_every_object_has_uids_of_its_own_and_tracks_the_same_boxes(
    written: Written, nodes: Path, tmp_path: Path
) -> None:
    (again,) = run(nodes, "sr", folder=tmp_path).outputs
    objects = [dcmread(path) for path in (*written.values(), again)]
    assert len({made.SOPInstanceUID for made in objects}) == len(objects)
    assert len({made.SeriesInstanceUID for made in objects}) == len(objects)
    kinds = ("sr", "enhanced", "gsps")
    first, *others = [
        set(tracking_uids(path)) for path in (again, *map(written.get, kinds)) if path
    ]
    assert len(first) == 6
    assert others == [first] * 3


def tracking_uids(path: Path) -> list[str]:
    """Every uid of a tracked finding, wherever it stands."""
    found = []

    def visit(dataset: Dataset) -> None:
        for element in dataset:
            if element.VR == "SQ":
                for part in element.value:
                    visit(part)
        if "TrackingUID" in dataset:
            found.append(str(dataset.TrackingUID))
        name = dataset.get("ConceptNameCodeSequence") or [Dataset()]
        if name[0].get("CodeValue") == "112040":
            found.append(str(dataset.UID))

    visit(dcmread(path))
    return found


def test_every_study_gets_a_report_of_its_own(toy_data: Path, tmp_path: Path) -> None:
    several = write_nodes(toy_data, tmp_path, patients=2)
    result = run(several, "sr")
    assert [path.name for path in result.outputs] == [
        "sr_1.dcm",
        "sr_2.dcm",
    ]
    reports = [highdicom.sr.srread(path) for path in result.outputs]
    assert [str(report.PatientID) for report in reports] == ["p0", "p1"]
    assert len({report.StudyInstanceUID for report in reports}) == 2
    assert result.studies == 2


def changed(
    nodes: Path,
    folder: Path,
    change: Callable[[CocoDataset], CocoDataset],
    name: str = "changed.json",
) -> Path:
    path = folder / name
    write_coco(change(read_coco(nodes)), path)
    return path


def sources(group: Any) -> list[Dataset]:
    """The slices that a measurement group was made of."""
    return [one for one in group[0].ContentSequence if one.ValueType == "IMAGE"]


def test_every_series_that_was_searched_in_vain_is_named(nodes: Path, tmp_path: Path) -> None:
    def two_series(dataset: CocoDataset) -> CocoDataset:
        images = tuple(
            replace(image, series="another") if image.slice_index > 2 else image
            for image in dataset.images
        )
        return replace(dataset, images=images, annotations=())

    result = run(changed(nodes, tmp_path, two_series), "sr")
    (group,) = content_of(result.outputs[0]).get_image_measurement_groups()
    uids = [image.sop_instance_uid for image in read_coco(nodes).images]
    named = [one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in sources(group)]
    assert named == [uids[0], uids[3]]


def test_a_study_without_a_finding_says_so(nodes: Path, tmp_path: Path) -> None:
    empty = changed(nodes, tmp_path, lambda dataset: replace(dataset, annotations=()))
    result = run(empty, "sr")
    assert result.notes == ("1 of 1 study without a finding",)
    (group,) = content_of(result.outputs[0]).get_image_measurement_groups()
    assert measured(group, "246206008") == (0, "1")
    first = read_coco(nodes).images[0].sop_instance_uid
    assert [one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in sources(group)] == [
        first
    ]
    for kind in ("gsps", "sc"):
        nothing = run(empty, kind)
        assert (nothing.outputs, nothing.notes) == ((), ("1 of 1 study without a finding",))


@pytest.mark.parametrize("kind", ["sr", "enhanced"])
def test_coco_to_sr_to_coco_is_the_identity_on_boxes(
    written: Written, nodes: Path, tmp_path: Path, kind: str
) -> None:
    export_coco(CocoRequest((written[kind],), tmp_path / "back.json"))
    assert boxes_in(tmp_path / "back.json") == boxes_in(nodes)
    back = read_coco(tmp_path / "back.json")
    assert [image.slice_index for image in back.images] == [0, 1, 2]
    originals = {image.sop_instance_uid: image for image in read_coco(nodes).images}
    for image in back.images:
        original = originals[image.sop_instance_uid]
        for name in ("width", "height", "spacing_mm", "thickness_mm", "position_mm", "file_name"):
            assert getattr(image, name) == getattr(original, name)
    assert back.info["detector"] == {"name": "tiny", "sha256": DETECTOR_SHA}
    assert back.info["classifier_threshold"] == 0.55
    assert back.coverage == "key_images"


def boxes_in(path: Path) -> list[Any]:
    data = dataset_to_json(read_coco(path))
    slices = {image["id"]: image["file_name"] for image in data["images"]}
    return sorted(
        [slices[a["image_id"]], a["bbox"], a["score"], a["category_id"], a["probabilities"]]
        for a in data["annotations"]
        if a["score"] >= 0.4
    )


def test_boxes_of_a_report_that_leave_their_slice_are_left_out_and_counted(
    written: Written, tmp_path: Path
) -> None:
    report = dcmread(written["sr"])
    outlines = [
        item for item in report.iterall() if item.keyword == "GraphicData" and len(item.value) == 10
    ]
    width = 96
    outlines[0].value = [90, 10, width + 0.5, 10, width + 0.5, 20, 90, 20, 90, 10]
    outlines[1].value = [-0.5, 10, 6, 10, 6, 20, -0.5, 20, -0.5, 10]
    outlines[2].value = [90, 10, width, 10, width, 20, 90, 20, 90, 10]
    report.save_as(tmp_path / "sr.dcm")
    result = export_coco(CocoRequest((tmp_path / "sr.dcm",), tmp_path / "back.json"))
    assert (result.boxes, result.notes) == (
        4,
        ("2 graphics left out: no polyline within a slice",),
    )
    kept = [box.box_xyxy for box in read_coco(tmp_path / "back.json").annotations]
    assert (90, 10, width, 20) in kept


def test_a_scan_gives_the_slices_their_places_back(
    written: Written, nodes: Path, toy_data: Path, tmp_path: Path
) -> None:
    scan = toy_data / "scan" / "p0"
    export_coco(CocoRequest((written["sr"],), tmp_path / "back.json", scan=scan))
    assert [image.slice_index for image in read_coco(tmp_path / "back.json").images] == [1, 2, 3]


def test_truth_is_reported_without_score_model_or_probability(
    toy_data: Path, tmp_path: Path
) -> None:
    truth = read_coco(toy_data / "truth.json").select_patients({"p0"})
    nodes = (*truth.annotations[:2], replace(truth.annotations[2], category_id=LYMPH_NODE))
    info = {"scan_root": (toy_data / "scan").as_posix()}
    path = tmp_path / "truth.json"
    write_coco(replace(truth, info=info, annotations=nodes), path)
    groups = content_of(run(path, "sr").outputs[0]).get_planar_roi_measurement_groups()
    assert [len(group.get_measurements()) for group in groups] == [1, 1, 1]
    called = [
        [e.value.value for e in group.get_qualitative_evaluations() if e.name.value == "RID36042"]
        for group in groups
    ]
    assert called == [["21594007"], ["30807003"], []]


def test_segments_are_the_masks(written: Written, nodes: Path) -> None:
    segmentation = highdicom.seg.segread(written["seg"])
    boxes, images = shown(nodes), {image.image_id: image for image in read_coco(nodes).images}
    labels = list(dict.fromkeys(box.node_id for box in boxes))
    assert [part.segment_label for part in segmentation.SegmentSequence] == labels
    assert segmentation.SegmentationType == "BINARY"
    slices = list(dict.fromkeys(box.image_id for box in boxes))
    drawn = segmentation.get_pixels_by_source_instance(
        [images[key].sop_instance_uid for key in slices], combine_segments=False
    )
    for box in boxes:
        expected = coco_mask.decode(dict(box.segmentation or {}))
        stored = drawn[slices.index(box.image_id), :, :, labels.index(box.node_id)]
        np.testing.assert_array_equal(stored, expected)
    source = dcmread(next((nodes.parent / scan_root(nodes) / "p0").iterdir()))
    assert segmentation.FrameOfReferenceUID == source.FrameOfReferenceUID


def test_segments_of_a_person_are_manual_and_of_a_model_name_it(
    written: Written, nodes: Path, tmp_path: Path
) -> None:
    def drawn_by_hand(dataset: CocoDataset) -> CocoDataset:
        boxes = tuple(replace(b, score=None, probabilities=None) for b in dataset.annotations)
        return replace(dataset, info={"scan_root": scan_root(nodes)}, annotations=boxes)

    by_hand = dcmread(run(changed(nodes, tmp_path, drawn_by_hand), "seg").outputs[0])
    by_model = dcmread(written["seg"])
    for segment in by_hand.SegmentSequence:
        assert segment.SegmentAlgorithmType == "MANUAL"
        assert "SegmentationAlgorithmIdentificationSequence" not in segment
    for segment in by_model.SegmentSequence:
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        (model,) = segment.SegmentationAlgorithmIdentificationSequence
        assert model.AlgorithmName == "lnmdetect detector tiny"
        assert DETECTOR_SHA in model.AlgorithmParameters


def test_segments_and_reports_track_a_linked_node_by_one_uid(
    nodes: Path, linked: Path, tmp_path: Path
) -> None:
    segments = tracking_uids(run(nodes, "seg", folder=tmp_path, linked=linked).outputs[0])
    groups = tracking_uids(run(nodes, "sr", folder=tmp_path, linked=linked).outputs[0])
    assert set(segments) <= set(groups)
    assert len(segments) == 1


def test_a_thickness_that_is_not_known_is_the_step_between_slices(canary: Path) -> None:
    made = dcmread(run(broken(canary, SliceThickness=None), "seg").outputs[0])
    (measures,) = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert measures.SliceThickness == 3


def rle(mask: Any) -> dict[str, object]:
    found = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": found["counts"].decode("ascii")}


def test_masks_that_overlap_stay_whole_and_empty_ones_make_no_segment(
    nodes: Path, tmp_path: Path
) -> None:
    image = read_coco(nodes).images[1]
    masks = np.zeros((5, image.height, image.width), dtype=bool)
    masks[0, 10:20, 10:20] = masks[1, 15:25, 15:25] = masks[2, 18:30, 8:14] = True
    masks[4, 15:20, 15:20] = True

    def outlined(dataset: CocoDataset) -> CocoDataset:
        box = replace(shown(nodes)[0], image_id=image.image_id)
        drawn = [
            replace(box, annotation_id=k, node_id=f"n{k}", segmentation=rle(mask))
            for k, mask in enumerate(masks, start=1)
        ]
        return replace(dataset, annotations=tuple(drawn))

    result = run(changed(nodes, tmp_path, outlined), "seg")
    stored: dict[str, Any] = {}
    for path in result.outputs:
        made = highdicom.seg.segread(path)
        pixels = made.get_pixels_by_source_instance([image.sop_instance_uid])[0]
        for number, segment in enumerate(made.SegmentSequence):
            stored[segment.SegmentLabel] = pixels[:, :, number]
    assert sorted(stored) == ["n1", "n2", "n3", "n5"]
    for number in (1, 2, 3, 5):
        np.testing.assert_array_equal(stored[f"n{number}"], masks[number - 1])
    # n1 overlaps all others; n2 and n3 do not touch; n5 overlaps n1 and n2: three objects.
    objects = [dcmread(path) for path in result.outputs]
    labels = [[segment.SegmentLabel for segment in one.SegmentSequence] for one in objects]
    assert labels == [["n1"], ["n2", "n3"], ["n5"]]
    assert [path.name for path in result.outputs] == ["seg_1.dcm", "seg_2.dcm", "seg_3.dcm"]
    assert [one.InstanceNumber for one in objects] == [1, 2, 3]
    assert len({one.SeriesInstanceUID for one in objects}) == 1


def scan_root(nodes: Path) -> str:
    return str(json.loads(nodes.read_text())["info"]["scan_root"])


def test_the_presentation_state_draws_the_boxes_and_says_research_only(
    written: Written, nodes: Path
) -> None:
    state = dcmread(written["gsps"])
    images = {image.image_id: image for image in read_coco(nodes).images}
    drawn = {
        (part.ReferencedImageSequence[0].ReferencedSOPInstanceUID, *np.round(g.GraphicData, 3)[:6])
        for part in state.GraphicAnnotationSequence
        for g in part.GraphicObjectSequence
    }
    expected = {
        (images[b.image_id].sop_instance_uid, *np.round([x1, y1, x2, y1, x2, y2], 3))
        for b in shown(nodes)
        for x1, y1, x2, y2 in [b.box_xyxy]
    }
    assert {(uid, *np.round(p, 2)) for uid, *p in drawn} == {
        (uid, *np.round(p, 2)) for uid, *p in expected
    }
    window = state.SoftcopyVOILUTSequence[0]
    assert (window.WindowCenter, window.WindowWidth) == (40, 400)
    for part in state.GraphicAnnotationSequence:
        texts = [text.UnformattedTextValue for text in part.TextObjectSequence]
        assert texts[0] == "Research only, not for diagnosis"
        assert re.fullmatch(r"(benign|metastatic) 0\.\d\d", texts[1])


def test_a_key_image_shows_the_slice_with_its_boxes_and_a_warning(
    written: Written, nodes: Path
) -> None:
    made = dcmread(written["sc"])
    picture = made.pixel_array
    assert picture.shape == (1024, 1024, 3)
    colours = {tuple(c) for c in picture.reshape(-1, 3)}
    assert (255, 80, 80) in colours
    assert colours & {(86, 180, 233), (255, 106, 61)}
    red = (picture == (255, 80, 80)).all(2)
    assert red[:40].any()
    assert not red[60:].any()
    assert made.BurnedInAnnotation == "NO"
    uids = {image.sop_instance_uid for image in read_coco(nodes).images}
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID in uids


def test_no_text_hides_a_box_at_the_edge(nodes: Path, tmp_path: Path) -> None:
    image = read_coco(nodes).images[0]
    width, height = image.width, image.height
    corners = [
        (0.0, 0.0, 6.0, 5.0),
        (width - 6.0, 20.0, width, 25.0),
        (20.0, height - 14.5, 30.0, height - 12.5),
    ]

    def at_the_edge(dataset: CocoDataset) -> CocoDataset:
        box = replace(shown(nodes)[0], image_id=image.image_id)
        moved = [replace(box, annotation_id=k, box_xyxy=c) for k, c in enumerate(corners, 1)]
        return replace(dataset, annotations=tuple(moved))

    path = changed(nodes, tmp_path, at_the_edge)
    (part,) = dcmread(run(path, "gsps").outputs[0]).GraphicAnnotationSequence
    for text in part.TextObjectSequence:
        left, top = text.BoundingBoxTopLeftHandCorner
        right, bottom = text.BoundingBoxBottomRightHandCorner
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    places = [tuple(t.BoundingBoxTopLeftHandCorner) for t in part.TextObjectSequence]
    # The banner is as wide as these 96 px: the upper box sends it to the lower edge.
    assert places[0] == (0, height - 12)
    assert all(top + 12 <= height - 12 for _, top in places[1:])
    scale = 1024 / width
    picture = dcmread(run(path, "sc").outputs[0]).pixel_array
    inside = picture[4 : int(5 * scale) - 3, 4 : int(6 * scale) - 3]
    assert (inside == inside[:, :, :1]).all(), "only greys are inside the upper box"


def test_a_slice_too_long_for_a_picture_is_refused(canary: Path) -> None:
    scan = canary.parent / "scan"
    for file in scan.iterdir():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(file)
            dataset.PixelSpacing = ["0.1", "0.6"]
            dataset.save_as(file)

    def stretched(dataset: CocoDataset) -> CocoDataset:
        images = tuple(replace(image, spacing_mm=(0.1, 0.6)) for image in dataset.images)
        return replace(dataset, images=images)

    with pytest.raises(InputError, match="expected a slice no more than 4 times as long as wide"):
        run(changed(canary, canary.parent, stretched, name="stretched.json"), "sc")


def test_csv_lists_a_line_a_box(nodes: Path, tmp_path: Path) -> None:
    result = export_csv(CsvRequest(nodes, tmp_path / "nodes.csv"))
    rows = list(csv.DictReader((tmp_path / "nodes.csv").read_text().splitlines()))
    boxes = shown(nodes)
    assert result.boxes == len(rows) == len(boxes)
    x1, y1, x2, y2 = boxes[0].box_xyxy
    assert [float(rows[0][name]) for name in ("x", "y", "width", "height")] == [
        round(v, 3) for v in (x1, y1, x2 - x1, y2 - y1)
    ]
    assert rows[0]["category"] == "benign"
    assert float(rows[0]["score"]) == boxes[0].score


def test_another_threshold_and_fewer_slices_are_taken_at_their_word(
    nodes: Path, tmp_path: Path
) -> None:
    best = max(box.score or 0 for box in shown(nodes))
    assert run(nodes, "gsps", folder=tmp_path, threshold=best).findings == 1
    assert len(run(nodes, "sc", folder=tmp_path, slices=2).outputs) == 2


@pytest.mark.server
@needs_dciodvfy
@pytest.mark.parametrize("kind", KINDS)
def test_dciodvfy_finds_no_error(written: Written, kind: str) -> None:
    assert errors_of(written[kind]) == ""


@pytest.mark.server
@needs_dciodvfy
def test_dciodvfy_finds_no_error_in_a_report_without_findings(nodes: Path, tmp_path: Path) -> None:
    empty = changed(nodes, tmp_path, lambda dataset: replace(dataset, annotations=()))
    for kind in ("sr", "enhanced"):
        assert errors_of(run(empty, kind).outputs[0]) == ""


@pytest.mark.server
@needs_dsrdump
@pytest.mark.parametrize("kind", ["sr", "enhanced"])
def test_dsrdump_reads_the_whole_report(written: Written, kind: str) -> None:
    said = subprocess.run(["dsrdump", "+Pl", str(written[kind])], capture_output=True, text=True)
    assert said.returncode == 0
    assert said.stderr == ""
    assert said.stdout.count('"Measurement Group"') == 6
    assert said.stdout.count("POLYLINE") == 6


SECRET = "ZQXJKVWY"
"""Eight characters that stand in no uid, code or word of ours."""
IDENTITY = {
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("ReferringPhysicianName", "StudyID", "AccessionNumber"),
}
TEXT_VRS = {"LO", "SH", "ST", "LT", "UT", "PN", "UC"}
FREE_TEXT = (
    *(
        "StudyDescription",
        "SeriesDescription",
        "PatientComments",
        "ImageComments",
        "OtherPatientIDs",
    ),
    *("InstitutionName", "InstitutionAddress", "StationName", "OperatorsName", "ProtocolName"),
    *("PerformingPhysicianName", "PatientAddress", "AdditionalPatientHistory", "Occupation"),
    *("DeviceSerialNumber", "SoftwareVersions", "MedicalRecordLocator", "IssuerOfPatientID"),
    *("AdmittingDiagnosesDescription", "NameOfPhysiciansReadingStudy", "PatientMotherBirthName"),
    *("RequestingPhysician", "ClinicalTrialSubjectID", "EthnicGroup", "PatientReligiousPreference"),
)


@pytest.fixture
def canary(nodes: Path, tmp_path: Path) -> Path:
    """A nodes file whose scan names someone in every field, and holds private elements."""
    source = Path(scan_root(nodes)) / "p0"
    for number, file in enumerate(sorted(source.iterdir())):
        dataset = dcmread(file)
        for keyword in FREE_TEXT:
            assert dictionary_VR(keyword) in TEXT_VRS
            setattr(dataset, keyword, f"{SECRET}{keyword[:6]}")
        dataset.PatientName, dataset.PatientID = "Müller^Zoë", "ID-4711-77"
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.PatientBirthDate, dataset.PatientSex = "19570311", "F"
        dataset.ReferringPhysicianName, dataset.AccessionNumber = "Known^Doctor", "ACC12345"
        dataset.StudyTime = "1231"
        dataset.private_block(0x0009, f"{SECRET} private", create=True).add_new(1, "LO", SECRET)
        other = Dataset()
        other.PatientID, other.CodeMeaning = SECRET, SECRET
        dataset.OtherPatientIDsSequence = DicomSequence([other])
        (tmp_path / "scan").mkdir(exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.save_as(tmp_path / "scan" / f"{number}.dcm")
    return changed(
        nodes, tmp_path, lambda data: replace(data, info={**data.info, "scan_root": "scan"})
    )


@pytest.mark.parametrize("kind", KINDS)
def test_objects_carry_the_patients_and_studys_identity_and_nothing_else(
    canary: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (path, *_) = run(canary, kind).outputs
    content = path.read_bytes()
    assert SECRET.encode() not in content
    made = dcmread(path)
    assert str(made.PatientName) == "Müller^Zoë"
    assert (made.PatientID, made.PatientBirthDate, made.PatientSex) == (
        "ID-4711-77",
        "19570311",
        "F",
    )
    assert (str(made.ReferringPhysicianName), made.AccessionNumber) == ("Known^Doctor", "ACC12345")
    assert made.SpecificCharacterSet == "ISO_IR 192"
    assert not [element.tag for element in made.iterall() if element.tag.is_private]
    record = (path.parent / f"{path.stem.removesuffix('_1')}.run.json").read_text()
    said = capfd.readouterr()
    for name in ("Zoë", "ller", "4711", "19570311", "Doctor", "ACC12345"):
        assert name not in record + said.out + said.err


@needs_dciodvfy
@pytest.mark.server
@pytest.mark.parametrize("kind", KINDS)
def test_dciodvfy_finds_no_error_with_a_real_name(canary: Path, kind: str) -> None:
    assert errors_of(run(canary, kind).outputs[0]) == ""


def test_a_coco_file_made_from_a_report_names_nobody(canary: Path, tmp_path: Path) -> None:
    (report,) = run(canary, "sr").outputs
    export_coco(CocoRequest((report,), tmp_path / "back.json"))
    text = (tmp_path / "back.json").read_text() + (tmp_path / "back.run.json").read_text()
    for name in ("Zoë", "Müller", "4711", "1957", "Doctor", "ACC12345", SECRET):
        assert name not in text
    assert re.search(r'"patient": "p-[0-9a-f]{16}"', text)


def broken(canary: Path, **values: Any) -> Path:
    """The same nodes over slices with these header values; None deletes one."""
    for file in (canary.parent / "scan").iterdir():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(file)
            for keyword, value in values.items():
                if value is None:
                    delattr(dataset, keyword)
                else:
                    setattr(dataset, keyword, value)
            dataset.save_as(file)
    return canary


@needs_dciodvfy
@pytest.mark.server
def test_values_that_their_kind_does_not_allow_are_left_empty(canary: Path) -> None:
    nodes = broken(
        canary,
        PatientBirthDate="1957-03-11",
        StudyDate="20261399",
        StudyTime="12:30",
        PatientSex="female",
        AccessionNumber="A" * 40,
        SliceThickness=None,
        PatientName="Single",
    )
    for kind in ("sr", "seg", "gsps", "sc"):
        (path, *_) = run(nodes, kind).outputs
        assert errors_of(path) == ""
        made = dcmread(path)
        empty = (made.PatientBirthDate, made.StudyDate, made.StudyTime, made.PatientSex)
        assert [value or "" for value in (*empty, made.AccessionNumber)] == [""] * 5
    export_coco(CocoRequest((nodes.parent / "sr.dcm",), nodes.parent / "back.json"))
    assert {image.thickness_mm for image in read_coco(nodes.parent / "back.json").images} == {None}


def test_without_a_frame_of_reference_only_the_segmentation_is_refused(canary: Path) -> None:
    nodes = broken(canary, FrameOfReferenceUID=None)
    run(nodes, "sr")
    with pytest.raises(InputError, match="one size with a frame of reference"):
        run(nodes, "seg")


def test_a_missing_study_uid_is_refused_before_anything_is_written(canary: Path) -> None:
    nodes = broken(canary, StudyInstanceUID=None)
    with pytest.raises(InputError, match="expected a StudyInstanceUID of digits"):
        run(nodes, "sr")
    assert not (nodes.parent / "sr.dcm").exists()


def test_a_missing_highdicom_is_named_with_its_extra(
    nodes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lnmdetect\[dicom\]'"):
        run(nodes, "sr")


def test_an_existing_output_stays(written: Written, nodes: Path) -> None:
    with pytest.raises(OutputError, match=r"sr\.dcm: expected a new file"):
        export(ExportRequest(nodes, "sr", written["sr"].with_name("sr.dcm")))
    export(ExportRequest(nodes, "sr", written["sr"].with_name("sr.dcm"), overwrite=True))


def test_masks_are_asked_for_where_there_are_none(toy_data: Path, tmp_path: Path) -> None:
    nodes = write_nodes(toy_data, tmp_path)
    with pytest.raises(InputError, match="expected boxes at the threshold with a segmentation"):
        run(nodes, "seg")


def test_pictures_that_are_no_dicom_can_only_become_csv(nodes: Path, tmp_path: Path) -> None:
    def as_png(dataset: CocoDataset) -> CocoDataset:
        images = tuple(
            replace(image, sop_instance_uid="", file_name=f"{image.image_id}.png")
            for image in dataset.images
        )
        return replace(dataset, images=images)

    path = changed(nodes, tmp_path, as_png)
    with pytest.raises(InputError, match="only csv is possible"):
        run(path, "sr")
    assert export_csv(CsvRequest(path, tmp_path / "n.csv")).boxes == 6


@pytest.fixture
def linked(nodes: Path, tmp_path: Path) -> Path:
    """Two nodes: the first on two slices and outlined, the second on one, its outline the box."""
    boxes = [box for box in shown(nodes) if box.node_id == "p0n0"][:2]
    (alone,) = [box for box in shown(nodes) if box.node_id == "p0n1"][:1]
    images = {image.image_id: image for image in read_coco(nodes).images}

    def section(box: NodeAnnotation, mask: Any) -> NodeSection:
        image = images[box.image_id]
        return NodeSection(
            sop_instance_uid=image.sop_instance_uid,
            file_name=image.file_name,
            slice_index=image.slice_index,
            position_mm=image.position_mm,
            box_xyxy=box.box_xyxy,
            score=box.score or 0,
            annotation_ids=(box.annotation_id,),
            p_metastatic=0.7,
            outline="hu" if mask else "box",
            long_axis_mm=6.5,
            short_axis_mm=5.25,
            area_mm2=26.0,
            box_short_axis_mm=6.0,
            segmentation=mask,
        )

    def node(name: str, sections: tuple[NodeSection, ...], p: float) -> LinkedNode:
        return LinkedNode(
            node_id=name,
            patient="p0",
            series="series of p0",
            sections=sections,
            centre_mm=(-12.0, 5.0, 9.0),
            centre_px=(30.0, 40.0),
            centre_slice=1.5,
            long_axis_mm=6.5,
            short_axis_mm=5.25,
            box_short_axis_mm=6.0,
            extent_mm=(6.0, 6.5, 6.0),
            volume_mm3=120.5,
            mean_hu=88.25,
            max_hu=151.0,
            heterogeneity_hu=9.0,
            laterality="right",
            score=0.9,
            p_metastatic=p,
        )

    both = tuple(section(box, box.segmentation) for box in boxes)
    found = (node("n1", both, 0.7), node("n2", (section(alone, None),), 0.2))
    path = tmp_path / "linked_nodes.json"
    write_linked_nodes(LinkedNodes({"classifier_threshold": 0.55}, found), path)
    return path


def test_a_linked_node_is_one_group_with_all_its_outlines_and_measures(
    nodes: Path, linked: Path, tmp_path: Path
) -> None:
    result = run(nodes, "sr", folder=tmp_path, linked=linked)
    assert result.findings == 2
    content = content_of(result.outputs[0])
    (group,) = content.get_volumetric_roi_measurement_groups()
    assert (group.tracking_identifier, len(group.roi)) == ("n1", 2)
    assert group.finding_sites[0].laterality.value == "24028007"
    expected = {"103340004": (5.25, "mm"), "103339001": (6.5, "mm"), "118565006": (120.5, "mm3")}
    assert {code: measured(group, code) for code in expected} == expected
    hu = [(m.derivation.value, m.value) for m in group.get_measurements() if m.derivation]
    assert hu == [("373098007", 88.25), ("56851009", 151.0)]
    (other,) = content.get_planar_roi_measurement_groups()
    assert other.tracking_identifier == "n2"
    export_coco(CocoRequest(result.outputs, tmp_path / "back.json"))
    back = read_coco(tmp_path / "back.json").annotations
    assert [(box.node_id, box.category_id) for box in back] == [("n1", 2), ("n1", 2), (None, 1)]


def test_linked_nodes_are_of_the_models_and_the_threshold_of_their_own_file(
    nodes: Path, linked: Path, tmp_path: Path
) -> None:
    file = read_linked_nodes(linked)
    detector = {"name": "older", "sha256": "e" * 64}
    made_of = {"file": "boxes.json", "sha256": "f" * 64}
    info = {
        **file.info,
        "operating_threshold": 0.123,
        "detector": detector,
        "linked_from": made_of,
    }
    write_linked_nodes(replace(file, info=info), linked, overwrite=True)
    result = run(nodes, "sr", folder=tmp_path, linked=linked)
    report = highdicom.sr.srread(result.outputs[0])
    text = "\n".join(str(e.value) for e in report.iterall() if e.VR in ("UT", "LO"))
    assert "lnmdetect detector older" in text
    assert "threshold=0.123" in text
    assert "lnmdetect detector tiny" not in text
    assert "lnmdetect classifier small" in text
    assert result.threshold == 0.123
    assert result.notes == ("linked_nodes.json was linked from another file than this nodes.json",)


def test_nodes_linked_from_this_very_file_need_no_note(
    nodes: Path, linked: Path, tmp_path: Path
) -> None:
    file = read_linked_nodes(linked)
    made_of = {"file": "nodes.json", "sha256": hashlib.sha256(nodes.read_bytes()).hexdigest()}
    info = {**file.info, "linked_from": made_of}
    write_linked_nodes(replace(file, info=info), linked, overwrite=True)
    assert run(nodes, "sr", folder=tmp_path, linked=linked).notes == ()


def test_csv_lists_a_line_for_each_slice_of_a_linked_node(
    nodes: Path, linked: Path, tmp_path: Path
) -> None:
    result = export_csv(CsvRequest(nodes, tmp_path / "n.csv", linked=linked))
    rows = list(csv.DictReader((tmp_path / "n.csv").read_text().splitlines()))
    assert (result.findings, result.boxes) == (2, 3)
    assert [row["finding"] for row in rows] == ["n1", "n1", "n2"]
    assert [row["short_axis_mm"] for row in rows] == ["5.25"] * 3
    assert [row["category"] for row in rows] == ["metastatic", "metastatic", "benign"]


def test_linked_nodes_are_called_and_chosen_from_the_thresholds_on(
    nodes: Path, linked: Path, tmp_path: Path
) -> None:
    file = read_linked_nodes(linked)
    first, second = file.nodes
    changes = (
        replace(first, score=0.8, p_metastatic=0.55),
        replace(second, score=0.799, p_metastatic=0.549999),
    )
    write_linked_nodes(replace(file, nodes=changes), linked, overwrite=True)
    table = tmp_path / "n.csv"

    def rows(threshold: float | None) -> list[tuple[str, str]]:
        request = CsvRequest(nodes, table, linked=linked, threshold=threshold, overwrite=True)
        export_csv(request)
        lines = csv.DictReader(table.read_text().splitlines())
        return sorted({(line["finding"], line["category"]) for line in lines})

    assert rows(None) == [("n1", "metastatic"), ("n2", "benign")]
    assert rows(0.8) == [("n1", "metastatic")]


def test_findings_without_a_mask_are_counted_where_masks_are_written(
    nodes: Path, linked: Path, tmp_path: Path
) -> None:
    result = run(nodes, "seg", folder=tmp_path, linked=linked)
    assert result.notes == ("1 finding without a mask left out",)


def test_outlines_of_linked_nodes_become_segments(
    nodes: Path, linked: Path, tmp_path: Path
) -> None:
    result = run(nodes, "seg", folder=tmp_path, linked=linked)
    made = dcmread(result.outputs[0])
    assert [part.SegmentLabel for part in made.SegmentSequence] == ["n1"]
    assert made.NumberOfFrames == 2


@pytest.mark.server
@needs_dciodvfy
@pytest.mark.parametrize("kind", KINDS)
def test_dciodvfy_finds_no_error_with_linked_nodes(
    nodes: Path, linked: Path, tmp_path: Path, kind: str
) -> None:
    assert errors_of(run(nodes, kind, folder=tmp_path, linked=linked).outputs[0]) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_names_beyond_ascii_and_control_characters_make_sound_objects(
    nodes: Path, linked: Path, tmp_path: Path, kind: str
) -> None:
    nodes_of = read_linked_nodes(linked)
    named = replace(nodes_of.nodes[0], node_id="Knötchen\x1b\n\\1")
    write_linked_nodes(replace(nodes_of, nodes=(named,)), linked, overwrite=True)
    (path, *_) = run(nodes, kind, folder=tmp_path, linked=linked).outputs
    made = dcmread(path)
    if kind != "sc":
        assert made.SpecificCharacterSet == "ISO_IR 192"
        assert any(element.value == "Knötchen1" for element in made.iterall())
    if shutil.which("dciodvfy"):
        assert errors_of(path) == ""


def test_nodes_linked_from_another_file_are_refused(
    nodes: Path, linked: Path, tmp_path: Path
) -> None:
    fewer = changed(
        nodes, tmp_path, lambda data: replace(data, images=data.images[:1], annotations=())
    )
    with pytest.raises(InputError, match="--linked: node n1: expected slices that the boxes file"):
        run(fewer, "sr", linked=linked)
