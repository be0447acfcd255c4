import math
from dataclasses import replace

import numpy as np
import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.io.dicom_geometry import (
    check_geometry,
    is_axial,
    order_slices,
    position_mm,
    slice_spacing_mm,
    tilt_degrees,
)
from lnmdetect.io.dicom_header import Acquisition, SliceHeader

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def header(z_mm: float, **changes: object) -> SliceHeader:
    plain = SliceHeader(
        file=f"at_{z_mm:g}",
        frame=None,
        sop_uid=f"1.{z_mm:g}",
        series_uid="1.2",
        study_uid="1",
        patient_id="",
        rows=512,
        columns=512,
        position=(0.0, 0.0, z_mm),
        orientation=AXIAL,
        spacing_mm=(0.5, 0.5),
        thickness_mm=3.0,
        slope=1.0,
        intercept=-1024.0,
        padding=None,
        transfer_syntax="1.2.840.10008.1.2.1",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def stack(*places_mm: float) -> tuple[SliceHeader, ...]:
    return tuple(map(header, places_mm))


def check(slices: tuple[SliceHeader, ...], unread: tuple[str, ...] = ()) -> None:
    check_geometry(order_slices(slices), allow_tilt=False, unread=unread)


def tilted(degrees: float, count: int = 5) -> tuple[SliceHeader, ...]:
    """Slices of a gantry turned about the patient's x while the table moves along z."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    axes = (1.0, 0.0, 0.0, 0.0, cosine, sine)
    return tuple(header(3.0 * index, orientation=axes) for index in range(count))


def test_slices_are_ordered_by_position_and_not_by_name() -> None:
    assert [h.position[2] for h in order_slices(stack(6, -3, 0, 3))] == [-3, 0, 3, 6]


def test_a_flipped_normal_turns_the_order_round() -> None:
    flipped = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
    slices = [header(z, orientation=flipped) for z in (0.0, 3.0)]
    assert [position_mm(h) for h in order_slices(slices)] == [-3.0, 0.0]


def test_an_even_stack_is_sound() -> None:
    check(stack(0, 3, 6, 9))


def test_one_slice_is_sound() -> None:
    check(stack(5))
    assert slice_spacing_mm(stack(5)) == 3.0
    assert slice_spacing_mm((header(5, thickness_mm=None),)) == 1.0


def test_positions_rounded_to_tenths_are_even_enough() -> None:
    check(stack(*np.round(np.arange(40) * 0.625, 1)))


def test_the_spacing_is_the_mean_step() -> None:
    assert slice_spacing_mm(stack(0, 2.9, 6.1, 9)) == 3.0


def test_a_missing_slice_is_refused_with_its_position() -> None:
    with pytest.raises(
        InputError,
        match=r"series 1\.2: expected one slice every 3\.00 mm, got a step of 6\.00 mm between "
        r"3\.00 and 9\.00 mm: 1 slice is missing, at 6\.00 mm first\. Export the series again",
    ):
        check(stack(0, 3, 9, 12))


def test_several_missing_slices_are_counted() -> None:
    with pytest.raises(InputError, match=r"between 9\.00 and 18\.00 mm: 3 slices are missing, at"):
        check(stack(0, 3, 9, 18, 21, 24, 27))


def test_files_that_could_not_be_read_are_named_beside_a_gap() -> None:
    with pytest.raises(
        InputError, match=r"first; 4 files could not be read: a, b, c, \.\.\.\. Export"
    ):
        check(stack(0, 3, 9, 12), unread=("a", "b", "c", "d"))


def test_a_gap_among_three_slices_is_seen() -> None:
    with pytest.raises(InputError, match=r"every 3\.00 mm, got a step of 6\.00 mm"):
        check(stack(0, 6, 9))


def test_uneven_steps_are_refused() -> None:
    with pytest.raises(InputError, match=r"every 3\.00 mm, got a step of 4\.00 mm between 6\.00"):
        check(stack(0, 3, 6, 10, 13, 16))


def test_a_step_that_is_too_short_is_refused() -> None:
    with pytest.raises(InputError, match=r"got a step of 1\.50 mm between 3\.00 and 4\.50"):
        check(stack(0, 3, 4.5, 7.5, 10.5))


def test_doubled_positions_are_refused_with_both_files() -> None:
    twice = (*stack(0, 3, 6), header(3.001, file="copy"))
    with pytest.raises(
        InputError,
        match=r"expected one slice at every position, got two at 3\.00 mm, 1 doubled in all: "
        r"at_3 and copy first",
    ):
        check(twice)


def test_two_frames_at_one_place_are_told_apart() -> None:
    frames = tuple(header(0.0, file="a", frame=i, sop_uid=f"1#{i + 1}") for i in range(2))
    with pytest.raises(InputError, match="a frame 1 and a frame 2"):
        check(frames)


def test_mixed_sizes_are_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"at_6: expected the rows and columns of the other slices of its series, 512, 512, "
        r"got 256, 512 \(1 of 3 slices differ\)",
    ):
        check((*stack(0, 3), header(6, rows=256)))


def test_mixed_pixel_spacings_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"the pixel spacing in mm of .* 0\.5, 0\.5, got 0\.5, 0\.6 "
    ):
        check((*stack(0, 3), header(6, spacing_mm=(0.5, 0.6))))


def test_mixed_orientations_are_refused() -> None:
    with pytest.raises(InputError, match=r"at_6: expected the orientation of .* 1, 0, 0, 0, 1, 0"):
        check((*stack(0, 3), header(6, orientation=CORONAL)))


def test_rounding_of_direction_cosines_is_no_mixture() -> None:
    check((*stack(0, 3), header(6, orientation=(1.0, -0.0, 0.0049, 0.0, 0.9999, -0.0))))
    check((*stack(0, 3), header(6, spacing_mm=(0.50009, 0.49991))))


def test_coronal_slices_are_refused() -> None:
    coronal = tuple(header(i, position=(0.0, 3.0 * i, 0.0), orientation=CORONAL) for i in range(3))
    assert not is_axial(coronal[0])
    with pytest.raises(InputError, match="expected axial slices, got coronal or sagittal"):
        check(coronal)


@pytest.mark.parametrize("degrees", [-18.0, 2.0, 25.5])
def test_a_tilted_gantry_is_refused_with_its_angle(degrees: float) -> None:
    with pytest.raises(
        InputError, match=rf"got a gantry tilt of {abs(degrees)} degrees\. Give --allow-tilt"
    ):
        check(tilted(degrees))


def test_a_tilt_that_is_allowed_passes_with_positions_along_the_normal() -> None:
    slices = order_slices(tilted(25.0))
    check_geometry(slices, allow_tilt=True, unread=())
    assert slice_spacing_mm(slices) == pytest.approx(3 * math.cos(math.radians(25)))
    assert tilt_degrees(slices) == pytest.approx(25.0)


def test_an_oblique_stack_that_is_square_is_no_tilt() -> None:
    cosine, sine = math.cos(0.3), math.sin(0.3)
    axes = (1.0, 0.0, 0.0, 0.0, cosine, sine)
    slices = tuple(
        header(i, position=(0.0, -3.0 * i * sine, 3.0 * i * cosine), orientation=axes)
        for i in range(5)
    )
    check(slices)
    assert tilt_degrees(slices) == pytest.approx(0.0, abs=1e-6)


def test_slices_shifted_sideways_are_a_tilt() -> None:
    slices = tuple(header(3.0 * i, position=(0.0, 1.0 * i, 3.0 * i)) for i in range(4))
    with pytest.raises(InputError, match=r"gantry tilt of 18\.4 degrees"):  # atan(1 / 3)
        check(slices)


@pytest.mark.parametrize("index", [0, 2, 4])
def test_a_slice_beside_the_line_of_the_others_is_refused(index: int) -> None:
    slices = [header(3.0 * i) for i in range(5)]
    slices[index] = header(3.0 * index, position=(70.0, 0.0, 3.0 * index))
    with pytest.raises(InputError, match=r"lie in one line, got a sideways step of 70\.0 mm"):
        check(tuple(slices))


@pytest.mark.parametrize(("shift_mm", "is_refused"), [(1.9, False), (2.1, True)])
def test_a_sideways_step_of_two_mm_is_one_too_many(shift_mm: float, is_refused: bool) -> None:
    slices = [header(3.0 * i) for i in range(5)]
    slices[2] = header(6.0, position=(0.0, shift_mm, 6.0))
    if is_refused:
        with pytest.raises(InputError, match=r"a sideways step of 2\.1 mm between 3\.00 and 6\.00"):
            check(tuple(slices))
    else:
        check(tuple(slices))


def test_a_gap_in_a_tilted_series_is_no_sideways_step() -> None:
    slices = (*tilted(25.0, 40)[:5], *tilted(25.0, 40)[30:])
    with pytest.raises(InputError, match="25 slices are missing"):
        check_geometry(order_slices(slices), allow_tilt=True, unread=())


def numbered(*pairs: tuple[float, int | None]) -> tuple[SliceHeader, ...]:
    return tuple(header(z, acquisition=Acquisition(number=number)) for z, number in pairs)


def test_acquisitions_that_lie_between_each_other_are_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"one acquisition at every position, got 2 acquisitions, one of which begins at "
        r"1\.50 mm, before another's end at 6\.00 mm",
    ):
        check(numbered((0, 1), (1.5, 2), (3, 1), (4.5, 2), (6, 1), (7.5, 2)))


@pytest.mark.parametrize(
    "numbers", [(1, 1, 2, 2), (1, 2, 3, 4), (4, 3, 2, 1), (None, 1, None, 1), (7, 7, 7, 7)]
)
def test_acquisitions_that_follow_each_other_are_sound(numbers: tuple[int | None, ...]) -> None:
    check(numbered(*((3.0 * at, number) for at, number in enumerate(numbers))))
