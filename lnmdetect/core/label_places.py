"""Where labels go beside boxes on a picture: inside it, hiding no box where there is room.

Places are xyxy rectangles, px.
"""

from collections.abc import Iterable, Sequence

from lnmdetect.core.linked_nodes import BoxXyxy

Size = tuple[float, float]
"""Width, height."""
_AWAY = (1, 2, 3)
"""Lines that a label stands off where all places next to its box are taken."""


def place_labels(
    boxes: Sequence[BoxXyxy],
    sizes: Sequence[Size],
    picture: Size,
    *,
    gap: float,
    reserved: Iterable[BoxXyxy] = (),
) -> list[BoxXyxy]:
    """Return a place for the label of each box: to its right, else to its left, below or above.

    Where no place is clear of all boxes, of `reserved` and of the labels before, it is the first
    one that is clear of its own box, and at the worst one on it.

    Args:
        boxes: in picture px.
        sizes: of the labels.
        picture: its size; every label lies inside where it fits at all.
        gap: between a box and its label.
        reserved: where no label should go.
    """
    taken = [*reserved, *boxes]
    places = []
    for box, size in zip(boxes, sizes, strict=True):
        beside = [_inside(place, picture) for place in _beside(box, size, gap)]
        clear_of_own = [place for place in beside if not _overlap(place, box)]
        place = first_clear(clear_of_own or beside, taken)
        taken.append(place)
        places.append(place)
    return places


def place_banner(
    boxes: Sequence[BoxXyxy], size: Size, picture: Size, *, edge: float = 0.0
) -> BoxXyxy:
    """Return a place in a corner without boxes, else down a side: upper left where none is free.

    Args:
        boxes: in picture px.
        size: of the banner.
        picture: its size.
        edge: kept free along the picture's sides.
    """
    right, bottom = (picture[axis] - size[axis] - edge for axis in (0, 1))
    tops = [edge, bottom]
    tops += [edge + step * size[1] for step in range(1, int((bottom - edge) // size[1]))]
    lefts = (edge, right)
    places = [(left, top, left + size[0], top + size[1]) for top in tops for left in lefts]
    return first_clear([_inside(place, picture) for place in places], boxes)


def first_clear(places: Sequence[BoxXyxy], taken: Sequence[BoxXyxy]) -> BoxXyxy:
    """Return the first place that overlaps nothing in `taken`, else the very first."""
    clear = (place for place in places if not any(_overlap(place, other) for other in taken))
    return next(clear, places[0])


def _beside(box: BoxXyxy, size: Size, gap: float) -> list[BoxXyxy]:
    x1, y1, x2, y2 = box
    width, height = size
    corners = (
        (x2 + gap, y1),
        (x1 - gap - width, y1),
        (x1, y2 + gap),
        (x1, y1 - gap - height),
        (x2 + gap, y2 - height),
        (x1 - gap - width, y2 - height),
        *((x1, y2 + gap + away * height) for away in _AWAY),
        *((x1, y1 - gap - height - away * height) for away in _AWAY),
    )
    return [(left, top, left + width, top + height) for left, top in corners]


def _inside(place: BoxXyxy, picture: Size) -> BoxXyxy:
    """Return the place moved into the picture; cut where it is larger than that."""
    width, height = (min(place[2] - place[0], picture[0]), min(place[3] - place[1], picture[1]))
    left = max(min(place[0], picture[0] - width), 0.0)
    top = max(min(place[1], picture[1] - height), 0.0)
    return (left, top, left + width, top + height)


def _overlap(one: BoxXyxy, other: BoxXyxy) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
