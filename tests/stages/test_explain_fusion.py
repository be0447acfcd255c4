"""fuse --explain: a picture a case, and the galleries of right and of wrong calls."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lnmdetect.core.errors import OutputError, UsageError
from lnmdetect.core.fused import FusedCase, FusedDataset
from lnmdetect.core.ultrasound import ImagePlace, UltrasoundCase
from lnmdetect.datasets.fusion_data import FusionBatch
from lnmdetect.io.figures_fusion import FusedPicture
from lnmdetect.stages import explain_fusion as stage
from lnmdetect.stages.explain_fusion import gallery_cases
from lnmdetect.stages.fuse import fuse
from lnmdetect.stages.fuse_result import FuseRequest, FuseResult
from lnmdetect.training.fusion_heat import FusionHeat

MakeBundle = Callable[..., Path]


@pytest.fixture
def explained(ultrasound_toy: Path, tmp_path: Path, fusion_bundle: MakeBundle) -> Any:
    """A function that answers and explains the toy cases; changes go to the recipe's model."""

    def call(name: str = "tiny", *, overwrite: bool = False, **changes: Any) -> FuseResult:
        request = FuseRequest(
            ultrasound_toy / "ultrasound.json",
            output=tmp_path / "fused.json",
            model=str(fusion_bundle(name, **changes)),
            device="cpu",
            explain=tmp_path / "pictures",
            skip_unanswerable=True,
            overwrite=overwrite,
        )
        return fuse(request)

    return call


def read_rgb(path: Path) -> NDArray[np.int_]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=int)


def test_each_case_has_a_picture_and_each_verdict_a_gallery(explained: Any, tmp_path: Path) -> None:
    result = explained(frames=2)
    right = {one.case_id for one in result.answers if one.called == one.label}
    assert 0 < len(right) < 10
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    cases = [f"case-{number:05d}.png" for number in range(1, 11)]
    assert names == [*cases, "correct.png", "wrong.png"]
    assert (result.drawn.pictures, result.drawn.galleries) == (10, ("correct.png", "wrong.png"))
    pixels = {name: read_rgb(tmp_path / "pictures" / name) for name in names}
    assert pixels["case-00003.png"].shape[1] < pixels["case-00001.png"].shape[1]  # no CEUS
    assert np.ptp(pixels["case-00001.png"], axis=2).max() > 100  # heat has colours


def test_heat_is_of_the_call_and_of_the_hottest_frame(
    ultrasound_toy: Path,
    tmp_path: Path,
    fusion_bundle: MakeBundle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[FusedPicture] = []
    heat: list[NDArray[np.floating]] = []
    plain = FusionHeat.predict

    def noted(self: FusionHeat, batch: FusionBatch) -> list[Any]:
        found = plain(self, batch)
        heat.extend(found if self.modality == "ceus" else [])
        return found

    monkeypatch.setattr(
        stage, "write_case_picture", lambda picture, *_, **__: drawn.append(picture)
    )
    monkeypatch.setattr(stage, "write_gallery", lambda *_, **__: None)
    monkeypatch.setattr(FusionHeat, "predict", noted)
    request = FuseRequest(
        *(ultrasound_toy / "ultrasound.json", tmp_path / "fused.json"),
        model=str(fusion_bundle(frames=2)),
        device="cpu",
        explain=tmp_path / "pictures",
        overwrite=True,
    )
    for threshold in (0.0, 1.0):
        fuse(replace(request, threshold=threshold))
    metastatic, benign = (drawn[place].views["bmode"].heat for place in (0, 10))
    assert min(metastatic.max(), benign.max()) > 0.8
    assert np.corrcoef(metastatic.ravel(), benign.ravel())[0, 1] < 0
    hottest = [1 + int(np.clip(frames, 0, None).sum(axis=(1, 2)).argmax()) for frames in heat]
    titles = [picture.views["ceus"].title for picture in drawn if "ceus" in picture.views]
    assert titles == [f"CEUS, frame {number} of 2" for number in hottest]
    assert set(hottest) == {1, 2}


def test_galleries_hang_cases_by_pathology_and_say_how_many_there_are(
    ultrasound_toy: Path,
    tmp_path: Path,
    fusion_bundle: MakeBundle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hung: dict[str, Any] = {}

    def noted(sections: Any, path: Path, **told: Any) -> None:
        hung[path.name] = (sections, told["title"], told["sentences"])

    monkeypatch.setattr(stage, "write_case_picture", lambda *_, **__: None)
    monkeypatch.setattr(stage, "write_gallery", noted)
    request = FuseRequest(
        *(ultrasound_toy / "ultrasound.json", tmp_path / "fused.json"),
        model=str(fusion_bundle(fusion="gated")),
        device="cpu",
        threshold=0.0,
        explain=tmp_path / "pictures",
    )
    answers = fuse(request).answers  # all are called metastatic: five are, five are not
    for name, label, verdict in (
        ("correct.png", "metastatic", "right"),
        ("wrong.png", "benign", "wrong"),
    ):
        sections, title, sentences = hung[name]
        assert title == f"Cases called {verdict}: 5 of 10 whose pathology is known"
        assert list(sections) == [f"Pathology {label}: all 5"]
        (pictures,) = sections.values()
        surest = sorted(answers, key=lambda one: -one.p_metastatic)
        expected = [one.case_id for one in surest if one.label == label]
        assert [picture.name for picture in pictures] == expected
        assert sentences[0] == "A case is called metastatic from P(metastatic) 0.000 on."
        assert sentences[-1].split(" · ")[1:3] == ["phantom", "fusion tiny, trained on phantoms"]
    dataset = fused(*((f"c{n}", 0.5 + n / 100, "metastatic") for n in range(20)))
    shown = gallery_cases(dataset, is_right=True)
    pictures = {id(one): one for one in dataset.cases}
    found = stage._sections(dataset, shown, pictures, is_right=True)
    assert list(found) == ["Pathology metastatic: the surest 12 of 20"]


def test_one_kind_of_image_is_explained_too(explained: Any, tmp_path: Path) -> None:
    result = explained(modalities=["ceus"])
    assert result.drawn.pictures == 9
    assert (tmp_path / "pictures" / "case-00009.png").is_file()


def test_pictures_of_another_run_are_replaced_only_when_asked(
    explained: Any, tmp_path: Path
) -> None:
    old = tmp_path / "pictures" / "case-00042.png"
    old.parent.mkdir()
    old.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"got 1 picture\. Give --overwrite"):
        explained()
    assert not (tmp_path / "fused.json").exists()
    explained(overwrite=True)
    assert not old.exists()


def test_a_model_without_images_cannot_be_explained(explained: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--explain: .*one that answers from the finding alone"):
        explained(modalities=["finding"])
    assert not (tmp_path / "fused.json").exists()


def fused(*rows: tuple[str, float, str | None]) -> FusedDataset:
    info = {"fusion": {"name": "x", "modalities": ["finding"], "threshold": 0.4}}
    cases = tuple(
        FusedCase(
            UltrasoundCase(name, name, None, (), "present", label),  # type: ignore[arg-type]
            probability,
            ("finding",),
        )
        for name, probability, label in rows
    )
    return FusedDataset(info, cases)


@pytest.mark.parametrize(
    ("finding", "used", "words"),
    [
        ("present", ("bmode", "finding"), "finding present"),
        ("present", ("bmode",), "finding not used"),
        ("unknown", ("bmode",), "finding unknown"),
    ],
)
def test_a_picture_tells_the_finding_only_where_the_answer_rests_on_it(
    finding: Any, used: tuple[str, ...], words: str
) -> None:
    case = UltrasoundCase("c", "p", ImagePlace("b.png"), (), finding, "benign")
    one = FusedCase(case, 0.3, used)
    info = {"fusion": {"name": "x", "modalities": ["bmode", "finding"], "threshold": 0.4}}
    picture = stage._picture(FusedDataset(info, (one,)), one, {})
    assert picture.finding == words
    assert picture.rests_on == ", ".join({"bmode": "B-mode"}.get(name, name) for name in used)


def test_a_gallery_has_the_surest_of_each_pathology_metastatic_first() -> None:
    dataset = fused(
        ("a", 0.45, "metastatic"),
        ("b", 0.1, "benign"),
        ("c", 0.95, "metastatic"),
        ("d", 0.3, "benign"),
        ("e", 0.7, "metastatic"),
        ("f", 0.2, "metastatic"),
        ("g", 0.9, None),
        ("h", 0.41, "benign"),
    )

    def names(*, is_right: bool, count: int = 12) -> str:
        hung = gallery_cases(dataset, is_right=is_right, count=count)
        return "".join(one.case.case_id for one in hung)

    assert names(is_right=True) == "ceabd"
    assert names(is_right=True, count=3) == "ceb"
    assert names(is_right=True, count=2) == "cb"
    assert names(is_right=False) == "fh"
