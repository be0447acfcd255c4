"""A canary in the headers and texts of ultrasound images: no command of that arm lets it out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom import Dataset, FileMetaDataset, dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

from lnmdetect.core.ultrasound import PEAK, ImagePlace, UltrasoundCase, UltrasoundDataset
from lnmdetect.io.ultrasound_files import write_ultrasound
from tests import canary
from tests.canary import Said, holders, leaks, overheard, typed

RUN = "--device cpu -v"
BUNDLE = "--model runs/f/bundle"
DONE = (
    "split ultrasound.json --folds 2 -o folds.json -v",
    f"train fusion --data ultrasound.json --scan ../us --recipe fusion.yaml -o runs/f {RUN}",
    f"fuse ultrasound.json {BUNDLE} --scan ../us --explain looks {RUN}",
    f"fuse ultrasound.json {BUNDLE} -o said.json --without ceus --json {RUN}",
    "eval --fused fused.json -o scores.json --optimistic --figures curves --bootstrap 20 -v",
)
REFUSED = f"fuse damaged.json {BUNDLE} -o none.json --scan ../us {RUN}"
MULTI_FRAME_US = UID("1.2.840.10008.5.1.4.1.1.3.1")  # PS3.4, table B.5-1
PATIENTS = 8


@pytest.fixture(scope="module")
def aftermath(
    tmp_path_factory: pytest.TempPathFactory, recipe_fields: Callable[..., Any]
) -> Iterator[tuple[list[Said], list[str], Path]]:
    """Run every command on planted images: what was said, drawn and logged, and the folder."""
    root = tmp_path_factory.mktemp("ultrasound_canary")
    heard: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        (root / "out").mkdir()
        patch.chdir(root / "out")
        patch.setenv("LNMDETECT_KEY_FILE", str(root / "key"))
        _write_cases(root / "us")
        Path("fusion.yaml").write_text(yaml.safe_dump(recipe_fields("fusion")), encoding="utf-8")
        with overheard(heard):
            said = [typed(line) for line in (*DONE, REFUSED)]
        yield said, heard, root / "out"


def _write_cases(folder: Path) -> None:
    """Write planted images, ultrasound.json of them, and damaged.json, of which one is cut off."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    text = PngInfo()
    text.add_text("Patient", canary.CANARY)
    text.add_itxt("Patient name", canary.NAME)
    cases = []
    for number in range(PATIENTS):
        grey = rng.integers(0, 255, (3, 48, 56)).astype(np.uint8)
        Image.fromarray(grey[0]).save(folder / f"b{number}.png", pnginfo=text)
        _write_frames(grey[1:], folder / f"c{number}.dcm")
        cases.append(
            UltrasoundCase(
                f"c{number}",
                f"p{number}",
                ImagePlace(f"b{number}.png"),
                (ImagePlace(f"c{number}.dcm", PEAK),),
                "present" if number % 3 else "absent",
                "metastatic" if number % 2 else "benign",
            )
        )
    info = {"phantom": False, "scan_root": "../us"}
    write_ultrasound(UltrasoundDataset(info, tuple(cases)), Path("ultrasound.json"))
    cut = (folder / "c0.dcm").read_bytes()[:-3000]
    (folder / "cut.dcm").write_bytes(cut)
    damaged = UltrasoundCase("d", "p", None, (ImagePlace("cut.dcm", 2),), "absent", None)
    write_ultrasound(UltrasoundDataset(info, (damaged,)), Path("damaged.json"))


def _write_frames(frames: np.ndarray[Any, np.dtype[np.uint8]], path: Path) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MULTI_FRAME_US
    uid = UID(f"2.25.1{path.stem[1:]}")
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.Modality, dataset.PhotometricInterpretation = "US", "MONOCHROME2"
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.NumberOfFrames, (dataset.Rows, dataset.Columns) = len(frames), frames.shape[1:]
    dataset.PixelData = frames.tobytes()
    canary.plant(dataset, "P0", kept={*canary.READ_FROM_CT, "NumberOfFrames"})
    dcmwrite(path, dataset, enforce_file_format=True)
    assert len(leaks(path.read_bytes())) > 3


Aftermath = tuple[list[Said], list[str], Path]


def test_the_commands_did_what_they_are_run_for(aftermath: Aftermath) -> None:
    *done, refused = aftermath[0]
    assert {said.line: said.text for said in done if said.exit_code != 0} == {}
    assert (refused.exit_code, "case 'd': ceus[0]: " in refused.text) == (3, True)
    assert "cut.dcm" not in refused.text
    made = {path.name for path in aftermath[2].rglob("*")}
    assert {"fused.json", "fused.run.json", "said.json", "case-00008.png", "scores.json"} <= made
    assert "none.json" not in made


def test_no_command_of_the_ultrasound_arm_says_a_canary(aftermath: Aftermath) -> None:
    told = {said.line: leaks(said.text) for said in aftermath[0]}
    assert {line: found for line, found in told.items() if found} == {}
    assert all(said.text for said in aftermath[0])


def test_no_picture_of_heat_shows_and_no_log_holds_a_canary(aftermath: Aftermath) -> None:
    assert [text for text in aftermath[1] if leaks(text)] == []
    assert any("called" in text for text in aftermath[1])


def test_no_file_of_the_ultrasound_arm_holds_a_canary(aftermath: Aftermath) -> None:
    assert holders(aftermath[2]) == {}
