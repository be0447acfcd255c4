"""A study in memory gives what the one on the disk gives, in another process too."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import Scan
from lnmdetect.io.loaded_study import load_study
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.pseudonym import load_key, pseudonymise_image
from lnmdetect.io.scan_handle import DicomScan
from lnmdetect.io.scan_source import open_source


def test_scans_and_slices_are_those_of_the_disk_also_after_a_process(toy_data: Path) -> None:
    place = toy_data / "scan"
    study = pickle.loads(pickle.dumps(load_study(place)))
    source, disk = open_source(place), PixelStore(place)
    assert len(study.scans) == len(source.scans) == 5
    assert (study.source.is_phantom, study.source.failures) == (source.is_phantom, ())
    store = study.store()
    assert store.is_phantom == disk.is_phantom
    for loaded, handle in zip(study.source.scans, source.scans, strict=True):
        assert loaded.images == handle.images
        assert loaded.load().spacing_mm == handle.load().spacing_mm
        assert (loaded.load().voxels_hu == handle.load().voxels_hu).all()
        assert (loaded.read_slice(2) == handle.read_slice(2)).all()
        for image in loaded.images:
            keyed = pseudonymise_image(image, load_key())
            assert store.header_of(keyed) == store.header_of(image) == disk.header_of(image)
            assert (store.read(keyed) == disk.read(image)).all()
            offsets_mm = (-3.0, 0.0, 4.0)
            stack = store.read_stack(image, offsets_mm)
            assert np.array_equal(stack, disk.read_stack(image, offsets_mm))


def test_a_scan_whose_pixels_are_damaged_is_a_failure_among_others(
    toy_data: Path, tmp_path: Path
) -> None:
    for name in ("p0", "p1"):
        shutil.copytree(toy_data / "scan" / name, tmp_path / "studies" / name)
    torn = min((tmp_path / "studies" / "p1").iterdir())
    torn.write_bytes(torn.read_bytes()[:-200])
    study = load_study(tmp_path / "studies")
    assert [len(study.scans), len(study.source.failures)] == [1, 1]
    with pytest.raises(InputError, match="expected"):
        load_study(tmp_path / "studies" / "p1")


def test_a_scan_that_is_found_unreadable_as_it_is_decoded_stops_no_other(
    toy_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = DicomScan.load

    def refuse_first(scan: DicomScan) -> Scan:
        if scan.images[0] == first:
            raise InputError("a slice", expected="pixels", got="none", remedy="Look.")
        return load(scan)

    first = open_source(toy_data / "scan").scans[0].images[0]
    monkeypatch.setattr(DicomScan, "load", refuse_first)
    study = load_study(toy_data / "scan")
    assert [str(error) for error in study.source.failures] == [
        "a slice: expected pixels, got none. Look."
    ]
    assert (len(study.scans), len(study.source.scans)) == (4, 4)
    assert first not in [scan.images[0] for scan in study.scans]
