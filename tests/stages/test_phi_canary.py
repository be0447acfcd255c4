"""A canary in every header field but the uids: none comes out of any command, file, log or message.

DICOM objects (`export sr`, `sc`, `gsps`, `seg`) carry the patient's identity on purpose; their own
tests hold what else they may carry.
"""

import base64
import gzip
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.text
import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools import mask as coco_mask
from pydicom import Dataset, dcmread
from pydicom._dicom_dict import DicomDictionary
from pydicom.tag import Tag
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.records import BENIGN, METASTATIC, ImageRecord, NodeAnnotation
from lnmdetect.io.bundles import MODELS_VARIABLE
from lnmdetect.io.coco import read_coco, write_coco
from tests.io.torture import doubled_position, each, gap, setting, tilt, truncated
from tests.io.torture import series as write_series

CANARY, DATE, TIME, NUMBER = "QZXCANARY", "19730417", "081734.519264", "73519264"
FORBIDDEN = re.compile(rf"{CANARY}|{DATE}|1973-04-17|{TIME}|{NUMBER}|qzxcanary", re.IGNORECASE)
BY_VR = {
    "PN": f"{CANARY}^FIRST^M",
    **dict.fromkeys(("LO", "SH", "ST", "LT", "UT", "UC", "AE", "CS"), f"{CANARY}N"),
    "DA": DATE,
    "TM": TIME,
    "DT": f"{DATE}{TIME}",
    "UR": f"http://{CANARY}/",
}
GROUPS = {0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0028, 0x0032, 0x0038, 0x0040, 0x0088, 0x4008}
READ_BY_STAGES = {"Modality", "ImageType", "PhotometricInterpretation", "RescaleType"}
NOT_TEXT = {"SpecificCharacterSet", "TimezoneOffsetFromUTC", "PixelDataProviderURL"}
NUMBERS = ("InstanceNumber", "SeriesNumber", "AcquisitionNumber")
PATIENTS = 3

pytestmark = pytest.mark.slow


def plant(dataset: Dataset, *, modality: str = "CT") -> None:
    """Put a canary into every text, name, date and time of the header, private and nested too."""
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        kept = keyword in READ_BY_STAGES | NOT_TEXT or retired
        if vr in BY_VR and Tag(tag).group in GROUPS and not kept and keyword:
            setattr(dataset, keyword, BY_VR[vr])
    for keyword in NUMBERS:
        setattr(dataset, keyword, NUMBER)
    dataset.Modality = modality
    dataset.add_new((0x0009, 0x0010), "LO", f"{CANARY} PRIVATE")
    dataset.add_new((0x0009, 0x1001), "LO", f"{CANARY} PRIVATE")
    nested = Dataset()
    nested.PatientID, nested.PatientName = f"{CANARY}7", f"{CANARY}^NESTED"
    dataset.OtherPatientIDsSequence = [nested]
    dataset.preamble = CANARY.encode().ljust(128, b"\0")


def plant_all(folder: Path, **options: Any) -> Path:
    for number, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
        dataset = dcmread(path)
        plant(dataset, **options)
        dataset.PatientID = f"{CANARY}{path.parent.name}"
        assert dataset.PatientName == BY_VR["PN"], number
        dataset.save_as(path, enforce_file_format=True)
    return folder


@dataclass(frozen=True)
class Said:
    """What one command line said."""

    line: str
    exit_code: int
    text: str


@dataclass(frozen=True)
class Aftermath:
    """All that came out: what commands said, what they drew, and the folder they wrote to."""

    said: tuple[Said, ...]
    drawn: tuple[str, ...]
    folder: Path


DONE = (
    "doctor {scan} -v",
    "doctor {scan} --json",
    "detect {scan} --model tiny --device cpu -v",
    "classify boxes.json --model tiny --device cpu -v",
    "eval --by class -o metrics.json --bootstrap 20 -v",
    "eval --json --bootstrap 20",
    "nodes nodes.json -v",
    "overlay nodes.json --truth truth.json -v",
    "run {scan} -o results --model tiny --classifier tiny --device cpu -v",
    "report --bootstrap 20 --figures figures -v",
    "explain nodes.json --truth truth.json --model tiny --device cpu --count 2 --bootstrap 20 -v",
    "split truth.json --folds 3 -o folds.json --write-truth folds -v",
    "anchors truth.json -v",
    "baselines truth.json -v",
    "train classifier --data truth.json --recipe classifier.yaml -o runs/c --device cpu -v",
    "classify truth.json -o truth_nodes.json --model tiny --device cpu -v",
    "calibrate classifier truth_nodes.json --truth truth.json --model tiny -o m --no-temperature",
    "export csv nodes.json -o table.csv -v",
    "convert to-nnunet truth.json -o nnunet -v",
    "convert to-nndetection truth.json -o nndetection -v",
    "convert from-nnunet nnunet/Dataset501_LymphNodes --scan {scan} -o back.json -v",
    "models",
)
REFUSED: dict[str, Callable[[Path], Path]] = {
    "gap": gap,
    "duplicate": doubled_position,
    "tilt": each(tilt),
    "truncated": truncated,
    "spacing": each(setting(PixelSpacing=None)),
    "slope": each(setting(RescaleSlope="100")),
}


@pytest.fixture(scope="module")
def aftermath(
    tmp_path_factory: pytest.TempPathFactory, bundles: Path, recipe_fields: Callable[..., Any]
) -> Iterator[Aftermath]:
    """Run every command on planted scans, those that refuse them too."""
    root = tmp_path_factory.mktemp("canary")
    drawn: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        (root / "out").mkdir()
        patch.chdir(root / "out")
        patch.setenv("LNMDETECT_KEY_FILE", str(root / "key"))
        patch.setenv(MODELS_VARIABLE, str(bundles))
        _note_texts(patch, drawn)
        recipe = yaml.safe_dump(recipe_fields("classifier"))
        Path("classifier.yaml").write_text(recipe, encoding="utf-8")
        said = (*_done(planted_cohort(root / "scan")), *_refused(root))
        yield Aftermath(said, tuple(drawn), root / "out")


def _note_texts(patch: pytest.MonkeyPatch, drawn: list[str]) -> None:
    """Keep what matplotlib writes into pictures, where no search for text finds it."""
    draw = matplotlib.text.Text.set_text

    def noted(self: matplotlib.text.Text, text: object) -> None:
        drawn.append(str(text))
        draw(self, text)

    patch.setattr(matplotlib.text.Text, "set_text", noted)


def planted_cohort(scan: Path) -> Path:
    for number in range(PATIENTS):
        write_series(scan / f"P{number}", seed=f"p{number}", study=f"p{number}")
    return plant_all(scan)


def _done(scan: Path) -> Iterator[Said]:
    for line in DONE:
        yield typed(line.format(scan=scan))
        if line.startswith("detect"):
            write_truth()


def _refused(root: Path) -> Iterator[Said]:
    # The phantom's patients are copies of each other, which the audit tells.
    folds = "folds/truth_fold1.json folds/truth_fold2.json"
    yield typed(f"split --audit {folds} --scan {root / 'scan'} -v")
    for name, build in REFUSED.items():
        (root / name).mkdir()
        scan = build(root / name)
        if name == "truncated":  # planting needs whole files: the last one is cut anew
            shutil.rmtree(scan)
            cut = plant_all(write_series(scan)) / "IM0005.dcm"
            cut.write_bytes(cut.read_bytes()[:-2000])
        else:
            plant_all(scan)
        yield typed(f"doctor {scan} -v")
        yield typed(f"detect {scan} --model tiny --device cpu -v -o {name}.json")
    other = plant_all(write_series(root / "mr", seed="mr"), modality=f"{CANARY[:8]}")
    yield typed(f"doctor {other} -v")
    yield typed(f"detect {other} --model tiny -o mr.json -v")
    yield typed(f"phantom insert --onto {other} -o inserted -v")


def typed(line: str) -> Said:
    result = CliRunner().invoke(app, line.split())
    return Said(line.split(" /")[0], result.exit_code, result.output)


def write_truth() -> None:
    """Write truth.json for the slices of boxes.json, with two nodes a slice."""
    found = read_coco(Path("boxes.json"))
    nodes: list[NodeAnnotation] = []
    for image in found.images:
        for category, x in ((METASTATIC, 11.0 + image.slice_index), (BENIGN, 30.0)):
            number = len(nodes) + 1
            box = (x, 27.0, x + 6, 33.0)
            name = f"{image.patient}n{category}"
            node = NodeAnnotation(
                number, image.image_id, category, box, node_id=name, short_axis_mm=6
            )
            nodes.append(replace(node, segmentation=mask_of(box, image)))
    info = {"phantom": False, "scan_root": found.info["scan_root"], "coverage": "all_slices"}
    write_coco(replace(found, info=info, annotations=tuple(nodes)), Path("truth.json"))


def mask_of(box: tuple[float, ...], image: ImageRecord) -> dict[str, Any]:
    x1, y1, x2, y2 = map(int, box)
    plane = np.zeros((image.height, image.width), dtype=np.uint8, order="F")
    plane[y1:y2, x1:x2] = 1
    coded = coco_mask.encode(plane)
    return {"size": [image.height, image.width], "counts": coded["counts"].decode("ascii")}


def test_the_commands_did_what_they_are_run_for(aftermath: Aftermath) -> None:
    done, refused = aftermath.said[: len(DONE)], aftermath.said[len(DONE) :]
    assert [(s.line, s.text) for s in done if s.exit_code != 0] == []
    assert [(s.line, s.text) for s in refused if s.exit_code != 3] == []
    names = {path.suffix for path in aftermath.folder.rglob("*")}
    assert {".json", ".csv", ".html", ".png", ".svg", ".safetensors", ".md"} <= names


def test_no_command_says_a_canary(aftermath: Aftermath) -> None:
    told = [(said.line, FORBIDDEN.search(said.text)) for said in aftermath.said]
    assert [(line, found[0]) for line, found in told if found] == []
    assert all(said.text for said in aftermath.said)


def test_no_picture_shows_a_canary(aftermath: Aftermath) -> None:
    assert [text for text in aftermath.drawn if FORBIDDEN.search(text)] == []
    assert len(aftermath.drawn) > 50


def test_no_file_holds_a_canary(aftermath: Aftermath) -> None:
    files = [path for path in aftermath.folder.rglob("*") if path.is_file()]
    holders = [path.name for path in files for part in contents(path) if FORBIDDEN.search(part)]
    assert holders == []
    assert len(files) > 40


def contents(path: Path) -> Iterator[str]:
    """Yield a file's name and bytes as text, those of pictures within it too."""
    yield path.name
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("latin-1")
    yield text
    pictures = [raw] if path.suffix == ".png" else []
    pictures += [base64.b64decode(data) for data in re.findall(r"base64,([\w+/=]+)", text)]
    for picture in pictures:
        yield picture.decode("latin-1")
        with Image.open(BytesIO(picture)) as image:
            yield repr(image.info)


def test_the_canary_is_where_it_is_planted(tmp_path: Path) -> None:
    plant_all(write_series(tmp_path))
    planted = (tmp_path / "IM0001.dcm").read_bytes().decode("latin-1")
    assert len(re.findall(CANARY, planted)) > 300
    for word in (DATE, TIME, NUMBER):
        assert word in planted
