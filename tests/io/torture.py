"""A set of scans made to break readers, each from one small phantom series.

Every case says whether the scan can be read (all `SLICES`, in order of position) or why it
is refused.
"""

import os
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, RLELossless

from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series

SLICES, SIDE, STEP_MM = 8, 48, 3.0
SMALL_FILES = 10_000
Change = Callable[[int, Dataset], None]


@dataclass(frozen=True)
class Torture:
    """One case.

    Attributes:
        build: makes the scan below an empty folder and returns the path to give to a stage.
        refusal: what the refusal's sentence holds, as a regular expression; None: it is read whole.
        slow: takes more than a few seconds to make.
    """

    name: str
    build: Callable[[Path], Path]
    refusal: str | None = None
    slow: bool = False


@cache
def neck() -> NDArray[np.int16]:
    """(8, 48, 48) HU: air, a neck of fat and muscle with an airway, a node that moves."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    volume = np.full((SLICES, SIDE, SIDE), -1000, dtype=np.int16)
    for x, y, radius, hu in ((24, 24, 20, -100), (24, 24, 16, 55), (24, 18, 3, -1000)):
        volume[:, np.hypot(columns - x, rows - y) < radius] = hu
    for index in range(SLICES):
        volume[index][np.hypot(columns - 14 - index, rows - 30) < 3] = 110
    return volume


def series(folder: Path, *, seed: str = "torture", study: str = "torture", first: int = 0) -> Path:
    """Write the phantom's series as IM0001.dcm and on, from slice `first` of the stack upwards."""
    meta = CtSeriesMeta(
        seed,
        "phantom",
        "phantom",
        (STEP_MM, 1.0, 1.0),
        STEP_MM,
        (0.0, 0.0, first * STEP_MM),
        study_seed=study,
    )
    write_ct_series(neck(), folder, meta)
    return folder


def each(change: Change, *, seed: str = "torture") -> Callable[[Path], Path]:
    """Return a build that changes the data set of every slice, by its place from 0."""

    def build(folder: Path) -> Path:
        for place, path in enumerate(sorted(series(folder / "scan", seed=seed).iterdir())):
            rewrite(path, partial(change, place))
        return folder / "scan"

    return build


def rewrite(path: Path, change: Callable[[Dataset], None], to: Path | None = None) -> None:
    dataset = dcmread(path)
    change(dataset)
    dataset.save_as(to or path, enforce_file_format=True)


def given(**elements: Any) -> Callable[[Dataset], None]:
    """Return a change of one data set."""
    return partial(setting(**elements), 0)


def setting(at: Sequence[int] = range(SLICES), **elements: Any) -> Change:
    """Return a change that sets elements of the slices `at`, None deletes."""

    def change(place: int, dataset: Dataset) -> None:
        for keyword, value in elements.items() if place in at else ():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)

    return change


def head_first(folder: Path) -> Path:
    """Return a scan whose files and numbers run from the head down."""
    scan = series(folder / "scan")
    for number, path in enumerate(sorted(scan.iterdir())):
        rewrite(path, given(InstanceNumber=SLICES - number))
        path.rename(scan / f"s{SLICES - number:03}")
    return scan


def shuffled(folder: Path) -> Path:
    scan = series(folder / "scan")
    order = np.random.default_rng(7).permutation(SLICES)
    for number, path in zip(order, sorted(scan.iterdir()), strict=True):
        rewrite(path, given(InstanceNumber=int(number)))
        path.rename(scan / f"x{number}.img")
    return scan


def gap(folder: Path) -> Path:
    (series(folder / "scan") / "IM0004.dcm").unlink()
    return folder / "scan"


def copied_file(folder: Path) -> Path:
    scan = series(folder / "scan")
    (scan / "copy.dcm").write_bytes((scan / "IM0004.dcm").read_bytes())
    return scan


def doubled_position(folder: Path) -> Path:
    scan = series(folder / "scan")
    rewrite(scan / "IM0004.dcm", given(SOPInstanceUID="2.25.77"), to=scan / "other.dcm")
    return scan


def tilt(place: int, dataset: Dataset) -> None:
    """Turn the slices by 20 degrees about x while the table moves along z."""
    dataset.ImageOrientationPatient = [1, 0, 0, 0, "0.9396926", "0.3420201"]


def mixed_series(folder: Path) -> Path:
    """Add a shorter series, an MR and a secondary capture of the same study."""
    scan = series(folder / "scan")
    for path in sorted(series(folder / "scan" / "thin", seed="thin").iterdir())[3:]:
        path.unlink()
    for name, modality, sop_class in (
        ("mr", "MR", "1.2.840.10008.5.1.4.1.1.4"),
        ("shot", "OT", "1.2.840.10008.5.1.4.1.1.7"),
    ):
        source = sorted(series(folder / "scan" / name, seed=name).iterdir())
        for path in source:
            rewrite(path, partial(_as, modality, UID(sop_class)))
    return scan


def _as(modality: str, sop_class: UID, dataset: Dataset) -> None:
    dataset.Modality, dataset.SOPClassUID = modality, sop_class
    dataset.file_meta.MediaStorageSOPClassUID = sop_class


def localiser_inside(folder: Path) -> Path:
    """Add a localiser of the same series, across the stack."""
    scan = series(folder / "scan")

    def scout(dataset: Dataset) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        dataset.SOPInstanceUID = "2.25.78"
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    rewrite(scan / "IM0001.dcm", scout, to=scan / "scout.dcm")
    return scan


def second_acquisition(shift_mm: float) -> Callable[[Path], Path]:
    """Return a build that lays a second acquisition of the series over the first, shifted."""

    def build(folder: Path) -> Path:
        scan = series(folder / "scan")
        for number, path in enumerate(sorted(scan.iterdir())):

            def move(dataset: Dataset, number: int = number) -> None:
                x, y, z = dataset.ImagePositionPatient
                dataset.ImagePositionPatient = [x, y, float(z) + shift_mm]
                dataset.SOPInstanceUID = f"2.25.9{number}"
                dataset.AcquisitionNumber = 2

            rewrite(path, move, to=scan / f"second{number}.dcm")
        return scan

    return build


def truncated(folder: Path) -> Path:
    path = series(folder / "scan") / "IM0005.dcm"
    path.write_bytes(path.read_bytes()[: -SIDE * SIDE])
    return path.parent


def cut_in_the_header(folder: Path) -> Path:
    path = series(folder / "scan") / "IM0005.dcm"
    path.write_bytes(path.read_bytes()[:420])
    return path.parent


def compressed_and_cut(folder: Path) -> Path:
    """Compress the series, and end a file within its pixels; no look at three slices meets it."""
    scan = series(folder / "scan")
    for path in scan.iterdir():
        rewrite(path, lambda dataset: dataset.compress(RLELossless, generate_instance_uid=False))
    path = scan / "IM0002.dcm"
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\xe0\x7f\x10\x00OB") + 200])
    return scan


def bone_beside(folder: Path) -> Path:
    """Add a series of one slice more, thinner, with a bone kernel."""
    scan = series(folder / "scan")
    paths = sorted(series(scan / "bone", seed="bone").iterdir())
    for place, path in enumerate(paths):
        sharp = given(ConvolutionKernel="BONE", ImagePositionPatient=[0, 0, place * 2.5])
        rewrite(path, sharp)
    more = given(SOPInstanceUID="2.25.79", ImagePositionPatient=[0, 0, SLICES * 2.5])
    rewrite(paths[-1], more, to=scan / "bone" / "more.dcm")
    return scan


def empty_file_beside(folder: Path) -> Path:
    scan = series(folder / "scan")
    (scan / "empty.dcm").touch()
    return scan


def empty_file(folder: Path) -> Path:
    (folder / "empty.dcm").touch()
    return folder / "empty.dcm"


def empty_folder(folder: Path) -> Path:
    (folder / "scan").mkdir()
    return folder / "scan"


def symlink_loops(folder: Path) -> Path:
    """Link folders in circles, to parents and to nothing."""
    scan = series(folder / "scan")
    (scan / "loop").symlink_to(scan, target_is_directory=True)
    (scan / "up").symlink_to(folder, target_is_directory=True)
    (scan / "a").symlink_to(scan / "b")
    (scan / "b").symlink_to(scan / "a")
    (scan / "nothing").symlink_to(scan / "absent.dcm")
    return scan


def named_pipe(folder: Path) -> Path:
    os.mkfifo(series(folder / "scan") / "pipe.dcm")
    return folder / "scan"


def zip_traversal(folder: Path) -> Path:
    """Name every entry of a zip so that unpacking it would write outside of any folder."""
    target = folder / "scan.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, path in enumerate(sorted(series(folder / "source").iterdir())):
            prefix = ("../../../", "/tmp/torture/", "a/../../", "C:\\torture\\")[number % 4]
            archive.write(path, f"{prefix}evil{number}.dcm")
            path.unlink()
    # The library mends such names on the way in: they are put back into the bytes.
    content = target.read_bytes().replace(b"tmp/torture/", b"/mp/torture/")
    target.write_bytes(content)
    (folder / "source").rmdir()
    return target


def zip_bomb(folder: Path) -> Path:
    """Point 2000 entries of a zip to one of 8 MB of zeros: 16 GB from 100 KB."""
    target = folder / "bomb.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.dcm", bytes(128) + b"DICM" + bytes(8 << 20))
    content = target.read_bytes()
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entries = content[start:end] * 2000
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 2000, 2000, len(entries), start, 0)
    target.write_bytes(content[:start] + entries + tail)
    return target


def deflated_bomb(folder: Path) -> Path:
    """Write a DICOM file whose deflated header and pixels unpack to 300 MB of zeros."""
    path = series(folder / "scan") / "IM0005.dcm"
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.add_new((0x0009, 0x0010), "LO", "TORTURE")
    dataset.add_new((0x0009, 0x1000), "OB", bytes(300 << 20))
    dataset.save_as(path, enforce_file_format=True)
    return path.parent


def many_small_files(folder: Path) -> Path:
    """Lay 10,000 files around the scan: empty, text, and DICOM's magic word with rubbish."""
    scan = series(folder / "scan")
    for number in range(SMALL_FILES):
        place = scan / f"d{number % 100}"
        place.mkdir(exist_ok=True)
        content = (b"", b"note", bytes(128) + b"DICM" + b"\x02\x00rubbish")[number % 3]
        (place / f"{number}").write_bytes(content)
    return scan


def odd_names(folder: Path) -> Path:
    """Name folders and files in other scripts, with control characters, and in no encoding."""
    scan = series(folder / "Zoë Μüller スキャン")
    names: tuple[str | bytes, ...] = (
        "ä.dcm",
        "スライス",
        "Ж 1",
        "new\nline",
        "\x1b[31mred",
        b"\xff\xfe",
    )
    for name, path in zip(names, sorted(scan.iterdir()), strict=False):
        path.rename(scan / os.fsdecode(name))
    return scan


def undecodable_folder(folder: Path) -> Path:
    scan = folder / os.fsdecode(b"scan\xff")
    return series(scan)


NO_SIGN = setting(PixelRepresentation=None)
TORTURES: tuple[Torture, ...] = (
    Torture("plain", lambda folder: series(folder / "scan")),
    Torture("reversed", head_first),
    Torture("shuffled", shuffled),
    Torture("gap", gap, r"1 slice is missing, at 9\.00 mm first"),
    Torture("copied file", copied_file, r"two at 9\.00 mm"),
    Torture("duplicate", doubled_position, r"two at 9\.00 mm"),
    Torture("tilt", each(tilt), r"a gantry tilt of 20\.0 degrees"),
    Torture("mixed series", mixed_series),
    Torture("bone beside", bone_beside),
    Torture("two patients", each(setting([2], PatientID="2")), "slices of one patient and study"),
    Torture("two studies", each(setting([7], StudyInstanceUID="2.25.5")), "slices of one patient"),
    Torture("localiser inside", localiser_inside),
    Torture("overlapped acquisitions", second_acquisition(0.0), r"two at 0\.00 mm"),
    Torture("shifted acquisitions", second_acquisition(1.0), "acquisitions, one of which begins"),
    Torture("interleaved acquisitions", second_acquisition(1.5), "one acquisition at every posit"),
    Torture("missing spacing", each(setting(PixelSpacing=None)), "PixelSpacing .*got none"),
    Torture("one missing spacing", each(setting([3], PixelSpacing=None)), "IM0004.* PixelSpacing"),
    Torture("zero spacing", each(setting(PixelSpacing=[0, 0])), "PixelSpacing .*unusable"),
    Torture("absurd slope", each(setting(RescaleSlope="1e9")), "RescaleSlope .*unusable"),
    Torture("wrong slope", each(setting(RescaleSlope="100")), "no soft tissue"),
    Torture("wrong intercept", each(setting(RescaleIntercept="0")), "neither air nor fat"),
    Torture("too many bits", each(setting(BitsStored=20)), "BitsStored .*unusable"),
    Torture("too few bits", each(setting(BitsStored=8, HighBit=7)), "no soft tissue"),
    Torture("bits of others", each(setting(BitsAllocated=32)), "cut short"),
    Torture("half the bits", each(setting(BitsAllocated=8, BitsStored=8, HighBit=7)), "no soft ti"),
    Torture("no sign", each(NO_SIGN), "PixelRepresentation .*none"),
    Torture("mixed matrix", each(setting([2], Rows=24)), "rows and columns"),
    Torture("truncated", truncated, "IM0005.* cut short"),
    Torture("cut in the header", cut_in_the_header, "IM0005"),
    Torture("compressed and cut", compressed_and_cut, "IM0002.* cut short within its compressed"),
    Torture("empty file beside", empty_file_beside),
    Torture("empty file", empty_file, "got none among 1 files"),
    Torture("empty folder", empty_folder, "got none among 0 files"),
    Torture("symlink loops", symlink_loops),
    Torture("named pipe", named_pipe),
    Torture("zip with path traversal", zip_traversal),
    Torture("zip bomb", zip_bomb, "GiB in all"),
    Torture("deflated bomb", deflated_bomb, "IM0005", slow=True),
    Torture("10,000 small files", many_small_files, slow=True),
    Torture("odd names", odd_names),
    Torture("undecodable folder", undecodable_folder, "a path that is text in UTF-8"),
)
