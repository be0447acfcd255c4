"""What `detect` reads, searches and leaves out, slice by slice."""

from pathlib import Path

import numpy as np
import pydicom

from lnmdetect.io.coco import read_coco
from lnmdetect.stages.detect import detect
from lnmdetect.stages.detect_request import DetectRequest


def test_slices_far_from_the_patient_are_listed_without_meeting_the_network(
    toy_data: Path, bundles: Path, tmp_path: Path, searched: list[str]
) -> None:
    scan = tmp_path / "scan"
    scan.mkdir()
    by_place = []
    for file in (toy_data / "scan" / "p0").iterdir():
        dataset = pydicom.dcmread(file)
        by_place.append((float(dataset.ImagePositionPatient[2]), file.name, dataset))
    uids = []
    for number, (_, name, dataset) in enumerate(sorted(by_place, key=lambda one: one[0])):
        uids.append(str(dataset.SOPInstanceUID))
        if number >= 3:
            air = np.round((-1000 - dataset.RescaleIntercept) / dataset.RescaleSlope)
            dataset.PixelData = np.full_like(dataset.pixel_array, air).tobytes()
        dataset.save_as(scan / name)
    model = str(bundles / "detector-tiny")
    output = detect(DetectRequest(scan, tmp_path / "boxes.json", model, "cpu")).output
    assert sorted(searched) == sorted(uids[:4])  # slice 3 has the patient on a neighbour
    found = read_coco(output)
    assert [image.sop_instance_uid for image in found.images] == uids
    assert {node.image_id for node in found.annotations} <= {1, 2, 3, 4}
    assert found.annotations
