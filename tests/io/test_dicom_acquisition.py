"""How a slice was taken, in known words; what a header says beside them is not passed on."""

from typing import Any

import pytest
from pydicom import Dataset

from lnmdetect.io.dicom_acquisition import SHARP_KERNELS, acquisition_of
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


@pytest.mark.parametrize("name", ["B70f", "Br64", "FC51", "BONE", "BONEPLUS", "LUNG", "YC"])
def test_a_bone_or_lung_kernel_is_sharp(name: str) -> None:
    assert SHARP_KERNELS.fullmatch(name)


@pytest.mark.parametrize("name", ["B30f", "Br40", "FC08", "STANDARD", "SOFT", "B", "YA"])
def test_a_soft_tissue_kernel_is_not_sharp(name: str) -> None:
    assert not SHARP_KERNELS.fullmatch(name)


@pytest.mark.parametrize(
    ("agent", "contrast"),
    [("IOMERON 350", True), ("NONE", False), ("No contrast", False), ("nativ", False), ("", None)],
)
def test_contrast_is_given_withheld_or_not_told(agent: str, contrast: bool | None) -> None:
    assert taken(ContrastBolusAgent=agent).contrast is contrast


@pytest.mark.parametrize(
    ("description", "phase"),
    [
        ("Neck arterial 2.0", "arterial"),
        ("HALS VENÖS 3.0", "venous"),
        ("Hals ven 3.0", "venous"),
        ("late phase", "delayed"),
        ("Hals nativ", "native"),
        ("Neck 3.0", ""),
        ("Mr Bartlett", ""),
    ],
)
def test_the_phase_is_read_from_the_descriptions(description: str, phase: str) -> None:
    assert taken(SeriesDescription=description).phase == phase
    assert taken(ProtocolName=description).phase == phase


def test_the_acquisition_number_is_a_whole_number_or_not_told() -> None:
    assert taken(AcquisitionNumber=3).number == 3
    assert taken(AcquisitionNumber="").number is None
