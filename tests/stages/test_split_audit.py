"""split --audit: whatever stands in two folds is named, and what could not be compared is said."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.folds import Fold, FoldSet
from lnmdetect.core.records import CocoDataset, ImageRecord
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.io.fold_file import write_folds
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.stages.split import SplitRequest, split
from lnmdetect.stages.split_audit import AuditRequest, AuditResult, Check, audit

Pixels = NDArray[np.int16]
Audit = Callable[..., AuditResult]
WritePngs = Callable[..., Path]
IDENTICAL = "identical pixels, also mirrored or turned"


@pytest.fixture
def audit_folds(toy_data: Path, tmp_path: Path) -> Audit:
    """A function that audits folds of the toy patients, given by their names."""

    def call(*folds: Sequence[str], **changes: Any) -> AuditResult:
        parts = (Fold(str(number), tuple(f)) for number, f in enumerate(folds, start=1))
        write_folds(FoldSet(tuple(parts)), tmp_path / "folds.json", overwrite=True)
        files = (tmp_path / "folds.json",)
        return audit(AuditRequest(files, **{"truth": toy_data / "truth.json", **changes}))

    return call


def check(result: AuditResult, name: str) -> Check:
    (found,) = [check for check in result.checks if check.name == name]
    return found


def test_sound_folds_pass_and_every_slice_was_compared(audit_folds: Audit) -> None:
    result = audit_folds(["p0", "p1"], ["p2"], ["p3", "p4"])
    assert not result.failed
    assert (result.leaks, result.notes, result.warning) == ((), (), None)
    for name in ("patient", "study", "series", IDENTICAL, "nearly identical pixels"):
        assert check(result, name).compared == 30
    copies = check(result, "augmented copy")
    assert (copies.compared, copies.remark) == (None, "no image carries augmented_from")
    assert [(part.patients, part.images) for part in result.parts] == [(2, 12), (1, 6), (2, 12)]


def test_a_patient_in_two_folds_is_found_in_every_way(audit_folds: Audit) -> None:
    result = audit_folds(["p0", "p1"], ["p1", "p2", "p3", "p4"])
    assert result.failed
    assert {leak.patients for leak in result.leaks} == {("p1",)}
    assert [check.found for check in result.checks][:-1] == [1, 0, 1, 1, 6, 0, 6]
    assert result.leaks[0].images == {"fold 1": tuple(range(7, 13)), "fold 2": tuple(range(7, 13))}


def test_nothing_but_pseudonyms_and_ids_is_reported(audit_folds: Audit, toy_data: Path) -> None:
    result = audit_folds(["p0", "p1"], ["p1", "p2", "p3", "p4"])
    for image in read_coco(toy_data / "truth.json").images:
        assert image.sop_instance_uid not in repr(result)
        assert image.series not in repr(result)
    assert str(toy_data) not in repr(result)


def test_one_patient_under_two_pseudonyms_is_found_by_the_headers(
    toy_data: Path, tmp_path: Path
) -> None:
    truth = read_coco(toy_data / "truth.json")
    images = tuple(
        replace(i, patient="q", series="another") if i.patient == "p0" and i.slice_index > 2 else i
        for i in truth.images
    )
    info = {**truth.info, "scan_root": str(toy_data / "scan")}
    write_coco(replace(truth, images=images, info=info), tmp_path / "truth.json")
    folds = (Fold("1", ("p0", "p1")), Fold("2", ("q", "p2", "p3", "p4")))
    made_from = sha256_of_file(tmp_path / "truth.json")
    dealt = FoldSet(folds, truth_file="truth.json", truth_sha256=made_from)
    write_folds(dealt, tmp_path / "folds.json")
    result = audit(AuditRequest((tmp_path / "folds.json",)))  # the truth file lies beside it
    (leak,) = result.leaks
    assert (leak.kind, leak.patients) == ("study", ("p0", "q"))
    warning = result.warnings[0]
    assert (warning.kind, warning.patients) == ("patient id in the headers", ("p0", "q"))


def test_a_patient_in_no_fold_and_one_who_is_not_there_are_said(audit_folds: Audit) -> None:
    result = audit_folds(["p0", "p1"], ["p2", "p3", "someone"])
    assert not result.failed
    assert result.notes == (
        "6 images of truth.json in no fold",
        "1 patient of folds.json not in truth.json",
    )


def test_without_scans_pixels_are_said_not_to_be_compared(toy_data: Path, tmp_path: Path) -> None:
    write_coco(read_coco(toy_data / "truth.json"), tmp_path / "truth.json")
    folds = (Fold("1", ("p0", "p1")), Fold("2", ("p2", "p3", "p4")))
    made_from = sha256_of_file(tmp_path / "truth.json")
    dealt = FoldSet(folds, truth_file="truth.json", truth_sha256=made_from)
    write_folds(dealt, tmp_path / "folds.json")
    result = audit(AuditRequest((tmp_path / "folds.json",)))
    assert not result.failed
    assert check(result, IDENTICAL).compared is None
    assert check(result, IDENTICAL).remark.startswith("pixels were NOT compared: truth.json")
    assert check(result, "study").remark == "no file and no header that was found names one"
    assert result.notes == ("pixels were NOT compared; name the scans' place with --scan",)
    found = audit(AuditRequest((tmp_path / "folds.json",), scan=toy_data / "scan"))
    assert check(found, IDENTICAL).compared == 30


def test_a_place_without_any_of_the_slices_is_refused(audit_folds: Audit, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="below the scan root"):
        audit_folds(["p0"], ["p1"], scan=tmp_path / "empty")


def textured(seed: int) -> Pixels:
    rng = np.random.default_rng(seed)
    return np.asarray(
        np.kron(rng.normal(0, 300, (8, 8)), np.ones((12, 12))) + rng.normal(0, 10, (96, 96)),
        dtype=np.int16,
    )


@pytest.fixture
def write_pngs(tmp_path: Path) -> WritePngs:
    """A function that writes slices as PNG, one patient each, and the truth file of a folder."""

    def write(folder: str, slices: Sequence[Pixels], **extra: Any) -> Path:
        place = tmp_path / folder
        place.mkdir()
        images = []
        for number, hu in enumerate(slices, start=1):
            name = f"{number}.png"
            cv2.imwrite(str(place / name), (hu.astype(np.int32) + 1024).astype(np.uint16))
            patient = f"{folder}{number}"
            images.append(ImageRecord(number, name, 96, 96, patient, name, "", 0, 0.0, (0.5, 0.5)))
        images[-1] = replace(images[-1], extra=extra)
        write_coco(CocoDataset({"coverage": "key_images"}, tuple(images), ()), place / "truth.json")
        return place / "truth.json"

    return write


FORMS: dict[str, Callable[[Pixels], NDArray[Any]]] = {
    "as it is": lambda hu: hu,
    "mirrored": lambda hu: hu[:, ::-1],
    "upside down": lambda hu: hu[::-1],
    "turned": lambda hu: np.rot90(hu),
    "turned the other way": lambda hu: np.rot90(hu, 3),
    "transposed": lambda hu: hu.T,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_planted_pixels_are_found_in_any_orientation(
    write_pngs: WritePngs, form: str, seed: int
) -> None:
    slices = [textured(10 * seed + k) for k in range(4)]
    copy = np.asarray(FORMS[form](slices[2]), dtype=np.int16)
    files = (write_pngs("a", slices), write_pngs("b", [textured(99), copy]))
    result = audit(AuditRequest(files))
    (leak,) = result.leaks
    assert leak.kind == "identical pixels"
    assert leak.patients == ("a3", "b2")
    assert leak.images == {"truth.json (1)": (3,), "truth.json (2)": (2,)}
    assert result.warnings == ()


def test_a_brightened_and_noised_copy_is_a_warning_and_a_leak_when_strict(
    write_pngs: WritePngs,
) -> None:
    slices = [textured(k) for k in range(4)]
    noise = np.random.default_rng(0).normal(20, 8, (96, 96))
    copy = np.asarray(slices[1][::-1] + noise, dtype=np.int16)
    files = (write_pngs("a", slices), write_pngs("b", [textured(99), copy]))
    result = audit(AuditRequest(files))
    assert (result.leaks, result.failed) == ((), False)
    (warning,) = result.warnings
    assert (warning.kind, warning.patients) == ("nearly identical pixels", ("a2", "b2"))
    assert audit(AuditRequest(files, strict=True)).failed


def test_slices_of_one_patient_are_no_copies_of_each_other(
    write_pngs: WritePngs,
) -> None:
    files = (write_pngs("a", [textured(1)]), write_pngs("b", [textured(1) + np.int16(9)]))
    assert len(audit(AuditRequest(files)).warnings) == 1
    data = read_coco(files[1])
    named = tuple(replace(image, patient="a1") for image in data.images)
    write_coco(replace(data, images=named), files[1], overwrite=True)
    result = audit(AuditRequest(files))
    assert [leak.kind for leak in result.leaks] == ["patient"]
    assert result.warnings == ()


def test_empty_slices_are_alike_and_no_leak(write_pngs: WritePngs) -> None:
    air = np.full((96, 96), -1000, dtype=np.int16)
    files = (write_pngs("a", [textured(1), air]), write_pngs("b", [air, textured(2)]))
    result = audit(AuditRequest(files))
    assert not result.failed
    assert check(result, IDENTICAL).compared == 2
    assert check(result, IDENTICAL).remark == "2 slices without tissue left out"


def test_a_planted_copy_that_says_so_is_found(write_pngs: WritePngs) -> None:
    first = write_pngs("a", [textured(1), textured(2)], augmented_from="1.2.3")
    second = write_pngs("b", [textured(3)], lnmdetect={"augmented_from": "1.2.3.dcm"})
    result = audit(AuditRequest((first, second)))
    (leak,) = result.leaks
    assert (leak.kind, leak.patients) == ("augmented copy", ("a2", "b1"))
    assert check(result, "augmented copy").compared == 2


def test_a_slice_that_cannot_be_read_is_counted(write_pngs: WritePngs) -> None:
    files = (write_pngs("a", [textured(1), textured(2)]), write_pngs("b", [textured(3)]))
    (files[0].parent / "2.png").write_bytes(b"no picture")
    result = audit(AuditRequest(files))
    assert check(result, IDENTICAL).remark == "1 slice could not be read"
    assert result.notes == ("pixels were compared for 2 of 3 slices only",)


def test_the_truth_file_may_stand_beside_the_folds_file(toy_data: Path, tmp_path: Path) -> None:
    folds = (Fold("1", ("p0", "p1")), Fold("2", ("p1", "p2", "p3", "p4")))
    write_folds(FoldSet(folds), tmp_path / "folds.json")
    result = audit(AuditRequest((tmp_path / "folds.json", toy_data / "truth.json")))
    assert result.leaks[0].patients == ("p1",)


def write_alike(folder: Path, patients: int) -> tuple[Path, Path]:
    """Folds of patients, one slice each, whose headers all name the same one."""
    images = []
    for number in range(patients):
        meta = CtSeriesMeta(
            seed=f"s{number}",
            patient_id="ANON",
            patient_name="ANON",
            spacing_mm=(3.0, 0.5, 0.5),
            thickness_mm=3.0,
            origin_mm=(0.0, 0.0, 0.0),
        )
        (file,) = write_ct_series(textured(number)[None], folder / "scan" / str(number), meta)
        uid, name = file.sop_instance_uid, f"p{number}"
        images.append(
            ImageRecord(number + 1, f"{uid}.dcm", 96, 96, name, name, uid, 0, 0.0, (0.5, 0.5))
        )
    write_coco(CocoDataset({"scan_root": "scan"}, tuple(images), ()), folder / "truth.json")
    others = tuple(image.patient for image in images[1:])
    write_folds(FoldSet((Fold("1", ("p0",)), Fold("2", others))), folder / "folds.json")
    return folder / "folds.json", folder / "truth.json"


def test_headers_that_name_one_patient_for_all_tell_nothing(tmp_path: Path) -> None:
    result = audit(AuditRequest(write_alike(tmp_path, 3)))
    assert (result.leaks, result.warnings) == ((), ())
    name = "patient under two pseudonyms, by the headers"
    assert check(result, name).remark == "the headers of all name the same one"


def test_headers_that_name_one_patient_for_two_are_a_warning(tmp_path: Path) -> None:
    result = audit(AuditRequest(write_alike(tmp_path, 2)))
    (warning,) = result.warnings
    assert (warning.kind, warning.patients) == ("patient id in the headers", ("p0", "p1"))
    assert "ANON" not in repr(result)


def test_one_file_needs_its_truth_file(toy_data: Path, tmp_path: Path) -> None:
    write_folds(FoldSet((Fold("1", ("p0",)),)), tmp_path / "folds.json")
    with pytest.raises(UsageError, match=r"--truth: expected the truth file of which folds\.json"):
        audit(AuditRequest((tmp_path / "folds.json",)))
    files = (toy_data / "truth.json", toy_data / "truth.json")
    with pytest.raises(UsageError, match="one folds file beside --truth"):
        audit(AuditRequest(files, truth=toy_data / "truth.json"))


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["split", *(str(argument) for argument in arguments)])


def test_the_command_leaves_with_3_and_names_the_leak(
    audit_folds: Audit, toy_data: Path, tmp_path: Path
) -> None:
    audit_folds(["p0", "p1"], ["p1", "p2", "p3", "p4"])
    arguments = (tmp_path / "folds.json", "--audit", "--truth", toy_data / "truth.json")
    result = run(*arguments)
    assert result.exit_code == 3
    assert "fold 1: 7 8 9 10 11 and 1 more; fold 2: 7 8 9 10 11 and 1 more" in result.stdout
    assert result.stderr.startswith("These parts leak: 1 x patient, 1 x study, 1 x series, 6 x")
    as_json = run(*arguments, "--json")
    assert as_json.exit_code == 3
    assert json.loads(as_json.stdout)["leaks"][0]["patients"] == ["p1"]


def test_the_command_leaves_with_0_where_nothing_leaks(
    audit_folds: Audit, toy_data: Path, tmp_path: Path
) -> None:
    audit_folds(["p0", "p1"], ["p2", "p3", "p4"])
    result = run(tmp_path / "folds.json", "--audit", "--truth", toy_data / "truth.json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "identical pixels" in result.stdout


@pytest.mark.parametrize("extra", [["--strict"], ["--truth", "truth.json"], ["other.json"]])
def test_options_of_the_audit_deal_nothing(toy_data: Path, extra: list[str]) -> None:
    result = run(toy_data / "truth.json", *extra)
    assert result.exit_code == 2
    assert "To look for leaks add --audit" in result.stderr


def test_the_papers_deal_leaks_and_says_that_it_is_meant_to(toy_data: Path, tmp_path: Path) -> None:
    truth = toy_data / "truth.json"
    split(SplitRequest(truth, tmp_path / "folds.json", protocol="wang2023"))
    result = run(tmp_path / "folds.json", "--audit", "--truth", truth)
    assert result.exit_code == 3
    assert "Warning: the folds are optimistic, for reproduction only" in result.stderr


@pytest.mark.parametrize("seed", range(3))
def test_folds_that_split_dealt_pass_the_audit(toy_data: Path, tmp_path: Path, seed: int) -> None:
    request = SplitRequest(
        toy_data / "truth.json", tmp_path / "folds.json", folds=3, seed=seed, write_truth=tmp_path
    )
    files = split(request).truth_files
    assert not audit(AuditRequest((tmp_path / "folds.json",), toy_data / "truth.json")).failed
    result = audit(AuditRequest(files))
    assert not result.failed
    assert check(result, IDENTICAL).compared == 30
