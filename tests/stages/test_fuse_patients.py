"""Whose cases `fuse` answers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.patient_digests import PatientDigests
from lnmdetect.io.bundles import read_bundle, read_weights, write_bundle
from lnmdetect.io.fused_files import read_fused
from lnmdetect.io.ultrasound_files import read_ultrasound
from lnmdetect.stages.fuse import fuse
from lnmdetect.stages.fuse_patients import Which
from lnmdetect.stages.fuse_result import FuseRequest

MakeBundle = Callable[..., Path]
TRAINED, VALIDATED = slice(0, 4), slice(4, 6)


@pytest.fixture
def names(ultrasound_toy: Path) -> list[str]:
    """The patients of the toy file."""
    cases = read_ultrasound(ultrasound_toy / "ultrasound.json").cases
    return sorted({case.patient for case in cases})


@pytest.fixture
def tuned_bundle(fusion_bundle: MakeBundle) -> Callable[[list[str], list[str]], Path]:
    """A function that writes a bundle of these training and validation patients."""

    def write(training: list[str], validation: list[str]) -> Path:
        bundle = read_bundle(str(fusion_bundle()), "fusion")
        chosen = replace(bundle.threshold, patients=PatientDigests.of(validation, "0" * 64))
        told = replace(bundle, threshold=chosen, trained_on=PatientDigests.of(training, "0" * 64))
        write_bundle(told, read_weights(bundle), "a card", overwrite=True)
        return bundle.folder

    return write


def answered(toy: Path, model: Path, output: Path, which: Which) -> set[str]:
    changes: dict[str, Any] = {"device": "cpu", "patients": which, "overwrite": True}
    fuse(FuseRequest(toy / "ultrasound.json", output, model=str(model), **changes))
    return {one.case.patient for one in read_fused(output).cases}


def test_only_the_patients_asked_for_are_answered(
    ultrasound_toy: Path,
    tmp_path: Path,
    names: list[str],
    tuned_bundle: Callable[[list[str], list[str]], Path],
) -> None:
    model = tuned_bundle(names[TRAINED], names[VALIDATED])
    found = {
        which: answered(ultrasound_toy, model, tmp_path / "fused.json", which)
        for which in ("all", "validation", "unseen")
    }
    assert found["all"] == set(names)
    assert found["validation"] == set(names[VALIDATED])
    assert found["unseen"] == set(names) - set(names[TRAINED]) - set(names[VALIDATED])
    assert found["unseen"]


def test_a_file_without_such_patients_is_refused(
    ultrasound_toy: Path,
    tmp_path: Path,
    names: list[str],
    tuned_bundle: Callable[[list[str], list[str]], Path],
) -> None:
    model = tuned_bundle(names, ["elsewhere"])
    with pytest.raises(InputError, match=r"ultrasound.json: cases: .* neither trained nor tuned"):
        answered(ultrasound_toy, model, tmp_path / "fused.json", "unseen")
    with pytest.raises(InputError, match="on whom the bundle's threshold was chosen, got none"):
        answered(ultrasound_toy, model, tmp_path / "fused.json", "validation")
    assert not (tmp_path / "fused.json").exists()


def test_a_bundle_that_names_nobody_cannot_be_asked_for_unseen_patients(
    ultrasound_toy: Path, tmp_path: Path, fusion_bundle: MakeBundle
) -> None:
    with pytest.raises(UsageError, match="--patients: expected a bundle that says whom"):
        answered(ultrasound_toy, fusion_bundle(), tmp_path / "fused.json", "unseen")
