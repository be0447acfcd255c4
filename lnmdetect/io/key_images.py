"""Single slices chosen by a reader, DICOM or 16-bit PNG; no series has to be whole."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from lnmdetect.core.errors import InputError, LnmDetectError
from lnmdetect.core.records import ImageRecord
from lnmdetect.io.dicom_index import Progress
from lnmdetect.io.dicom_series import fault_error, file_notes, no_scan_error
from lnmdetect.io.listed_scans import ListedScan, open_listed
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.png_pixels import is_png, read_png_size
from lnmdetect.io.pseudonym import load_key, patient_pseudonym
from lnmdetect.io.scan_handle import ScanSource


def lists_images(path: Path) -> bool:
    """Return whether a path is a JSON that lists its images."""
    return path.suffix.lower() == ".json"


def open_key_images(
    path: Path, *, spacing_mm: tuple[float, float] | None = None, progress: Progress | None = None
) -> ScanSource:
    """Return every key image at a path as a scan of its own.

    Args:
        path: a folder, file or zip with DICOM slices and PNGs, or a JSON that lists the images.
        spacing_mm: (row, column) pixel spacing of the PNGs; a JSON gives it for each image.
        progress: called with (files read, files in all) while headers are read.

    Raises:
        InputError: there is no usable image, or a PNG's pixel spacing is not known.
    """
    if lists_images(path):
        return open_listed(path, key_images=True, progress=progress)
    store = PixelStore(path, progress=progress)
    key = load_key()
    failures: list[LnmDetectError] = list(map(fault_error, store.index.faults()))
    images = list(store.dicom_images(key))
    for name in filter(is_png, store.index.unrelated):
        try:
            images.append(_png_record(store, name, spacing_mm, key))
        except InputError as error:
            failures.append(error)
    if not images:
        raise failures[0] if failures else no_scan_error(store.index)
    notes = file_notes(store.index, but=is_png)
    return ScanSource(
        _handles(images, store),
        tuple(notes),
        tuple(failures),
        store.is_phantom,
        coverage="key_images",
    )


def _handles(images: Iterable[ImageRecord], store: PixelStore) -> tuple[ListedScan, ...]:
    return tuple(
        ListedScan((image.with_id(image_id),), store)
        for image_id, image in enumerate(images, start=1)
    )


def _png_record(
    store: PixelStore, name: str, spacing_mm: tuple[float, float] | None, key: bytes
) -> ImageRecord:
    with store.index.files.open(name) as stream:
        rows, columns = read_png_size(stream, name)
    if spacing_mm is None:
        raise InputError(
            "key images",
            expected="a pixel spacing for the PNGs",
            got="none: a PNG does not carry it",
            remedy="Give --pixel-spacing ROW COLUMN in mm, or list the images in a truth.json.",
        )
    # The folder stands for the patient; images side by side at the top are one patient each.
    folder = PurePosixPath(name).parent.as_posix()
    patient = patient_pseudonym("", name if folder == "." else folder, key)
    return ImageRecord(
        image_id=1,
        file_name=name,
        width=columns,
        height=rows,
        patient=patient,
        series=name,
        sop_instance_uid="",
        slice_index=0,
        position_mm=0.0,
        spacing_mm=spacing_mm,
    )
