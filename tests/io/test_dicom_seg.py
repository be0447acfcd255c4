"""Which slices masks can lie on."""

from dataclasses import replace

import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from lnmdetect.core.errors import InputError
from lnmdetect.core.findings import Finding, Maker, Region
from lnmdetect.io.dicom_derived import SourceSlice
from lnmdetect.io.dicom_seg import build_segmentations
from tests.slice_records import HEADER, IMAGE


def test_slices_of_two_sizes_are_refused() -> None:
    small = replace(IMAGE, image_id=2, sop_instance_uid="1.2.4", width=32, height=48)
    sources, regions = {}, []
    for image, rows, columns in ((IMAGE, 64, 64), (small, 48, 32)):
        identity = Dataset()
        identity.SOPClassUID, identity.FrameOfReferenceUID = CTImageStorage, "1.2.9"
        header = replace(HEADER, rows=rows, columns=columns)
        sources[image.join_key] = SourceSlice(image, header, identity)
        mask = {"size": [rows, columns], "counts": [10, 5, rows * columns - 15]}
        regions.append(Region(image, (1, 2, 3, 4), mask))
    finding = Finding("n1", tuple(regions))
    with pytest.raises(InputError, match=r"image 2: .* got slices of 64 x 64 and of 48 x 32"):
        build_segmentations([finding], sources, Maker("0.1.0"))


def test_findings_without_masks_make_no_object() -> None:
    finding = Finding("n1", (Region(IMAGE, (1, 2, 3, 4)),))
    sources = {IMAGE.join_key: SourceSlice(IMAGE, HEADER, Dataset())}
    assert build_segmentations([finding], sources, Maker("0.1.0")) == []
