"""`lnmdetect convert from-seg` and `from-rtstruct`: our own SEG, others', and contours by hand."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import pack_bits

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, CocoDataset
from lnmdetect.core.run_lengths import mask_of_runs
from lnmdetect.core.structure_names import parse_rules
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.dicom_write import derived_uid
from lnmdetect.stages.convert_in import FromResult
from lnmdetect.stages.convert_structures import FromStructuresRequest, from_rtstruct, from_seg
from lnmdetect.stages.export import ExportRequest, export
from tests.masked_scans import (
    COLUMNS,
    ORIENTATIONS,
    ROWS,
    SLICES,
    SPACING_MM,
    Drawn,
    ball,
    sections,
    three_nodes,
    write_scan,
    write_truth,
)
from tests.structure_sets import write_rtstruct

SERIES = derived_uid("masked/series")


def read(kind: str, path: Path, truth: Path, **options: Any) -> FromResult:
    stage = {"seg": from_seg, "rtstruct": from_rtstruct}[kind]
    scan = options.pop("scan", truth)
    request = FromStructuresRequest(path, scan, truth.parent / "back.json", **options)
    return stage(replace(request, overwrite=True))


def back(kind: str, path: Path, truth: Path, **options: Any) -> CocoDataset:
    return read_coco(read(kind, path, truth, **options).output)


def own_seg(truth: Path) -> Path:
    pytest.importorskip("highdicom")
    dataset = read_coco(truth)
    # Thin cross-sections are not for people, so that export leaves them out.
    counted = tuple(replace(a, ignored=False) for a in dataset.annotations)
    write_coco(replace(dataset, annotations=counted), truth, overwrite=True)
    path = truth.parent / "seg.dcm"
    export(ExportRequest(truth, "seg", path, overwrite=True))
    return path


def masks(dataset: CocoDataset, *more: str) -> list[tuple[Any, ...]]:
    """As `sections`, whether they are ignored aside."""
    return [(*one[:3], *one[4:]) for one in sections(dataset, *more)]


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_our_own_seg_comes_back_with_its_node_ids(
    tmp_path: Path, orientation: tuple[float, ...]
) -> None:
    truth = write_truth(tmp_path, orientation=orientation)
    found = back("seg", own_seg(truth), truth)
    assert masks(found, "node_id") == masks(read_coco(truth), "node_id")
    assert {a.category_id for a in found.annotations} == {LYMPH_NODE}


def test_rules_give_segments_their_class(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    rules = parse_rules(["left=negative", "ragged=extranodal_extension", "*=positive"])
    found = back("seg", own_seg(truth), truth, rules=rules, as_result=True)
    assert {(a.node_id, a.category_id, a.kind, a.score) for a in found.annotations} == {
        ("left", BENIGN, None, 1.0),
        ("right", METASTATIC, None, 1.0),
        ("ragged", METASTATIC, "extranodal", 1.0),
    }


def change_seg(path: Path, change: Callable[[Dataset], None]) -> Path:
    stored = dcmread(path)
    change(stored)
    stored.save_as(path, enforce_file_format=True)
    return path


def as_others(stored: Dataset) -> None:
    """Make it another tool's: labels that may name the patient, one segment of an organ."""
    stored.Manufacturer = "Other"
    for number, segment in enumerate(stored.SegmentSequence, start=1):
        segment.SegmentLabel = f"Canary^Yellow {number}"
    organ = stored.SegmentSequence[2]
    organ.SegmentedPropertyTypeCodeSequence[0].CodeValue = "45289007"
    del organ.AnatomicRegionSequence
    metastasis = stored.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0]
    metastasis.CodeValue = "94392001"


def test_of_another_tool_s_seg_nodes_are_taken_by_code_and_labels_are_not_shown(
    tmp_path: Path,
) -> None:
    truth = write_truth(tmp_path)
    path = change_seg(own_seg(truth), as_others)
    result = read("seg", path, truth)
    found = read_coco(result.output)
    assert {(a.node_id, a.category_id) for a in found.annotations} == {
        ("n1", LYMPH_NODE),
        ("n2", METASTATIC),
    }
    assert result.notes[0].startswith("1 structure left out")
    assert "Canary" not in result.output.read_text() + str(result)
    everything = back("seg", path, truth, rules=parse_rules(["*3=node"]))
    assert len({a.node_id for a in everything.annotations}) == 3


def test_of_two_labels_alike_neither_names_a_node(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)

    def alike(stored: Dataset) -> None:
        stored.SegmentSequence[1].SegmentLabel = stored.SegmentSequence[0].SegmentLabel

    found = back("seg", change_seg(own_seg(truth), alike), truth)
    assert masks(found) == masks(read_coco(truth))
    assert {a.node_id for a in found.annotations} == {"n1", "n2", "n3"}


def test_a_frame_that_names_no_slice_of_the_scan_lies_where_it_says(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)

    def silent(stored: Dataset) -> None:
        first, second, *_ = stored.PerFrameFunctionalGroupsSequence
        del first.DerivationImageSequence
        source = second.DerivationImageSequence[0].SourceImageSequence[0]
        source.ReferencedSOPInstanceUID = "1.2.9"

    found = back("seg", change_seg(own_seg(truth), silent), truth)
    assert masks(found) == masks(read_coco(truth))


def test_a_fractional_seg_counts_from_more_than_half(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, three_nodes()[:1])
    path = own_seg(truth)

    def fractional(stored: Dataset) -> None:
        pixels = stored.pixel_array.astype(np.uint8)
        shape = pixels.shape
        stored.SegmentationType = "FRACTIONAL"
        stored.SegmentationFractionalType = "PROBABILITY"
        stored.MaximumFractionalValue = 200
        stored.BitsAllocated = stored.BitsStored = 8
        stored.HighBit = 7
        noise = np.random.default_rng(0).integers(0, 101, shape)
        values = np.where(pixels > 0, 101, noise).astype(np.uint8)
        stored.PixelData = values.tobytes() + b"\0" * (values.size % 2)
        stored["PixelData"].VR = "OB"

    found = back("seg", change_seg(path, fractional), truth)
    assert masks(found) == masks(read_coco(truth))


def made_by_highdicom(truth: Path, kind: str, pixels: NDArray[np.uint8], **options: Any) -> Path:
    """A SEG of another tool; `pixels` in the order of the truth's slices."""
    highdicom = pytest.importorskip("highdicom")
    headers = {str(h.SOPInstanceUID): h for h in map(dcmread, truth.parent.glob("scan/*.dcm"))}
    ordered = [headers[image.sop_instance_uid] for image in read_coco(truth).images]
    coded = highdicom.sr.CodedConcept
    described = [
        highdicom.seg.SegmentDescription(
            number,
            f"Canary node {number}",
            coded("123037004", "SCT", "Anatomical Structure"),
            coded("59441001", "SCT", "Lymph node"),
            highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number in (1, 2, 3)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = highdicom.seg.Segmentation(
            ordered,
            pixels,
            highdicom.seg.SegmentationTypeValues[kind],
            described,
            *("1.2.3.4", 1, "1.2.3.5", 1, "Other", "Other", "1", "1"),
            **options,
        )
    made.save_as(truth.parent / "made.dcm")
    return truth.parent / "made.dcm"


def test_a_label_map_of_another_tool_is_read_by_its_values(tmp_path: Path) -> None:
    nodes = three_nodes()
    truth = write_truth(tmp_path, nodes, orientation=ORIENTATIONS["slices run downwards"])
    labels = np.zeros(nodes[0].inside.shape, np.uint8)
    for number, node in enumerate(nodes, start=1):
        labels[node.inside] = number
    found = back("seg", made_by_highdicom(truth, "LABELMAP", labels), truth)
    assert masks(found) == masks(read_coco(truth))
    assert {a.node_id for a in found.annotations} == {"n1", "n2", "n3"}


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
@pytest.mark.parametrize("sparse", [True, False])
def test_nodes_over_each_other_in_a_seg_of_highdicom_stay_whole_in_every_orientation(
    tmp_path: Path, orientation: tuple[float, ...], sparse: bool
) -> None:
    left, right, _ = three_nodes()
    over = Drawn("over", METASTATIC, ball((3, 14, 11), (2.2, 5, 4)))
    assert (over.inside & left.inside).any()
    nodes = (left, right, over)
    truth = write_truth(tmp_path, nodes, orientation=orientation)
    pixels = np.stack([node.inside for node in nodes], axis=-1).astype(np.uint8)
    path = made_by_highdicom(truth, "BINARY", pixels, omit_empty_frames=sparse)
    assert (int(dcmread(path).NumberOfFrames) == 3 * SLICES) == (not sparse)
    found = back("seg", path, truth)
    assert masks(found) == masks(read_coco(truth))
    assert {a.node_id for a in found.annotations} == {"n1", "n2", "n3"}


def test_a_seg_cut_to_the_nodes_lies_where_its_frames_say(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, orientation=ORIENTATIONS["rows run to the back"])

    def cut(stored: Dataset) -> None:
        kept = stored.pixel_array[:, 2:, 1:]
        stored.Rows, stored.Columns = kept.shape[1:]
        stored.PixelData = pack_bits(np.ascontiguousarray(kept))
        axes = stored.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
        across = np.array(axes.ImageOrientationPatient, float)
        for one in stored.PerFrameFunctionalGroupsSequence:
            place = one.PlanePositionSequence[0]
            moved = np.array(place.ImagePositionPatient, float)
            moved += 1 * 0.7 * across[:3] + 2 * 0.4 * across[3:]
            place.ImagePositionPatient = [f"{value:.6f}" for value in moved]

    found = back("seg", change_seg(own_seg(truth), cut), truth)
    assert masks(found, "node_id") == masks(read_coco(truth), "node_id")


def elsewhere(stored: Dataset) -> None:
    frame(stored).PlanePositionSequence[0].ImagePositionPatient = [0, 0, 0]


def nowhere(stored: Dataset) -> None:
    frame(stored).PlanePositionSequence[0].ImagePositionPatient = None


def without_axes(stored: Dataset) -> None:
    axes = stored.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    axes.ImageOrientationPatient = [0, 0, 0, 0, 0, 0]


def cut_short(stored: Dataset) -> None:
    stored.PixelData = stored.PixelData[:10]


def of_another_series(stored: Dataset) -> None:
    stored.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.9"


def on_one_another_s_slice(stored: Dataset) -> None:
    first, *_, last = stored.PerFrameFunctionalGroupsSequence
    first.PlanePositionSequence, last.PlanePositionSequence = (
        last.PlanePositionSequence,
        first.PlanePositionSequence,
    )


def of_no_segment(stored: Dataset) -> None:
    frame(stored).SegmentIdentificationSequence[0].ReferencedSegmentNumber = 9


def numbered_alike(stored: Dataset) -> None:
    stored.SegmentSequence[1].SegmentNumber = 1


def with_fewer_places(stored: Dataset) -> None:
    del stored.PerFrameFunctionalGroupsSequence[-1]


def an_image(stored: Dataset) -> None:
    stored.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (elsewhere, "between or beside them"),
        (nowhere, "whose frames say where they lie"),
        (without_axes, "whose frames say where they lie"),
        (cut_short, "whose frames say where they lie"),
        (of_another_series, "got other series"),
        (on_one_another_s_slice, "lies on another slice than the one it names"),
        (of_no_segment, "a frame of a segment it does not describe"),
        (numbered_alike, "two segments of one number"),
        (with_fewer_places, "whose frames say where they lie"),
        (an_image, "another kind of DICOM object"),
    ],
)
def test_a_seg_that_does_not_fit_the_scan_is_refused(
    tmp_path: Path, change: Callable[[Dataset], None], message: str
) -> None:
    truth = write_truth(tmp_path)
    path = change_seg(own_seg(truth), change)
    with pytest.raises(InputError, match=message):
        read("seg", path, truth)


def frame(stored: Dataset) -> Dataset:
    first = stored.PerFrameFunctionalGroupsSequence[0]
    assert isinstance(first, Dataset)
    return first


def place_of(truth: Path) -> Callable[[float, float, int], list[float]]:
    """From (column, row, slice), whole at pixels' centres, to mm, by the slices' own headers."""
    uids = [image.sop_instance_uid for image in read_coco(truth).images]
    headers = {str(h.SOPInstanceUID): h for h in map(dcmread, truth.parent.glob("scan/*.dcm"))}

    def place(column: float, row: float, index: int) -> list[float]:
        header = headers[uids[index]]
        axes = np.array(header.ImageOrientationPatient, float)
        row_mm, column_mm = map(float, header.PixelSpacing)
        origin = np.array(header.ImagePositionPatient, float)
        point = origin + column * column_mm * axes[:3] + row * row_mm * axes[3:]
        return [float(value) for value in point]

    return place


def outline(points: Sequence[tuple[float, float]], index: int, truth: Path) -> list[float]:
    place = place_of(truth)
    return [value for column, row in points for value in place(column, row, index)]


def rows_of(node: Drawn, truth: Path) -> list[list[float]]:
    """Each run of pixels along a row as a contour along the pixels' edges."""
    found = []
    for index, row in zip(*np.nonzero(node.inside.any(axis=2)), strict=True):
        steps = np.diff(np.pad(node.inside[index, row].astype(int), 1))
        for left, right in zip(*(np.flatnonzero(steps == way) for way in (1, -1)), strict=True):
            corners = [(left, row), (right, row), (right, row + 1), (left, row + 1)]
            edges = [(float(c) - 0.5, float(r) - 0.5) for c, r in corners]
            found.append(outline(edges, int(index), truth))
    return found


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_contours_along_pixel_edges_come_back_as_the_masks(
    tmp_path: Path, orientation: tuple[float, ...]
) -> None:
    truth = write_truth(tmp_path, orientation=orientation)
    names = ("LN left benign", "LN right pos", "LN ragged ENE")
    drawn = [(n, rows_of(d, truth)) for n, d in zip(names, three_nodes(), strict=True)]
    found = back("rtstruct", write_rtstruct(tmp_path / "rs.dcm", drawn, series=SERIES), truth)
    assert sections(found, "category_id") == sections(read_coco(truth), "category_id")
    assert {(a.node_id, a.kind) for a in found.annotations} == {
        *(("n1", None), ("n2", None), ("n3", "extranodal"))
    }


def test_a_hole_and_a_second_part_belong_to_the_structure_until_it_is_split(
    tmp_path: Path,
) -> None:
    truth = write_truth(tmp_path)
    outer, inner, apart = (
        outline([(a, a), (b, a), (b, b), (a, b)], 2, truth)
        for a, b in ((3.5, 9.5), (5.5, 7.5), (12.5, 14.5))
    )
    path = write_rtstruct(tmp_path / "rs.dcm", [("node", [outer, inner, apart])], series=SERIES)
    (one,) = back("rtstruct", path, truth).annotations
    assert one.box_xyxy == (4, 4, 15, 15)
    first, second = back("rtstruct", path, truth, split=True).annotations
    assert (first.box_xyxy, second.box_xyxy) == ((4, 4, 10, 10), (13, 13, 15, 15))
    assert {first.node_id, second.node_id} == {"n1-1", "n1-2"}


def test_only_structures_that_speak_of_nodes_are_taken_unless_named(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    box = outline([(3.5, 3.5), (9.5, 3.5), (9.5, 9.5)], 2, truth)
    path = write_rtstruct(
        tmp_path / "rs.dcm", [("BODY Canary", [box]), ("LN 2", [box])], series=SERIES
    )
    result = read("rtstruct", path, truth)
    assert (result.nodes, result.sections) == (1, 1)
    assert result.notes[0].startswith("1 structure left out")
    assert "Canary" not in result.output.read_text() + str(result)
    other = read("rtstruct", path, truth, rules=parse_rules(["body*=negative", "LN*=ignore"]))
    assert other.nodes == 1
    assert read_coco(other.output).annotations[0].category_id == BENIGN
    with pytest.raises(InputError, match=r"got none\. Name them with --class") as caught:
        read("rtstruct", path, truth, rules=parse_rules(["LN*=ignore"]))
    assert "Canary" not in str(caught.value)


def squares(*corners: tuple[float, float], truth: Path) -> list[list[float]]:
    """On slice 2, each from (a, a) to (b, b)."""
    return [outline([(a, a), (b, a), (b, b), (a, b)], 2, truth) for a, b in corners]


def drawn_px(path: Path, truth: Path) -> int:
    (one,) = back("rtstruct", path, truth).annotations
    assert one.segmentation is not None
    return int(mask_of_runs(one.segmentation, (ROWS, COLUMNS)).sum())


def test_contours_drawn_twice_or_over_each_other_stay_unless_they_exclude_each_other(
    tmp_path: Path,
) -> None:
    truth = write_truth(tmp_path)
    for contours, px, excluded_px in (
        (squares((3.5, 9.5), (3.5, 9.5), (12.5, 14.5), truth=truth), 36 + 4, 4),
        (squares((3.5, 9.5), (7.5, 12.5), truth=truth), 36 + 25 - 4, 36 + 25 - 2 * 4),
        (squares((3.5, 9.5), (5.5, 7.5), truth=truth), 36 - 4, 36 - 4),
    ):
        path = write_rtstruct(tmp_path / "rs.dcm", [("LN", contours)], series=SERIES)
        assert drawn_px(path, truth) == px
        write_rtstruct(path, [("LN", contours)], series=SERIES, kind="CLOSEDPLANAR_XOR")
        assert drawn_px(path, truth) == excluded_px


def test_slices_that_were_left_out_are_told_and_stay_empty(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    around = ((3.5, 3.5), (9.5, 3.5), (9.5, 9.5), (3.5, 9.5))
    contours = [outline(around, index, truth) for index in (1, 2, 4)]
    path = write_rtstruct(
        tmp_path / "rs.dcm", [("LN", contours), ("LN 2", contours[:2])], series=SERIES
    )
    result = read("rtstruct", path, truth)
    assert (result.nodes, result.sections) == (2, 5)
    (note,) = result.notes
    assert note.startswith("1 structure with slices on which nothing is drawn between others")
    split = read("rtstruct", path, truth, split=True)
    assert (split.nodes, split.sections, split.notes) == (3, 5, ())


def test_two_structures_of_one_number_are_refused(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    drawn = squares((3.5, 9.5), truth=truth)
    path = write_rtstruct(tmp_path / "rs.dcm", [("LN", drawn), ("LN 2", drawn)], series=SERIES)
    stored = dcmread(path)
    stored.StructureSetROISequence[1].ROINumber = 1
    stored.save_as(path)
    with pytest.raises(InputError, match="got two structures of one number"):
        read("rtstruct", path, truth)


def test_a_structure_set_of_two_of_the_scans_asks_which(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    write_scan(tmp_path / "scan/more", [], seed="second")
    path = write_rtstruct(
        tmp_path / "rs.dcm", [("LN", squares((3.5, 9.5), truth=truth))], series=SERIES
    )
    assert read("rtstruct", path, truth, scan=tmp_path / "scan").nodes == 1
    stored = dcmread(path)
    study = stored.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    second = Dataset()
    second.SeriesInstanceUID = derived_uid("second/series")
    study.RTReferencedSeriesSequence.append(second)
    stored.save_as(path)
    with pytest.raises(InputError, match=r"got 2 scans\..*--series"):
        read("rtstruct", path, truth, scan=tmp_path / "scan")


def test_open_contours_and_those_around_no_centre_are_told(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    box = outline([(3.5, 3.5), (9.5, 3.5), (9.5, 9.5)], 2, truth)
    tiny = outline([(3.1, 3.1), (3.2, 3.1), (3.2, 3.2)], 2, truth)
    path = write_rtstruct(tmp_path / "rs.dcm", [("LN", [box]), ("LN tiny", [tiny])], series=SERIES)
    result = read("rtstruct", path, truth)
    assert result.nodes == 1
    assert result.notes == ("1 structure left out: no pixel's centre lies inside",)
    write_rtstruct(path, [("LN", [box]), ("LN cut", [tiny])], series=SERIES, kind="OPEN_PLANAR")
    with pytest.raises(InputError, match="got none"):
        read("rtstruct", path, truth)


def test_contours_across_between_or_beyond_the_slices_are_refused(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    place = place_of(truth)
    across = [*place(3, 3, 1), *place(9, 3, 1), *place(9, 9, 3)]
    beyond = outline([(3.5, 3.5), (9.5, 3.5), (9.5, 9.5)], 2, truth)
    beyond[2::3] = [z + 500 for z in beyond[2::3]]
    last = outline([(3.5, 3.5), (9.5, 3.5), (9.5, 9.5)], SLICES - 1, truth)
    between, above = last.copy(), last.copy()
    between[2::3] = [z - 0.4 * SPACING_MM[0] for z in last[2::3]]
    above[2::3] = [z + SPACING_MM[0] for z in last[2::3]]
    beside = outline([(COLUMNS - 3, 3.5), (COLUMNS + 3, 3.5), (COLUMNS, 9.5)], 2, truth)
    for contours, message in (
        (across, "one across them"),
        (beyond, "one beyond the scan"),
        (above, "one beyond the scan"),
        (beside, "one beyond the scan"),
        (between, "one between them"),
    ):
        path = write_rtstruct(tmp_path / "rs.dcm", [("LN", [contours])], series=SERIES)
        with pytest.raises(InputError, match=message):
            read("rtstruct", path, truth)


def test_structures_of_another_series_or_of_no_structure_set_are_refused(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    path = write_rtstruct(tmp_path / "rs.dcm", [("LN", [])], series="1.2.3")
    with pytest.raises(InputError, match="got other series"):
        read("rtstruct", path, truth)
    image = next(tmp_path.glob("scan/*.dcm"))
    with pytest.raises(InputError, match="another kind of DICOM object"):
        read("rtstruct", image, truth)
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(InputError, match="expected a DICOM RT Structure Set"):
        read("rtstruct", tmp_path / "text.dcm", truth)


def test_the_folder_of_scans_serves_as_well_as_the_list(tmp_path: Path) -> None:
    node = Drawn("one", METASTATIC, ball((3, 10, 10), (2, 4, 4)))
    truth = write_truth(tmp_path, (node,))
    path = write_rtstruct(
        tmp_path / "rs.dcm", [("GTVn metastasis", rows_of(node, truth))], series=SERIES
    )
    found = back("rtstruct", path, truth, scan=tmp_path / "scan")
    assert sections(found, "category_id") == sections(read_coco(truth), "category_id")
