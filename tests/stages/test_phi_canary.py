"""A canary in every header field but the uids: none comes out of any command, file, log or message.

DICOM objects carry the patient's identity on purpose: `test_phi_objects` holds what else they may.
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import typer
import yaml
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pycocotools import mask as coco_mask
from pydicom import dcmread
from typer.models import ArgumentInfo, OptionInfo

from lnmdetect.cli import app
from lnmdetect.core.records import BENIGN, METASTATIC, NodeAnnotation
from lnmdetect.core.thresholds import Threshold
from lnmdetect.io.bundles import MODELS_VARIABLE
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.stages import train_detector
from tests import canary
from tests.canary import Said, holders, leaks, overheard, plant_all, planted_cohort, typed
from tests.io import torture
from tests.io.torture import TORTURES
from tests.stages.test_phi_ultrasound import DONE as ULTRASOUND
from tests.structure_sets import write_rtstruct

pytestmark = pytest.mark.slow

MODELS = "--model tiny --device cpu -v"
TRAIN = "--data truth.json --device cpu -v --scan {scan}"
FEW = "--bootstrap 20 -v"
SCAN = "--scan {scan} -v"
NNUNET, NNDETECTION = "nnunet/Dataset501_LymphNodes", "nndetection/Task501_LymphNodes"
DONE = (
    "doctor {scan} -v",
    "doctor {scan} --json",
    f"detect {{scan}} {MODELS} --threshold 0.1",
    f"detect {{zip}} {MODELS} -o zipped.json --pseudonymise-uids",
    f"detect {{scan}} {MODELS} -o keys.json --key-images",
    f"detect {{png}} {MODELS} -o pictures.json --key-images --pixel-spacing 1 1",
    f"detect truth.json {MODELS} -o listed.json --json",
    f"classify boxes.json {MODELS} --scan {{scan}}",
    f"classify truth.json -o truth_nodes.json {MODELS}",
    "nodes nodes.json --scan {scan} -v",
    "nodes nodes.json --threshold 0 -o all_nodes.json --json",
    f"eval --truth truth.json --boxes boxes.json {FEW}",
    f"eval --by class -o metrics.json --linked-nodes linked_nodes.json --figures figures {FEW}",
    f"eval --json --nodes nodes.json --truth-nodes truth_nodes.json {FEW}",
    f"eval --compare nodes.json truth_nodes.json -o comparison.json {FEW}",
    f"eval --readers readers.csv --truth-nodes truth_nodes.json -o readers.json {FEW}",
    "overlay nodes.json --truth truth.json --scan {scan} -v",
    "overlay pictures.json -o pictures_sheet.png -v --threshold 0",
    "run {scan} -o results --classifier tiny --truth truth.json " + MODELS,
    f"cohort {{scan}} -o cohort --classifier tiny --workers 1 --sheets 2 {MODELS}",
    f"cohort {{scan}} -o keyed --classifier tiny --workers 1 --pseudonymise-uids --json {MODELS}",
    f"explain truth_nodes.json --truth truth.json --scan {{scan}} --count 2 --bootstrap 9 {MODELS}",
    f"explain truth.json --detector tiny -o explained --count 1 --device cpu {FEW}",
    f"report --truth truth.json --boxes boxes.json -o boxes.html {FEW}",
    "report --nodes nodes.json --truth-nodes truth_nodes.json --scan {scan} --explain explain "
    f"--linked-nodes linked_nodes.json --figures report_figures {FEW}",
    "split truth.json --folds 3 -o folds.json --write-truth folds -v",
    "split truth.json --folds-file folds.json --write-truth again -v",
    "anchors truth.json -v",
    "baselines truth.json --scan {scan} -v",
    f"train detector --recipe detector.yaml -o runs/d {TRAIN}",
    f"train classifier --recipe classifier.yaml -o runs/c --folds folds.json --fold 1 {TRAIN}",
    "calibrate detector boxes.json --truth truth.json --model tiny -o m/detector -v "
    "--rule sensitivity=0.4",
    "calibrate classifier truth_nodes.json --truth truth.json --model tiny -o m/classifier -v "
    "--no-temperature",
    "models check classifier truth.json --model tiny --device cpu --json",
    "benchmark bench.yaml --data truth.json -o bench --scan {scan} --device cpu " + FEW,
    "export sr nodes.json --scan {scan} --linked linked_nodes.json -v",
    "export sr truth_nodes.json --sr enhanced -o enhanced.dcm --threshold 0.1 -v",
    "export seg truth.json --scan {scan} -v",
    "export seg truth.json --linked linked_truth.json -o linked_seg.dcm -v",
    "export gsps nodes.json --scan {scan} --linked linked_nodes.json -v",
    "export sc nodes.json --scan {scan} --linked linked_nodes.json -v",
    "export csv nodes.json --linked linked_nodes.json -o table.csv -v",
    "export coco sr_1.dcm sr_2.dcm -o reports.json -v",
    "export coco foreign.dcm -o foreign.json --scan {scan} -v",
    "phantom insert --onto {neck} -o inserted -v",
    f"train segmenter --recipe segmenter.yaml -o runs/s --folds folds.json --fold 1 {TRAIN}",
    "segment {scan} --model runs/s/bundle --device cpu --threshold 0.02 --nifti maps -v",
    f"eval --nodes segments.json -o masks.json --optimistic {FEW}",
    "eval --compare linked_nodes.json segments.json --also nodes.json -o beside.json --optimistic "
    + FEW,
    "overlay segments.json --truth truth.json --rows -v",
    "convert to-nnunet truth.json -o nnunet --folds folds.json --scan {scan} -v",
    "convert to-nndetection truth.json -o nndetection --folds folds.json --scan {scan} -v",
    "convert to-nifti truth.json -o nifti --scan {scan} -v",
    f"convert from-nifti nifti/labels --cases nifti/cases.json -o from_nifti.json {SCAN}",
    f"convert from-nnunet {NNUNET} --cases {NNUNET}/cases.json -o from_nnunet.json {SCAN}",
    f"convert from-nndetection {NNDETECTION} --cases {NNDETECTION}/cases.json -o from_det.json "
    + SCAN,
    "convert from-seg seg_1.dcm -o from_seg.json " + SCAN,
    "convert from-rtstruct structures.dcm -o from_rtstruct.json " + SCAN,
)
OF_EXTRAS = (
    "models export detector openvino --precision int8 --data truth.json --scan {scan} "
    "--calibration-slices 4 --model tiny -o m/int8 -v",
    f"detect {{scan}} {MODELS} -o int8.json --engine openvino",
    "models export detector onnx --model tiny -o m/onnx --json",
    "models export classifier openvino --model tiny -o m/openvino -v",
)
"""Run after `MADE_BEFORE`, where their packages are installed."""
MADE_BEFORE = (DONE[2], DONE[6])
TAKE_NO_SCAN = {"models", "phantom ct", "phantom ultrasound", "speed"}
TAKE_A_NETWORK = {"pacs push", "pacs pull", "pacs listen"}
"""Planted in test_phi_pacs."""
REFUSED = {
    "split --audit folds.json --truth truth.json --scan {scan} -v": (3, "identical"),
    "models check detector truth.json --scan {scan} --model blind --device cpu -v": (4, "AP50"),
}
"""With exit code and reason: patients who are copies of each other, a model that finds nothing."""


@dataclass(frozen=True)
class Aftermath:
    """All that came out: what commands said, drew, logged, and the folder they wrote to."""

    said: tuple[Said, ...]
    heard: tuple[str, ...]
    folder: Path


@pytest.fixture(scope="module")
def aftermath(
    tmp_path_factory: pytest.TempPathFactory,
    bundles: Path,
    recipe_fields: Callable[..., Any],
    make_neck: Callable[..., NDArray[np.int16]],
) -> Iterator[Aftermath]:
    """Run every command on planted scans."""
    root = tmp_path_factory.mktemp("canary")
    with _folder_of_own(root, bundles) as patch:
        _write_recipes(recipe_fields)
        # So short a training finds no node from which a threshold could be chosen.
        chosen = Threshold(0.25, "a rule", "validation patients"), {"validation_slices": 12.0}
        patch.setattr(train_detector, "choose_threshold", lambda *_, **__: chosen)
        yield _run((*DONE, *REFUSED), root, make_neck())


@contextmanager
def _folder_of_own(root: Path, bundles: Path) -> Iterator[pytest.MonkeyPatch]:
    """Let commands work in root/out, with a key and models of their own."""
    with pytest.MonkeyPatch.context() as patch:
        (root / "out").mkdir()
        patch.chdir(root / "out")
        patch.setenv("LNMDETECT_KEY_FILE", str(root / "key"))
        patch.setenv(MODELS_VARIABLE, str(bundles))
        yield patch


def _run(lines: Iterable[str], root: Path, neck: NDArray[np.int16]) -> Aftermath:
    heard: list[str] = []
    inputs = _inputs(root, neck)
    with overheard(heard):
        said = tuple(_done(lines, inputs))
    return Aftermath(said, tuple(heard), root / "out")


def _write_recipes(fields: Callable[..., Any]) -> None:
    recipes = {
        "detector": fields("detector"),
        "classifier": fields("classifier"),
        "segmenter": fields("segmenter"),
        "bench": BENCHMARK,
    }
    for name, recipe in recipes.items():
        Path(f"{name}.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")


BENCHMARK: dict[str, Any] = {
    "name": "tiny",
    "title": "A tiny table",
    "source": "a test",
    "arm": "classifier",
    "overrides": {
        "input": {"slice_offsets_mm": [0.0], "windows_hu": [[-160, 240]]},
        "model": {"width": 0.125, "size_px": 32},
        "optimiser": {"epochs": 1, "steps_an_epoch": 2, "batch_size": 4},
        "validation_share": 0.34,
    },
    "split": {"test_share": 0.4},
    "rows": [{"name": "one", "label": "One"}],
}


def _inputs(root: Path, neck: NDArray[np.int16]) -> dict[str, Path]:
    """Return a cohort as a folder and as a zip, PNG key images, and a neck to put nodes into."""
    scan = planted_cohort(root / "scan")
    packed = root / "scan.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.comment = canary.CANARY.encode()
        for path in sorted((scan / "P0").iterdir()):
            archive.write(path, path.name)
    meta = CtSeriesMeta("neck", "x", "x", (2.5, 1.0, 1.0), 2.5, (-80.0, -70.0, 12.5))
    write_ct_series(neck, root / "neck" / "P7", meta)
    pictures = root / "png"
    pictures.mkdir()
    text = PngInfo()
    for kind in (text.add_text, text.add_itxt):
        kind("Patient", canary.NAME if kind == text.add_itxt else canary.CANARY)
    text.add_text("zipped", canary.CANARY, zip=True)
    for number in range(3):
        grey = (torture.neck()[number].astype(np.int32) + 1024).astype(np.uint16)
        Image.fromarray(grey).save(pictures / f"{number}.png", pnginfo=text)
    return {"scan": scan, "zip": packed, "png": pictures, "neck": plant_all(root / "neck")}


def _done(lines: Iterable[str], inputs: dict[str, Path]) -> Iterator[Said]:
    for line in lines:
        for start, prepare in PREPARED.items():
            if line.startswith(start):
                prepare()
        yield typed(line.format(**inputs))


def write_truth() -> None:
    """Write truth.json for the slices of boxes.json: two nodes a slice, one found, and masks."""
    found = read_coco(Path("boxes.json"))
    by_image = found.by_image()
    nodes: list[NodeAnnotation] = []
    for image in found.images:
        first = by_image[image.image_id][0].box_xyxy
        for category, box in ((METASTATIC, (20.0, 14.0, 28.0, 22.0)), (BENIGN, first)):
            number = len(nodes) + 1
            name = f"{image.patient}n{category}"
            nodes.append(
                NodeAnnotation(
                    number,
                    image.image_id,
                    category,
                    box,
                    node_id=name,
                    short_axis_mm=12,
                    segmentation=_mask(box, (image.height, image.width)),
                )
            )
    info = {"phantom": False, "scan_root": found.info["scan_root"], "coverage": "all_slices"}
    write_coco(replace(found, info=info, annotations=tuple(nodes)), Path("truth.json"))


def _mask(box: tuple[float, ...], shape: tuple[int, int]) -> dict[str, object]:
    x1, y1, x2, y2 = map(round, box)
    inside = np.zeros(shape, dtype=np.uint8, order="F")
    inside[y1:y2, x1:x2] = 1
    return {"size": list(shape), "counts": coco_mask.encode(inside)["counts"].decode("ascii")}


def write_readers() -> None:
    """Write a reader's answers to the boxes of truth.json."""
    boxes = read_coco(Path("truth.json")).annotations
    calls = ("benign", "metastatic")
    rows = [f"one,{box.annotation_id},{calls[box.annotation_id % 3 == 0]}," for box in boxes]
    Path("readers.csv").write_text("reader,annotation_id,call,rating\n" + "\n".join(rows))


def write_foreign_report() -> None:
    """Write a report of another maker over sr_1.dcm, with the canary in every text of its tree."""
    report = dcmread("sr_1.dcm")
    for content in report.iterall():
        if content.keyword in ("TextValue", "CodeMeaning", "SeriesDescription"):
            content.value = canary.CANARY
    report.Manufacturer = canary.CANARY
    report.save_as("foreign.dcm")


def write_structures() -> None:
    """Write an RT Structure Set of the first series, a square on its middle slices."""
    first = read_coco(Path("truth.json")).images[0]
    scan = min(Path("../scan").rglob("IM0001.dcm"))
    header = dcmread(scan)
    x, y, z = (float(value) for value in header.ImagePositionPatient)
    corners = ((5.0, 5.0), (12.0, 5.0), (12.0, 12.0), (5.0, 12.0))
    points = [value for i, j in corners for value in (x + i, y + j, z)]
    assert first.series == str(header.SeriesInstanceUID)
    write_rtstruct(Path("structures.dcm"), [("LN", [points])], series=first.series)


PREPARED: dict[str, Callable[[], None]] = {
    "detect truth.json": write_truth,
    "eval --readers": write_readers,
    "export seg truth.json --linked": lambda: _ran("nodes truth.json -o linked_truth.json"),
    "export coco foreign.dcm": write_foreign_report,
    "convert from-rtstruct": write_structures,
}


def _ran(line: str) -> None:
    said = typed(line)
    assert said.exit_code == 0, said.text


def _commands(group: typer.Typer, *names: str) -> Iterator[tuple[str, Callable[..., object]]]:
    for child in group.registered_groups:
        assert child.typer_instance is not None
        yield from _commands(child.typer_instance, *names, str(child.name))
    for command in group.registered_commands:
        assert command.callback is not None
        yield " ".join((*names, command.name or command.callback.__name__)), command.callback


def _lines_of(name: str) -> list[list[str]]:
    lines = (*DONE, *OF_EXTRAS, *REFUSED, *ULTRASOUND)
    return [line.split() for line in lines if line.startswith(f"{name} ")]


COMMANDS = dict(_commands(app))


def test_every_command_that_takes_a_scan_or_its_files_is_run() -> None:
    run = {name for name in COMMANDS if _lines_of(name)}
    assert run == COMMANDS.keys() - TAKE_NO_SCAN - TAKE_A_NETWORK


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - TAKE_NO_SCAN - TAKE_A_NETWORK))
def test_every_option_that_names_a_file_and_every_choice_is_used(name: str) -> None:
    words = {word for line in _lines_of(name) for word in line}
    for parameter, hint in get_type_hints(COMMANDS[name], include_extras=True).items():
        kind, *described = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if get_origin(kind) is Literal and isinstance(described[0], ArgumentInfo):
            assert set(get_args(kind)) <= words, parameter
        if "Path" in str(kind) and isinstance(described[0], OptionInfo) and parameter != "output":
            # Beside Annotated typer takes the first spelling for the default.
            spelt = {described[0].default, *(described[0].param_decls or ())}
            assert words & {*spelt, f"--{parameter.replace('_', '-')}"}, parameter


def test_the_commands_did_what_they_are_run_for(aftermath: Aftermath) -> None:
    done, refused = aftermath.said[: -len(REFUSED)], aftermath.said[-len(REFUSED) :]
    assert {s.line: s.text for s in done if s.exit_code != 0} == {}
    for said, (exit_code, reason) in zip(refused, REFUSED.values(), strict=True):
        assert (said.exit_code, reason in said.text) == (exit_code, True), said.text
    names = {path.suffix for path in aftermath.folder.rglob("*")}
    kinds = {".json", ".csv", ".html", ".png", ".svg", ".safetensors", ".md", ".dcm", ".yaml"}
    assert kinds <= names


def test_no_command_says_a_canary(aftermath: Aftermath) -> None:
    told = {said.line: leaks(said.text) for said in aftermath.said}
    assert {line: found for line, found in told.items() if found} == {}
    assert all(said.text for said in aftermath.said)


def test_no_picture_shows_and_no_log_holds_a_canary(aftermath: Aftermath) -> None:
    assert [text for text in aftermath.heard if leaks(text)] == []
    assert len(aftermath.heard) > 50
    assert any("RESEARCH ONLY" in text for text in aftermath.heard)


def test_no_file_holds_a_canary(aftermath: Aftermath) -> None:
    assert holders(aftermath.folder) == {}
    assert len(list(aftermath.folder.rglob("*"))) > 80


@pytest.mark.extra("onnx", "onnxruntime", "openvino", "nncf")
def test_no_command_that_needs_an_extra_says_writes_or_logs_a_canary(
    tmp_path: Path, bundles: Path, make_neck: Callable[..., NDArray[np.int16]]
) -> None:
    with _folder_of_own(tmp_path, bundles):
        after = _run((*MADE_BEFORE, *OF_EXTRAS), tmp_path, make_neck())
    assert {said.line: said.text for said in after.said if said.exit_code != 0} == {}
    assert [text for text in (*after.heard, *(s.text for s in after.said)) if leaks(text)] == []
    assert holders(after.folder) == {}
    written = {path.name for path in after.folder.rglob("*")}
    assert {"int8.json", "int8.bin", "model.onnx", "model.bin"} <= written


def test_scans_with_nodes_inserted_name_nobody(aftermath: Aftermath) -> None:
    made = sorted((aftermath.folder / "inserted").rglob("*.dcm"))
    assert len(made) == 24
    assert [leak for path in made for leak in leaks(path.read_bytes())] == []


@pytest.mark.parametrize("case", [c for c in TORTURES if not c.slow], ids=lambda case: case.name)
def test_no_refusal_says_a_canary(
    case: torture.Torture, tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torture, "series", canary.planted_series)
    monkeypatch.setenv(MODELS_VARIABLE, str(bundles))
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    scan = case.build(tmp_path / "in")
    monkeypatch.chdir(tmp_path / "out")
    heard: list[str] = []
    lines = [["doctor", scan, "-v"], ["doctor", scan, "--json"]]
    lines += [["detect", scan, *MODELS.split()], ["detect", scan, *MODELS.split(), "--key-images"]]
    lines[-1] += ["-o", "keys.json"]
    lines += [["phantom", "insert", "--onto", scan, "-o", "inserted", "-v"]]
    with overheard(heard):
        said = [canary.typed_words(*line) for line in lines]
    assert {s.exit_code for s in said} <= {0, 3, 6}
    assert said[2].exit_code == (3 if case.refusal else 0)
    assert [(s.line, leaks(s.text)) for s in said if leaks(s.text)] == []
    assert [text for text in heard if leaks(text)] == []
    assert holders(tmp_path / "out") == {}


def test_a_cohort_names_no_study_by_its_folder_also_where_it_fails(
    tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(bundles))
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(ORDER):
        canary.planted_series(Path("studies", f"{canary.CANARY}^{name}"), seed=str(number))
    good, gap, cut, empty = (Path("studies", f"{canary.CANARY}^{n}") for n in ORDER)
    sorted(gap.iterdir())[2].unlink()
    torn = sorted(cut.iterdir())[1]
    torn.write_bytes(torn.read_bytes()[:-900])
    for path in empty.iterdir():
        path.unlink()
    (empty / f"{canary.CANARY}.dcm").write_bytes(b"x" * 128 + b"DICM" + b"y" * 40)
    Path("studies", f"{canary.CANARY}.zip").write_bytes(b"PK\x03\x04, and no more")
    heard: list[str] = []
    line = f"cohort studies -o {{}} --classifier tiny --workers 1 {MODELS}"
    with overheard(heard):
        said = [typed(line.format("out")), typed(line.format("keyed --pseudonymise-uids --json"))]
    assert {s.exit_code for s in said} == {6}
    assert "1 analysed" in said[0].text
    assert [(s.line, leaks(s.text)) for s in said if leaks(s.text)] == []
    assert [text for text in heard if leaks(text)] == []
    for folder in ("out", "keyed"):
        assert holders(tmp_path / folder) == {}
        assert [path for path in Path(folder).rglob("*") if leaks(path.name)] == []
        rows = Path(folder, "cohort.csv").read_text().splitlines()
        assert sorted(row.split(",")[1] for row in rows[1:]) == ["done", *["failed"] * 4]
    uid = str(dcmread(min(good.iterdir())).SeriesInstanceUID)
    written = [path.read_text() for path in Path("keyed").rglob("*.json")]
    assert not any(uid in text or dcm in text for text in written for dcm in _uids(gap))


ORDER = ("GOOD", "GAP", "CUT", "EMPTY")


def _uids(folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        header = dcmread(path)
        yield from (str(header.SeriesInstanceUID), str(header.StudyInstanceUID))


@pytest.mark.parametrize("keyword", sorted(canary.READ_FROM_CT))
def test_no_refusal_quotes_what_says_that_it_is_ct(
    keyword: str, tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(bundles))
    monkeypatch.chdir(tmp_path)
    plant_all(torture.series(Path("scan/P0")), kept=canary.READ_FROM_CT - {keyword})
    lines = ["doctor scan -v", "doctor scan --json", f"detect scan {MODELS}"]
    said = [typed(line) for line in lines]
    assert {s.exit_code for s in said} == ({0} if keyword == "ImageType" else {3})
    assert [(s.line, leaks(s.text)) for s in said if leaks(s.text)] == []


def test_the_canary_is_where_it_is_planted(tmp_path: Path) -> None:
    scan = planted_cohort(tmp_path, patients=1)
    planted = (scan / "P0" / "IM0001.dcm").read_bytes()
    assert planted.count(canary.CANARY.encode()) > 1000
    secrets = (canary.CANARY, canary.FOREIGN, canary.DATE, canary.TIME, canary.NUMBER)
    assert {secret.lower() for secret in secrets} <= set(leaks(planted))


@pytest.mark.parametrize(
    "text",
    [
        "<td>qzxcanary^first</td>",
        "17.04.1973",
        "1973-04-17T08:17",
        "April 17, 1973",
        "08:17:34.519264",
        "%C5%BB%C3%9CQ%C5%BD%C3%87%C3%84%C3%91%C3%85R%C3%9D",
        "&#379;&#220;Q&#381;&#199;&#196;&#209;&#197;R&#221;",
        r"\u017b\u00dcQ\u017d\u00c7\u00c4\u00d1\u00c5R\u00dd",
        "ŻÜQŽÇÄÑÅRÝ".lower(),
        "Q\0Z\0X\0C\0A\0N\0A\0R\0Y\0",
        hashlib.sha256(b"QZXCANARYP1").hexdigest(),
        hashlib.md5(b"QZXCANARY^FIRST").hexdigest(),
    ],
)
def test_the_search_knows_the_canary_in_other_forms(text: str) -> None:
    assert leaks(text)
    assert leaks(text.encode())
    assert not leaks("2.25.66583728266098577705603911174527160783 p-00ff 1972-04-17 0:17:34")
