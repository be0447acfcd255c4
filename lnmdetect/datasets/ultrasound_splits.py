"""Ultrasound cases dealt by patient: a test part, and of the rest a part for validation."""

from collections.abc import Mapping
from dataclasses import dataclass

from lnmdetect.core.errors import InputError
from lnmdetect.core.folds import TEST
from lnmdetect.core.records import (
    CATEGORY_IDS,
    LYMPH_NODE,
    CocoDataset,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.core.ultrasound import Split, UltrasoundCase, UltrasoundDataset
from lnmdetect.datasets.folds import DealRule, deal_by_patient

TEST_SHARE = VALIDATION_SHARE = 0.2
"""Guang 2023 deals its patients 8:2, and the 8 of them 8:2 again."""


@dataclass(frozen=True)
class UltrasoundSplit:
    """Who is trained on, validated on and tested on; no patient is in two of them.

    Attributes:
        validation: the inner split, of which table 2 of the paper comes.
        test: the outer one, of which its table 3 comes.
    """

    training: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        everyone = (*self.training, *self.validation, *self.test)
        twice = len(everyone) - len(set(everyone))
        if twice:
            raise ValueError(f"split: expected each patient in one part, got {twice} in two")


def split_ultrasound(dataset: UltrasoundDataset, seed: int) -> UltrasoundSplit:
    """Return the split that the file gives, or 8:2 and 8:2 again, spread evenly by label.

    A file that puts nobody in `validation` has its training patients dealt 8:2.

    Args:
        dataset: with patients whose cases all have a `split`, or none.
        seed: of both deals.

    Raises:
        InputError: there are too few patients, or only some of them have a split.
    """
    given = {case.patient: case.split for case in dataset.cases}
    if None in given.values():
        _require_no_split(given)
        rest, test = deal_off(dataset, TEST_SHARE, seed)
        training, validation = deal_off(dataset.subset(set(rest)), VALIDATION_SHARE, seed)
        return UltrasoundSplit(training, validation, test)
    parts = {
        part: tuple(sorted(name for name, there in given.items() if there == part))
        for part in ("training", "validation", "test")
    }
    if not parts["validation"]:
        known = dataset.subset(set(parts["training"]))
        parts["training"], parts["validation"] = deal_off(known, VALIDATION_SHARE, seed)
    return UltrasoundSplit(parts["training"], parts["validation"], parts["test"])


def deal_off(
    dataset: UltrasoundDataset, share: float, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the patients that stay and those dealt off, spread evenly by label.

    Args:
        dataset: whose patients are dealt whole.
        share: of the patients that is dealt off, above 0 and below 1; at least one.
        seed: the same seed gives the same deal, whatever the order of the cases.

    Raises:
        InputError: there are fewer than two patients.
    """
    folds = deal_by_patient(as_dealt(dataset), DealRule(folds=0, seed=seed, test_share=share))
    off = next(fold.patients for fold in folds.folds if fold.name == TEST)
    return tuple(sorted(folds.patients() - set(off))), tuple(sorted(off))


def as_dealt(dataset: UltrasoundDataset) -> CocoDataset:
    """Return the cases as what is dealt into folds: an image each, with one box of its label.

    Finding, sex, location and the file's own columns stand in the images' `lnmdetect` block, by
    which folds can be spread evenly.
    """
    images = tuple(_image(number, case) for number, case in enumerate(dataset.cases, start=1))
    boxes = tuple(
        NodeAnnotation(number, number, _category(case), (0.0, 0.0, 1.0, 1.0))
        for number, case in enumerate(dataset.cases, start=1)
    )
    return CocoDataset(dict(dataset.info), images, boxes)


def _image(number: int, case: UltrasoundCase) -> ImageRecord:
    block = {"finding": case.finding, "sex": case.sex, "location": case.location, **case.extra}
    known = {key: value for key, value in block.items() if value is not None}
    return ImageRecord(
        image_id=number,
        file_name=case.case_id,
        width=1,
        height=1,
        patient=case.patient,
        series=case.case_id,
        sop_instance_uid="",
        slice_index=0,
        position_mm=0.0,
        spacing_mm=(1.0, 1.0),
        extra={"lnmdetect": known},
    )


def _category(case: UltrasoundCase) -> int:
    return LYMPH_NODE if case.label is None else CATEGORY_IDS[case.label]


def _require_no_split(given: Mapping[str, Split | None]) -> None:
    known = sum(split is not None for split in given.values())
    if known:
        raise InputError(
            "cases",
            expected="a split for each patient, or for none",
            got=f"{known} of {len(given)} with one",
            remedy="Fill the field split in every case, or leave it out.",
        )
