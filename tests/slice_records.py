"""One slice as its record and its header, for tests of what is made from slices."""

from lnmdetect.core.records import ImageRecord
from lnmdetect.io.dicom_header import SliceHeader

IMAGE = ImageRecord(1, "1.dcm", 64, 64, "p", "s", "1.2.3", 0, 0.0, (1.0, 1.0))
HEADER = SliceHeader(
    file="1",
    frame=None,
    sop_uid="1.2.3",
    series_uid="1.2",
    study_uid="1",
    patient_id="",
    rows=64,
    columns=64,
    position=(0.0, 0.0, 0.0),
    orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    spacing_mm=(1.0, 1.0),
    thickness_mm=None,
    slope=1.0,
    intercept=0.0,
    padding=None,
    transfer_syntax="",
)
