"""`lnmdetect convert` to and from label maps: exact both ways, in every orientation."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from lnmdetect.core.cases import Layout
from lnmdetect.core.errors import InputError, OutputError
from lnmdetect.core.node_classes import ONE, THREE, TWO
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, CocoDataset
from lnmdetect.core.structure_names import parse_rules
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.stages.convert_from_labels import FromLabelsRequest, from_labels
from lnmdetect.stages.convert_in import FromResult
from lnmdetect.stages.convert_out import ToLabelsRequest, nifti_masks, to_labels
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_request import EvalRequest
from tests.masked_scans import (
    ORIENTATIONS,
    ROWS,
    Drawn,
    annotation,
    ball,
    sections,
    three_nodes,
    write_scan,
    write_truth,
)

nibabel = pytest.importorskip("nibabel")


def out(truth: Path, layout: Layout = "nifti", **options: Any) -> Path:
    if layout == "nndetection":
        options.setdefault("values", "instances")
    folder = options.pop("folder", truth.parent / "converted")
    to_labels(ToLabelsRequest(truth, folder, layout, **options))
    assert isinstance(folder, Path)
    return folder


def back(folder: Path, truth: Path, layout: Layout = "nifti", **options: Any) -> CocoDataset:
    return read_coco(read_back(folder, truth, layout, **options).output)


def read_back(folder: Path, truth: Path, layout: Layout = "nifti", **options: Any) -> FromResult:
    request = FromLabelsRequest(
        folder, options.pop("scan", truth), truth.parent / "back.json", layout=layout, **options
    )
    return from_labels(replace(request, overwrite=True))


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
@pytest.mark.parametrize("layout", ["nifti", "nnunet", "nndetection"])
def test_masks_boxes_and_classes_come_back_exactly(
    tmp_path: Path, layout: Layout, orientation: tuple[float, ...]
) -> None:
    truth = write_truth(tmp_path, orientation=orientation)
    found = back(out(truth, layout), truth, layout)
    given = read_coco(truth)
    assert found.images == given.images
    assert sections(found, "category_id") == sections(given, "category_id")
    extranodal = [a.kind == "extranodal" for a in found.annotations]
    assert sum(extranodal) == sum(a.kind == "extranodal" for a in given.annotations) > 0


@pytest.mark.parametrize("values", ["instances"])
def test_maps_of_instances_bring_back_what_is_known_of_each_node(
    tmp_path: Path, values: str
) -> None:
    truth = write_truth(tmp_path)
    more = ("node_id", "kind", "level", "short_axis_mm", "category_id")
    found = back(out(truth, values=values), truth)
    assert sections(found, *more) == sections(read_coco(truth), *more)


def test_the_short_axis_of_an_edited_instance_is_measured_again(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    folder = out(truth, values="instances")
    path = folder / "labels/case_0001.nii.gz"
    stored = nibabel.load(path)
    values = np.array(stored.dataobj)
    values[values == 2] = 0
    values[14:21, :12, 3] = 2
    nibabel.save(nibabel.Nifti1Image(values, stored.affine), path)
    axes = {a.node_id: a.short_axis_mm for a in back(folder, truth).annotations}
    # 12 rows of 0.4 mm, 7 columns of 0.7 mm; an ellipse of the same moments, 2 / sqrt(3) as wide.
    assert axes == {"left": 4.25, "right": round(12 * 0.4 * 2 / 3**0.5, 3), "ragged": 4.25}
    cases = json.loads((folder / "cases.json").read_text())
    given = [node["voxels"] for node in cases["cases"][0]["nodes"]]
    drawn = three_nodes()
    assert given[0] == drawn[0].inside.sum() - (drawn[0].inside & drawn[1].inside).sum()
    for node in cases["cases"][0]["nodes"]:
        del node["voxels"]
    (folder / "cases.json").write_text(json.dumps(cases))
    assert {a.short_axis_mm for a in back(folder, truth).annotations} == {4.25}


def test_nnunet_finds_the_layout_that_its_documentation_asks_for(tmp_path: Path) -> None:
    folder = out(write_truth(tmp_path), "nnunet")
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert files == {
        *("dataset.json", "cases.json", "run.json"),
        *("imagesTr/case_0001_0000.nii.gz", "labelsTr/case_0001.nii.gz"),
    }
    info = json.loads((folder / "dataset.json").read_text())
    assert info["labels"] == {
        **{"background": 0, "negative": 1, "positive": 2},
        "extranodal_extension": 3,
    }
    assert (info["channel_names"], info["numTraining"], info["file_ending"]) == (
        *({"0": "CT"}, 1),
        ".nii.gz",
    )
    assert info["overwrite_image_reader_writer"] == "NibabelIO"
    image, labels = (
        nibabel.load(folder / name)
        for name in ("imagesTr/case_0001_0000.nii.gz", "labelsTr/case_0001.nii.gz")
    )
    assert np.array_equal(image.affine, labels.affine)
    assert set(np.unique(labels.dataobj)) == {0, 1, 2, 3}


def test_nndetection_finds_instances_from_1_and_classes_from_0(tmp_path: Path) -> None:
    folder = out(write_truth(tmp_path), "nndetection")
    labels = nibabel.load(folder / "raw_splitted/labelsTr/case_0001.nii.gz")
    assert set(np.unique(labels.dataobj)) == {0, 1, 2, 3}
    table = json.loads((folder / "raw_splitted/labelsTr/case_0001.json").read_text())
    assert table == {"instances": {"1": 0, "2": 1, "3": 2}}
    info = json.loads((folder / "dataset.json").read_text())
    assert info["labels"] == {"0": "negative", "1": "positive", "2": "extranodal_extension"}
    assert (info["dim"], info["modalities"], info["test_labels"]) == (3, {"0": "CT"}, False)
    assert (folder / "raw_splitted/imagesTr/case_0001_0000.nii.gz").is_file()


@pytest.mark.parametrize(
    ("classes", "values"), [(THREE, {0, 1, 2, 3}), (TWO, {0, 1, 2}), (ONE, {0, 1})]
)
def test_classes_are_merged_as_asked(tmp_path: Path, classes: Any, values: set[int]) -> None:
    truth = write_truth(tmp_path)
    folder = out(truth, classes=classes)
    labels = nibabel.load(folder / "labels/case_0001.nii.gz")
    assert set(np.unique(labels.dataobj)) == values
    found = {a.category_id for a in back(folder, truth).annotations}
    assert found == ({LYMPH_NODE} if classes == ONE else {BENIGN, METASTATIC})


@pytest.mark.parametrize("name", ["usual", "slices run downwards", "rows run to the back"])
def test_a_label_map_that_another_tool_turned_round_is_read_the_same(
    tmp_path: Path, name: str
) -> None:
    truth = write_truth(tmp_path, orientation=ORIENTATIONS[name])
    folder = out(truth)
    path = folder / "labels/case_0001.nii.gz"
    turned = nibabel.as_closest_canonical(nibabel.load(path))
    assert not np.array_equal(turned.affine, nibabel.load(path).affine)
    nibabel.save(turned, path)
    given = read_coco(truth)
    assert sections(back(folder, truth)) == sections(given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v, a: (v[:, :-1], a), r"32 x 24 x 7 voxels.*got 32 x 23 x 7 voxels\."),
        (lambda v, a: (v, a @ np.diag([1, 1, 2, 1])), "lie elsewhere in the patient"),
        (lambda v, a: (v, np.diag([-1, -1, 1, 1]) @ a), "lie elsewhere in the patient"),
        (lambda v, a: (v, a @ np.diag([1.1, 1, 1, 1])), "lie elsewhere in the patient"),
    ],
    ids=["cropped", "thicker", "LPS taken for RAS", "wider"],
)
def test_another_grid_is_refused_in_one_sentence(tmp_path: Path, change: Any, message: str) -> None:
    truth = write_truth(tmp_path)
    folder = out(truth)
    path = folder / "labels/case_0001.nii.gz"
    stored = nibabel.load(path)
    values, affine = change(np.asarray(stored.dataobj), stored.affine)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    with pytest.raises(InputError, match=f"case_0001.nii.gz: expected the grid of its.*{message}"):
        back(folder, truth)


def two_scans(folder: Path, **second: Any) -> Path:
    """A truth of two patients, on scans of the same size."""
    images, nodes = write_scan(folder / "scan" / "a", three_nodes(), seed="first")
    more_images, more_nodes = write_scan(
        folder / "scan" / "b", three_nodes()[:1], seed="second", **second
    )
    info = {"phantom": True, "scan_root": "scan", "coverage": "all_slices"}
    count, last = len(images), len(nodes)
    dataset = CocoDataset(
        info,
        (*images, *(image.with_id(count + image.image_id) for image in more_images)),
        (
            *nodes,
            *(
                replace(n, annotation_id=last + n.annotation_id, image_id=count + n.image_id)
                for n in more_nodes
            ),
        ),
    )
    write_coco(dataset, folder / "truth.json")
    return folder / "truth.json"


def test_each_map_is_joined_with_the_scan_that_cases_json_names(tmp_path: Path) -> None:
    truth = two_scans(tmp_path)
    folder = out(truth)
    assert sections(back(folder, truth)) == sections(read_coco(truth))
    labels = folder / "labels"
    found = back(labels, truth, cases=folder / "cases.json")
    assert sections(found) == sections(read_coco(truth))


def test_without_cases_json_the_grid_tells_or_the_series_in_the_name(tmp_path: Path) -> None:
    truth = two_scans(tmp_path, origin_mm=(0.0, 0.0, 50.0))
    labels = out(truth) / "labels"
    assert sections(back(labels, truth)) == sections(read_coco(truth))
    alike = two_scans(tmp_path / "alike")
    labels = out(alike) / "labels"
    with pytest.raises(InputError, match=r"one of the 2 scans, got those of 2 of them.*cases.json"):
        back(labels, alike)
    series = dict.fromkeys(image.series for image in read_coco(alike).images)
    for number, uid in enumerate(series, start=1):
        (labels / f"case_{number:04d}.nii.gz").rename(labels / f"{uid}.nii.gz")
    assert sections(back(labels, alike)) == sections(read_coco(alike))


def test_scans_without_a_label_map_are_left_out_and_told(tmp_path: Path) -> None:
    truth = two_scans(tmp_path)
    folder = out(truth)
    (folder / "labels/case_0002.nii.gz").unlink()
    result = read_back(folder, truth)
    assert (result.scans, result.slices, result.notes) == (
        *(1, 7),
        ("1 scan without a label map left out",),
    )


def test_numbers_that_nothing_explains_are_read_as_classes_and_that_is_told(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    labels = out(truth) / "labels"
    (note,) = read_back(labels, truth).notes
    assert note.startswith("no table says what the numbers stand for: read as 1 negative")
    rules = parse_rules(["1=negative", "2=positive", "3=positive"])
    assert read_back(labels, truth, rules=rules).notes == ()
    assert read_back(labels, truth, values="instances").notes == ()
    assert read_back(labels.parent, truth).notes == ()


def test_two_maps_of_a_scan_are_refused(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    labels = out(truth) / "labels"
    (labels / "again.nii.gz").write_bytes((labels / "case_0001.nii.gz").read_bytes())
    with pytest.raises(InputError, match=r"the same scan as again\.nii\.gz"):
        back(labels, truth)


def test_the_folder_of_scans_serves_as_well_as_the_list(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, orientation=ORIENTATIONS["slices run downwards"])
    found = back(out(truth), truth, scan=tmp_path / "scan")
    assert sections(found) == sections(read_coco(truth))
    assert found.info["scan_root"] == "scan"
    assert found.images[0].patient.startswith("p-")


def test_a_result_is_scored_and_joins_what_touches(tmp_path: Path) -> None:
    core, rim = ball((3, 10, 10), (2, 4, 4)), ball((3, 10, 15), (2, 3, 3))
    nodes = (
        Drawn("core", METASTATIC, core),
        Drawn("rim", METASTATIC, rim & ~core, "extranodal"),
    )
    truth = write_truth(tmp_path, nodes)
    folder = out(truth, "nnunet")
    as_truth = back(folder, truth, "nnunet")
    assert {a.node_id for a in as_truth.annotations} == {"n1", "n2"}
    assert {a.score for a in as_truth.annotations} == {None}
    result = back(folder, truth, "nnunet", as_result=True)
    assert {a.node_id for a in result.annotations} == {"n1"}
    assert {(a.score, a.category_id, a.kind, a.ignored) for a in result.annotations} == {
        (1.0, METASTATIC, None, False)
    }
    assert result.info["operating_threshold"] == 0.0


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_an_answer_with_probabilities_is_scored_by_the_mean_of_its_voxels(
    tmp_path: Path, orientation: tuple[float, ...]
) -> None:
    node = Drawn("one", METASTATIC, ball((3, 10, 10), (2, 4, 4)))
    truth = write_truth(tmp_path, (node,), orientation=orientation)
    folder = out(truth, "nnunet")
    labels = folder / "labelsTr"
    (labels / "dataset.json").write_text((folder / "dataset.json").read_text())
    maps = np.zeros((4, *node.inside.shape), np.float16)
    maps[0] = 1
    shares = np.array([0.25, 0.125, 0.125, 0.5])
    maps[:, node.inside] = shares[:, None]
    maps[:, 3][:, node.inside[3]] = np.array([0.75, 0.25, 0, 0])[:, None]
    np.savez_compressed(labels / "case_0001.npz", probabilities=maps)
    cases = folder / "cases.json"
    found = back(labels, truth, "nnunet", as_result=True, cases=cases).annotations
    lower = node.inside[3].sum() / node.inside.sum()
    p_benign = 0.125 * (1 - lower) + 0.25 * lower
    total = 0.75 * (1 - lower) + 0.25 * lower
    assert {a.score for a in found} == {round(total, 6)}
    assert found[0].probabilities == {
        "benign": round(p_benign / total, 6),
        "metastatic": round(1 - round(p_benign / total, 6), 6),
    }
    assert found[0].kind == "extranodal"
    given = found[0].extra["class_probabilities"]
    assert list(given) == list(THREE)
    assert sum(given.values()) == pytest.approx(1, abs=1e-5)
    assert {a.score for a in back(labels, truth, "nnunet", cases=cases).annotations} == {None}


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (np.zeros((4, 7, 24, 31), np.float16), "an array of 4 x 7 x 24 x 31"),
        (np.full((4, 7, 24, 32), 2, np.float16), "no probabilities"),
        (np.zeros((3, 7, 24, 32), np.float16), "values 1, 2, 3, got those of 2"),
        (np.array([{}]), "cannot be read"),
    ],
    ids=["another size", "logits", "fewer classes", "pickled"],
)
def test_probabilities_that_do_not_fit_are_refused(tmp_path: Path, maps: Any, message: str) -> None:
    truth = write_truth(tmp_path)
    folder = out(truth, "nnunet")
    np.savez(folder / "labelsTr/case_0001.npz", probabilities=maps)
    with pytest.raises(InputError, match=message):
        back(folder, truth, "nnunet", as_result=True)


def test_nnunet_s_ignore_label_is_no_class_of_its_answers_and_no_background_of_truth(
    tmp_path: Path,
) -> None:
    node = Drawn("one", METASTATIC, ball((3, 10, 10), (2, 4, 4)))
    truth = write_truth(tmp_path, (node,))
    folder = out(truth, "nnunet")
    info = json.loads((folder / "dataset.json").read_text())
    info["labels"]["ignore"] = 4
    (folder / "dataset.json").write_text(json.dumps(info))
    maps = np.zeros((4, *node.inside.shape), np.float16)
    maps[2] = 0.5
    np.savez_compressed(folder / "labelsTr/case_0001.npz", probabilities=maps)
    found = back(folder, truth, "nnunet", as_result=True)
    assert {a.score for a in found.annotations} == {0.5}
    path = folder / "labelsTr/case_0001.nii.gz"
    stored = nibabel.load(path)
    values = np.array(stored.dataobj)
    values[0, 0, 0] = 4
    nibabel.save(nibabel.Nifti1Image(values, stored.affine), path)
    with pytest.raises(InputError, match=r"classes 1, 2, 3, got 4\."):
        back(folder, truth, "nnunet")
    rules = parse_rules(["4=ignore"])
    assert sections(back(folder, truth, "nnunet", rules=rules)) == sections(read_coco(truth))


def test_nodes_that_a_map_of_classes_cannot_keep_apart_are_told(tmp_path: Path) -> None:
    nodes = (
        Drawn("a", BENIGN, ball((3, 10, 10), (2, 4, 4))),
        Drawn("b", BENIGN, ball((3, 10, 18), (2, 4, 4)) & ~ball((3, 10, 10), (2, 4, 4))),
        Drawn("c", BENIGN, ball((3, 20, 27), (2, 2, 2))),
    )
    truth = write_truth(tmp_path, nodes)
    result = to_labels(ToLabelsRequest(truth, tmp_path / "classes"))
    assert result.nodes == 3
    assert result.notes[0].startswith("2 nodes touching another of the same class")
    kept = to_labels(ToLabelsRequest(truth, tmp_path / "instances", values="instances"))
    assert kept.notes == ()
    assert sections(back(tmp_path / "instances", truth), "node_id") == sections(
        read_coco(truth), "node_id"
    )


def test_parts_on_a_slice_that_meet_on_another_are_one_node_and_no_loss(tmp_path: Path) -> None:
    inside = ball((3, 10, 10), (2, 6, 6))
    inside[4, :, 9:12] = inside[5] = False
    truth = write_truth(tmp_path, (Drawn("forked", BENIGN, inside),))
    dataset = read_coco(truth)
    forked = dataset.annotations[3]
    left, right = inside[4].copy(), inside[4].copy()
    left[:, 9:] = right[:, :12] = False
    parts = [
        annotation(number, Drawn("forked", BENIGN, np.stack([part] * 7)), 4)
        for number, part in ((90, left), (91, right))
    ]
    assert forked.image_id == parts[0].image_id
    others = [a for a in dataset.annotations if a is not forked]
    write_coco(replace(dataset, annotations=(*others, *parts)), truth, overwrite=True)
    assert to_labels(ToLabelsRequest(truth, tmp_path / "converted")).notes == ()
    assert sections(back(tmp_path / "converted", truth)) == sections(dataset)


def test_a_node_of_two_classes_is_told(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    dataset = read_coco(truth)
    first, *others = dataset.annotations
    assert (first.node_id, first.category_id) == ("left", BENIGN)
    changed = (replace(first, category_id=METASTATIC, kind=None), *others)
    write_coco(replace(dataset, annotations=changed), truth, overwrite=True)
    result = to_labels(ToLabelsRequest(truth, tmp_path / "classes"))
    assert result.notes == (
        "1 node whose cross-sections are of several classes: each has its own in the map, so they "
        "come back in parts",
    )
    assert sections(back(tmp_path / "classes", truth), "category_id") == sections(
        read_coco(truth), "category_id"
    )
    kept = to_labels(ToLabelsRequest(truth, tmp_path / "instances", values="instances"))
    assert kept.notes[0].endswith("the class of the first stands for the node")
    merged = ToLabelsRequest(truth, tmp_path / "one", classes=ONE)
    assert to_labels(merged).notes == ()


def test_more_nodes_than_numbers_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lnmdetect.stages.convert_volumes.LARGEST_LABEL", 2)
    with pytest.raises(InputError, match=r"at most 2 nodes.*got 3"):
        out(write_truth(tmp_path))


def test_of_overlapping_masks_the_later_has_the_pixels(tmp_path: Path) -> None:
    under, over = ball((3, 10, 10), (2, 4, 4)), ball((3, 10, 13), (2, 4, 4))
    hidden = ball((3, 10, 13), (1, 1, 1))
    nodes = (
        Drawn("hidden", BENIGN, hidden),
        Drawn("under", BENIGN, under),
        Drawn("over", METASTATIC, over),
    )
    truth = write_truth(tmp_path, nodes)
    result = to_labels(ToLabelsRequest(truth, tmp_path / "converted", values="instances"))
    shared = int((under & over).sum() + hidden.sum())
    assert result.notes == (
        "1 node left out: others cover the whole of them",
        f"{shared} pixels claimed by two masks: the later annotation has them",
    )
    labels = np.asarray(nibabel.load(tmp_path / "converted/labels/case_0001.nii.gz").dataobj)
    assert set(np.unique(labels)) == {0, 1, 2}
    assert {a.node_id for a in back(tmp_path / "converted", truth).annotations} == {"under", "over"}


def test_answers_of_another_tool_are_scored_by_eval_also_where_they_are_empty(
    tmp_path: Path,
) -> None:
    truth = write_truth(tmp_path)
    folder = out(truth, "nnunet")
    request = EvalRequest((truth,), nodes=(tmp_path / "back.json",), bootstrap=0)
    found = back(folder, truth, "nnunet", as_result=True)
    assert found.info["masks_from"] == "nnunet"
    masks = evaluate(request).masks
    assert masks is not None
    assert masks.dice.per_volume["all"].value == 1
    assert masks.detection["negative"].called_over_half.value == 1
    path = folder / "labelsTr/case_0001.nii.gz"
    stored = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.zeros(stored.shape, np.uint8), stored.affine), path)
    assert back(folder, truth, "nnunet", as_result=True).annotations == ()
    masks = evaluate(request).masks
    assert masks is not None
    assert masks.dice.per_volume["all"].value == masks.detection["all"].over_0.value == 0


def test_a_test_fold_stays_out_of_training_and_no_patient_is_parted(tmp_path: Path) -> None:
    truth = two_scans(tmp_path)
    dealt = {"1": ["p-first"], "test": ["p-second"]}
    folds = {"folds": [{"name": n, "patients": p} for n, p in dealt.items()]}
    (tmp_path / "folds.json").write_text(json.dumps(folds))
    folder = out(truth, "nnunet", folds=tmp_path / "folds.json")
    assert (folder / "imagesTs/case_0002_0000.nii.gz").is_file()
    assert (folder / "labelsTs/case_0002.nii.gz").is_file()
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 1
    assert not (folder / "splits_final.json").exists()
    assert sections(back(folder, truth, "nnunet")) == sections(read_coco(truth))
    folds = {
        "folds": [{"name": n, "patients": [f"p-{p}"]} for n, p in (("1", "first"), ("2", "second"))]
    }
    (tmp_path / "folds.json").write_text(json.dumps(folds))
    folder = out(truth, "nnunet", folds=tmp_path / "folds.json", overwrite=True)
    assert json.loads((folder / "splits_final.json").read_text()) == [
        {"train": ["case_0002"], "val": ["case_0001"]},
        {"train": ["case_0001"], "val": ["case_0002"]},
    ]
    assert not (folder / "imagesTs/case_0002_0000.nii.gz").exists()


def test_a_patient_in_no_fold_is_refused(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    (tmp_path / "folds.json").write_text('{"folds": [{"name": "1", "patients": ["other"]}]}')
    with pytest.raises(InputError, match="got 1 patient in none"):
        out(truth, "nnunet", folds=tmp_path / "folds.json")


def test_numbers_and_names_of_other_tools_are_taken_by_rule(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    folder = out(truth, "nnunet")
    info = json.loads((folder / "dataset.json").read_text())
    info["labels"] = {"background": 0, "tumour": 1, "LN metastatic": 2, "vessel": 3}
    (folder / "dataset.json").write_text(json.dumps(info))
    with pytest.raises(InputError, match=r"label 1: .*--class 1=CLASS"):
        back(folder, truth, "nnunet")
    rules = parse_rules(["tum*=negative", "3=ignore"])
    found = back(folder, truth, "nnunet", rules=rules)
    given = [a for a in read_coco(truth).annotations if a.kind != "extranodal"]
    assert [a.category_id for a in found.annotations] == [a.category_id for a in given]


def test_an_unknown_number_is_refused_with_what_to_do(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    folder = out(truth, values="instances") / "labels"
    path = folder / "case_0001.nii.gz"
    stored = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.asarray(stored.dataobj) * 4, stored.affine), path)
    with pytest.raises(InputError, match=r"classes 1, 2, 3, got 4\..*--values instances"):
        back(folder, truth)
    found = back(folder, truth, values="instances")
    assert {a.node_id for a in found.annotations} == {"n4", "n8", "n12"}
    assert {a.category_id for a in found.annotations} == {LYMPH_NODE}


@pytest.mark.parametrize("layout", ["nnunet", "nndetection"])
def test_a_table_that_lacks_an_instance_or_is_damaged_is_named(
    tmp_path: Path, layout: Layout
) -> None:
    truth = write_truth(tmp_path)
    folder = out(truth, layout)
    if layout == "nndetection":
        (folder / "cases.json").unlink()
        table = folder / "raw_splitted/labelsTr/case_0001.json"
        table.write_text('{"instances": {"1": 0, "2": 1}}')
        with pytest.raises(InputError, match=r"case_0001.json: .*none of instance 3"):
            back(folder, truth, layout)
        table.write_text('{"instances": {"one": 0}}')
        with pytest.raises(InputError, match="the number of an instance"):
            back(folder, truth, layout)
        table.write_text('{"instances": {"1": 0, "2": 1, "3": 2}}')
    (folder / "dataset.json").write_text('{"labels": {"x": "y"}}')
    with pytest.raises(InputError, match=r"dataset\.json"):
        back(folder, truth, layout)


def test_a_class_that_was_corrected_beside_the_map_is_taken_and_the_rest_is_kept(
    tmp_path: Path,
) -> None:
    truth = write_truth(tmp_path)
    folder = out(truth, "nndetection")
    table = folder / "raw_splitted/labelsTr/case_0001.json"
    # left was negative (0), right positive and cystic, ragged with extranodal extension (2).
    table.write_text('{"instances": {"1": 1, "2": 1, "3": 1}}')
    found = {str(a.node_id): a for a in back(folder, truth, "nndetection").annotations}
    assert {(n, a.category_id, a.kind) for n, a in found.items()} == {
        ("left", METASTATIC, None),
        ("right", METASTATIC, "cystic"),
        ("ragged", METASTATIC, None),
    }
    assert {(a.level, a.short_axis_mm) for a in found.values()} == {("III", 4.25)}
    rules = parse_rules(["2=negative", "3=metastatic"])
    found = {str(a.node_id): a for a in back(folder, truth, "nndetection", rules=rules).annotations}
    assert {(n, a.category_id, a.kind) for n, a in found.items()} == {
        ("left", METASTATIC, None),
        ("right", BENIGN, None),
        ("ragged", METASTATIC, "extranodal"),
    }


def test_of_merged_classes_the_finer_word_of_cases_json_comes_back(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    for classes in (ONE, TWO):
        folder = out(truth, "nndetection", classes=classes, folder=tmp_path / str(len(classes)))
        found = back(folder, truth, "nndetection")
        assert sections(found, "category_id", "kind") == sections(
            read_coco(truth), "category_id", "kind"
        )


def test_masks_of_segments_become_one_map_a_series(tmp_path: Path) -> None:
    truth = two_scans(tmp_path)
    result = nifti_masks(truth, tmp_path / "masks")
    assert (result.cases, result.classes) == (2, THREE)
    labels = np.asarray(nibabel.load(tmp_path / "masks/labels/case_0001.nii.gz").dataobj)
    benign, positive, extranodal = three_nodes()
    expected = np.zeros(labels.T.shape)
    for value, node in enumerate((benign, positive, extranodal), start=1):
        expected[node.inside] = value
    assert np.array_equal(labels.T, expected)
    assert not (tmp_path / "masks/images").exists()
    dataset = read_coco(truth)
    unknown = tuple(replace(a, category_id=LYMPH_NODE, kind=None) for a in dataset.annotations)
    write_coco(replace(dataset, annotations=unknown), truth, overwrite=True)
    assert nifti_masks(truth, tmp_path / "one").classes == ONE


def test_what_cannot_be_converted_is_refused(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    dataset = read_coco(truth)
    first, *others = dataset.annotations
    cases = {
        "a mask": replace(dataset, annotations=(replace(first, segmentation=None), *others)),
        "benign or metastatic": replace(
            dataset, annotations=(replace(first, category_id=LYMPH_NODE), *others)
        ),
        "whole scans": replace(dataset, info={**dataset.info, "coverage": "key_images"}),
        "one slice every 2.50 mm": replace(
            dataset, images=dataset.images[:2] + dataset.images[3:], annotations=()
        ),
        "a DICOM slice": replace(dataset, info={**dataset.info, "scan_root": "nothing"}),
    }
    (tmp_path / "nothing").mkdir()
    for number, (message, changed) in enumerate(cases.items()):
        write_coco(changed, truth, overwrite=True)
        with pytest.raises(InputError, match=message):
            out(truth, folder=tmp_path / f"{number}")


def test_a_folder_with_files_is_kept_unless_an_earlier_run_left_them(tmp_path: Path) -> None:
    truth = two_scans(tmp_path)
    folder = out(truth)
    with pytest.raises(OutputError, match="--overwrite"):
        out(truth)
    (folder / "labels/mine.nii.gz").write_text("kept")
    single = write_truth(tmp_path / "single")
    out(single, folder=folder, overwrite=True)
    assert sorted(p.name for p in (folder / "labels").iterdir()) == [
        "case_0001.nii.gz",
        "mine.nii.gz",
    ]
    (folder / "cases.json").unlink()
    with pytest.raises(OutputError, match=r"one without cases\.json"):
        out(single, folder=folder, overwrite=True)


def test_what_a_run_that_failed_left_is_replaced(tmp_path: Path) -> None:
    truth = two_scans(tmp_path)
    dataset = read_coco(truth)
    *others, last = dataset.annotations
    write_coco(
        replace(dataset, annotations=(*others, replace(last, segmentation=None))),
        truth,
        overwrite=True,
    )
    with pytest.raises(InputError, match="got a box alone"):
        out(truth, "nnunet")
    assert (tmp_path / "converted/labelsTr/case_0001.nii.gz").is_file()
    write_coco(dataset, truth, overwrite=True)
    folder = out(truth, "nnunet", overwrite=True)
    assert sections(back(folder, truth, "nnunet")) == sections(dataset)


def test_of_an_answer_only_nodes_from_its_threshold_on_are_written(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    dataset = read_coco(truth)
    scores = {"left": 0.5, "right": 0.49, "ragged": 0.9}
    answer = tuple(replace(a, score=scores[str(a.node_id)]) for a in dataset.annotations)
    info = {**dataset.info, "operating_threshold": 0.5}
    write_coco(replace(dataset, info=info, annotations=answer), truth, overwrite=True)
    found = back(out(truth, values="instances"), truth)
    assert {a.node_id for a in found.annotations} == {"left", "ragged"}


def test_nothing_of_the_patient_goes_into_a_file_or_a_name(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    for layout in get_args(Layout):
        folder = out(truth, layout, folder=tmp_path / layout)
        for path in folder.rglob("*"):
            assert "canary" not in path.name.lower()
            if path.is_file():
                raw = path.read_bytes()
                text = (
                    nibabel.load(path).header.binaryblock if path.name.endswith(".nii.gz") else raw
                )
                assert b"canary" not in text.lower()
                assert b"masked patient" not in text
                assert b"20000101" not in text
                assert str(tmp_path).encode() not in raw


def test_the_short_axis_is_measured_on_the_largest_cross_section(tmp_path: Path) -> None:
    inside = np.zeros_like(ball((3, 5, 5), (1, 1, 1)))
    inside[2, 4:8, 10:20] = inside[3, 3:15, 10:20] = True
    truth = write_truth(tmp_path, (Drawn("box", BENIGN, inside),))
    found = back(out(truth), truth)
    # 12 rows of 0.4 mm and 10 columns of 0.7 mm: an ellipse with the same moments is 2 / sqrt(3)
    # of the side wide.
    assert {a.short_axis_mm for a in found.annotations} == {round(12 * 0.4 * 2 / 3**0.5, 3)}
    assert found.annotations[0].slice_short_axis_mm == round(4 * 0.4 * 2 / 3**0.5, 3)
    assert [a.ignored for a in found.annotations] == [True, False]


def test_an_annotation_alone_on_its_slice_keeps_its_mask(tmp_path: Path) -> None:
    node = Drawn("dot", METASTATIC, ball((6, ROWS - 1, 0), (0.5, 0.5, 0.5)))
    truth = write_truth(tmp_path, (node,))
    found = back(out(truth), truth)
    assert [a.box_xyxy for a in found.annotations] == [(0, ROWS - 1, 1, ROWS)]
    assert annotation(1, node, 6).segmentation == found.annotations[0].segmentation
