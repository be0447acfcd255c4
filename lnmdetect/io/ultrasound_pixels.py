"""Images of the ultrasound arm as grey in [0, 1]: PNG, JPEG, or a frame of a DICOM file."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from lnmdetect.core.errors import InputError
from lnmdetect.core.ultrasound import ImagePlace
from lnmdetect.io.dicom_header import HEAD_BYTES, looks_like_dicom
from lnmdetect.io.dicom_ultrasound import (
    MAX_SIDE_PX,
    Grey,
    count_frames,
    read_dicom_frame,
    require_frame,
    to_grey,
)
from lnmdetect.io.input_files import printable

_PICTURES = ("PNG", "JPEG")
_PICTURE_ERRORS = (
    *(UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error),
    *(EOFError, Image.DecompressionBombError),
)
_WIDE_MODES = frozenset({"I", "I;16", "I;16B", "I;16L"})
"""How pillow names 16-bit grey."""


def read_frame(root: Path, place: ImagePlace) -> Grey:
    """Return an image, (H, W) float32 in [0, 1] of the file's own range; colour becomes grey.

    Args:
        root: folder from which `place.file_name` starts.
        place: the file and, of a multi-frame DICOM file, the frame; `peak` is the frame of the
            highest mean intensity.

    Raises:
        InputError: the file is missing or damaged, of another kind, or has no such frame.
        MissingExtraError: no installed codec reads the file's compression.
    """
    path = _found(root, place)
    if _is_dicom(path, place):
        return read_dicom_frame(path, place)
    with _opened(path, place) as stream:
        require_frame(place, 1)
        return _read_picture(stream, place)


def require_readable(root: Path, place: ImagePlace) -> None:
    """Do nothing where an image is there and its header fits what is asked of it.

    Raises:
        InputError, MissingExtraError: as `read_frame`, but for pixels that are damaged.
    """
    path = _found(root, place)
    is_dicom = _is_dicom(path, place)
    with _opened(path, place) as stream:
        frames = count_frames(stream, place.file_name) if is_dicom else 1
        require_frame(place, frames)
        if not is_dicom:
            _check_picture(stream, place)


def _found(root: Path, place: ImagePlace) -> Path:
    path = root / place.file_name
    if not _is_file(path):
        raise _refusal(place, "no file of that name", "Put it there, or correct its file_name.")
    return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # as for a name longer than the file system's
        return False


def _is_dicom(path: Path, place: ImagePlace) -> bool:
    with _opened(path, place) as stream:
        return looks_like_dicom(stream.read(HEAD_BYTES))


def _opened(path: Path, place: ImagePlace) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        got = error.strerror or type(error).__name__
        raise _refusal(place, got, "Check its permissions.") from None


def _check_picture(stream: BinaryIO, place: ImagePlace) -> None:
    with _picture(stream, place):
        pass


def _read_picture(stream: BinaryIO, place: ImagePlace) -> Grey:
    with _picture(stream, place) as image:
        if image.mode in _WIDE_MODES:
            return to_grey(np.asarray(image), np.iinfo(np.uint16).max)
        is_grey = image.mode in ("1", "L", "LA")
        return to_grey(np.asarray(image.convert("L" if is_grey else "RGB")), 255)


@contextmanager
def _picture(stream: BinaryIO, place: ImagePlace) -> Iterator[Image.Image]:
    """Yield a picture whose pixels are not read yet; InputError where they cannot be."""
    try:
        with warnings.catch_warnings():
            # A picture large enough for pillow to warn of is refused below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(stream, formats=_PICTURES)
        with image:
            if max(image.size) > MAX_SIDE_PX:
                got = f"one of {image.width} x {image.height} px"
                raise _refusal(place, got, "Export it at the size of the screen.")
            yield image
    except _PICTURE_ERRORS as error:
        raise _damaged(place, error) from None


def _damaged(place: ImagePlace, error: Exception) -> InputError:
    got = f"a file that cannot be read as one ({type(error).__name__})"
    return _refusal(place, got, "Copy or export it again from its source.")


def _refusal(place: ImagePlace, got: str, remedy: str) -> InputError:
    return InputError(
        printable(place.file_name),
        expected=f"a PNG, JPEG or DICOM image of at most {MAX_SIDE_PX} px a side",
        got=got,
        remedy=remedy,
        is_path=True,
    )
