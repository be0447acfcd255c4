"""Ultrasound cases dealt by patient, as nodes on CT are."""

from lnmdetect.core.folds import TEST
from lnmdetect.core.records import (
    CATEGORY_IDS,
    LYMPH_NODE,
    CocoDataset,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.core.ultrasound import UltrasoundCase, UltrasoundDataset
from lnmdetect.datasets.folds import DealRule, deal_by_patient


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
