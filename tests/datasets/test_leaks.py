"""Whatever is planted in two parts is found from the records, and nothing else is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lnmdetect.core.folds import fold_part
from lnmdetect.core.records import ImageRecord
from lnmdetect.datasets.folds import DealRule, deal_by_patient
from lnmdetect.datasets.leaks import (
    Leak,
    Part,
    copies_apart,
    patient_key,
    placed,
    series_key,
    shared,
    slice_key,
    study_key,
)
from tests.datasets.conftest import RandomTruth

SETS = 25
KEYS: dict[str, Callable[[int, ImageRecord], object | None]] = {
    "patient": patient_key,
    "study": study_key,
    "series": series_key,
}


def image(image_id: int, patient: str = "p1", uid: str = "", **changes: Any) -> ImageRecord:
    values: dict[str, Any] = {
        "file_name": f"{uid or image_id}.dcm",
        "series": f"series {patient}",
        "extra": {},
        **changes,
    }
    return ImageRecord(
        image_id,
        values["file_name"],
        64,
        64,
        patient,
        values["series"],
        uid,
        0,
        0.0,
        (0.5, 0.5),
        extra=values["extra"],
    )


def marked(image_id: int, source: object, patient: str, **changes: Any) -> ImageRecord:
    extra = {"lnmdetect": {"augmented_from": source}}
    name = f"copy{image_id}.png"
    return image(image_id, patient, file_name=name, series=name, extra=extra, **changes)


def found(kind: str, parts: list[Part]) -> list[Leak]:
    return shared(kind, parts, placed(parts), KEYS.get(kind) or slice_key(parts))


def sound_parts(random_truth: RandomTruth, seed: int) -> list[Part]:
    truth = random_truth(seed, patients=12)
    folds = deal_by_patient(truth, DealRule(3, seed)).folds
    return [Part(fold.name, fold_part(truth, [fold]).images, file="truth.json") for fold in folds]


def planted(parts: list[Part], seed: int, **changes: Any) -> tuple[list[Part], ImageRecord]:
    """The parts with one slice of the first changed into a new slice of the last."""
    rng = np.random.default_rng(seed)
    source = parts[0].images[rng.integers(len(parts[0].images))]
    base = {"sop_instance_uid": "9.9.9", "series": "9.9", "patient": "someone else"}
    copy = replace(source.with_id(9999), file_name="9.9.9.dcm", **{**base, **changes})
    *others, last = parts
    return [*others, replace(last, images=(*last.images, copy))], source


@pytest.mark.parametrize("seed", range(SETS))
def test_sound_folds_have_no_leak(random_truth: RandomTruth, seed: int) -> None:
    parts = sound_parts(random_truth, seed)
    assert [found(kind, parts) for kind in (*KEYS, "slice")] == [[], [], [], []]
    assert copies_apart(parts) == []


@pytest.mark.parametrize("seed", range(SETS))
@pytest.mark.parametrize("kind", ["patient", "series", "slice"])
def test_a_planted_patient_series_or_slice_is_found(
    random_truth: RandomTruth, seed: int, kind: str
) -> None:
    names = {"patient": "patient", "series": "series", "slice": "sop_instance_uid"}
    parts = sound_parts(random_truth, seed)
    _, source = planted(parts, seed)
    parts, source = planted(parts, seed, **{names[kind]: getattr(source, names[kind])})
    (leak,) = found(kind, parts)
    assert leak.kind == kind
    assert source.image_id in leak.images["1"]
    assert leak.images["3"] == (9999,)
    others = [name for name in ("patient", "series", "slice") if name != kind]
    assert [found(name, parts) for name in others] == [[], []]


@pytest.mark.parametrize("seed", range(SETS))
@pytest.mark.parametrize("how", ["uid", "file name", "id"])
def test_a_planted_augmented_copy_is_found(random_truth: RandomTruth, seed: int, how: str) -> None:
    parts = sound_parts(random_truth, seed)
    _, source = planted(parts, seed)
    names = {"uid": source.sop_instance_uid, "file name": source.file_name, "id": source.image_id}
    parts, _ = planted(parts, seed, extra={"lnmdetect": {"augmented_from": names[how]}})
    (leak,) = copies_apart(parts)
    assert leak.kind == "augmented copy"
    assert leak.images == {"1": (source.image_id,), "3": (9999,)}
    assert leak.patients == tuple(sorted([source.patient, "someone else"]))


def test_a_study_is_compared_where_files_name_it() -> None:
    parts = [
        Part(name, (image(1, name, f"1.{number}", extra={"lnmdetect": {"study": "1.7"}}),))
        for number, name in enumerate("ab")
    ]
    (leak,) = found("study", parts)
    assert leak.patients == ("a", "b")


def test_frames_of_one_object_are_one_slice() -> None:
    parts = [Part("a", (image(1, uid="1.2#1"),)), Part("b", (image(1, uid="1.2#2"),))]
    assert len(found("slice", parts)) == 1


@pytest.mark.parametrize(("second", "leaks"), [("/data/a", 1), ("/data/b", 0)])
def test_files_of_one_name_are_one_slice_in_one_folder_only(second: str, leaks: int) -> None:
    png = image(1, file_name="x.png", series="x.png")
    parts = [Part("a", (png,), "1", "/data/a"), Part("b", (png,), "2", second)]
    assert len(found("slice", parts)) == leaks
    assert found("series", parts) == []


def test_copies_beside_their_source_are_no_leak() -> None:
    parts = [
        Part("a", (image(1, uid="1.2"), marked(2, "1.2", "p1"), marked(3, 1, "p1")), "t"),
        Part("b", (image(4, uid="1.3"),), "t"),
    ]
    assert copies_apart(parts) == []


def test_copies_of_a_source_that_is_nowhere_listed_may_not_part() -> None:
    parts = [
        Part("a", (marked(1, "1.9", "p1"),), "t"),
        Part("b", (marked(2, "1.9.dcm", "p2"),), "t"),
    ]
    (leak,) = copies_apart(parts)
    assert leak.images == {"a": (1,), "b": (2,)}


def test_a_copy_of_a_copy_belongs_to_the_first_source() -> None:
    parts = [
        Part("a", (image(1, uid="1.2"),), "t"),
        Part("b", (marked(3, "copy2.png", "p3"),), "t"),
        Part("c", (marked(2, 1, "p2"),), "t"),
    ]
    (leak,) = copies_apart(parts)
    assert leak.images == {"a": (1,), "b": (3,), "c": (2,)}


def test_ids_name_slices_of_their_own_file() -> None:
    parts = [
        Part("a", (image(1, uid="1.2"),), "first.json"),
        Part("b", (image(1, "p2", "1.3"), marked(2, 1, "p2")), "second.json"),
    ]
    assert copies_apart(parts) == []
