"""What an audit takes from the scans: a fingerprint of each slice, and what its header says."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lnmdetect.core.errors import InputError
from lnmdetect.core.progress import Progress
from lnmdetect.core.records import CocoDataset, ImageRecord
from lnmdetect.datasets.fingerprints import (
    Thumbnail,
    is_blank,
    near_pairs,
    pixel_digest,
    thumbnail,
)
from lnmdetect.datasets.leaks import Leak, Part, Place, leak_of, placed
from lnmdetect.io.pixel_roots import scan_root
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.stages.audit_parts import AuditParts

MOST_NEAR_COPIES_SOUGHT = 20_000
"""Slices; above, comparing all pairs takes many minutes, and only identical ones are sought."""


@dataclass
class Readings:
    """What was read of the slices; keys are (truth file, image id).

    Attributes:
        digests: of slices that show somebody; thumbnails: of the same.
        blank: how many show nobody; unread: how many could not be read.
        missing: why the pixels of a truth file were not looked for, a sentence each.
        studies: (study uid, patient id) of the headers; compared, never reported.
    """

    digests: dict[tuple[str, int], str] = field(default_factory=dict)
    thumbnails: dict[tuple[str, int], Thumbnail] = field(default_factory=dict)
    studies: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    blank: int = 0
    unread: int = 0
    missing: list[str] = field(default_factory=list)

    @property
    def read(self) -> int:
        """How many slices were read, blank ones included."""
        return len(self.digests) + self.blank


def read_pixels(audit: AuditParts, scan: Path | None, progress: Progress) -> Readings:
    """Return what the slices of all parts hold, each read once.

    Raises:
        InputError: `scan` was given and holds none of the slices.
    """
    readings = Readings()
    wanted = list(_findable(audit, scan, readings))
    failures: list[InputError] = []
    for file, image, store in progress.track(wanted, description="comparing pixels"):
        key = (file, image.image_id)
        header = store.header_of(image)
        if header is not None and header.study_uid:
            readings.studies[key] = (header.study_uid, header.patient_id.strip())
        try:
            hu = store.read(image)
        except InputError as error:
            failures.append(error)
            continue
        if is_blank(hu):
            readings.blank += 1
        else:
            readings.digests[key] = pixel_digest(hu)
            readings.thumbnails[key] = thumbnail(hu)
    if scan is not None and failures and not readings.read:
        raise failures[0]
    readings.unread = len(failures)
    return readings


def _findable(
    audit: AuditParts, scan: Path | None, readings: Readings
) -> Iterator[tuple[str, ImageRecord, PixelStore]]:
    """Give each slice once, with where it is looked for; note the files whose scans are not found.

    The stores are shared: parts of one truth file, and files of one folder, are indexed once.
    """
    stores: dict[tuple[Path, Path], PixelStore] = {}
    seen: set[tuple[str, int]] = set()
    refused: set[Path] = set()
    for part, (path, data) in zip(audit.parts, audit.sources, strict=True):
        root = None if path in refused else _root(path, data, scan, readings)
        if root is None:
            refused.add(path)
            continue
        place = (root.resolve(), path.parent.resolve())
        if place not in stores:
            stores[place] = PixelStore(root, png_folder=path.parent)
        for image in part.images:
            if (key := (part.file, image.image_id)) not in seen:
                seen.add(key)
                yield part.file, image, stores[place]


def _root(path: Path, data: CocoDataset, scan: Path | None, readings: Readings) -> Path | None:
    has_png = any(not image.sop_instance_uid for image in data.images)
    if scan is None and not has_png and "scan_root" not in data.info:
        readings.missing.append(f"{path.name} names no scan_root")
        return None
    try:
        return scan_root(path, data, scan)
    except InputError as error:
        if scan is not None:
            raise
        readings.missing.append(f"{error.where}: {error.got}")
        return None


def near_copies(parts: tuple[Part, ...], readings: Readings) -> list[Leak]:
    """Return slices of different patients in different parts that are nearly the same.

    Identical ones, and those of one patient, are found by other checks.
    """
    known = [
        [
            (place, image)
            for place, image in placed(parts)
            if place == number and (parts[place].file, image.image_id) in readings.thumbnails
        ]
        for number in range(len(parts))
    ]
    found: dict[tuple[tuple[int, str], tuple[int, str]], list[Place]] = {}
    for first in range(len(parts)):
        for second in range(first + 1, len(parts)):
            for one, other in _near(parts, readings, known[first], known[second]):
                key = ((first, one.patient), (second, other.patient))
                found.setdefault(key, []).extend([(first, one), (second, other)])
    return [leak_of("nearly identical pixels", parts, pairs) for pairs in found.values()]


def _near(
    parts: tuple[Part, ...], readings: Readings, first: list[Place], second: list[Place]
) -> Iterator[tuple[ImageRecord, ImageRecord]]:
    if not first or not second:
        return
    keys = [[(parts[p].file, image.image_id) for p, image in side] for side in (first, second)]
    one_side, other_side = (np.stack([readings.thumbnails[k] for k in side]) for side in keys)
    for row, column, _ in near_pairs(one_side, other_side):
        one, other = first[row][1], second[column][1]
        same = readings.digests[keys[0][row]] == readings.digests[keys[1][column]]
        if not same and one.patient != other.patient:
            yield one, other
