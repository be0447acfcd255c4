"""doctor: what lies at a path, and whether the stages would read it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.errors import InputError, ModelError, UsageError
from lnmdetect.core.scan_ranges import SCANS_SEEN
from lnmdetect.core.thresholds import Threshold
from lnmdetect.io import scan_checks
from lnmdetect.io.bundle_config import Bundle, read_bundle
from lnmdetect.io.dicom_geometry import order_slices
from lnmdetect.io.dicom_header import Acquisition
from lnmdetect.io.dicom_index import index_dicom
from lnmdetect.io.dicom_series import Series
from lnmdetect.io.recipes import read_recipe
from lnmdetect.io.scan_source import open_source
from lnmdetect.stages.doctor import DoctorRequest, doctor
from lnmdetect.stages.doctor_result import CheckedScan, DoctorResult, Finding
from lnmdetect.stages.doctor_trust import expected_cost, trained_ranges, trust_findings
from lnmdetect.stages.scan_hounsfield import check_hounsfield, sample_places
from tests.io.torture import (
    SLICES,
    STEP_MM,
    doubled_position,
    each,
    empty_file_beside,
    gap,
    given,
    localiser_inside,
    mixed_series,
    neck,
    rewrite,
    series,
    setting,
    tilt,
)

SPECS = Path(__file__).parents[2] / "data_specs"


def levels(scan: CheckedScan) -> dict[str, str]:
    return {finding.check: finding.level for finding in scan.findings}


def found(findings: Any, check: str) -> Finding:
    (finding,) = [finding for finding in findings if finding.check == check]
    assert isinstance(finding, Finding)
    return finding


def look(path: Path, **changes: Any) -> DoctorResult:
    return doctor(DoctorRequest(path, **changes))


def test_a_sound_scan_is_told_with_its_series_and_what_it_takes(tmp_path: Path) -> None:
    result = look(series(tmp_path / "scan"))
    (row,) = result.rows
    assert (row.kind, row.plane, row.images, row.chosen) == ("CT", "axial", SLICES, True)
    assert (row.rows, row.columns, row.pixel_mm) == (48, 48, (1.0, 1.0))
    assert (row.step_mm, row.thickness_mm) == (3.0, 3.0)
    assert (row.kernel, row.contrast, row.phase) == ("", None, "")
    (scan,) = result.scans
    assert "refusal" not in levels(scan).values()
    assert scan.why == "the only CT series of its study"
    assert scan.expected is not None
    assert 4 <= scan.expected.seconds < 10
    assert 900 < scan.expected.memory_mb < 1200
    assert result.verdict == "warning"
    assert (result.files, result.findings) == (SLICES, ())


def test_what_the_headers_say_of_the_acquisition_is_in_the_table(tmp_path: Path) -> None:
    said = setting(
        ConvolutionKernel="B70f", ContrastBolusAgent="IOMERON", SeriesDescription="Neck venous"
    )
    result = look(each(said)(tmp_path))
    (row,) = result.rows
    assert (row.kernel, row.contrast, row.phase) == ("B70f", True, "venous")
    (scan,) = result.scans
    assert found(scan.findings, "contrast").sentence == "Contrast was given, phase venous."
    assert found(scan.findings, "kernel").sentence == "Kernel B70f is sharp, for bone or lung."


def test_a_kernel_that_changes_within_a_series_is_mixed(tmp_path: Path) -> None:
    result = look(each(setting([1], ConvolutionKernel="B30f"))(tmp_path))
    assert result.rows[0].kernel == "mixed"


def test_other_series_and_images_have_rows_and_are_not_chosen(tmp_path: Path) -> None:
    result = look(mixed_series(tmp_path))
    kinds = [(row.kind, row.images, row.chosen) for row in result.rows]
    assert kinds == [
        ("CT", SLICES, True),
        ("CT", 3, False),
        ("MR", SLICES, False),
        ("secondary capture", SLICES, False),
    ]
    assert result.scans[0].why == "most axial slices of the 2 CT series of its study"


Kinds = dict[str, dict[str, Any]]


def study_of(folder: Path, kinds: Kinds) -> dict[str, str]:
    """Write series of one study and return their uids by name.

    Each is cut to `slices`, laid from `start_mm` in steps of `step_mm`, and gets the rest.
    """
    uids = {}
    for name, elements in kinds.items():
        rest = dict(elements)
        kept, step_mm = rest.pop("slices", SLICES), rest.pop("step_mm", STEP_MM)
        start_mm = rest.pop("start_mm", 0)
        paths = sorted(series(folder / "scan" / name, seed=name).iterdir())
        for place, path in enumerate(paths):
            rewrite(path, given(ImagePositionPatient=[0, 0, start_mm + place * step_mm], **rest))
        for path in paths[kept:]:
            path.unlink()
        uids[dcmread(paths[0]).SeriesInstanceUID] = name
    return uids


@pytest.mark.parametrize(
    ("kinds", "chosen", "why"),
    [
        ({"a": {"slices": 5}, "b": {}}, "b", "most axial slices of the 2 CT series of its study"),
        (
            {"bone": {"ConvolutionKernel": "Br64d"}, "soft": {"slices": 5}},
            "soft",
            "most axial slices of the 2 CT series of its study that suit (1 with more: sharp "
            "kernel)",
        ),
        (
            {
                "native": {"SeriesDescription": "Hals nativ"},
                "said": {"ContrastBolusAgent": "NONE"},
                "enhanced": {"ContrastBolusAgent": "IV", "slices": 6},
            },
            "enhanced",
            "most axial slices of the 3 CT series of its study that suit (2 with more: no "
            "contrast)",
        ),
        (
            {
                "bolus": {"ContrastBolusAgent": "IV", "step_mm": 0.5, "start_mm": 300},
                "neck": {"ContrastBolusAgent": "NONE", "slices": 5},
            },
            "neck",
            "most axial slices of the 2 CT series of its study that suit (1 with more: covers "
            "less)",
        ),
        (
            {
                "sharp": {"ConvolutionKernel": "BONE", "ContrastBolusAgent": "IV"},
                "soft": {"ConvolutionKernel": "SOFT", "ContrastBolusAgent": "NO", "slices": 7},
            },
            "soft",
            "most axial slices of the 2 CT series of its study that suit (1 with more: sharp "
            "kernel)",
        ),
        (
            {
                "bone": {"ConvolutionKernel": "BONE"},
                "lung": {"ConvolutionKernel": "L", "slices": 7},
            },
            "bone",
            "most axial slices of the 2 CT series of its study",
        ),
    ],
)
def test_the_series_that_suits_best_is_chosen_and_why_is_told(
    tmp_path: Path, kinds: Kinds, chosen: str, why: str
) -> None:
    uids = study_of(tmp_path, kinds)
    result = look(tmp_path / "scan")
    (scan,) = result.scans
    assert (uids[scan.series], scan.why) == (chosen, why)
    assert [uids[row.series] for row in result.rows if row.chosen] == [chosen]
    (opened,) = open_source(tmp_path / "scan").scans
    assert uids[opened.images[0].series] == chosen


def test_a_series_named_is_the_one_that_is_looked_at(tmp_path: Path) -> None:
    scan = mixed_series(tmp_path)
    thin = look(scan).rows[1].series
    result = look(scan, series=thin)
    assert [row.chosen for row in result.rows[:2]] == [False, True]
    assert (result.scans[0].why, result.scans[0].slices) == ("named with --series", 3)
    with pytest.raises(InputError, match="--series: expected the uid of one of the 2 CT series"):
        look(scan, series="9.9")


def test_a_refusal_says_what_was_found_and_what_to_do(tmp_path: Path) -> None:
    result = look(gap(tmp_path))
    (scan,) = result.scans
    refused = found(scan.findings, "gaps")
    assert refused.level == "refusal"
    assert "1 slice is missing, at 9.00 mm first" in refused.sentence
    assert refused.remedy.startswith("Export the series again and whole")
    assert (result.verdict, scan.expected) == ("refusal", None)
    assert list(result.refusals()) == [refused]


def test_all_refusals_are_told_and_not_only_the_first(tmp_path: Path) -> None:
    scan = each(tilt)(tmp_path)
    (scan / "IM0004.dcm").unlink()
    said = levels(look(scan).scans[0])
    assert (said["tilt"], said["gaps"]) == ("refusal", "refusal")
    allowed = levels(look(scan, allow_tilt=True).scans[0])
    assert (allowed["tilt"], allowed["gaps"]) == ("ok", "refusal")


def test_a_check_that_needs_another_is_not_made_where_that_was_refused(tmp_path: Path) -> None:
    (scan,) = look(doubled_position(tmp_path)).scans
    said = levels(scan)
    assert said["duplicates"] == "refusal"
    assert {said[name] for name in ("acquisitions", "alignment", "tilt", "gaps")} == {"warning"}
    gaps = found(scan.findings, "gaps")
    assert gaps.sentence == "Not checked: it says nothing while duplicates is refused."


def test_one_refused_study_of_two_refuses_a_part(tmp_path: Path) -> None:
    gap(tmp_path)
    series(tmp_path / "scan" / "b", seed="b", study="b")
    result = look(tmp_path / "scan")
    assert [scan.level for scan in result.scans] == ["refusal", "warning"]
    assert result.verdict == "partly refused"


def test_a_study_that_shares_sop_uids_with_one_before_is_refused_as_the_stages_do(
    tmp_path: Path,
) -> None:
    series(tmp_path / "scan" / "a")
    for path in series(tmp_path / "scan" / "b").iterdir():
        rewrite(path, given(SeriesInstanceUID="2.25.1", StudyInstanceUID="2.25.2"))
    result = look(tmp_path / "scan")
    assert [levels(scan)["uids"] for scan in result.scans] == ["ok", "refusal"]
    assert result.verdict == "partly refused"
    source = open_source(tmp_path / "scan")
    assert (len(source.scans), len(source.failures)) == (1, 1)


def test_a_scan_too_large_for_the_memory_is_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_checks, "physical_memory_bytes", lambda: 1000)
    said = levels(look(series(tmp_path / "scan")).scans[0])
    assert said["size"] == "refusal"
    assert "tissue values" not in said


def test_a_study_of_faulty_slices_only_is_a_finding_of_the_whole(tmp_path: Path) -> None:
    each(setting(PixelSpacing=None))(tmp_path)
    alone = look(tmp_path / "scan")
    assert (alone.verdict, alone.scans, alone.rows[0].kind) == ("refusal", (), "CT, faulty")
    series(tmp_path / "scan" / "b", seed="b", study="b")
    result = look(tmp_path / "scan")
    assert result.verdict == "partly refused"
    assert "PixelSpacing" in found(result.findings, "study").sentence


def test_images_left_out_are_told(tmp_path: Path) -> None:
    result = look(localiser_inside(tmp_path))
    assert found(result.findings, "other files") == Finding(
        "other files", "ok", "1 image left out: localiser."
    )
    assert [row.kind for row in result.rows] == ["CT", "localiser"]


def test_an_empty_file_named_as_a_slice_is_a_warning_since_it_may_be_one(tmp_path: Path) -> None:
    finding = found(look(empty_file_beside(tmp_path)).findings, "other files")
    assert finding.level == "warning"
    assert finding.sentence == (
        "1 file passed over: not DICOM images. 1 of them looks like a slice, the first is "
        "empty.dcm, and cannot be read."
    )
    assert finding.remedy.startswith("Compare the number of slices")


def test_what_is_no_ct_is_refused_with_its_table(tmp_path: Path) -> None:
    scan = each(setting(Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4"))(tmp_path)
    result = look(scan)
    assert (result.verdict, [row.kind for row in result.rows]) == ("refusal", ["MR"])
    with pytest.raises(UsageError, match="a JSON"):
        look(tmp_path / "truth.json")
    with pytest.raises(ModelError, match="--model"):
        look(scan, model="absent")


def test_the_example_is_what_doctor_says(tmp_path: Path) -> None:
    said = look(localiser_inside(tmp_path)).to_json()
    example = json.loads((SPECS / "doctor.example.json").read_text())
    assert json.loads(json.dumps({**said, "seconds": 0.3})) == example


def test_three_slices_are_looked_at_and_fewer_where_there_are_fewer() -> None:
    assert [sample_places(depth) for depth in (1, 2, 3, 4, 100)] == [
        [0],
        [0, 1],
        [0, 1, 2],
        [1, 2, 3],
        [25, 50, 75],
    ]


def test_hounsfield_units_are_told_from_other_numbers() -> None:
    hu = neck()[:3]
    shares = check_hounsfield(hu, "1.2")
    assert (shares.air_hu, shares.air > 0.4, shares.soft > 0.2) == (-1000, True, True)
    with pytest.raises(InputError, match="neither air nor fat in three of its slices, HU 24 to"):
        check_hounsfield(hu + np.int16(1024), "1.2")
    with pytest.raises(InputError, match=r"series 1\.2: .* got no soft tissue"):
        check_hounsfield(np.full((3, 9, 9), -1000, dtype=np.int16), "1.2")


@pytest.mark.parametrize(
    ("intercept", "sentence"),
    [
        ("-984", "air lies at -960 HU, not at -1000"),
        ("-1074", "air lies at -1050 HU, not at -1000"),
        ("-990", "in Hounsfield units as expected"),
        ("-1058", "in Hounsfield units as expected"),
    ],
)
def test_air_that_lies_elsewhere_is_a_warning(
    tmp_path: Path, intercept: str, sentence: str
) -> None:
    scan = each(setting(RescaleIntercept=intercept))(tmp_path)
    finding = found(look(scan).scans[0].findings, "tissue values")
    assert finding.level == ("warning" if "not at" in sentence else "ok")
    assert sentence in finding.sentence


@pytest.fixture
def slices(tmp_path: Path) -> Series:
    return order_slices(index_dicom(series(tmp_path / "scan")).slices)


@pytest.fixture
def bundle() -> Bundle:
    return read_bundle("compact", "detector")


Changes = Callable[[Series], Series]


def every(**changes: Any) -> Changes:
    return lambda slices: tuple(replace(header, **changes) for header in slices)


def stretched(times: int) -> Changes:
    return lambda slices: tuple(
        replace(header, position=(0.0, 0.0, header.position[2] * times)) for header in slices
    )


def one_other(**changes: Any) -> Changes:
    return lambda slices: (*slices[:-1], replace(slices[-1], **changes))


@pytest.mark.parametrize(
    ("changes", "check", "sentence"),
    [
        (every(thickness_mm=1.0), "overlap", "2.0 mm between slices were not imaged"),
        (every(thickness_mm=None), "overlap", "do not tell their thickness"),
        (every(orientation=(1.0, 0, 0, 0, -1.0, 0)), "view", "turned or mirrored"),
        (every(acquisition=Acquisition(contrast=False)), "contrast", "no contrast was given"),
        (every(acquisition=Acquisition(phase="native")), "contrast", "no contrast was given"),
        (every(), "contrast", "do not say whether contrast"),
        (every(acquisition=Acquisition(kernel="BONE")), "kernel", "Kernel BONE is sharp"),
        (
            every(acquisition=Acquisition(kernel="other")),
            "kernel",
            "a kernel that is not known here",
        ),
        (every(patient_id=""), "identity", "Slices have no patient id."),
        (every(study_uid="9", series_uid="9"), "identity", "Slices have no study uid."),
        (one_other(intercept=24.0), "rescale", "have 2 different slopes and intercepts"),
        (one_other(slope=2.0), "rescale", "have 2 different slopes and intercepts"),
        (every(), "coverage", "covers 24 mm, less than a neck"),
        (stretched(30), "coverage", "covers 720 mm, more than head and neck"),
        (every(spacing_mm=(0.293, 0.293)), "pixel spacing", "Pixels of 0.293 mm; training scans"),
        (every(spacing_mm=(1.021, 1.021)), "pixel spacing", "Pixels of 1.021 mm; training scans"),
        (every(spacing_mm=(1.2, 1.2)), "pixel spacing", "Pixels of 1.2 mm; training scans had 0.3"),
        (every(rows=4096), "field of view", "4096 x 48 mm; training scans had 120 to 568 mm"),
        (every(is_phantom=False), "model", "trained on synthetic scans only, and this is none"),
    ],
)
def test_what_is_unlike_the_training_is_a_warning(
    slices: Series, bundle: Bundle, changes: Changes, check: str, sentence: str
) -> None:
    finding = found(trust_findings(changes(slices), bundle), check)
    assert finding.level == "warning"
    assert sentence in finding.sentence
    assert finding.remedy


@pytest.mark.parametrize(
    ("changes", "check", "sentence"),
    [
        (every(), "overlap", "Slices of 3 mm every 3.00 mm."),
        (every(thickness_mm=5.0), "overlap", "Slices of 5 mm every 3.00 mm, overlapping."),
        (every(), "view", "front up, as usual"),
        (every(acquisition=Acquisition(contrast=True)), "contrast", "Contrast was given."),
        (every(acquisition=Acquisition(kernel="B30f")), "kernel", "B30f is no bone or lung"),
        (every(), "rescale", "All slices have one slope and intercept."),
        (every(), "identity", "A patient id and a study uid are there"),
        (every(), "slice step", "Slices every 3 mm; training scans had 1 to 5 mm."),
        (every(), "pixel spacing", "Pixels of 1 mm; training scans had 0.3 to 1 mm."),
        (every(spacing_mm=(0.295, 0.295)), "pixel spacing", "Pixels of 0.295 mm; training scans"),
        (every(spacing_mm=(1.019, 1.019)), "pixel spacing", "Pixels of 1.019 mm; training scans"),
        (stretched(10), "coverage", "The scan covers 240 mm."),
        (every(), "model", "trained on synthetic scans"),
    ],
)
def test_what_is_like_the_training_is_ok(
    slices: Series, bundle: Bundle, changes: Changes, check: str, sentence: str
) -> None:
    finding = found(trust_findings(changes(slices), bundle), check)
    assert (finding.level, finding.remedy) == ("ok", "")
    assert sentence in finding.sentence


def test_time_and_memory_grow_with_slices_pixels_and_the_networks_width(
    slices: Series, bundle: Bundle
) -> None:
    sample = neck()[:3]
    one = expected_cost(slices, sample, bundle)
    # The records of 8 slices are 0.16 MB: the rest is the start and the network.
    assert one.seconds == pytest.approx(4, abs=0.1)
    recipe = bundle.recipe
    assert isinstance(recipe, DetectorRecipe)
    assert recipe.model.width == 0.25
    many = expected_cost(slices * 1000, sample, bundle)
    assert many.memory_mb - one.memory_mb == pytest.approx(7999 * 0.02, abs=1)
    model = recipe.model.model_copy(update={"width": 1.0})
    wide = replace(bundle, recipe=recipe.model_copy(update={"model": model}))
    full = expected_cost(slices * 1000, sample, wide)
    assert full.seconds - 4 == pytest.approx(16 * (many.seconds - 4), rel=0.02)
    fixed_mb = 920 + 8000 * 0.02
    assert full.memory_mb - fixed_mb == pytest.approx(4 * (many.memory_mb - fixed_mb), abs=3)


def test_a_series_of_which_some_slices_say_contrast_had_it(tmp_path: Path) -> None:
    scan = each(setting([2, 3], ContrastBolusAgent="IV"))(tmp_path)
    for number in (5, 6):
        rewrite(scan / f"IM000{number}.dcm", given(ContrastBolusAgent="NONE"))
    assert look(scan).rows[0].contrast is True


def test_a_bundle_says_which_scans_it_was_trained_on(bundle: Bundle) -> None:
    ranges = trained_ranges(bundle)
    assert ranges is not None
    assert (ranges.pixel_mm, ranges.step_mm) == ((0.3, 1.0), (1.0, 5.0))
    said = {"pixel_mm": [0.5, 0.6], "field_mm": [250, 300], "step_mm": None}
    own = trained_ranges(replace(bundle, data={SCANS_SEEN: said}))
    assert own is not None
    assert (own.pixel_mm, own.field_mm, own.step_mm) == ((0.5, 0.6), (250, 300), None)
    for data in ({}, {SCANS_SEEN: {"pixel_mm": 3}}):
        assert trained_ranges(replace(bundle, data=data)) is None


def test_a_bundle_that_does_not_say_is_a_warning(slices: Series, tmp_path: Path) -> None:
    recipe = read_recipe("compact", "detector")
    own = Bundle("own", recipe, Threshold(0.5, "r", "v"), False, {}, "", tmp_path)
    said = list(trust_findings(slices, own))
    assert "does not say which scans" in found(said, "training").sentence
    assert found(said, "model").level == "ok"
