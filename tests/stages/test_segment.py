"""`lnmdetect segment` with a network that says what the HU of the toy discs say: exact masks."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydicom import dcmread

pytest.importorskip("monai", reason="the extra `segmentation` is not installed")

from lnmdetect.core.errors import InputError, MissingExtraError, OutputError, UsageError
from lnmdetect.core.node_classes import THREE
from lnmdetect.core.patient_digests import PatientDigests, patient_digest
from lnmdetect.core.records import BENIGN, METASTATIC, NodeAnnotation
from lnmdetect.core.run_lengths import mask_of_runs
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.core.thresholds import Threshold, chosen_to_json
from lnmdetect.datasets.segmentation_plan import ScanShape, plan_segmentation
from lnmdetect.io.bundles import Bundle, write_bundle
from lnmdetect.io.coco import read_coco
from lnmdetect.io.dicom_sr_read import read_report
from lnmdetect.io.linked_nodes_file import read_linked_nodes
from lnmdetect.stages import segment_scan
from lnmdetect.stages.classify import ClassifyRequest, classify
from lnmdetect.stages.export import ExportRequest, export
from lnmdetect.stages.nodes import NodesRequest, link_nodes
from lnmdetect.stages.segment import SegmentRequest, SegmentResult, segment
from lnmdetect.training.segmenter_task import SegmenterTask
from lnmdetect.transforms.mask_pieces import Piece

Segment = Callable[..., SegmentResult]
BENIGN_HU, METASTATIC_HU = 0, 110
"""Of the toy discs and of nothing else: above the one, and above the other."""


class ByBrightness:
    """Answers a window by its one channel, [-160, 240] HU as [0, 1]."""

    def __init__(self, task: SegmenterTask) -> None:
        self.module = task.module

    def predict(self, batch: Any) -> list[NDArray[np.float32]]:
        hu = batch.volumes.numpy()[:, 0] * 400 - 160
        found = np.zeros((4, *hu.shape), dtype=np.float32)
        found[1] = np.where(hu > METASTATIC_HU, 0.1, np.where(hu > BENIGN_HU, 0.7, 0))
        found[2] = np.where(hu > METASTATIC_HU, 0.6, np.where(hu > BENIGN_HU, 0.2, 0))
        found[3] = np.where(hu > METASTATIC_HU, 0.2, 0)
        found[0] = 1 - found[1:].sum(axis=0)
        return list(found.swapaxes(0, 1))


@pytest.fixture
def bundle(recipe_fields: Callable[..., dict[str, Any]], tmp_path: Path) -> Path:
    fields = recipe_fields(
        "segmenter",
        input={"body_mask": False},
        model={"classes": list(THREE)},
        planning={"spacing_mm": [3.0, 0.5, 0.5]},
    )
    bare = SegmenterRecipe(**fields)
    plan = plan_segmentation([ScanShape((6, 96, 96), (3.0, 0.5, 0.5))], bare)
    recipe = bare.model_copy(update={"plan": plan})
    task = SegmenterTask(recipe, torch.device("cpu"))
    threshold = Threshold(0.5, "a rule", "validation patients")
    folder = tmp_path / "bundle"
    write_bundle(
        Bundle("tiny", recipe, threshold, True, {}, "", folder), task.module.state_dict(), "a card"
    )
    return folder


@pytest.fixture
def run(bundle: Path, masked_toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Segment:
    monkeypatch.setattr(segment_scan, "WindowAnswers", ByBrightness)

    def call(**changes: Any) -> SegmentResult:
        progress = changes.pop("progress", None)
        values: dict[str, Any] = {
            "scan": masked_toy / "scan",
            "output": tmp_path / "segments.json",
            "model": str(bundle),
            "device": "cpu",
            **changes,
        }
        request = SegmentRequest(**values)
        return segment(request) if progress is None else segment(request, progress)

    return call


def drawn(nodes: Iterable[NodeAnnotation], category: int) -> NDArray[np.bool_]:
    masks = [
        mask_of_runs(node.segmentation, (96, 96))
        for node in nodes
        if node.segmentation and node.category_id == category
    ]
    return np.asarray(np.any([np.zeros((96, 96), dtype=bool), *masks], axis=0))


def test_masks_lie_on_the_discs_of_every_scan_and_have_their_class(
    run: Segment, masked_toy: Path
) -> None:
    result = run()
    assert (result.scans, result.slices, result.nodes, result.sections) == (5, 30, 10, 40)
    found, truth = read_coco(result.output), read_coco(masked_toy / "truth.json")
    by_uid = {image.sop_instance_uid: image.image_id for image in found.images}
    for image in truth.images:
        own = found.by_image()[by_uid[image.sop_instance_uid]]
        for category in (BENIGN, METASTATIC):
            expected = drawn(truth.by_image()[image.image_id], category)
            # Interpolation between planes and the way back to the slices move single pixels.
            assert (drawn(own, category) != expected).sum() <= 0.05 * expected.sum()


def test_a_node_has_one_name_score_and_class_on_all_its_slices(run: Segment) -> None:
    found = read_coco(run().output)
    first = {image.image_id for image in found.images if image.series == found.images[0].series}
    nodes = [node for node in found.annotations if node.image_id in first]
    assert [node.node_id for node in nodes] == ["n1"] * 4 + ["n2"] * 4
    assert [node.category_id for node in nodes] == [METASTATIC] * 4 + [BENIGN] * 4
    for node, expected in ((nodes[0], (1 / 9, 6 / 9, 2 / 9)), (nodes[4], (7 / 9, 2 / 9, 0))):
        negative, positive, extranodal = expected
        assert node.extra["class_probabilities"] == pytest.approx(
            {"negative": negative, "positive": positive, "extranodal_extension": extranodal},
            abs=0.02,
        )
        told = {"benign": negative, "metastatic": positive + extranodal}
        assert node.probabilities == pytest.approx(told, abs=0.02)
        assert node.score == pytest.approx(0.9, abs=0.02)
    assert found.info["probabilities_of"] == "segmenter"


@pytest.mark.parametrize("threshold", [0.0, float("nan"), 1.5])
def test_a_threshold_that_makes_no_mask_is_refused(run: Segment, threshold: float) -> None:
    with pytest.raises(UsageError, match=r"--threshold: expected P\(node\) above 0 and up to 1"):
        run(threshold=threshold, scan=Path("nowhere"))


@pytest.mark.parametrize("threshold", [-0.1, float("nan"), 1.5])
def test_a_threshold_that_no_score_can_be_compared_with_is_refused(
    run: Segment, threshold: float
) -> None:
    with pytest.raises(UsageError, match=r"--node-threshold: expected a score from 0 to 1"):
        run(node_threshold=threshold, scan=Path("nowhere"))


def test_a_score_is_compared_with_the_threshold_as_the_file_holds_it(
    run: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    means = np.array([0.1, 0.3, 0.3499996])  # 0.7499996, which a file holds as 0.75
    monkeypatch.setattr(Piece, "means", means)
    result = run(node_threshold=0.75)
    scores = [node.score for node in read_coco(result.output).annotations]
    assert (scores, result.nodes) == ([0.75] * 40, 10)


def cut_short(scan: Path) -> None:
    """Take the last pixels of one slice away."""
    path = min(scan.iterdir())
    path.write_bytes(path.read_bytes()[:-5000])


def shift_hu(scan: Path) -> None:
    """Make the values no Hounsfield units."""
    for path in scan.iterdir():
        dataset = dcmread(path)
        dataset.RescaleIntercept = float(dataset.RescaleIntercept) + 3000
        dataset.save_as(path)


@pytest.mark.parametrize("damage", [cut_short, shift_hu])
def test_one_damaged_study_of_a_cohort_is_named_and_the_others_are_written(
    run: Segment, masked_toy: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    shutil.copytree(masked_toy / "scan", tmp_path / "scans")
    damage(tmp_path / "scans" / "p1")
    result = run(scan=tmp_path / "scans")
    assert len(result.failures) == 1
    assert (result.scans, result.slices) == (4, 24)
    written = json.loads(result.output.read_text())
    assert written["info"]["failed_studies"] == 1
    assert len(written["images"]) == 24


def test_a_scan_that_is_not_in_hounsfield_units_is_refused(
    run: Segment, masked_toy: Path, tmp_path: Path
) -> None:
    scan = tmp_path / "scans" / "p0"
    shutil.copytree(masked_toy / "scan" / "p0", scan)
    shift_hu(scan)
    with pytest.raises(InputError, match="a neck in Hounsfield units"):
        run(scan=tmp_path / "scans")
    assert not (tmp_path / "segments.json").exists()


def test_label_maps_are_the_masks(run: Segment, tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    result = run(nifti=tmp_path / "maps")
    assert result.nifti == tmp_path / "maps"
    cases = json.loads((tmp_path / "maps" / "cases.json").read_text())["cases"]
    found = read_coco(result.output)
    assert [case["series"] for case in cases] == list(dict.fromkeys(i.series for i in found.images))
    for case in cases:
        image: Any = nibabel.load(tmp_path / "maps" / "labels" / f"{case['case']}.nii.gz")
        labels = np.asarray(image.dataobj).T  # (slices, rows, columns)
        for record in (i for i in found.images if i.series == case["series"]):
            nodes = found.by_image()[record.image_id]
            for label, category in ((1, BENIGN), (2, METASTATIC)):
                expected = drawn(nodes, category)
                np.testing.assert_array_equal(labels[record.slice_index] == label, expected)
    assert not (tmp_path / "maps" / "images").exists()


def with_node_threshold(bundle: Path, value: float) -> None:
    config = json.loads((bundle / "config.json").read_text())
    chosen = PatientDigests.of(["p0"], "0" * 64)
    threshold = Threshold(value, "a rule", "validation patients", chosen)
    (bundle / "config.json").write_text(
        json.dumps({**config, "node_threshold": chosen_to_json(threshold)})
    )


def test_nodes_below_the_bundles_threshold_stay_in_the_file_and_are_not_counted(
    run: Segment, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Doubtful(ByBrightness):
        """As its base, but P(node) of bright discs is 0.63, not 0.9."""

        def predict(self, batch: Any) -> list[NDArray[np.float32]]:
            found = np.stack(super().predict(batch))
            bright = found[:, 3] > 0
            found[:, 1:] *= np.where(bright, 0.7, 1)[:, None]
            found[:, 0] = 1 - found[:, 1:].sum(axis=1)
            return list(found)

    monkeypatch.setattr(segment_scan, "WindowAnswers", Doubtful)
    with_node_threshold(bundle, 0.75)
    result = run(nifti=tmp_path / "maps")
    assert (result.nodes, result.sections, result.unlikely_nodes) == (5, 20, 5)
    written = read_coco(result.output)
    assert len(written.annotations) == 40
    assert written.info["operating_threshold"] == result.node_threshold == 0.75
    source = "bundle tiny: a rule, chosen on validation patients"
    assert written.info["operating_threshold_source"] == source
    (patient,) = written.info["operating_threshold_chosen_on"]["patients_sha256"]
    assert patient == patient_digest("p0")
    for label_map in (tmp_path / "maps" / "labels").iterdir():
        image: Any = pytest.importorskip("nibabel").load(label_map)
        assert set(np.unique(np.asarray(image.dataobj))) == {0, 1}  # no bright disc
    assert run(node_threshold=0.6, overwrite=True).nodes == 10
    info = read_coco(tmp_path / "segments.json").info
    assert (info["operating_threshold"], info["operating_threshold_source"]) == (
        0.6,
        "--node-threshold",
    )


@pytest.mark.parametrize(("voxels", "expected"), [(0.4, 0.0), (0.5, 0.75), (None, 0.75)])
def test_the_bundles_threshold_on_nodes_holds_at_its_own_on_voxels(
    run: Segment, bundle: Path, voxels: float | None, expected: float
) -> None:
    with_node_threshold(bundle, 0.75)
    result = run(threshold=voxels)
    assert result.node_threshold == expected
    source = read_coco(result.output).info["operating_threshold_source"]
    assert (source == "every node of the mask") is (expected == 0)


def test_label_maps_that_cannot_be_written_are_refused_before_the_work(
    run: Segment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nibabel")
    nowhere = Path("nowhere")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="full: expected a new or empty folder"):
        run(nifti=tmp_path / "full", scan=nowhere)
    with pytest.raises(OutputError, match="of another making"):
        run(nifti=tmp_path / "full", scan=nowhere, overwrite=True)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    with pytest.raises(UsageError, match=r"--nifti: .* got the one in which segments\.json goes"):
        run(nifti=tmp_path / "new", output=tmp_path / "new" / "segments.json", scan=nowhere)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"lnmdetect\[segmentation\]"):
        run(nifti=tmp_path / "new", scan=nowhere)


def test_pseudonymous_uids_replace_the_scanners_everywhere_and_maps_are_still_made(
    run: Segment, masked_toy: Path, tmp_path: Path
) -> None:
    pytest.importorskip("nibabel")
    series = dcmread(min((masked_toy / "scan" / "p0").iterdir())).SeriesInstanceUID
    result = run(pseudonymise_uids=True, nifti=tmp_path / "maps", series=series)
    texts = [path.read_text() for path in tmp_path.rglob("*.json") if path.parent.name != "bundle"]
    assert len(texts) == 4  # segments.json, cases.json and their records
    uids = {str(series)} | {path.stem for path in (masked_toy / "scan" / "p0").iterdir()}
    assert not [uid for uid in uids for text in texts if uid in text]
    assert "scan_root" not in read_coco(result.output).info
    assert len(list((tmp_path / "maps" / "labels").iterdir())) == 1


class Watching:
    """A progress that counts, and presses Ctrl-C before a step where one is given."""

    def __init__(self, stop: int | None = None) -> None:
        self.stop, self.told = stop, list[tuple[str, int | None, int]]()

    def track(
        self, items: Iterable[Any], *, description: str, total: int | None = None
    ) -> Iterator[Any]:
        number = 0
        for item in items:
            if number == self.stop:
                raise KeyboardInterrupt
            number += 1
            yield item
        self.told.append((description, total, number))


def test_progress_is_told_of_every_slice_of_all_scans_in_one_go(run: Segment) -> None:
    watching = Watching()
    run(progress=watching)
    assert watching.told == [("segmenting", 30, 30)]


def test_an_interrupted_run_leaves_nothing_behind(run: Segment, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        run(progress=Watching(stop=17), nifti=tmp_path / "maps")
    left = set(tmp_path.rglob("*")) - set(before)
    assert {path.name for path in left} <= {"key", "pseudonym.key"}


def test_the_run_record_names_what_was_asked(run: Segment, tmp_path: Path) -> None:
    run(threshold=0.4, allow_tilt=True)
    config = json.loads((tmp_path / "segments.run.json").read_text())["config"]
    assert config == {
        "model": "bundle",
        "device": "cpu",
        "series": None,
        "allow_tilt": True,
        "threshold": 0.4,
        "node_threshold": None,
        "pseudonymise_uids": False,
        "nifti": False,
    }


def test_a_classifier_adds_its_word_and_keeps_masks_nodes_and_shares(
    run: Segment, bundles: Path, tmp_path: Path
) -> None:
    segments = run().output
    nodes = tmp_path / "nodes.json"
    classify(ClassifyRequest(segments, nodes, model=str(bundles / "classifier-tiny"), device="cpu"))
    before, after = read_coco(segments), read_coco(nodes)
    kept = {a.annotation_id: (a.segmentation, a.node_id, a.extra) for a in before.annotations}
    assert {a.annotation_id: (a.segmentation, a.node_id, a.extra) for a in after.annotations} == (
        kept
    )
    assert after.info["probabilities_of"] == "classifier"
    assert after.info["segmenter"] == before.info["segmenter"]
    told = {a.annotation_id: a.probabilities for a in before.annotations}
    assert all(a.probabilities != told[a.annotation_id] for a in after.annotations)


def test_nodes_are_those_of_the_masks(run: Segment, tmp_path: Path) -> None:
    segments = run().output
    data = json.loads(segments.read_text())
    for node in data["annotations"]:  # what no linking of boxes would say
        node["node_id"] = "whole" if node["node_id"] in ("n1", "n2") else node["node_id"]
    segments.write_text(json.dumps(data))
    linked = link_nodes(NodesRequest(segments, tmp_path / "linked.json"))
    assert [node.node_id for node in linked.nodes] == ["whole"] * 5
    for node in linked.nodes:
        assert len(node.sections) == 4
        assert all(section.outline == "mask" for section in node.sections)
        assert all(len(section.annotation_ids) == 2 for section in node.sections)
    own = [a for a in data["annotations"] if a["image_id"] == 2]
    first = linked.nodes[0].sections[0]
    masks = [mask_of_runs(a["segmentation"], (96, 96)) for a in own]
    assert first.segmentation is not None
    np.testing.assert_array_equal(mask_of_runs(first.segmentation, (96, 96)), masks[0] | masks[1])
    assert first.area_mm2 == pytest.approx(0.25 * (masks[0].sum() + masks[1].sum()))
    x1, y1, x2, y2 = first.box_xyxy
    for a in own:
        x, y, width, height = a["bbox"]
        assert x1 <= x < x + width <= x2
        assert y1 <= y < y + height <= y2
    assert read_linked_nodes(tmp_path / "linked.json").info["segmenter"]["name"] == "tiny"


def test_names_that_two_scans_of_a_patient_share_are_given_anew(
    run: Segment, tmp_path: Path
) -> None:
    segments = run().output
    data = json.loads(segments.read_text())
    for image in data["images"]:
        image["lnmdetect"]["patient"] = "one"
    segments.write_text(json.dumps(data))
    linked = link_nodes(NodesRequest(segments, tmp_path / "linked.json"))
    assert [node.node_id for node in linked.nodes] == [f"n{k}" for k in range(1, 11)]


def test_where_one_box_has_no_mask_all_are_linked_anew(run: Segment, tmp_path: Path) -> None:
    segments = run().output
    data = json.loads(segments.read_text())
    del data["annotations"][0]["segmentation"]
    for node in data["annotations"]:
        node["node_id"] = "whole"
    segments.write_text(json.dumps(data))
    linked = link_nodes(NodesRequest(segments, tmp_path / "linked.json"))
    assert [node.node_id for node in linked.nodes] == ["n1", "n2"] * 5


def test_a_lone_node_of_boxes_has_a_name(run: Segment, tmp_path: Path) -> None:
    segments = run().output
    data = json.loads(segments.read_text())
    data["annotations"] = [{**data["annotations"][0], "node_id": None}]
    segments.write_text(json.dumps(data))
    (node,) = link_nodes(NodesRequest(segments, tmp_path / "linked.json")).nodes
    assert node.node_id == "n1"


def test_pieces_below_the_recipes_volume_are_left_out(run: Segment, bundle: Path) -> None:
    # Four slices of 3 mm: discs of 5 mm across hold 235 mm3, those of 6 mm 339 mm3.
    config = json.loads((bundle / "config.json").read_text())
    config["recipe"]["min_volume_mm3"] = 280
    (bundle / "config.json").write_text(json.dumps(config))
    found = read_coco(run().output)
    assert {node.category_id for node in found.annotations} == {METASTATIC}
    assert len(found.annotations) == 20


def test_of_classified_masks_the_segmenter_found_and_the_classifier_called(
    run: Segment, bundles: Path, tmp_path: Path
) -> None:
    pytest.importorskip("highdicom")
    nodes = tmp_path / "nodes.json"
    model = str(bundles / "classifier-tiny")
    classify(ClassifyRequest(run().output, nodes, model=model, device="cpu"))
    report = export(ExportRequest(nodes, "sr", tmp_path / "sr.dcm")).outputs[0]
    assert {one.role for one in read_report(report).algorithms} == {"segmenter", "classifier"}


def test_dicom_results_name_the_segmenter(run: Segment, tmp_path: Path) -> None:
    highdicom = pytest.importorskip("highdicom")
    segments = run().output
    digest = json.loads(segments.read_text())["info"]["segmenter"]["sha256"]
    masks = export(ExportRequest(segments, "seg", tmp_path / "seg.dcm")).outputs
    for part in dcmread(masks[0]).SegmentSequence:
        assert part.SegmentAlgorithmType == "AUTOMATIC"
        (model,) = part.SegmentationAlgorithmIdentificationSequence
        assert model.AlgorithmName == "lnmdetect segmenter tiny"
        assert digest in model.AlgorithmParameters
    reports = export(ExportRequest(segments, "sr", tmp_path / "sr.dcm")).outputs
    report = highdicom.sr.srread(reports[0])
    texts = [
        str(item.TextValue)
        for group in report.content.get_planar_roi_measurement_groups()
        for item in group[0].ContentSequence
        if "TextValue" in item
    ]
    assert texts.count("lnmdetect segmenter tiny") == 8
    assert "threshold=0.5" in texts
