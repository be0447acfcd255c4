"""What stands in two parts of a data set and should not: found from records, then from pixels."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lnmdetect.core.records import ImageRecord

BLOCK = "lnmdetect"
PLACE_OF_COPY = "augmented_from"
"""Field of an image (or of its `lnmdetect` block): the slice that it is a changed copy of."""


@dataclass(frozen=True)
class Part:
    """One part of a data set: a fold, or a whole truth file.

    Attributes:
        name: as reported.
        images: its slices.
        file: which truth file they are of; image ids are compared within it alone.
        place: where its pixels lie; file names are compared within it alone. Never reported.
    """

    name: str
    images: tuple[ImageRecord, ...]
    file: str = ""
    place: str = field(default="", repr=False)


@dataclass(frozen=True)
class Leak:
    """One thing that stands in two parts or more.

    Attributes:
        kind: patient, study, series, slice, augmented copy, identical pixels, ...
        patients: pseudonyms, as the files have them; no uid and no file name is reported.
        images: part to the ids of its slices that are concerned.
    """

    kind: str
    patients: tuple[str, ...]
    images: Mapping[str, tuple[int, ...]]


Place = tuple[int, ImageRecord]
"""A slice and the place of its part."""


def placed(parts: Sequence[Part]) -> list[Place]:
    """Return every slice of all parts with the place of its part."""
    return [(place, image) for place, part in enumerate(parts) for image in part.images]


def shared(
    kind: str,
    parts: Sequence[Part],
    places: Iterable[Place],
    key_of: Callable[[int, ImageRecord], object | None],
) -> list[Leak]:
    """Return what stands in two parts or more, by a key of each slice; None has none."""
    by_key: dict[object, list[Place]] = {}
    for place, image in places:
        key = key_of(place, image)
        if key is not None:
            by_key.setdefault(key, []).append((place, image))
    return [
        leak_of(kind, parts, members)
        for members in by_key.values()
        if len({place for place, _ in members}) > 1
    ]


def leak_of(kind: str, parts: Sequence[Part], members: Sequence[Place]) -> Leak:
    """Return the leak of some slices."""
    images: dict[str, list[int]] = {}
    for place, image in members:
        images.setdefault(parts[place].name, []).append(image.image_id)
    patients = tuple(sorted({image.patient for _, image in members}))
    return Leak(kind, patients, {name: tuple(sorted(set(ids))) for name, ids in images.items()})


def field_of(image: ImageRecord, name: str) -> Any:
    """Return a field of an image's `lnmdetect` block, else of the image; None without one."""
    return image.extra.get(BLOCK, {}).get(name, image.extra.get(name))


def patient_key(_: int, image: ImageRecord) -> object:
    """Return the patient."""
    return image.patient


def study_key(_: int, image: ImageRecord) -> object | None:
    """Return the study that the file names, None where it names none."""
    study = field_of(image, "study")
    return study if isinstance(study, int | str) and study != "" else None


def series_key(_: int, image: ImageRecord) -> object | None:
    """Return the series; None for a slice that is a scan of its own."""
    return None if image.series == image.file_name else image.series


def slice_key(parts: Sequence[Part]) -> Callable[[int, ImageRecord], object]:
    """Return a function that gives the SOP instance (of all its frames), else the file."""

    def key(place: int, image: ImageRecord) -> object:
        if image.sop_instance_uid:
            return _instance(image.sop_instance_uid)
        return (parts[place].place, image.file_name)

    return key


def _instance(uid: str) -> str:
    return uid.partition("#")[0]


def copies_apart(parts: Sequence[Part]) -> list[Leak]:
    """Return augmented copies that stand in another part than their source, or than each other.

    `augmented_from` names the source by its SOP uid, file name, or id in the same truth file; a
    copy of a copy belongs to the first source, also where that is not listed.
    """
    places = placed(parts)
    own = slice_key(parts)
    by_id: dict[tuple[str, int | str], object] = {
        (parts[p].file, image.image_id): own(p, image) for p, image in places
    }
    roots: dict[object, object] = {}

    def root(name: object) -> object:
        while roots.setdefault(name, name) != name:
            roots[name] = roots[roots[name]]
            name = roots[name]
        return name

    copied: list[object] = []
    for place, image in places:
        for source in _sources(image):
            at = by_id.get((parts[place].file, source), _named(source, parts[place].place))
            copied.append(own(place, image))
            roots[root(own(place, image))] = root(at)
    with_copies = {root(name) for name in copied}
    members = ((p, image) for p, image in places if root(own(p, image)) in with_copies)
    return shared("augmented copy", parts, members, lambda p, image: root(own(p, image)))


def _sources(image: ImageRecord) -> Iterator[int | str]:
    source = field_of(image, PLACE_OF_COPY)
    if isinstance(source, int | str) and not isinstance(source, bool) and source != "":
        yield source


def _named(source: int | str, place: str) -> object:
    """Return the key of a source by name: a uid (with or without .dcm), else a file beside it."""
    name = str(source).removesuffix(".dcm")
    if name.replace("#", ".").replace(".", "").isdigit():
        return _instance(name)
    return (place, str(source))


def count_of(parts: Sequence[Part], key_of: Callable[[int, ImageRecord], object | None]) -> int:
    """Return how many slices have a key."""
    return sum(key_of(place, image) is not None for place, image in placed(parts))
