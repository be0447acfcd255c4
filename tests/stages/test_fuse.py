"""fuse: ultrasound.json in, fused.json out."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lnmdetect.core.errors import InputError, ModelError, OutputError, UsageError
from lnmdetect.core.fused import FusedDataset
from lnmdetect.core.fusion_config import FusionRecipe
from lnmdetect.core.patient_digests import PatientDigests
from lnmdetect.core.thresholds import Threshold
from lnmdetect.core.ultrasound import UltrasoundCase, UltrasoundDataset
from lnmdetect.io.bundles import read_bundle, read_weights, write_bundle
from lnmdetect.io.fused_files import read_fused
from lnmdetect.io.ultrasound_files import read_ultrasound, write_ultrasound
from lnmdetect.io.ultrasound_pixels import read_frame
from lnmdetect.models.fusion import FusionInputs, FusionNet
from lnmdetect.stages.fuse import fuse
from lnmdetect.stages.fuse_result import FuseRequest, FuseResult
from lnmdetect.training.fusion_task import fusion_sizes
from lnmdetect.transforms.ultrasound_square import square_image

MakeBundle = Callable[..., Path]
Fuse = Callable[..., FuseResult]
ALL = ("bmode", "ceus", "finding")


@pytest.fixture
def answer(ultrasound_toy: Path, tmp_path: Path, fusion_bundle: MakeBundle) -> Fuse:
    """A function that answers the toy cases with an untrained bundle; changes go to the request."""
    folder = fusion_bundle()

    def call(**changes: Any) -> FuseResult:
        values: dict[str, Any] = {
            "ultrasound": ultrasound_toy / "ultrasound.json",
            "output": tmp_path / "fused.json",
            "model": str(folder),
            "device": "cpu",
            **changes,
        }
        return fuse(FuseRequest(**values))

    return call


def answers_of(path: Path) -> dict[str, tuple[float, tuple[str, ...]]]:
    return {one.case.case_id: (one.probability, one.modalities_used) for one in fused(path).cases}


def fused(path: Path) -> FusedDataset:
    return read_fused(path)


def changed(toy: Path, path: Path, **changes: Any) -> Path:
    """Write the toy cases with some fields of each changed."""
    whole = read_ultrasound(toy / "ultrasound.json")
    cases = tuple(replace(case, **changes) for case in whole.cases)
    info = {**whole.info, "scan_root": str(toy)}
    write_ultrasound(UltrasoundDataset(info, cases), path)
    return path


def by_hand(toy: Path, folder: Path, case: UltrasoundCase) -> float:
    """P(metastatic) of a whole case, straight from the network."""
    bundle = read_bundle(str(folder), "fusion")
    assert isinstance(bundle.recipe, FusionRecipe)
    network = FusionNet(fusion_sizes(bundle.recipe)).eval()
    network.load_state_dict(read_weights(bundle))
    assert case.bmode is not None
    images = [
        torch.from_numpy(square_image(read_frame(toy, place), 48)).half().float()[None, None]
        for place in (case.bmode, case.ceus[1])  # of two frames the middle is the second
    ]
    there = torch.ones(1, dtype=torch.bool)
    inputs = FusionInputs(
        images[0], images[1][None], torch.tensor([[case.finding_value]]), there, there
    )
    with torch.no_grad():
        return float(network(inputs).double().sigmoid())


def test_each_case_gets_what_the_network_says_of_it(
    answer: Fuse, ultrasound_toy: Path, tmp_path: Path, fusion_bundle: MakeBundle
) -> None:
    result = answer()
    whole = read_ultrasound(ultrasound_toy / "ultrasound.json")
    found = fused(result.output)
    assert found.ultrasound.cases == whole.cases
    for number in (0, 5, 9):
        expected = by_hand(ultrasound_toy, tmp_path / "tiny", whole.cases[number])
        assert found.cases[number].probability == pytest.approx(expected, abs=2e-6)
    assert len({one.probability for one in found.cases}) > 5


def test_a_model_trained_with_modality_dropout_answers_from_what_is_there(answer: Fuse) -> None:
    used = [one.modalities_used for one in fused(answer().output).cases]
    assert used[2:5] == [("bmode", "finding"), ("ceus", "finding"), ("bmode", "ceus")]
    assert set(used[:2] + used[5:]) == {ALL}


def test_the_file_says_which_model_answered_and_how_it_calls(
    answer: Fuse, ultrasound_toy: Path, tmp_path: Path
) -> None:
    info = fused(answer().output).info
    bundle = read_bundle(str(tmp_path / "tiny"), "fusion")
    assert info["fusion"] == {
        "name": "tiny",
        "sha256": bundle.sha256,
        "trained_on_phantoms": True,
        "modalities": list(ALL),
        "threshold": 0.5,
        "threshold_source": "bundle tiny: a rule, chosen on validation patients",
    }
    assert (info["phantom"], info["seed"], info["unanswered_cases"]) == (True, 7, 0)
    assert (tmp_path / info["scan_root"]).resolve() == ultrasound_toy.resolve()
    record = json.loads((tmp_path / "fused.run.json").read_text())
    assert record["command"] == "fuse"
    assert record["model"] == {"tiny": bundle.sha256}
    assert list(record["inputs"]) == ["ultrasound.json"]


def test_a_threshold_may_be_given(answer: Fuse) -> None:
    median = sorted(one.p_metastatic for one in answer().answers)[5]
    result = answer(threshold=median, overwrite=True)
    assert [one.called == "metastatic" for one in result.answers] == [
        one.p_metastatic >= median for one in result.answers
    ]
    assert [one.called for one in result.answers].count("metastatic") == 5
    assert fused(result.output).threshold == median
    assert result.threshold_source == "--threshold"


def test_patients_that_the_model_has_seen_are_told(
    answer: Fuse, tmp_path: Path, fusion_bundle: MakeBundle
) -> None:
    bundle = read_bundle(str(tmp_path / "tiny"), "fusion")
    chosen = Threshold(0.4, "a rule", "validation patients", PatientDigests.of(["p1"], "0" * 64))
    seen = replace(
        bundle,
        threshold=chosen,
        trained_on=PatientDigests.of(["p2", "p3", "x"], "0" * 64),
        folder=tmp_path / "seen",
    )
    write_bundle(seen, read_weights(bundle), "a card")
    result = answer(model=str(seen.folder))
    assert [note.split(" of this file")[0] for note in result.notes] == [
        "the fusion network was trained on 2 patients",
        "the fusion network's threshold was chosen on 1 patient",
    ]
    info = fused(result.output).info
    assert len(info["fusion_trained_on"]["patients_sha256"]) == 3
    assert len(info["fusion_threshold_chosen_on"]["patients_sha256"]) == 1
    replaced = answer(model=str(seen.folder), threshold=0.4, overwrite=True)
    assert "fusion_threshold_chosen_on" not in fused(replaced.output).info


def test_a_model_trained_without_modality_dropout_refuses_a_case_that_is_not_whole(
    answer: Fuse, fusion_bundle: MakeBundle, tmp_path: Path
) -> None:
    strict = str(fusion_bundle("strict", modality_dropout=0))
    with pytest.raises(
        InputError,
        match=r"ultrasound.json: cases\[2\], case 'c2': .*trained without modality_dropout, got a "
        r"case without ceus. Give a model .*, or leave such cases out with --skip-unanswerable",
    ):
        answer(model=strict)
    assert not (tmp_path / "fused.json").exists()
    result = answer(model=strict, skip_unanswerable=True)
    assert [failure.got for failure in result.failures] == [
        f"a case without {name}" for name in ("ceus", "bmode", "finding")
    ]
    found = fused(result.output)
    assert [one.case.case_id for one in found.cases] == ["c0", "c1", "c5", "c6", "c7", "c8", "c9"]
    assert found.info["unanswered_cases"] == 3
    record = json.loads((tmp_path / "fused.run.json").read_text())
    assert (record["failures"], record["exit_status"]) == (3, 6)


def test_a_case_with_nothing_the_model_takes_is_refused(
    answer: Fuse, fusion_bundle: MakeBundle, ultrasound_toy: Path, tmp_path: Path
) -> None:
    finding_only = str(fusion_bundle("finding", modalities=["finding"]))
    with pytest.raises(InputError, match=r"cases\[4\], case 'c4': expected finding, .* with none"):
        answer(model=finding_only)
    unknown = changed(ultrasound_toy, tmp_path / "unknown.json", finding="unknown")
    with pytest.raises(InputError, match=r"cases\[0\]"):  # none is left to skip to
        answer(ultrasound=unknown, model=finding_only, skip_unanswerable=True)


@pytest.mark.parametrize("dropout", [0.3, 0])
def test_to_do_without_a_modality_is_as_if_no_case_had_it(
    answer: Fuse, fusion_bundle: MakeBundle, ultrasound_toy: Path, tmp_path: Path, dropout: float
) -> None:
    model = str(fusion_bundle("other", modality_dropout=dropout))
    skip = {"skip_unanswerable": True, "model": model}
    result = answer(without="finding,ceus", **skip)
    bare = changed(ultrasound_toy, tmp_path / "bare.json", finding="unknown", ceus=())
    dropping = str(fusion_bundle("dropping"))
    expected = answer(
        ultrasound=bare, output=tmp_path / "b.json", model=dropping, skip_unanswerable=True
    )
    assert answers_of(result.output) == answers_of(expected.output)
    assert fused(result.output).without == ("ceus", "finding")
    assert [failure.got for failure in result.failures] == ["a case with none"]  # c3: no B-mode
    told = any("never had to do without" in note for note in result.notes)
    assert told == (dropout == 0)


@pytest.mark.parametrize(
    ("without", "got"), [("doppler", "doppler"), ("bmode,ceus,finding", "all")]
)
def test_a_modality_must_be_known_and_one_be_left(answer: Fuse, without: str, got: str) -> None:
    with pytest.raises(UsageError, match=rf"--without: .*got .?{got}"):
        answer(without=without)


def test_one_modality_of_the_models_own_must_be_left(
    answer: Fuse, fusion_bundle: MakeBundle, tmp_path: Path
) -> None:
    model = str(fusion_bundle("ceus", modalities=["ceus"]))
    with pytest.raises(
        UsageError,
        match=r"--without: expected one modality that is left of the model's: ceus, got ceus\.",
    ):
        answer(model=model, without="ceus", skip_unanswerable=True)
    assert not (tmp_path / "fused.json").exists()
    assert answer(model=model, without="bmode,finding", skip_unanswerable=True).answers


def test_a_model_that_has_only_seen_phantoms_says_so_of_real_images(
    answer: Fuse, ultrasound_toy: Path, tmp_path: Path
) -> None:
    told = "the model was trained on phantoms: on real images it shows that the pipeline works, not"
    assert not any(note.startswith(told) for note in answer().notes)
    real = changed(ultrasound_toy, tmp_path / "real.json")
    data = json.loads(real.read_text())
    real.write_text(json.dumps({**data, "info": {**data["info"], "phantom": False}}))
    notes = answer(ultrasound=real, output=tmp_path / "r.json").notes
    assert any(note.startswith(told) for note in notes)


def test_answers_of_another_model_take_the_place_of_those_in_a_fused_file(
    answer: Fuse, fusion_bundle: MakeBundle, tmp_path: Path
) -> None:
    gated = str(fusion_bundle("gated", fusion="gated", modality_dropout=0.1))
    first = answer(without="ceus").output
    second = answer(ultrasound=first, output=tmp_path / "second.json", model=gated)
    direct = answer(output=tmp_path / "direct.json", model=gated)
    assert second.output.read_bytes() == direct.output.read_bytes()


def test_the_input_is_never_the_output(answer: Fuse, tmp_path: Path) -> None:
    first = answer().output
    with pytest.raises(UsageError, match=r"those that are read, got fused\.json"):
        answer(ultrasound=first, overwrite=True)
    with pytest.raises(OutputError, match="--overwrite"):
        answer()
    assert answer(overwrite=True).output == first


def test_a_bundle_of_another_arm_is_refused_and_named(
    answer: Fuse, bundles: Path, fusion_bundle: MakeBundle
) -> None:
    with pytest.raises(ModelError, match=r"of arm 'classifier'\. This is a classifier's bundle"):
        answer(model=str(bundles / "classifier-tiny"))
    with pytest.raises(ModelError, match="give it to `lnmdetect fuse`"):
        read_bundle(str(fusion_bundle("mine")), "classifier")


def test_images_may_lie_elsewhere(answer: Fuse, ultrasound_toy: Path, tmp_path: Path) -> None:
    moved = changed(ultrasound_toy, tmp_path / "moved.json")
    data = json.loads(moved.read_text())
    data["info"]["scan_root"] = "gone"
    moved.write_text(json.dumps(data))
    result = answer(ultrasound=moved, scan=ultrasound_toy)
    assert (tmp_path / fused(result.output).info["scan_root"]).resolve() == ultrasound_toy.resolve()
