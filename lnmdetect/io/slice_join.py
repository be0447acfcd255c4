"""Which images of two files are the same slice: by SOP uid, then by file name, never by id."""

from collections.abc import Callable, Sequence

import numpy as np

from lnmdetect.core.columns import ImageColumns, Places
from lnmdetect.core.errors import InputError
from lnmdetect.core.records import ImageRecord
from lnmdetect.io.coco_columns_images import images_from_records

PlaceOf = Callable[[int], str]
"""From the row of an image in the second file to where it stands, for messages."""


def join_columns(
    first: ImageColumns, second: ImageColumns, *, place: PlaceOf = "images[{}]".format
) -> Places:
    """Return (N,) where in `first` each of N slices of `second` stands, -1 where it does not.

    File names decide only where one of the two images has no SOP uid.

    Args:
        first: images of one file.
        second: images of the other.
        place: where an image of `second` stands.

    Raises:
        InputError: a shared slice has another size in the second file, or is listed twice.
    """
    by_uid = {uid: row for row, uid in enumerate(first.sop_instance_uids) if uid}
    by_name = {name: row for row, name in enumerate(first.file_names)}
    places = np.full(len(second), -1, dtype=np.int64)
    named = zip(second.sop_instance_uids, second.file_names, strict=True)
    for row, (uid, name) in enumerate(named):
        match = by_uid.get(uid, by_name.get(name))
        if match is not None and _may_be_same(first.sop_instance_uids[match], uid):
            places[row] = match
    rows = np.flatnonzero(places >= 0)
    _check_sizes(first.sizes_px[places[rows]], second.sizes_px[rows], rows, place)
    _check_once(places[rows], rows, place)
    return places


def _may_be_same(first_uid: str, second_uid: str) -> bool:
    return not (first_uid and second_uid) or first_uid == second_uid


def _check_sizes(first_px: Places, second_px: Places, rows: Places, place: PlaceOf) -> None:
    """Raise for the first of (R,) shared slices whose (R, 2) sizes differ."""
    other = np.flatnonzero((first_px != second_px).any(axis=1))
    if len(other):
        expected, got = (
            "{} x {} px".format(*sizes[other[0]].tolist()) for sizes in (first_px, second_px)
        )
        raise InputError(
            place(int(rows[other[0]])),
            expected=f"{expected}, as in the other file",
            got=got,
            remedy="Use files made from the same scan, without resampling.",
        )


def _check_once(places: Places, rows: Places, place: PlaceOf) -> None:
    """Raise for the first of (R,) shared slices that an earlier row is too."""
    _, first_at = np.unique(places, return_index=True)
    again = np.setdiff1d(np.arange(len(places)), first_at)
    if len(again):
        earlier = int(np.flatnonzero(places == places[again[0]])[0])
        raise InputError(
            place(int(rows[again[0]])),
            expected=f"another slice than {place(int(rows[earlier]))}",
            got="the same slice of the other file, by SOP uid or file name",
            remedy="List each slice once in a file.",
        )


def shared_ids(first: Sequence[ImageRecord], second: Sequence[ImageRecord]) -> dict[int, int]:
    """Return the id in the second file to the id in the first, for slices that both list.

    Raises:
        InputError: as `join_columns`.
    """
    places = join_columns(images_from_records(first)[0], images_from_records(second)[0])
    return {
        image.image_id: first[place].image_id
        for image, place in zip(second, places.tolist(), strict=True)
        if place >= 0
    }
