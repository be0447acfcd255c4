"""What detections are worth by chance: the same boxes, on the slices of somebody else."""

import numpy as np

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.tables import BoxTables, FoundTable


def on_other_patients(tables: BoxTables, cohort: Cohort) -> BoxTables | None:
    """Return the tables with each image's detections laid on an image of another patient.

    Number, sizes, scores and usual places of the boxes stay; only what the images show is lost.
    Images are taken patient by patient and their detections moved on by as many images as the
    largest patient has, the last ones to the front. None where one patient has more than half of
    all images, so that this leads back to the same patient.

    Args:
        tables: I images.
        cohort: whose the I images are.
    """
    patients = cohort.patient_of_image
    largest = int(np.bincount(patients).max(initial=0))
    if not largest or 2 * largest > len(patients):
        return None
    order = np.argsort(patients, kind="stable")
    target = np.empty_like(order)
    target[order] = np.roll(order, -largest)
    found = tables.found
    moved = FoundTable(target[found.image], found.boxes_xyxy, found.scores)
    return BoxTables(tables.images, tables.truth, moved)
