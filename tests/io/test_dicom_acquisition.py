"""How a slice was taken, in known words; what a header says beside them is not passed on."""

from typing import Any

import pytest
from pydicom import Dataset

from lnmdetect.io.dicom_acquisition import acquisition_of, is_sharp
from lnmdetect.io.dicom_header import Acquisition


def taken(**elements: Any) -> Acquisition:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return acquisition_of(dataset)


def test_a_header_that_says_nothing_says_nothing() -> None:
    assert taken() == Acquisition(None, "", None, "")


@pytest.mark.parametrize(
    ("written", "kernel"),
    [
        ("B30f", "B30f"),
        (["Br40d", "3"], "Br40d"),
        ("FC08", "FC08"),
        ("STANDARD", "STANDARD"),
        ("YA", "YA"),
        ("", ""),
        ("JOHN DOE", "other"),
        ("B30f of John", "other"),
        ("DOE", "other"),
    ],
)
def test_a_kernel_is_named_where_it_is_known(written: Any, kernel: str) -> None:
    assert taken(ConvolutionKernel=written).kernel == kernel


SHARP = (
    *("B50f", "B60s", "B70f", "B75h", "B80f", "H60s", "I50f", "I70f", "J70h", "U70u", "U90s"),
    *("Br59d", "Br64", "Br69f", "Bl57d", "Bl64u", "Bl49", "Hr59u", "Hr68h", "Qr59", "Ur77"),
    *("BONE", "BONEPLUS", "Bone", "BONE+", "HD LUNG", "LUNG", "EDGE", "ULTRA"),
    *("D", "E", "L", "YA", "YB", "YC", "YD", "FC30", "FC35", "FC51", "FC52-H", "FC81", "FC86"),
    *("B_SHARP_C", "B_VSHARP_B"),
)
SOFT = (
    *("B20f", "B30f", "B31s", "B40f", "B41s", "B45f", "H31s", "H40s", "I26f", "I30f", "J30s"),
    *("Br36d", "Br40d", "Br44", "Bf37", "Bv40", "Hr40", "Qr36", "Sa36f", "D30f", "U30u"),
    *("STANDARD", "Standard", "STND", "SOFT", "DETAIL", "CHEST", "HD STND"),
    *("A", "B", "C", "UA", "UB", "UC", "EB", "SB", "XCB", "CB"),
    *("FC03", "FC08", "FC08-H", "FC13", "FC18-H", "FC26", "FC43", "FC44", "FC64", "FC68"),
    *("B_SOFT_B", "B_VSOFT_C"),
)


@pytest.mark.parametrize("name", [*SHARP, *SOFT])
def test_each_vendors_kernels_are_known_and_those_for_bone_and_lung_told(name: str) -> None:
    assert taken(ConvolutionKernel=name).kernel == name
    assert is_sharp(name) is (name in SHARP)


@pytest.mark.parametrize("name", ["", "other", "mixed"])
def test_what_is_no_kernels_name_is_not_sharp(name: str) -> None:
    assert not is_sharp(name)


def test_the_acquisition_number_is_a_whole_number_or_not_told() -> None:
    assert taken(AcquisitionNumber=3).number == 3
    assert taken(AcquisitionNumber="").number is None
