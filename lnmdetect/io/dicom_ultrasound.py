"""Frames of a DICOM ultrasound file, single or multi-frame, colour or grey, as grey in [0, 1]."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, JPEGBaseline8Bit, RLELossless

from lnmdetect.core.errors import InputError
from lnmdetect.core.ultrasound import PEAK, ImagePlace
from lnmdetect.io.codestream import declared_shape
from lnmdetect.io.dicom_header import READ_ERRORS, read_dataset
from lnmdetect.io.dicom_pixels import codec_of, require_codec_of
from lnmdetect.io.dicom_values import text, whole
from lnmdetect.io.input_files import printable
from lnmdetect.io.quiet import quiet_dicom

Grey = NDArray[np.float32]
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Share of red, green and blue in grey (ITU-R BT.601-7, 2.5.1); DICOM's YBR_FULL has the same."""
MAX_SIDE_PX = 8192


def count_frames(stream: BinaryIO, name: str) -> int:
    """Return how many frames the header of a DICOM file gives; pixels are not read.

    Raises:
        InputError: the header is damaged, or of a file without an image.
        MissingExtraError: no installed codec reads the file's compression.
    """
    try:
        with quiet_dicom():
            dataset = read_dataset(stream)
            frames = whole(dataset, "NumberOfFrames") or 1
            sides = whole(dataset, "Rows"), whole(dataset, "Columns")
    except READ_ERRORS as error:
        raise _refusal(name, f"a damaged one ({type(error).__name__})") from None
    if not all(side is not None and 0 < side <= MAX_SIDE_PX for side in sides) or frames < 1:
        raise _refusal(name, "one without an image, or of an absurd size")
    require_codec_of(_syntax(dataset), name)
    return frames


def read_dicom_frame(path: Path, place: ImagePlace) -> Grey:
    """Return one frame, (H, W) float32 in [0, 1]; colour becomes grey by `LUMA`.

    Raises:
        InputError: the file is damaged, or has no such frame.
        MissingExtraError: no installed codec reads the file's compression.
    """
    with path.open("rb") as stream:
        frames = count_frames(stream, place.file_name)
        stream.seek(0)
        require_frame(place, frames)
        try:
            with quiet_dicom():
                dataset = read_dataset(stream, pixels=True)
                if place.frame == PEAK:
                    return peak_frame(_frame(dataset, index) for index in range(frames))
                return _frame(dataset, (place.frame or 1) - 1)
        except READ_ERRORS as error:
            got = f"one whose pixels cannot be decoded ({type(error).__name__})"
            raise _refusal(place.file_name, got) from None


def require_frame(place: ImagePlace, frames: int) -> None:
    """Do nothing where a file of so many frames has the frame that is asked for.

    Raises:
        InputError: it has not, or it has several and none is named.
    """
    if place.frame is None and frames > 1:
        got = "no frame named"
    elif isinstance(place.frame, int) and place.frame > frames:
        got = f"frame {place.frame}"
    else:
        return
    raise InputError(
        printable(place.file_name),
        expected=f'a frame from 1 to {frames}, or "peak"' if frames > 1 else "frame 1",
        got=got,
        remedy="Correct the frame of this image.",
        is_path=True,
    )


def peak_frame(frames: Iterator[Grey]) -> Grey:
    """Return the frame of the highest mean, the first of them where several have it.

    The mean is over the whole frame: of a clip whose frames hold more than the contrast image (a
    second panel, a clock) the peak is that of all.
    """
    return max(frames, key=lambda frame: float(frame.mean(dtype=np.float64)))


def to_grey(pixels: NDArray[np.generic], highest: float) -> Grey:
    """Return (H, W) or (H, W, 3) values from 0 to `highest` as (H, W) grey in [0, 1]."""
    values = pixels.astype(np.float32) / np.float32(highest)
    grey = values if values.ndim == 2 else values @ LUMA
    return np.asarray(np.clip(grey, 0, 1), dtype=np.float32)


def _frame(dataset: Dataset, index: int) -> Grey:
    """Return one frame in grey.

    Raises:
        ValueError: pixels are signed, or not of the shape the header gives.
    """
    if whole(dataset, "PixelRepresentation"):
        raise ValueError("signed values, which no ultrasound image has")
    syntax = _syntax(dataset)
    plugin = ""
    if syntax.is_encapsulated:
        # gdcm ends the process on some damaged frames; pillow reads 8-bit JPEG without it.
        plugin = "pillow" if syntax == JPEGBaseline8Bit else codec_of(syntax)
        if syntax != RLELossless:
            _require_declared_shape(dataset, index)
    pixels = pixel_array(dataset, index=index, decoding_plugin=plugin)
    kind = text(dataset, "PhotometricInterpretation")
    if kind == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
        return to_grey(pixels, np.iinfo(pixels.dtype).max)
    grey = to_grey(pixels, 2.0 ** (whole(dataset, "BitsStored") or 8) - 1)
    return 1 - grey if kind == "MONOCHROME1" else grey


def _require_declared_shape(dataset: Dataset, index: int) -> None:
    count = whole(dataset, "NumberOfFrames") or 1
    frame = get_frame(dataset.PixelData, index, number_of_frames=count)
    samples = whole(dataset, "SamplesPerPixel") or 1
    expected = whole(dataset, "Rows"), whole(dataset, "Columns"), samples
    if declared_shape(frame) != expected:
        raise ValueError("a codestream of another shape, or none")


def _syntax(dataset: Dataset) -> UID:
    return UID(str(dataset.file_meta.TransferSyntaxUID), validation_mode=IGNORE)


def _refusal(name: str, got: str) -> InputError:
    return InputError(
        printable(name),
        expected=f"a whole DICOM image of at most {MAX_SIDE_PX} px a side",
        got=got,
        remedy="Copy the file again from its source; if it is whole, decompress it first "
        "(gdcmconv --raw, dcmdjpeg).",
        is_path=True,
    )
