"""Whether slices form a sound scan: one grid, even steps, nothing missing or doubled."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lnmdetect.core.errors import InputError
from lnmdetect.core.wording import counted
from lnmdetect.io.dicom_header import SliceHeader
from lnmdetect.io.input_files import printable

AXIAL_WITHIN_DEGREES = 45.0
"""An axial slice's normal is within this of the body axis; gantries tilt to 30."""
TILT_TOLERANCE_DEGREES = 1.0
"""Positions rounded to 0.1 mm turn the axis of a few thin slices by as much."""
SAME_POSITION_MM = 0.01
SHIFT_TOLERANCE_MM = 2.0
"""Sideways step between neighbours that is still one grid; rounding stays far below."""
STEP_TOLERANCE = 0.25
"""Share of the usual step by which one may differ; half a step more is a missing slice."""
COSINE_TOLERANCE = 5e-3
"""Difference of direction cosines that is rounding: 0.3 degrees."""
SPACING_TOLERANCE_MM = 1e-3


def slice_normal(orientation: Sequence[float]) -> tuple[float, float, float]:
    """Return the unit normal of ImageOrientationPatient, row x column (PS3.3 C.7.6.2.1.1)."""
    (a, b, c), (d, e, f) = orientation[:3], orientation[3:]
    x, y, z = b * f - c * e, c * d - a * f, a * e - b * d
    length = math.hypot(x, y, z)
    return x / length, y / length, z / length


def is_axial(header: SliceHeader) -> bool:
    """Return whether the slice lies across the body axis."""
    return plane_of(header.orientation) == "axial"


def plane_of(orientation: Sequence[float]) -> str:
    """Return axial, coronal or sagittal; an oblique slice is what it is nearest to."""
    x, y, z = map(abs, slice_normal(orientation))
    if z > math.cos(math.radians(AXIAL_WITHIN_DEGREES)):
        return "axial"
    return "coronal" if y >= x else "sagittal"


def position_mm(header: SliceHeader) -> float:
    """Return the slice's place along its own normal."""
    normal = slice_normal(header.orientation)
    return sum(a * b for a, b in zip(header.position, normal, strict=True))


def order_slices(slices: Sequence[SliceHeader]) -> tuple[SliceHeader, ...]:
    """Return the slices by rising position along the normal; never by name or number."""
    return tuple(sorted(slices, key=lambda header: (position_mm(header), header.sop_uid)))


def slice_spacing_mm(slices: Sequence[SliceHeader]) -> float:
    """Return the mean step of ordered slices; of a single one its thickness, 1 where not known."""
    if len(slices) > 1:
        return (position_mm(slices[-1]) - position_mm(slices[0])) / (len(slices) - 1)
    return slices[0].thickness_mm or 1.0


def tilt_degrees(slices: Sequence[SliceHeader]) -> float:
    """Return the angle between the slices' normal and the line through their centres' stack.

    Zero for a straight or an oblique but square stack; the gantry angle for a tilted one.
    """
    if len(slices) < 2:
        return 0.0
    travel = np.subtract(slices[-1].position, slices[0].position)
    along = abs(float(np.dot(travel, slice_normal(slices[0].orientation))))
    across = math.sqrt(max(float(np.dot(travel, travel)) - along**2, 0.0))
    return math.degrees(math.atan2(across, along))


def check_geometry(
    slices: Sequence[SliceHeader], *, allow_tilt: bool, unread: Sequence[str]
) -> None:
    """Do nothing for ordered slices that form one sound axial scan.

    Args:
        slices: of one series, ordered.
        allow_tilt: let a tilted gantry pass.
        unread: files that could not be read and may be the missing ones.

    Raises:
        InputError: sizes, spacings or orientations are mixed, positions are doubled or out of line,
            slices are missing or unevenly spaced, the gantry was tilted, none is axial, or slices
            of several acquisitions lie between each other.
    """
    check_one_grid(slices)
    check_axial(slices)
    check_distinct(slices)
    check_one_acquisition(slices)
    check_aligned(slices)
    if not allow_tilt:
        check_untilted(slices)
    check_steps(slices, unread)


def check_one_grid(slices: Sequence[SliceHeader]) -> None:
    """Do nothing for slices of one size, pixel spacing and orientation.

    Raises:
        InputError: they are mixed.
    """
    for name, tolerance, values in (
        ("rows and columns", 0.0, [(header.rows, header.columns) for header in slices]),
        ("pixel spacing in mm", SPACING_TOLERANCE_MM, [header.spacing_mm for header in slices]),
        ("orientation", COSINE_TOLERANCE, [header.orientation for header in slices]),
    ):
        usual = Counter(values).most_common(1)[0][0]
        differs = np.abs(np.subtract(values, usual)).max(axis=1) > tolerance
        if differs.any():
            first = int(differs.argmax())
            raise InputError(
                printable(slices[first].file),
                expected=f"the {name} of the other slices of its series, {_listed(usual)}",
                got=f"{_listed(values[first])} ({differs.sum()} of {len(slices)} slices differ)",
                remedy="Keep one acquisition in the folder, or name another series with --series.",
                is_path=True,
            )


def _listed(values: Sequence[float]) -> str:
    # Adding 0.0 turns -0.0 into 0.0, which would print differently.
    return ", ".join(f"{round(value, 4) + 0.0:g}" for value in values)


def check_axial(slices: Sequence[SliceHeader]) -> None:
    """Do nothing for axial slices.

    Raises:
        InputError: they are coronal or sagittal.
    """
    if not is_axial(slices[0]):
        raise InputError(
            f"series {slices[0].series_uid}",
            expected="axial slices",
            got="coronal or sagittal ones",
            remedy="Name an axial series with --series.",
        )


def check_distinct(slices: Sequence[SliceHeader]) -> None:
    """Do nothing for ordered slices of which no two share a position.

    Raises:
        InputError: two do.
    """
    places = [position_mm(header) for header in slices]
    doubled = [at for at in range(1, len(places)) if places[at] - places[at - 1] < SAME_POSITION_MM]
    if doubled:
        first, second = slices[doubled[0] - 1], slices[doubled[0]]
        raise InputError(
            f"series {first.series_uid}",
            expected="one slice at every position",
            got=f"two at {places[doubled[0]]:.2f} mm, {len(doubled)} doubled in all",
            files=f": {_name(first)} and {_name(second)} first",
            remedy="Remove the copies, or separate the phases into series of their own.",
        )


def check_one_acquisition(slices: Sequence[SliceHeader]) -> None:
    """Do nothing where acquisitions follow each other; each may number its rotations.

    Raises:
        InputError: one lies within another, as two contrast phases in one series do.
    """
    places: dict[int, list[float]] = {}
    for header in slices:
        if header.acquisition.number is not None:
            places.setdefault(header.acquisition.number, []).append(position_mm(header))
    ranges = sorted((min(group), max(group)) for group in places.values())
    for (_, end_mm), (start_mm, _) in pairwise(ranges):
        if start_mm < end_mm - SAME_POSITION_MM:
            raise InputError(
                f"series {slices[0].series_uid}",
                expected="one acquisition at every position",
                got=f"{len(places)} acquisitions, one of which begins at {start_mm:.2f} mm, before "
                f"another's end at {end_mm:.2f} mm",
                remedy="Separate the acquisitions into series of their own.",
            )


def check_aligned(slices: Sequence[SliceHeader]) -> None:
    """Do nothing for ordered slices that lie in one line; a tilt shifts all steps alike.

    Raises:
        InputError: a slice lies beside the others.
    """
    if len(slices) < 3:
        return
    steps = np.diff([header.position for header in slices], axis=0)
    normal = slice_normal(slices[0].orientation)
    along = steps @ np.array(normal)
    sideways = steps - np.outer(along, normal)
    # Per mm of travel, so that a gap in a tilted series is no shift.
    travelled = along[:, None]
    excess = sideways - np.median(sideways / travelled, axis=0) * travelled
    shift_mm = np.linalg.norm(excess, axis=1)
    at = int(shift_mm.argmax())
    if shift_mm[at] > SHIFT_TOLERANCE_MM:
        raise InputError(
            f"series {slices[0].series_uid}",
            expected="slices that lie in one line",
            got=f"a sideways step of {shift_mm[at]:.1f} mm between {position_mm(slices[at]):.2f} "
            f"and {position_mm(slices[at + 1]):.2f} mm",
            remedy="Keep one acquisition in the folder, or name another series with --series.",
        )


def check_untilted(slices: Sequence[SliceHeader]) -> None:
    """Do nothing for slices stacked along their normal.

    Raises:
        InputError: the gantry was tilted.
    """
    angle = tilt_degrees(slices)
    if angle > TILT_TOLERANCE_DEGREES:
        raise InputError(
            f"series {slices[0].series_uid}",
            expected="slices stacked along their normal",
            got=f"a gantry tilt of {angle:.1f} degrees",
            remedy="Give --allow-tilt to process the slices as they are; "
            "positions are then along the normal.",
        )


def check_steps(slices: Sequence[SliceHeader], unread: Sequence[str]) -> None:
    """Do nothing for ordered slices in even steps; `unread` files may be the missing ones.

    Raises:
        InputError: slices are missing or unevenly spaced.
    """
    places = np.array([position_mm(header) for header in slices])
    steps = np.diff(places)
    if len(steps) == 0:
        return
    # The lower median is a real step, and stays the usual one while gaps are the minority.
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    odd = np.flatnonzero(np.abs(steps - usual) > STEP_TOLERANCE * usual)
    if len(odd) == 0:
        return
    at = int(odd[np.argmax(steps[odd])])
    missing = int((np.rint(steps[odd] / usual) - 1).clip(min=0).sum())
    got = f"a step of {steps[at]:.2f} mm between {places[at]:.2f} and {places[at + 1]:.2f} mm"
    if missing:
        plural = "slice is" if missing == 1 else "slices are"
        got += f": {missing} {plural} missing, at {places[at] + usual:.2f} mm first"
    raise InputError(
        f"series {slices[0].series_uid}",
        expected=f"one slice every {usual:.2f} mm",
        got=got + _unread(unread),
        files=_first_names(unread),
        remedy="Export the series again and whole, or read chosen slices with --key-images.",
    )


def _unread(unread: Sequence[str]) -> str:
    return f"; {counted(len(unread), 'file')} could not be read" if unread else ""


def _first_names(unread: Sequence[str]) -> str:
    shown = ", ".join(printable(name) for name in unread[:3])
    return f": {shown}{', ...' * (len(unread) > 3)}" if unread else ""


def _name(header: SliceHeader) -> str:
    frame = "" if header.frame is None else f" frame {header.frame + 1}"
    return printable(header.file) + frame
