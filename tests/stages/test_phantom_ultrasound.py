"""`phantom ultrasound`: files on disk, and the same bytes for the same seed."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.errors import OutputError, UsageError
from lnmdetect.io.ultrasound_files import read_ultrasound
from lnmdetect.phantom.ultrasound import make_ultrasound
from lnmdetect.stages.phantom_ultrasound import UltrasoundPhantomRequest, make_ultrasound_phantoms


def request(folder: Path, **changes: object) -> UltrasoundPhantomRequest:
    values = {"patients": 3, "seed": 7, "output": folder, "workers": 1}
    return UltrasoundPhantomRequest(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    make_ultrasound_phantoms(request(folder))
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_file_lists_every_patient_and_says_that_it_is_a_phantom(made: Path) -> None:
    data = read_ultrasound(made / "ultrasound.json")
    assert data.is_phantom
    assert data.info["seed"] == 7
    assert data.patients() == tuple(f"phantom-us-7-{index:04d}" for index in range(3))
    for index, case in enumerate(data.cases):
        patient = make_ultrasound(7, index).patient
        assert (case.label, case.finding) == (patient.label, patient.finding)
        assert (case.age_years, case.max_size_mm) == (patient.age_years, patient.max_size_mm)
        assert case.modalities() == ("bmode", "ceus", "finding")


def test_the_pictures_are_those_of_the_phantom(made: Path) -> None:
    phantom = make_ultrasound(7, 2)
    for part, pixels in (("bmode", phantom.bmode), ("ceus", phantom.ceus[0])):
        with Image.open(made / "images" / f"phantom-us-7-0002_{part}.png") as image:
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), pixels)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    made: Path, tmp_path: Path
) -> None:
    make_ultrasound_phantoms(request(tmp_path / "again"))
    assert bytes_of(tmp_path / "again") == bytes_of(made)
    make_ultrasound_phantoms(request(tmp_path / "other", seed=8, patients=1))
    other = (tmp_path / "other" / "images" / "phantom-us-8-0000_bmode.png").read_bytes()
    assert other != (made / "images" / "phantom-us-7-0000_bmode.png").read_bytes()


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_number_of_workers(made: Path, tmp_path: Path) -> None:
    make_ultrasound_phantoms(request(tmp_path, workers=2))
    assert bytes_of(tmp_path) == bytes_of(made)


def test_several_frames_are_listed_in_the_order_of_time(tmp_path: Path) -> None:
    make_ultrasound_phantoms(request(tmp_path, patients=1, ceus_frames=3))
    (case,) = read_ultrasound(tmp_path / "ultrasound.json").cases
    assert [place.file_name for place in case.ceus] == [
        f"images/phantom-us-7-0000_ceus-{number}.png" for number in (1, 2, 3)
    ]


def test_earlier_phantoms_are_not_replaced_unasked(made: Path) -> None:
    with pytest.raises(OutputError, match="--overwrite"):
        make_ultrasound_phantoms(request(made))


def test_earlier_phantoms_are_replaced_as_a_whole_when_asked(tmp_path: Path) -> None:
    make_ultrasound_phantoms(request(tmp_path, patients=2))
    make_ultrasound_phantoms(request(tmp_path, patients=1, seed=8, overwrite=True))
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [
        "phantom-us-8-0000_bmode.png",
        "phantom-us-8-0000_ceus.png",
    ]


def test_images_of_others_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.png").write_text("mine")
    with pytest.raises(OutputError, match="nothing but earlier phantoms, got 1 other file"):
        make_ultrasound_phantoms(request(tmp_path, overwrite=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patients": 0}, "one patient or more"),
        ({"seed": -1}, "a seed of 0 or more"),
        ({"ceus_frames": 0}, "1 to 15 frames a case, got 0"),
        ({"ceus_frames": 16}, "1 to 15 frames a case, got 16"),
    ],
)
def test_an_absurd_request_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make_ultrasound_phantoms(request(tmp_path, **changes))


def test_the_command_says_what_it_made(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    command = ["phantom", "ultrasound", "--patients", "1", "--seed", "3", "-o", str(folder)]
    run = CliRunner().invoke(app, [*command, "--workers", "1", "--json"])
    assert run.exit_code == 0, run.output
    said = json.loads(run.stdout)
    assert said["patients"] == 1
    assert Path(said["ultrasound"]) == folder / "ultrasound.json"
    assert (folder / "ultrasound.json").exists()
