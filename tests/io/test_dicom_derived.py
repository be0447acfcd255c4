"""What identifies findings and the device: their boxes and models, and nothing of the file."""

from dataclasses import replace

from pydicom import Dataset

from lnmdetect.core.findings import Algorithm, Finding, Maker, Region
from lnmdetect.io.dicom_derived import SourceSlice, device_uid, serial_number, tracking_uid
from tests.slice_records import HEADER, IMAGE

FINDING = Finding("box 1", (Region(IMAGE, (1, 2, 3, 4)),))
DETECTOR, CLASSIFIER = Algorithm("detector", "a", "1" * 64), Algorithm("classifier", "a", "2" * 64)
MAKER = Maker("0.1.0", (DETECTOR, CLASSIFIER))
RETRAINED = replace(MAKER, algorithms=(DETECTOR, replace(CLASSIFIER, sha256="3" * 64)))


def uid(finding: Finding = FINDING, maker: Maker = MAKER, sop_uid: str = "1.2.3") -> str:
    header = replace(HEADER, sop_uid=sop_uid)
    return tracking_uid(finding, {IMAGE.join_key: SourceSlice(IMAGE, header, Dataset())}, maker)


def test_the_same_box_of_the_same_models_is_tracked_by_one_uid() -> None:
    assert uid() == uid(replace(FINDING, label="box 99", score=0.7))
    nearly = Region(IMAGE, (1.0001, 2, 3, 4))
    assert uid() == uid(replace(FINDING, regions=(nearly,)))


def test_another_box_slice_or_model_is_tracked_by_another_uid() -> None:
    moved = Region(IMAGE, (1.002, 2, 3, 4))
    others = [uid(replace(FINDING, regions=(moved,))), uid(sop_uid="1.2.4"), uid(maker=RETRAINED)]
    assert len({uid(), *others}) == 4


def test_other_weights_or_another_version_are_another_device() -> None:
    newer = replace(MAKER, version="0.2.0")
    assert len({device_uid(MAKER), device_uid(RETRAINED), device_uid(newer)}) == 3
    assert serial_number(MAKER) != serial_number(RETRAINED)
    assert len(serial_number(MAKER)) == 16
    assert serial_number(Maker("0.1.0")) == "0.1.0"
