"""Chance: the same boxes, on the slices of somebody else."""

import numpy as np
import pytest

from lnmdetect.metrics.average_precision import average_precision
from lnmdetect.metrics.chance import on_other_patients
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.tables import BoxTables, FoundTable, TruthTable


def cohort(patients: list[int]) -> Cohort:
    places = np.array(patients)
    return Cohort(places, places, Resamples(int(places.max()) + 1, count=0))


def perfect(corners: list[float]) -> BoxTables:
    """One truth box an image, 10 px wide at (c, c), and a detection that equals it."""
    places = np.arange(len(corners))
    boxes = np.array([[c, c, c + 10.0, c + 10.0] for c in corners])
    none = np.zeros(len(corners), dtype=bool)
    truth = TruthTable(places, boxes, none, places)
    return BoxTables(len(corners), truth, FoundTable(places, boxes, np.arange(0.5, len(corners))))


def test_each_image_gets_the_boxes_of_an_image_of_another_patient() -> None:
    # Patients 0, 1, 2 have 2, 1 and 3 images, not in order; the largest has 3 of 6.
    owners = [2, 0, 1, 2, 0, 2]
    moved = on_other_patients(perfect([0, 20, 40, 60, 80, 100]), cohort(owners))
    assert moved is not None
    assert sorted(moved.found.image) == [0, 1, 2, 3, 4, 5]
    for before, after in enumerate(moved.found.image):
        assert owners[before] != owners[after]
    assert moved.found.boxes_xyxy[3].tolist() == [60, 60, 70, 70]
    assert moved.found.scores.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]


def test_boxes_that_only_know_the_usual_place_are_as_good_on_other_patients() -> None:
    same, own = perfect([30, 30, 30, 30]), perfect([0, 20, 40, 60])
    of = cohort([0, 0, 1, 1])
    for tables, expected in ((same, 1.0), (own, 0.0)):
        moved = on_other_patients(tables, of)
        assert moved is not None
        assert average_precision(tables, of).ap50.value == pytest.approx(1.0)
        assert average_precision(moved, of).ap50.value == pytest.approx(expected)


def test_without_enough_images_of_others_there_is_no_chance() -> None:
    assert on_other_patients(perfect([0, 20, 40]), cohort([0, 0, 1])) is None
    assert on_other_patients(perfect([0]), cohort([0])) is None
